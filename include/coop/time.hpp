/* std::chrono durations as the library's nanoseconds.
 *
 *     pool.shutdown(coop::shutdown_mode::drain, 2s);
 *     pool.join(coop::forever);
 *
 * Any duration may be given. A fraction of a nanosecond is rounded up, so that nothing comes early; what is longer than the
 * library counts (292 years) is as long as it counts. A negative timeout or delay is one that has passed: 0. A negative
 * period is a mistake, and refused: errc::invalid. Not a number is 0, as a period refused. */
#ifndef COOP_TIME_HPP
#define COOP_TIME_HPP

#include <coop.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

namespace coop {

/* A timeout that never comes. */
struct forever_t {};
inline constexpr forever_t forever{};

namespace detail {

/* Nanoseconds, 0 or more, rounded up; from what is above 0. */
template <class Rep, class Period>
constexpr std::int64_t nanoseconds_of(std::chrono::duration<Rep, Period> duration) {
    constexpr std::int64_t longest = std::numeric_limits<std::int64_t>::max();
    constexpr long double too_long = 9223372036854775808.0L; /* longest + 1 */
    using to_nano = std::ratio_divide<Period, std::nano>;
    const long double approximate = std::chrono::duration<long double, std::nano>(duration).count();
    if (!(approximate > 0)) return 0;
    if (approximate >= too_long) return longest;
    if constexpr (std::is_integral_v<Rep> && to_nano::den == 1) {
        return static_cast<std::int64_t>(duration.count()) * to_nano::num;
    } else if constexpr (std::is_integral_v<Rep> && to_nano::num == 1) {
        using wide = std::common_type_t<Rep, std::int64_t>;
        const wide count = static_cast<wide>(duration.count()), parts = static_cast<wide>(to_nano::den);
        return static_cast<std::int64_t>(count / parts) + (count % parts != 0);
    } else {
        const std::int64_t whole = static_cast<std::int64_t>(approximate);
        return whole + (whole < longest && static_cast<long double>(whole) < approximate);
    }
}

}  // namespace detail

/* How long to wait: a duration, or coop::forever. What is negative does not wait. */
class timeout {
public:
    template <class Rep, class Period>
    constexpr timeout(std::chrono::duration<Rep, Period> duration) : ns_(detail::nanoseconds_of(duration)) {}
    constexpr timeout(forever_t) noexcept : ns_(COOP_FOREVER) {}

    constexpr std::int64_t ns() const noexcept { return ns_; }

private:
    std::int64_t ns_;
};

/* How long from now: a duration. What is negative is now. */
class delay {
public:
    constexpr delay() noexcept = default;
    template <class Rep, class Period>
    constexpr delay(std::chrono::duration<Rep, Period> duration) : ns_(detail::nanoseconds_of(duration)) {}

    constexpr std::int64_t ns() const noexcept { return ns_; }

private:
    std::int64_t ns_ = 0;
};

/* How long from one time to the next: a duration. 0 is once; what is negative is refused by the call that takes it. */
class period {
public:
    constexpr period() noexcept = default;
    template <class Rep, class Period>
    constexpr period(std::chrono::duration<Rep, Period> duration)
        /* Compared as a number: chrono's own >= says yes of what is none. */
        : ns_(std::chrono::duration<long double>(duration).count() >= 0 ? detail::nanoseconds_of(duration)
                                                                        : std::numeric_limits<std::int64_t>::min()) {}

    constexpr std::int64_t ns() const noexcept { return ns_; }

private:
    std::int64_t ns_ = 0;
};

}  // namespace coop

#endif  // COOP_TIME_HPP
