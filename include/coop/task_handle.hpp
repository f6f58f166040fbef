/* coop::task_handle: a task of a pool to wait for, or to take back.
 *
 *     coop::task_handle task = pool.submit_task([&] { sum = add_up(numbers); }).value();
 *     task.join().value();      // or task.cancel()
 *
 * Lifetimes: 1. Its end lets the task go on, and nobody waits for that any more. 2. It ends before its pool does, unless it has told
 * the task's end: then it is only not called any more. 3. One that is empty or was moved from answers errc::null; one that has
 * told the task's end, errc::stale.
 *
 * Threads: any thread may join, cancel and release, also several at once: one is told how the task ended. A coroutine's result is a
 * coop::task (coop/coroutine.hpp). */
#ifndef COOP_TASK_HANDLE_HPP
#define COOP_TASK_HANDLE_HPP

#include <coop/result.hpp>
#include <coop/time.hpp>

#include <atomic>
#include <utility>

namespace coop {

class task_handle {
public:
    /* An empty one: errc::null. */
    task_handle() noexcept = default;
    /* Owns a C id from now on. */
    task_handle(coop_pool *pool, coop_task_id id) noexcept : pool_(pool), id_(id) {}

    task_handle(task_handle &&other) noexcept : pool_(std::exchange(other.pool_, nullptr)), id_(other.id_.exchange(0)) {}
    task_handle &operator=(task_handle &&other) noexcept {
        if (this != &other) {
            let_go();
            pool_ = std::exchange(other.pool_, nullptr);
            id_ = other.id_.exchange(0);
        }
        return *this;
    }
    ~task_handle() { let_go(); }

    /* Waits for the task's end: errc::cancelled, or errc::closed if a shutdown dropped it, if it has not run; what it threw
     * is the exception hook's. errc::timeout and errc::would_deadlock change nothing. */
    result<void> join(timeout limit = forever) noexcept {
        const coop_task_id id = id_;
        const coop_status status = coop_task_join(pool_, id, limit.ns());
        if (status == COOP_OK || status == COOP_E_CANCELLED || status == COOP_E_CLOSED) ended(id);
        return detail::answer(status);
    }

    /* Takes the task back: it does not run, and its callable is destroyed before this returns. errc::timeout if it has begun,
     * which changes nothing. */
    result<void> cancel() noexcept {
        const coop_task_id id = id_;
        const coop_status status = coop_task_cancel(pool_, id);
        if (status == COOP_OK) ended(id);
        return detail::answer(status);
    }

    /* Lets the task go on, as the destructor does. */
    result<void> release() noexcept {
        const coop_task_id id = id_.exchange(0);
        return detail::answer(coop_task_release(pool_, id));
    }

    /* Whether there is a task whose end was not told yet. */
    explicit operator bool() const noexcept { return id_ != 0; }
    /* The C id, which stays this object's; 0 if there is none. */
    coop_task_id id() const noexcept { return id_; }

private:
    /* The pool may be gone when no task's end is left to tell, so it is not called then. */
    void let_go() noexcept {
        if (const coop_task_id id = id_.exchange(0); id != 0) static_cast<void>(coop_task_release(pool_, id));
    }
    void ended(coop_task_id id) noexcept { id_.compare_exchange_strong(id, 0); }

    coop_pool *pool_ = nullptr;
    std::atomic<coop_task_id> id_{0};
};

}  // namespace coop

#endif  // COOP_TASK_HANDLE_HPP
