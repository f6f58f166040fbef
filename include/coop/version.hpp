/* Versions: of these headers, and of the library that is loaded. */
#ifndef COOP_VERSION_HPP
#define COOP_VERSION_HPP

#include <coop.h>

#include <string_view>

namespace coop {

/* The version that these headers are of. */
inline constexpr int version_major = COOP_VERSION_MAJOR;
inline constexpr int version_minor = COOP_VERSION_MINOR;
inline constexpr int version_patch = COOP_VERSION_PATCH;
inline constexpr std::string_view version_string = COOP_VERSION_STRING;

/* The version of the library that is loaded: "0.1.0". Lives as long as the program. */
inline std::string_view version() noexcept { return coop_version(); }

}  // namespace coop

#endif  // COOP_VERSION_HPP
