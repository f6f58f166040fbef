// The default scheduler, and what another one must look like.
#ifndef COOP_SCHEDULER_HPP
#define COOP_SCHEDULER_HPP

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <coop.h>
#include <coop/detail/joining.hpp>
#include <coop/detail/promise.hpp>
#include <coop/detail/watch.hpp>
#include <coop/event.hpp>
#include <coop/source_location.hpp>

namespace coop {

// Anything that takes a coroutine and resumes it later, on whatever thread; it is free to ignore the CPU mask and the
// priority. coop::suspend accepts one as its first argument.
template <typename S>
concept Scheduler = requires(S scheduler, std::coroutine_handle<> coroutine, std::uint64_t cpu_affinity,
                             std::uint32_t priority, source_location_t source_location) {
    scheduler.schedule(coroutine, cpu_affinity, priority, source_location);
};

// A pool of pinned workers (coop_pool) that resumes coroutines: those of priority 1 before those of priority 0.
//
// Destroying one destroys the coroutines that are queued in it, or wait in it for an event, and those that wait for their
// end; it waits for the ones that run. It must outlive the coroutines that were suspended on it and run elsewhere now.
class scheduler_t final {
public:
    // The process's own, made at first use. When the process exits it takes nothing more, drops what is queued and gives
    // what runs a second to end; it is not destroyed, so a late use is refused and not undefined.
    static scheduler_t &instance() noexcept;

    // As many workers as this process has CPUs to use, and at least 4. Throws coroutine_error if the system has no thread
    // left (and without exceptions makes one that refuses everything).
    scheduler_t() : scheduler_t(coop_pool_options{}) {}
    explicit scheduler_t(coop_pool_options options);
    ~scheduler_t() noexcept;
    scheduler_t(scheduler_t const &) = delete;
    scheduler_t &operator=(scheduler_t const &) = delete;

    // Resumes the coroutine on a worker whose CPU is in the mask: bit n is CPU n. A mask of 0, and one that names no worker
    // here, is any. Priority 0 is normal, everything above is high.
    //
    // Once this has returned the coroutine may have run to its end. Throws coroutine_error, and has done nothing, if the
    // scheduler is being destroyed or was made before a fork.
    void schedule(std::coroutine_handle<> coroutine, std::uint64_t cpu_affinity = 0, std::uint32_t priority = 0,
                  source_location_t source_location = {});

    // The same, once the event is signalled.
    void schedule(std::coroutine_handle<> coroutine, event_ref_t event, std::uint64_t cpu_affinity, std::uint32_t priority);

    // What is underneath, for the functions of coop.h and coop.hpp; it stays the scheduler's.
    coop_pool *pool() const noexcept { return pool_; }

    // As schedule, but with the status for an answer. A coroutine of this library then belongs here: what it waits for
    // brings it back.
    template <class P>
    coop_status enqueue(std::coroutine_handle<P> coroutine, std::uint64_t cpu_affinity, std::uint32_t priority);
    template <class P>
    coop_status enqueue(std::coroutine_handle<P> coroutine, event_ref_t event, std::uint64_t cpu_affinity,
                        std::uint32_t priority);

private:
    struct event_wait;

    coro::place place_for(std::uint64_t cpu_affinity, std::uint32_t priority) const noexcept {
        coro::place where;
        where.pool = pool_;
        where.priority = priority == 0 ? COOP_PRIORITY_NORMAL : COOP_PRIORITY_HIGH;
        where.cpus = coro::cpu_words(cpu_affinity & cpus_);
        return where;
    }
    coop_status watch(void *frame, event_ref_t event, coro::place where) noexcept;
    coop_status event_loop(coop_event_loop **out) noexcept;
    void shut_down(std::int64_t timeout_ns) noexcept;

    coop_pool *pool_ = nullptr;
    // The CPUs that have workers here.
    std::uint64_t cpus_ = 0;
    std::mutex lock_;
    coop_event_loop *loop_ = nullptr;  // Made for the first event that a coroutine waits for.
    bool closed_ = false;
};

inline scheduler_t::scheduler_t(coop_pool_options options) {
    options.size = sizeof options;
    coop_status status = coop_pool_new(&options, &pool_);
    if (status == COOP_E_AFFINITY || status == COOP_E_UNSUPPORTED) {
        options.no_pin = 1;  // Where threads cannot be pinned, every mask is any.
        status = coop_pool_new(&options, &pool_);
    }
    coro::report(status, "a scheduler could not start its workers", false);
    std::size_t workers = 0;
    if (pool_) coop_pool_workers(pool_, &workers);
    for (std::size_t i = 0; i < workers; ++i) {
        std::int32_t cpu = COOP_NONE;
        if (coop_pool_worker_cpu(pool_, i, &cpu) == COOP_OK && cpu >= 0 && cpu < 64) cpus_ |= std::uint64_t{1} << cpu;
    }
}

inline void scheduler_t::shut_down(std::int64_t timeout_ns) noexcept {
    coop_event_loop *loop;
    {
        std::lock_guard<std::mutex> guard(lock_);
        closed_ = true;
        loop = loop_;
    }
    if (loop) coop_event_loop_stop(loop);
    if (pool_) coop_pool_shutdown(pool_, COOP_SHUTDOWN_DISCARD, timeout_ns);
    if (loop) coop_event_loop_join(loop, timeout_ns);
}

inline scheduler_t::~scheduler_t() noexcept {
    shut_down(COOP_FOREVER);
    coop_event_loop_free(loop_);
    coop_pool_free(pool_);
}

inline scheduler_t &scheduler_t::instance() noexcept {
    static scheduler_t *const process_wide = [] {
        // Never destroyed: see above. The pointer keeps it reachable.
        auto *made = new scheduler_t;
        std::atexit([] { instance().shut_down(INT64_C(1000000000)); });
        return made;
    }();
    return *process_wide;
}

template <class P>
coop_status scheduler_t::enqueue(std::coroutine_handle<P> coroutine, std::uint64_t cpu_affinity, std::uint32_t priority) {
    coro::place where = place_for(cpu_affinity, priority);
    if constexpr (std::derived_from<P, coro::promise_root>) {
        // The coroutine may be gone as soon as it is queued, so what it is to know it is told first.
        coro::place &home = coroutine.promise().where;
        coro::place before = std::exchange(home, std::move(where));
        coop_status status;
        if (coro::join_queue *queue = coro::join_queue_of(coroutine))
            status = queue->submit(home, coroutine.address());
        else
            status = coro::submit_frame(home, coroutine.address());
        if (status != COOP_OK) coroutine.promise().where = std::move(before);
        return status;
    } else {
        return coro::submit_frame(where, coroutine.address());
    }
}

inline void scheduler_t::schedule(std::coroutine_handle<> coroutine, std::uint64_t cpu_affinity, std::uint32_t priority,
                                  source_location_t) {
    coro::report(enqueue(coroutine, cpu_affinity, priority), "a scheduler took a coroutine no more", false);
}

inline void scheduler_t::schedule(std::coroutine_handle<> coroutine, event_ref_t event, std::uint64_t cpu_affinity,
                                  std::uint32_t priority) {
    coro::report(enqueue(coroutine, event, cpu_affinity, priority), "a scheduler cannot wait for this event", false);
}

// A coroutine that waits for an event.
struct scheduler_t::event_wait final : coro::watch {
    event_ref_t event;
    coro::place where;

    event_wait(coop_event_loop *loop, event_ref_t waited_for, void *frame, coro::place &&home) noexcept
        : watch(loop, waited_for.fd_, frame), event(waited_for), where(std::move(home)) {
        event.fd_ = fd();
    }

private:
    // Another waiter may have been faster; then this one goes on waiting.
    bool over(std::uint32_t) noexcept override { return event.kind_ != event_ref_t::kind_e::automatic || event.take(); }
    void resume(void *frame) noexcept override {
        if (coro::submit_frame(where, frame, true) != COOP_OK) std::coroutine_handle<>::from_address(frame).destroy();
    }
};

inline coop_status scheduler_t::event_loop(coop_event_loop **out) noexcept {
    std::lock_guard<std::mutex> guard(lock_);
    if (closed_) return COOP_E_CLOSED;
    if (!loop_) {
        coop_event_loop *loop = nullptr;
        coop_event_loop_options options{};
        options.size = sizeof options;
        options.name = "coop-events";
        options.name_length = sizeof "coop-events" - 1;
        coop_status status = coop_event_loop_new(&options, &loop);
        if (status == COOP_OK) status = coop_event_loop_start(loop);
        if (status != COOP_OK) {
            coop_event_loop_free(loop);
            return status;
        }
        loop_ = loop;
    }
    *out = loop_;
    return COOP_OK;
}

inline coop_status scheduler_t::watch(void *frame, event_ref_t event, coro::place where) noexcept {
    if (event.fd_ < 0) return COOP_E_INVALID;
    coop_event_loop *loop = nullptr;
    if (coop_status status = event_loop(&loop)) return status;
    auto *wait = new event_wait(loop, event, frame, std::move(where));
    const coop_status status = wait->start(COOP_IO_READ);
    if (status != COOP_OK) delete wait;
    return status;
}

template <class P>
coop_status scheduler_t::enqueue(std::coroutine_handle<P> coroutine, event_ref_t event, std::uint64_t cpu_affinity,
                                 std::uint32_t priority) {
    if constexpr (std::derived_from<P, coro::promise_root>) {
        coro::place &home = coroutine.promise().where;
        coro::place before = std::exchange(home, place_for(cpu_affinity, priority));
        const coop_status status = watch(coroutine.address(), event, place_for(cpu_affinity, priority));
        if (status != COOP_OK) home = std::move(before);
        return status;
    } else {
        return watch(coroutine.address(), event, place_for(cpu_affinity, priority));
    }
}

namespace coro {

class event_awaiter {
public:
    event_awaiter(event_ref_t event, std::uint64_t cpu_affinity, std::uint32_t priority) noexcept
        : event_(event), cpu_affinity_(cpu_affinity), priority_(priority) {}

    bool await_ready() const noexcept { return event_.take(); }

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        const coop_status status = scheduler_t::instance().enqueue(coroutine, event_, cpu_affinity_, priority_);
        if (status == COOP_OK) return true;
        status_ = status;
        return false;
    }
    void await_resume() const { report(status_, "this event cannot be waited for", false); }

private:
    event_ref_t event_;
    std::uint64_t cpu_affinity_;
    std::uint32_t priority_;
    coop_status status_ = COOP_OK;
};

}  // namespace coro

inline auto event_t::operator co_await() const noexcept {
    return coro::event_awaiter(ref(), cpu_affinity_, priority_);
}

}  // namespace coop

#endif
