/* coop::timer: names a timer of an event loop; event_loop_ref::timer makes one. Options and the name only: the callable
 * belongs to the loop. */
#ifndef COOP_TIMER_HPP
#define COOP_TIMER_HPP

#include <coop/cpu_set.hpp>
#include <coop/priority.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <cstdint>
#include <optional>

namespace coop {

/* When a timer fires and where its callable runs. */
struct timer_options {
    /* From now to the first time; 0 is the loop's next turn. It never fires early. */
    delay after = {};
    /* From one time to the next, without drift; 0 is once. */
    period every = {};
    coop::on on = coop::on::default_;
    /* Only beside on::pool. */
    coop::priority priority = coop::priority::normal;
    /* On which CPUs; none: on any. Only beside on::pool. */
    std::optional<cpu_set> cpus = {};
    /* run_mode::until_idle does not wait for this timer. */
    bool unref = false;

    /* The C view; valid while this object is. */
    coop_timer_options c() const noexcept {
        coop_timer_options options{};
        options.size = sizeof options;
        options.after_ns = after.ns();
        options.every_ns = every.ns();
        options.on = static_cast<std::int32_t>(on);
        options.priority = static_cast<std::int32_t>(priority);
        if (cpus) options.cpus = cpus->c();
        options.unref = unref;
        return options;
    }
};

/* The name of a timer. Copied freely; losing it leaves the timer alone. Must not be used after the loop's end. */
class timer {
public:
    constexpr timer() noexcept = default;
    constexpr timer(coop_event_loop *loop, coop_timer_id id) noexcept : loop_(loop), id_(id) {}

    /* Ends the timer: its callable does not begin any more, and is destroyed now; if it runs (it may be the caller), when it
     * returns. errc::stale if it has ended before. Any thread. */
    result<void> cancel() const noexcept { return detail::answer(coop_timer_cancel(loop_, id_)); }

    /* cancel by one of the loop's own callbacks, on its thread: without a lock if event_loop_ref::timer_local made it. */
    result<void> cancel_local() const noexcept { return detail::answer(coop_timer_cancel_local(loop_, id_)); }

    /* Whether run_mode::until_idle waits for the timer. */
    result<void> ref() const noexcept { return detail::answer(coop_timer_ref(loop_, id_)); }
    result<void> unref() const noexcept { return detail::answer(coop_timer_unref(loop_, id_)); }

    constexpr coop_timer_id id() const noexcept { return id_; }

private:
    coop_event_loop *loop_ = nullptr;
    coop_timer_id id_ = 0;
};

}  // namespace coop

#endif  // COOP_TIMER_HPP
