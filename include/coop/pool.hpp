/* coop::pool: worker threads, pinned to CPUs, that run short tasks: the higher priority first, each inside its CPU set.
 *
 *     auto pool = coop::pool::create({.workers = 2}).value();
 *     pool.submit([] { std::puts("hello"); }).value();
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
#include <coop/cpu_set.hpp>
#include <coop/priority.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace coop {

/* COOP_SHUTDOWN_*: what becomes of queued tasks. */
enum class shutdown_mode : std::int32_t {
    drain = COOP_SHUTDOWN_DRAIN,    /* they run, and what they submit */
    discard = COOP_SHUTDOWN_DISCARD /* they are dropped */
};

/* How a pool is made. */
struct pool_options {
    /* Up to 1024; 0: as many as this process has CPUs to use, at least 4 (a runtime's pool: half, at least 4). */
    std::size_t workers = 0;
    /* Leaves the workers where the system puts them; such a pool takes no CPU sets. */
    bool no_pin = false;
    /* After how many tasks above a priority one of it runs. 0: 64. COOP_NONE: never, the order is strict. */
    std::int32_t ageing = 0;
    /* What the threads are called, with "-0", "-1" after it; copied. Empty: "coop-pool". */
    std::string_view name = {};

    /* The C view; valid while name is. */
    coop_pool_options c() const noexcept {
        coop_pool_options options{};
        options.size = sizeof options;
        options.workers = workers;
        options.no_pin = no_pin;
        options.ageing = ageing;
        options.name = name.data();
        options.name_length = name.size();
        return options;
    }
};

/* How a task is to run. */
struct submit_options {
    coop::priority priority = coop::priority::normal;
    /* On the workers whose CPU is in the set. None: on any. */
    std::optional<cpu_set> cpus = {};

    /* The C view; valid while this object is. */
    coop_submit_options c() const noexcept {
        coop_submit_options options{};
        options.size = sizeof options;
        options.priority = static_cast<std::int32_t>(priority);
        if (cpus) options.cpus = cpus->c();
        return options;
    }
};

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
