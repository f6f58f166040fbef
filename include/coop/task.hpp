// Coroutines for code written for jeremyong/coop: the same names, the same way of running, without its crashes.
//
//     coop::task_t<int> half(int n) {
//         COOP_SUSPEND();              // the rest runs on a worker
//         co_return n / 2;
//     }
//     coop::task_t<void, true> work(int &out) { out = co_await half(10); }
//     ...
//     work(out).join();
//
// A task starts at once, on the caller's thread, and goes on there until it suspends. Its frame is shared between the
// task object and the coroutine that runs: dropping a task that runs lets it go on by itself, and a temporary may be joined.
// An exception that leaves a coroutine is thrown again by co_await and by join(); nobody hears of it if neither is called.
//
// What is new beside the library underneath is coop::task, in coroutine.hpp.
#ifndef COOP_TASK_HPP
#define COOP_TASK_HPP

#include <coroutine>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <type_traits>
#include <utility>

#include <coop/detail/joining.hpp>
#include <coop/detail/promise.hpp>
#include <coop/scheduler.hpp>
#include <coop/source_location.hpp>

namespace coop {

template <typename T = void, bool Joinable = false>
class task_t {
    using extra = std::conditional_t<Joinable, coro::join_queue, coro::nothing>;
    using block = coro::shared<T, extra>;

public:
    struct promise_type : coro::promise_for<promise_type, T, extra> {
        task_t get_return_object() noexcept { return task_t(this->shared_block()); }
        std::suspend_never initial_suspend() const noexcept { return {}; }
    };

    // An empty task, which is done.
    task_t() noexcept = default;
    task_t(task_t const &) = delete;
    task_t &operator=(task_t const &) = delete;
    task_t(task_t &&other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
    task_t &operator=(task_t &&other) noexcept {
        if (this != &other) {
            release();
            block_ = std::exchange(other.block_, nullptr);
        }
        return *this;
    }
    // The coroutine, if it still runs, goes on by itself.
    ~task_t() { release(); }

    // The value, of a task that is done and has one.
    [[nodiscard]] std::add_lvalue_reference_t<T> operator*() noexcept
        requires(!std::is_void_v<T>)
    {
        return value(block_);
    }
    [[nodiscard]] std::add_lvalue_reference_t<std::add_const_t<T>> operator*() const noexcept
        requires(!std::is_void_v<T>)
    {
        return value(block_);
    }

    // Whether it is done, or empty.
    [[nodiscard]] operator bool() const noexcept { return await_ready(); }
    [[nodiscard]] bool await_ready() const noexcept { return !block_ || block_->ended(); }

    // co_await task: its value, moved out of it, or its exception. A member, and no free awaiter interface: g++ 11 and 12
    // copy an array's element that is its own awaiter.
    auto operator co_await() const noexcept { return coro::task_awaiter<T, block>(block_, nullptr); }

    // Blocks this thread until it is done; throws what it threw. The value is then *task. On a worker of the pool that the
    // task is queued in, the task runs here instead; but a worker that waits for one that has begun is a worker less.
    void join()
        requires Joinable
    {
        if (!block_) return;
        block_->extra.join(block_);
        block_->result.check();
    }

private:
    explicit task_t(block *shared) noexcept : block_(shared) { shared->hold(); }

    static std::add_lvalue_reference_t<T> value(block *shared) noexcept {
        if constexpr (std::is_reference_v<T>)
            return *shared->result.value();
        else
            return shared->result.value();
    }
    void release() noexcept {
        if (block_) block_->release();
    }

    block *block_ = nullptr;
};

namespace coro {

template <class S>
class suspension {
public:
    suspension(S &scheduler, std::uint64_t cpu_mask, std::uint32_t priority, source_location_t const &location) noexcept
        : scheduler_(scheduler), cpu_mask_(cpu_mask), priority_(priority), location_(location) {}

    bool await_ready() const noexcept { return false; }

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        if constexpr (std::is_same_v<S, scheduler_t>) {
            const coop_status status = scheduler_.enqueue(coroutine, cpu_mask_, priority_);
            if (status == COOP_OK) return true;
            status_ = status;
            return false;
        } else {
            // Another's scheduler: what this coroutine waits for from now on brings it back to no pool of ours.
            if (place *where = place_of(coroutine)) *where = place{};
            hand_off(coroutine.address());
            scheduler_.schedule(coroutine, cpu_mask_, priority_, location_);
            return true;
        }
    }
    void await_resume() const { report(status_, "a scheduler took a coroutine no more", false); }

private:
    S &scheduler_;
    std::uint64_t cpu_mask_;
    std::uint32_t priority_;
    coop_status status_ = COOP_OK;
    source_location_t location_;
};

}  // namespace coro

// co_await suspend(...): the coroutine goes on where the scheduler puts it. Throws coroutine_error, on the thread it was on,
// if the scheduler takes nothing any more; without exceptions it goes on there.
//
// cpu_mask: bit n is CPU n; 0, or a mask without a worker, is any. priority: 0 is normal, 1 is high.
template <Scheduler S = scheduler_t>
[[nodiscard]] inline auto suspend(S &scheduler = S::instance(), std::uint64_t cpu_mask = 0, std::uint32_t priority = 0,
                                  source_location_t const &source_location = {}) noexcept {
    return coro::suspension<S>(scheduler, cpu_mask, priority, source_location);
}

}  // namespace coop

#define COOP_SUSPEND() co_await ::coop::suspend(::coop::scheduler_t::instance(), 0, 0, {__FILE__, __LINE__})

#define COOP_SUSPEND1(scheduler) co_await ::coop::suspend(scheduler, 0, 0, {__FILE__, __LINE__})

#define COOP_SUSPEND2(scheduler, cpu_mask) co_await ::coop::suspend(scheduler, cpu_mask, 0, {__FILE__, __LINE__})

#define COOP_SUSPEND3(scheduler, cpu_mask, priority) \
    co_await ::coop::suspend(scheduler, cpu_mask, priority, {__FILE__, __LINE__})

#define COOP_SUSPEND4(cpu_mask) \
    co_await ::coop::suspend(::coop::scheduler_t::instance(), cpu_mask, 0, {__FILE__, __LINE__})

#define COOP_SUSPEND5(cpu_mask, priority) \
    co_await ::coop::suspend(::coop::scheduler_t::instance(), cpu_mask, priority, {__FILE__, __LINE__})

#endif
