/* coop::pool: worker threads, pinned to CPUs, that run short tasks: the higher priority first, each inside its CPU set.
 *
 *     auto pool = coop::pool::create({.workers = 2}).value();
 *     pool.submit([] { std::puts("hello"); }).value();
 *     pool.parallel_for(0, n, [&](std::size_t begin, std::size_t end) { ... }).value();
 *     coop::task_handle task = pool.submit_task(work).value();   // coop/task_handle.hpp
 *     (co_await pool.suspend()).value();                         // in a coroutine: coop/coroutine.hpp
 *     pool.shutdown().value();
 *
 * Lifetimes: 1. A pool owns its workers and frees them at its end: what is queued is dropped, what runs is waited for. It
 * may end inside one of its own tasks: then it returns at once, and the workers end when their tasks have returned. 2. A
 * pool_ref is a way to a pool that somebody else owns (another pool object, or a runtime), and must not be used after its
 * end. 3. A pool that was moved from or freed, and an empty pool_ref, answer errc::null.
 *
 * Threads: every call from any thread, also from the pool's own tasks; create, move, free and the destructor as for any
 * object, by one thread and with no call under way.
 *
 * Errors: as coop.h says at the C function of the same name. Tasks: as coop/callback.hpp says of callables. */
#ifndef COOP_POOL_HPP
#define COOP_POOL_HPP

#include <coop/callback.hpp>
#include <coop/coroutine.hpp>
#include <coop/detail/batch.hpp>
#include <coop/detail/pieces.hpp>
#include <coop/pool_options.hpp>
#include <coop/result.hpp>
#include <coop/task_handle.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

namespace coop {

/* What a pool and one of its workers did so far: the C structs, whose fields coop.h explains. */
using pool_statistics = coop_pool_statistics;
using worker_statistics = coop_worker_statistics;

namespace detail {

/* A coroutine's hop to a pool, whose refusal has words. */
class pool_suspension : public coro::pool_hop {
public:
    using pool_hop::pool_hop;
    /* A refusal is told on the thread that asked, so the words are still that thread's last ones. */
    result<void> await_resume() const noexcept { return answer(status); }
};

}  // namespace detail

/* A way to a pool that somebody else owns. Copied like a pointer. */
class pool_ref {
public:
    constexpr pool_ref() noexcept = default;
    constexpr explicit pool_ref(coop_pool *pool) noexcept : pool_(pool) {}

    /* Has a worker run the task, once. It should be short, and must not wait for another task of its pool. */
    template <class F>
    result<void> submit(F &&task) const {
        return submit_as(nullptr, std::forward<F>(task));
    }
    template <class F>
    result<void> submit(const submit_options &options, F &&task) const {
        const coop_submit_options c = options.c();
        return submit_as(&c, std::forward<F>(task));
    }

    /* Has workers run these callables (a vector's, an array's, a span's), each once, cheaper than one by one. Returns how many
     * the pool took, the first ones: they are moved from. The others, and all at an error, are as they were; less than all
     * is no error, and the next call says why. */
    template <std::ranges::contiguous_range Tasks>
        requires std::ranges::sized_range<Tasks>
    result<std::size_t> submit_batch(const submit_options &options, Tasks &&tasks) const {
        using F = std::remove_reference_t<std::ranges::range_reference_t<Tasks>>;
        detail::batch<F> given(std::span<F>(std::ranges::data(tasks), std::ranges::size(tasks)));
        const coop_submit_options c = options.c();
        return given.give([&](const coop_callback *callbacks, std::size_t count, std::size_t *accepted) {
            return coop_pool_submit_batch(pool_, &c, callbacks, count, accepted);
        });
    }
    template <std::ranges::contiguous_range Tasks>
        requires std::ranges::sized_range<Tasks>
    result<std::size_t> submit_batch(Tasks &&tasks) const {
        return submit_batch(submit_options{}, tasks);
    }

    /* As submit, of a task that somebody waits for or cancels. The handle must end before the pool does. */
    template <class F>
    result<task_handle> submit_task(const submit_options &options, F &&task) const {
        detail::callback<coop_callback, detail::runs::once> callback(std::forward<F>(task));
        const coop_submit_options c = options.c();
        coop_task_id id = 0;
        result<void> taken =
            callback.give([&](coop_callback given) { return coop_pool_submit_task(pool_, &c, given, &id); });
        if (!taken) return std::move(taken).failure();
        return task_handle(pool_, id);
    }
    template <class F>
    result<task_handle> submit_task(F &&task) const {
        return submit_task(submit_options{}, std::forward<F>(task));
    }

    /* Calls run(begin, end) with pieces of the range, of at most grain numbers (0: as the pool thinks best), on all workers
     * of the CPU set at once, and returns when all have ended; called by a task of the pool, its worker takes part. run is
     * called as const, by several threads at the same time.
     *
     * The first exception that leaves a piece is thrown again here; pieces that have not begun by then do not run, and
     * what others throw goes to the exception hook. */
    template <class F>
    result<void> parallel_for(const submit_options &options, std::size_t begin, std::size_t end, std::size_t grain,
                              const F &run) const {
        const coop_submit_options c = options.c();
        detail::pieces<F> pieces(run);
        result<void> done =
            detail::answer(coop_pool_parallel_for(pool_, &c, begin, end, grain, pieces.function(), &pieces));
        pieces.rethrow();
        return done;
    }
    template <class F>
    result<void> parallel_for(std::size_t begin, std::size_t end, std::size_t grain, const F &run) const {
        return parallel_for(submit_options{}, begin, end, grain, run);
    }
    template <class F>
    result<void> parallel_for(std::size_t begin, std::size_t end, const F &run) const {
        return parallel_for(submit_options{}, begin, end, 0, run);
    }

    /* co_await pool.suspend(): the rest of the coroutine runs on a worker, and comes back there after what it waits for. Answers
     * a result<void>: a refusal leaves the coroutine where it was. The timeout of the options is not used. */
    [[nodiscard]] auto suspend(const submit_options &options = {}) const {
        return detail::pool_suspension(coro::place_on(pool_, options.c()));
    }

    /* Whether a task with these options may go on at once on the calling thread. */
    bool may_run_here(const submit_options &options = {}) const noexcept {
        const coop_submit_options c = options.c();
        return coop_pool_may_run_here(pool_, &c);
    }

    result<std::size_t> workers() const noexcept {
        std::size_t count = 0;
        const coop_status status = coop_pool_workers(pool_, &count);
        return detail::answer<std::size_t>(status, count);
    }

    /* The CPU that a worker is pinned to; COOP_NONE in a pool that was made with no_pin. */
    result<std::int32_t> worker_cpu(std::size_t index) const noexcept {
        std::int32_t cpu = COOP_NONE;
        const coop_status status = coop_pool_worker_cpu(pool_, index, &cpu);
        return detail::answer<std::int32_t>(status, cpu);
    }

    /* What the pool did so far, and what waits in it. */
    result<pool_statistics> stats() const noexcept {
        pool_statistics counted{};
        counted.size = sizeof counted;
        const coop_status status = coop_pool_stats(pool_, &counted);
        return detail::answer<pool_statistics>(status, counted);
    }

    /* What one worker did so far. */
    result<worker_statistics> worker_stats(std::size_t index) const noexcept {
        worker_statistics counted{};
        counted.size = sizeof counted;
        const coop_status status = coop_pool_worker_stats(pool_, index, &counted);
        return detail::answer<worker_statistics>(status, counted);
    }

    /* Whether the caller is one of the pool's own tasks. */
    bool is_worker_thread() const noexcept { return coop_pool_is_worker_thread(pool_); }

    /* Closes the pool and returns at once: what is queued still runs. */
    result<void> close() const noexcept { return detail::answer(coop_pool_close(pool_)); }

    /* Closes the pool, has what is queued run or dropped, and waits for what runs. errc::timeout leaves it closed, and it may
     * be called again. */
    result<void> shutdown(shutdown_mode mode = shutdown_mode::drain, timeout limit = forever) const noexcept {
        return detail::answer(coop_pool_shutdown(pool_, static_cast<std::int32_t>(mode), limit.ns()));
    }

    /* Waits until a pool that was closed has ended. */
    result<void> join(timeout limit = forever) const noexcept {
        return detail::answer(coop_pool_join(pool_, limit.ns()));
    }

    /* The C pool, for what C++ has no name for; NULL in an empty one. */
    coop_pool *get() const noexcept { return pool_; }
    explicit operator bool() const noexcept { return pool_ != nullptr; }

protected:
    coop_pool *pool_ = nullptr;

private:
    template <class F>
    result<void> submit_as(const coop_submit_options *options, F &&task) const {
        detail::callback<coop_callback, detail::runs::once> callback(std::forward<F>(task));
        return callback.give([&](coop_callback c) { return coop_pool_submit(pool_, options, c); });
    }
};

/* A pool and its owner. */
class pool : public pool_ref {
public:
    /* Makes a pool and starts its workers. */
    [[nodiscard]] static result<pool> create(const pool_options &options = {}) noexcept {
        const coop_pool_options c = options.c();
        coop_pool *made = nullptr;
        const coop_status status = coop_pool_new(&c, &made);
        return detail::answer<pool>(status, made);
    }

    /* An empty one: errc::null. */
    pool() noexcept = default;
    /* Owns a C pool from now on. */
    explicit pool(coop_pool *owned) noexcept : pool_ref(owned) {}

    pool(pool &&other) noexcept : pool_ref(other.release()) {}
    pool &operator=(pool &&other) noexcept {
        if (this != &other) {
            free();
            pool_ = other.release();
        }
        return *this;
    }
    ~pool() { free(); }

    /* Ends the pool now, as the destructor does. */
    void free() noexcept { coop_pool_free(release()); }

    /* Gives the C pool away; the caller frees it. */
    [[nodiscard]] coop_pool *release() noexcept { return std::exchange(pool_, nullptr); }
};

}  // namespace coop

#endif  // COOP_POOL_HPP
