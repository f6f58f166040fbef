/* coop::signal: names a watcher of a signal; event_loop_ref::signal makes one. The name only: the callable belongs to the
 * loop. Losing it leaves the watcher alone. Must not be used after the loop's end. */
#ifndef COOP_SIGNAL_HPP
#define COOP_SIGNAL_HPP

#include <coop/result.hpp>

namespace coop {

class signal {
public:
    constexpr signal() noexcept = default;
    constexpr signal(coop_event_loop *loop, coop_signal_id id) noexcept : loop_(loop), id_(id) {}

    /* Ends the watcher: its callable does not begin any more, and is destroyed now; if it runs (it may be the caller), when it
     * returns. The last one of a signal gives the signal back. errc::stale if it has ended before. Any thread. */
    result<void> cancel() const noexcept { return detail::answer(coop_signal_cancel(loop_, id_)); }

    constexpr coop_signal_id id() const noexcept { return id_; }

private:
    coop_event_loop *loop_ = nullptr;
    coop_signal_id id_ = 0;
};

}  // namespace coop

#endif  // COOP_SIGNAL_HPP
