/* coop::errc: what can go wrong, as a std::error_code.
 *
 *     if (result.error() == coop::errc::timeout) ...
 *     if (result.error() == std::errc::timed_out) ...  // the same
 *
 * An enumerator is the name of its COOP_E_* in lower case, and has its number. */
#ifndef COOP_ERRC_HPP
#define COOP_ERRC_HPP

#include <coop.h>

#include <string>
#include <system_error>
#include <type_traits>

namespace coop {

/* The errors of the library. coop.h says at each function which of them it answers. */
enum class errc : coop_status {
    invalid = COOP_E_INVALID,
    null = COOP_E_NULL, /* in C++ mostly: the object was moved away or freed */
    stale = COOP_E_STALE,
    closed = COOP_E_CLOSED,
    queue_full = COOP_E_QUEUE_FULL,
    timeout = COOP_E_TIMEOUT,
    affinity = COOP_E_AFFINITY,
    would_deadlock = COOP_E_WOULD_DEADLOCK,
    forked = COOP_E_FORKED,
    unsupported = COOP_E_UNSUPPORTED,
    panic = COOP_E_PANIC,
    os = COOP_E_OS,
    exists = COOP_E_EXISTS,
    failed = COOP_E_FAILED,
    cancelled = COOP_E_CANCELLED,
    would_block = COOP_E_WOULD_BLOCK,
    resolve = COOP_E_RESOLVE,
};

/* The category of coop::errc. Its messages are the names of the errors; result::message() has the words. */
class [[gnu::visibility("default")]] error_category_t final : public std::error_category {
public:
    const char *name() const noexcept override { return "coop"; }

    std::string message(int status) const override { return coop_status_str(status); }

    /* What the standard library has a name for compares equal to it. The others are equal to themselves only. */
    std::error_condition default_error_condition(int status) const noexcept override {
        switch (static_cast<errc>(status)) {
        case errc::invalid:
        case errc::null:
        case errc::affinity: return std::errc::invalid_argument;
        case errc::queue_full: return std::errc::resource_unavailable_try_again;
        case errc::timeout: return std::errc::timed_out;
        case errc::would_deadlock: return std::errc::resource_deadlock_would_occur;
        case errc::unsupported: return std::errc::not_supported;
        case errc::cancelled: return std::errc::operation_canceled;
        case errc::would_block: return std::errc::operation_would_block;
        case errc::stale:
        case errc::closed:
        case errc::forked:
        case errc::panic:
        case errc::os:
        case errc::exists:
        case errc::failed:
        case errc::resolve: break;
        }
        return {status, *this};
    }
};

/* The one object of the category: codes are compared by its address, so it is shared between shared libraries too. */
[[gnu::visibility("default")]] inline const std::error_category &error_category() noexcept {
    static const error_category_t category{};
    return category;
}

inline std::error_code make_error_code(errc code) noexcept { return {static_cast<int>(code), error_category()}; }

}  // namespace coop

template <>
struct std::is_error_code_enum<coop::errc> : std::true_type {};

#endif  // COOP_ERRC_HPP
