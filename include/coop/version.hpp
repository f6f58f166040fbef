/* Versions: of these headers, and of the library that is loaded. */
#ifndef COOP_VERSION_HPP
#define COOP_VERSION_HPP

#include <coop/result.hpp>

#include <string_view>

namespace coop {

/* The version that these headers are of. */
inline constexpr int version_major = COOP_VERSION_MAJOR;
inline constexpr int version_minor = COOP_VERSION_MINOR;
inline constexpr int version_patch = COOP_VERSION_PATCH;
inline constexpr std::string_view version_string = COOP_VERSION_STRING;

/* The version of the library that is loaded: "0.1.0". Lives as long as the program. */
inline std::string_view version() noexcept { return coop_version(); }

/* Whether the library that is loaded works with headers of a version: these, or others. errc::unsupported, in words, if not. */
inline result<void> version_check(int major = version_major, int minor = version_minor) noexcept {
    return detail::answer(coop_version_check(major, minor));
}

}  // namespace coop

#endif  // COOP_VERSION_HPP
