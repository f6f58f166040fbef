// Coroutines over the pool and the event loop: coop::task, and what one may wait for.
//
//     coop::task<int> half(coop_pool *pool, int n) {
//         co_await coop::suspend_on(pool);                  // the rest runs on a worker
//         co_return n / 2;
//     }
//     coop::task<int> work(coop_pool *pool, coop_event_loop *loop) {
//         auto one = half(pool, 10);
//         if (coop_status status = one.spawn(pool)) co_return status;   // runs beside this one from now on
//         int two = co_await half(pool, 20);
//         co_await coop::sleep_for(loop, 10ms);             // holds no thread
//         co_return co_await one + two;
//     }
//     int sum = coop::sync_wait(work(pool, loop));
//
// A task is lazy: nothing of it runs before it is awaited, spawned or waited for. So nothing runs whose end nobody can
// learn, and an awaited task starts in place, without a queue.
//
// A coroutine belongs where it hopped to last. What it waits for brings it back: if that ends on a worker of its pool,
// inside its CPU set, while nothing of a higher priority waits there, it goes on at once; else it is queued. One that never
// hopped goes on wherever what it waited for has ended.
//
// Waiting answers a coop_status: COOP_OK, or why it could not wait; then the coroutine is still where it was. With
// exceptions, what leaves a task is thrown again by who awaits it. It works with -fno-exceptions and -fno-rtti as well.
//
// A pool or a loop that is freed destroys the coroutines that wait in it, and those that wait for them. Pools and loops are
// given as coop_pool * and coop_event_loop *, or as any object whose get() answers one.
#ifndef COOP_COROUTINE_HPP
#define COOP_COROUTINE_HPP

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstdint>
#include <type_traits>
#include <utility>

#include <coop.h>
#include <coop/detail/given.hpp>
#include <coop/detail/promise.hpp>
#include <coop/detail/watch.hpp>
#include <coop/time.hpp>

namespace coop {

namespace coro {

inline coop_submit_options options_of(coop_submit_options const &options) noexcept { return options; }
template <class O>
    requires requires(O const &options) { { options.c() } -> std::convertible_to<coop_submit_options>; }
coop_submit_options options_of(O const &options) {
    return options.c();
}

inline place place_on(coop_pool *pool, coop_submit_options const &options) {
    place where;
    where.pool = pool;
    where.priority = options.priority;
    where.cpus = cpu_words(options.cpus);
    return where;
}

}  // namespace coro

// A coroutine with a result. Move only; dropping one that runs lets it go on by itself, dropping one that was never
// started destroys it.
template <class T = void>
class [[nodiscard]] task {
    using block = coro::shared<T>;

public:
    using value_type = T;

    struct promise_type : coro::promise_for<promise_type, T> {
        task get_return_object() noexcept { return task(this->shared_block()); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
    };

    // An empty one, which counts as done.
    task() noexcept = default;
    task(task const &) = delete;
    task &operator=(task const &) = delete;
    task(task &&other) noexcept
        : block_(std::exchange(other.block_, nullptr)), started_(std::exchange(other.started_, false)) {}
    task &operator=(task &&other) noexcept {
        task old(std::move(*this));
        block_ = std::exchange(other.block_, nullptr);
        started_ = std::exchange(other.started_, false);
        return *this;
    }
    ~task() {
        if (!block_) return;
        if (!started_) coro::destroy_frame(frame());
        block_->release();
    }

    // Whether there is a coroutine.
    explicit operator bool() const noexcept { return block_ != nullptr; }
    // Whether it has ended (or is empty).
    bool is_done() const noexcept { return !block_ || (started_ && block_->ended()); }

    // Queues it in the pool, to run beside the caller; co_await it for the result. What a worker spawns in its own pool, at
    // normal priority and for any CPU, starts in no particular order: see detail/fork.hpp. options: a coop_submit_options, whose
    // size is not looked at, or coop::submit_options. COOP_E_EXISTS if it was started before; COOP_E_NULL for an empty
    // one; the errors of coop_pool_submit, and then it is not started.
    template <class Pool, class Options = coop_submit_options>
    [[nodiscard]] coop_status spawn(Pool &&pool, Options const &options = {}) {
        if (!block_) return COOP_E_NULL;
        if (started_) return COOP_E_EXISTS;
        coro::place &where = coroutine().promise().where;
        where = coro::place_on(coro::pool_of(pool), coro::options_of(options));
        const coop_status status = coro::spawn_frame(where, block_->frame());
        started_ = status == COOP_OK;
        return status;
    }

    // co_await task: its result, moved out. Starts it on this thread if it was not started. Once.
    auto operator co_await() noexcept {
        const coro::begun before = started_ ? coro::begun::perhaps : coro::begun::no;
        started_ = true;
        return coro::task_awaiter<T, block>(block_, before);
    }

private:
    template <class U>
    friend U sync_wait(task<U> waited_for);

    explicit task(block *shared) noexcept : block_(shared) { shared->hold(); }
    void *frame() const noexcept { return block_ ? block_->frame() : nullptr; }
    std::coroutine_handle<promise_type> coroutine() const noexcept {
        return std::coroutine_handle<promise_type>::from_address(block_->frame());
    }

    block *block_ = nullptr;
    bool started_ = false;
};

// Runs the task on this thread until it suspends, if it was not started (or this worker spawned it last), and blocks until it has ended. Not on a worker or a
// loop's thread that the task needs: that would wait for itself.
template <class T>
T sync_wait(task<T> waited_for) {
    if (!waited_for.block_) coro::report(COOP_E_NULL, "an empty task was waited for", true);
    coro::waiting_thread me;
    const bool started = std::exchange(waited_for.started_, true);
    if (waited_for.block_->add(&me)) {
        if (!started || coro::spawn_deque::take_back(waited_for.frame())) coro::run(waited_for.frame());
        me.wait();
    }
    return coro::take_result<T>(waited_for.block_);
}

namespace coro {

// What every awaiter here answers.
struct answered {
    coop_status status = COOP_OK;
    bool await_ready() const noexcept { return false; }
    coop_status await_resume() const noexcept { return status; }
};

class pool_hop : public answered {
public:
    explicit pool_hop(place where) noexcept : where_(std::move(where)) {}

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        coop_status refused;
        if constexpr (std::derived_from<P, promise_root>) {
            // What the coroutine is to know it is told first: it may be gone as soon as it is queued.
            place &home = coroutine.promise().where;
            place before = std::exchange(home, std::move(where_));
            refused = submit_frame(home, coroutine.address());
            if (refused == COOP_OK) return true;
            home = std::move(before);
        } else {
            refused = submit_frame(where_, coroutine.address());
            if (refused == COOP_OK) return true;
        }
        status = refused;
        return false;
    }

private:
    place where_;
};

class loop_hop : public answered {
public:
    explicit loop_hop(coop_event_loop *loop) noexcept : loop_(loop) {}

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        place *const home = place_of(coroutine);
        place before;
        if (home) {
            before = std::exchange(*home, place{});
            home->loop = loop_;
        }
        if (coop_event_loop_is_loop_thread(loop_)) return false;
        const coop_status refused = post_hop(loop_, coroutine.address());
        if (refused == COOP_OK) return true;
        if (home) *home = std::move(before);
        status = refused;
        return false;
    }

private:
    coop_event_loop *loop_;
};

// What a coroutine waits by, from a call on that accepts it: the loop owns both then, they may be gone, and nothing of the frame is read any
// more. A call that refuses it leaves the wait the coroutine's, which goes on with the reason.
template <class Wait, class Call>
bool given_away(Wait *wait, coop_status &status, Call const &call) {
    hand_off(wait);
    const coop_status refused = call();
    if (refused == COOP_OK) return true;
    delete wait;
    status = refused;
    return false;
}

// A coroutine that waits for a timer. The loop owns it.
struct timer_wait {
    void *frame;
    place const *where;

    static void fire(void *arg, std::uint64_t) noexcept {
        take_over(arg);
        auto *self = static_cast<timer_wait *>(arg);
        void *frame = std::exchange(self->frame, nullptr);
        hand_off(arg);
        go_on(nullptr, self->where, frame);
    }
    static void drop(void *arg) noexcept {
        take_over(arg);
        auto *self = static_cast<timer_wait *>(arg);
        void *frame = self->frame;
        delete self;
        if (frame) std::coroutine_handle<>::from_address(frame).destroy();
    }
};

class timer_awaiter : public answered {
public:
    timer_awaiter(coop_event_loop *loop, std::int64_t after_ns) noexcept : loop_(loop), after_ns_(after_ns) {}

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        auto *wait = new timer_wait{coroutine.address(), place_of(coroutine)};
        coop_timer_options options{};
        options.size = sizeof options;
        options.after_ns = after_ns_;
        options.on = COOP_ON_LOOP;
        return given_away(wait, status, [loop = loop_, &options, wait] {
            return coop_event_loop_timer(loop, &options, {timer_wait::fire, wait, timer_wait::drop}, nullptr);
        });
    }

private:
    coop_event_loop *loop_;
    std::int64_t after_ns_;
};

}  // namespace coro

// What `readiness` answers. ready: COOP_IO_* bits, 0 beside an error.
struct ready_result {
    coop_status status = COOP_OK;
    std::uint32_t ready = 0;
};

namespace coro {

struct fd_wait final : watch {
    fd_wait(coop_event_loop *loop, int fd, void *frame, place const *home, ready_result *result) noexcept
        : watch(loop, fd, frame), where_(home), result_(result) {}

private:
    bool over(std::uint32_t ready) noexcept override {
        result_->ready = ready;
        return true;
    }
    void resume(void *frame) noexcept override { go_on(nullptr, where_, frame); }

    place const *where_;
    ready_result *result_;  // In the coroutine's frame.
};

class fd_awaiter {
public:
    fd_awaiter(coop_event_loop *loop, int fd, std::uint32_t interest) noexcept
        : loop_(loop), fd_(fd), interest_(interest) {}

    bool await_ready() const noexcept { return false; }
    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        auto *wait = new fd_wait(loop_, fd_, coroutine.address(), place_of(coroutine), &result_);
        return given_away(wait, result_.status, [wait, interest = interest_] { return wait->start(interest); });
    }
    ready_result await_resume() const noexcept { return result_; }

private:
    coop_event_loop *loop_;
    int fd_;
    std::uint32_t interest_;
    ready_result result_;
};

}  // namespace coro

// co_await suspend_on(pool): goes on on a worker of the pool. options: priority and CPU set, as in spawn. The errors of
// coop_pool_submit: a CPU set without a worker is COOP_E_AFFINITY.
template <class Pool, class Options = coop_submit_options>
[[nodiscard]] auto suspend_on(Pool &&pool, Options const &options = {}) {
    return coro::pool_hop(coro::place_on(coro::pool_of(pool), coro::options_of(options)));
}

// co_await on_loop(loop): goes on on the thread that runs the loop; at once if it is there. The errors of
// coop_event_loop_post.
template <class Loop>
[[nodiscard]] auto on_loop(Loop &&loop) {
    return coro::loop_hop(coro::loop_of(loop));
}

// co_await sleep_for(loop, 5ms): waits on the loop's clock, no less than that, and goes on where the coroutine belongs (one
// that never hopped: on the loop's thread). What is negative is now; what is longer than the library counts is as long as it counts. The
// errors of coop_event_loop_timer.
template <class Loop, class Rep, class Period>
[[nodiscard]] auto sleep_for(Loop &&loop, std::chrono::duration<Rep, Period> duration) {
    return coro::timer_awaiter(coro::loop_of(loop), detail::nanoseconds_of(duration));
}

// co_await readiness(loop, fd): waits until a read (COOP_IO_READ), a write (COOP_IO_WRITE) or either would not block, and goes
// on as after sleep_for. Any number of coroutines may wait for one descriptor, each in one direction or both; it stays open
// underneath until they have what they wait for. The errors of coop_event_loop_watch.
template <class Loop>
[[nodiscard]] auto readiness(Loop &&loop, int fd, std::uint32_t interest = COOP_IO_READ) {
    return coro::fd_awaiter(coro::loop_of(loop), fd, interest);
}

}  // namespace coop

#endif
