/* coop::runtime: an event loop and a pool as one. The loop's timers and watches run their callables in the pool unless they
 * say otherwise; posts run on the loop's thread.
 *
 *     auto runtime = coop::runtime::create().value();
 *     runtime.event_loop().timer({.every = 1s}, tick).value();
 *     runtime.start().value();
 *
 * Lifetimes: 1. At its end a runtime stops its loop, drops what is queued in both, and waits for what runs; from one of its
 * own callbacks it returns at once. 2. pool() and event_loop() are valid until then. 3. A runtime that was moved from or
 * freed answers errc::null, and its pool() and event_loop() are empty.
 *
 * Threads: every call from any thread; the end with no call under way. Errors: as coop.h says. */
#ifndef COOP_RUNTIME_HPP
#define COOP_RUNTIME_HPP

#include <coop/event_loop.hpp>
#include <coop/pool.hpp>

#include <cstdint>
#include <utility>

namespace coop {

/* COOP_START_*: who runs a runtime's loop. */
enum class start_mode : std::int32_t {
    wait = COOP_START_WAIT,     /* the calling thread, until the runtime is stopped */
    return_ = COOP_START_RETURN /* a thread of its own; start returns */
};

/* How a runtime is made. */
struct runtime_options {
    pool_options pool = {};
    event_loop_options event_loop = {};
};

class runtime {
public:
    /* Makes a runtime. It takes posts, timers, watches and tasks at once; tasks run at once, the loop after start. */
    [[nodiscard]] static result<runtime> create(const runtime_options &options = {}) noexcept {
        const coop_pool_options pool = options.pool.c();
        const coop_event_loop_options event_loop = options.event_loop.c();
        coop_runtime_options c{};
        c.size = sizeof c;
        c.pool = &pool;
        c.event_loop = &event_loop;
        coop_runtime *made = nullptr;
        const coop_status status = coop_runtime_new(&c, &made);
        return detail::answer<runtime>(status, made);
    }

    /* An empty one: errc::null. */
    runtime() noexcept = default;
    /* Owns a C runtime from now on. */
    explicit runtime(coop_runtime *owned) noexcept : runtime_(owned) {}

    runtime(runtime &&other) noexcept : runtime_(other.release()) {}
    runtime &operator=(runtime &&other) noexcept {
        if (this != &other) {
            free();
            runtime_ = other.release();
        }
        return *this;
    }
    ~runtime() { free(); }

    /* Runs the loop. A runtime that was stopped is not started again. */
    result<void> start(start_mode mode = start_mode::return_) const noexcept {
        return detail::answer(coop_runtime_start(runtime_, static_cast<std::int32_t>(mode)));
    }

    /* Stops the loop, waits until it has run what it had accepted, then drains the pool and waits for it. */
    result<void> stop(timeout limit = forever) const noexcept {
        return detail::answer(coop_runtime_stop(runtime_, limit.ns()));
    }

    /* The runtime's pool and loop, which belong to it. */
    pool_ref pool() const noexcept { return pool_ref(coop_runtime_pool(runtime_)); }
    event_loop_ref event_loop() const noexcept { return event_loop_ref(coop_runtime_event_loop(runtime_)); }

    /* Ends the runtime now, as the destructor does. */
    void free() noexcept { coop_runtime_free(release()); }

    /* The C runtime; NULL in an empty one. */
    coop_runtime *get() const noexcept { return runtime_; }
    explicit operator bool() const noexcept { return runtime_ != nullptr; }

    /* Gives the C runtime away; the caller frees it. */
    [[nodiscard]] coop_runtime *release() noexcept { return std::exchange(runtime_, nullptr); }

private:
    coop_runtime *runtime_ = nullptr;
};

}  // namespace coop

#endif  // COOP_RUNTIME_HPP
