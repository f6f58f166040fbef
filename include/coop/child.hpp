/* coop::child: names a wait for the end of a child process; event_loop_ref::child makes one. The name only: the callable
 * belongs to the loop. Losing it leaves the wait alone. Must not be used after the loop's end. */
#ifndef COOP_CHILD_HPP
#define COOP_CHILD_HPP

#include <coop/result.hpp>

#include <string>
#include <utility>

namespace coop {

/* How a child ended. */
struct exit_status {
    /* Its process id, which the system may give to another process from now on. */
    int pid = 0;
    /* What it gave to exit(), 0 to 255; -1 if a signal ended it. */
    int code = -1;
    /* The signal that ended it; 0 if it exited. */
    int signal = 0;
    bool core_dumped = false;

    exit_status() noexcept = default;
    explicit exit_status(const coop_exit_status &c) noexcept
        : pid(c.pid), code(c.code), signal(c.signal), core_dumped(c.core_dumped != 0) {}

    bool success() const noexcept { return code == 0; }
};

class child {
public:
    constexpr child() noexcept = default;
    constexpr child(coop_event_loop *loop, coop_child_id id) noexcept : loop_(loop), id_(id) {}

    /* Ends the wait: the child is the caller's to reap, and the callable is destroyed. errc::stale if the child has been reaped,
     * or the wait was cancelled before. Any thread. */
    result<void> cancel() const noexcept { return detail::answer(coop_child_cancel(loop_, id_)); }

    constexpr coop_child_id id() const noexcept { return id_; }

private:
    coop_event_loop *loop_ = nullptr;
    coop_child_id id_ = 0;
};

}  // namespace coop

#endif  // COOP_CHILD_HPP
