/* Durations as nanoseconds, at their edges. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <cstdint>
#include <limits>

using std::chrono::duration;
constexpr std::int64_t LONGEST = std::numeric_limits<std::int64_t>::max();

template <class T>
constexpr std::int64_t ns(T value) {
    return coop::timeout(value).ns();
}

/* Every unit, exactly. */
static_assert(ns(0ns) == 0 && ns(1ns) == 1 && ns(3us) == 3000 && ns(5ms) == 5'000'000 && ns(2s) == 2'000'000'000);
static_assert(ns(1min) == 60'000'000'000 && ns(1h) == 3'600'000'000'000);
static_assert(ns(std::chrono::nanoseconds::max() - 1ns) == LONGEST - 1);
static_assert(ns(duration<std::int64_t, std::ratio<1, 3>>(3)) == 1'000'000'000);

/* What is no whole nanosecond is rounded up: nothing comes early, and a little is not nothing. */
static_assert(ns(duration<std::int64_t, std::pico>(1)) == 1 && ns(duration<std::int64_t, std::pico>(1000)) == 1);
static_assert(ns(duration<std::int64_t, std::pico>(1001)) == 2);
static_assert(ns(duration<int, std::ratio<1, 3>>(1)) == 333'333'334);
static_assert(ns(duration<double>(0.5)) == 500'000'000 && ns(duration<double, std::nano>(0.1)) == 1);
static_assert(ns(duration<float, std::milli>(1.5f)) == 1'500'000);
static_assert(ns(duration<std::uint64_t, std::pico>(std::numeric_limits<std::uint64_t>::max())) == 18'446'744'073'709'552);
static_assert(ns(duration<std::int8_t, std::pico>(127)) == 1);

/* What is longer than the library counts is as long as it counts. */
static_assert(ns(std::chrono::nanoseconds::max()) == LONGEST && ns(std::chrono::hours::max()) == LONGEST);
static_assert(ns(std::chrono::seconds::max()) == LONGEST && ns(std::chrono::years::max()) == LONGEST);
static_assert(ns(duration<std::uint64_t, std::nano>(std::uint64_t{1} << 63)) == LONGEST);
static_assert(ns(duration<double>(1e300)) == LONGEST);
static_assert(ns(duration<double>(std::numeric_limits<double>::infinity())) == LONGEST);

/* What is negative has passed, and -1 ns is not for ever. */
static_assert(ns(-1ns) == 0 && ns(-1h) == 0 && ns(std::chrono::hours::min()) == 0);
static_assert(ns(duration<double>(-0.5)) == 0 && ns(duration<double>(-1e300)) == 0);
static_assert(ns(coop::forever) == COOP_FOREVER);

static_assert(coop::delay().ns() == 0 && coop::delay(-5s).ns() == 0 && coop::delay(5us).ns() == 5000);
static_assert(coop::delay(std::chrono::hours::max()).ns() == LONGEST);

/* A period has no past. */
static_assert(coop::period().ns() == 0 && coop::period(0s).ns() == 0 && coop::period(7ns).ns() == 7);
static_assert(coop::period(-1ns).ns() < -1 && coop::period(std::chrono::hours::min()).ns() < -1);

/* Nothing but durations. */
static_assert(!std::is_convertible_v<int, coop::timeout> && !std::is_convertible_v<int, coop::delay>);
static_assert(!std::is_convertible_v<coop::forever_t, coop::delay> && !std::is_convertible_v<coop::forever_t, coop::period>);

int main() {
    /* Not a number. */
    const duration<double> none(std::numeric_limits<double>::quiet_NaN());
    CHECK(ns(none) == 0 && coop::delay(none).ns() == 0 && coop::period(none).ns() < -1);

    /* The library takes all of them. */
    coop::event_loop loop = MUST(coop::event_loop::create());
    bool ran = false;
    MUST(loop.timer({.after = -3s}, [&] { ran = true; }));
    MUST(loop.timer({.after = std::chrono::hours::max(), .every = std::chrono::hours::max()}, [] { _exit(2); }));
    REFUSED(coop::errc::invalid, loop.timer({.every = -1ns}, [] {}));
    MUST(loop.run(coop::run_mode::nowait));
    CHECK(ran);

    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    latch hold;
    MUST(pool.submit([&] { hold.wait(); }));
    MUST(pool.close());
    REFUSED(std::errc::timed_out, pool.join(-1ns));
    REFUSED(std::errc::timed_out, pool.join(duration<double, std::milli>(0.25)));
    hold.open();
    MUST(pool.join(std::chrono::hours::max()));
    MUST(pool.join(coop::forever));
}
