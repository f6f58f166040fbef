/* coop::event: a flag that threads set, and loops, coroutines and poll() wait for. (coop::event_t, in coop/event.hpp, is
 * the one of Coop's own names.)
 *
 *     auto done = coop::event::create().value();
 *     loop.post([&] { done.signal().value(); }).value();
 *     co_await coop::signaled(loop, done);     // in a coroutine; done.watch(loop, f) calls f()
 *
 * Lifetimes: 1. The event closes its descriptor at its end. 2. A watch of it may outlive it, and is not called any more. 3. One
 * that was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread; create, move, free and the destructor as for any object, by one thread and with no
 * call under way. */
#ifndef COOP_EVENT_OBJECT_HPP
#define COOP_EVENT_OBJECT_HPP

#include <coop/callback.hpp>
#include <coop/event_loop.hpp>
#include <coop/io_watch.hpp>
#include <coop/result.hpp>
#include <coop/source_options.hpp>

#include <utility>

namespace coop {

/* How an event is made. */
struct event_options {
    /* false: each signal lets one waiter through; while nobody waits, signals do not add up. true: it stays signalled until
     * reset, and lets all through. */
    bool manual_reset = false;

    coop_event_options c() const noexcept {
        coop_event_options options{};
        options.size = sizeof options;
        options.manual_reset = manual_reset;
        return options;
    }
};

class event {
public:
    /* Makes an event, not signalled. */
    [[nodiscard]] static result<event> create(const event_options &options = {}) noexcept {
        const coop_event_options c = options.c();
        coop_event *made = nullptr;
        const coop_status status = coop_event_new(&c, &made);
        return detail::answer<event>(status, made);
    }

    /* An empty one: errc::null. */
    event() noexcept = default;
    /* Owns a C event from now on. */
    explicit event(coop_event *owned) noexcept : event_(owned) {}

    event(event &&other) noexcept : event_(other.release()) {}
    event &operator=(event &&other) noexcept {
        if (this != &other) {
            free();
            event_ = other.release();
        }
        return *this;
    }
    ~event() { free(); }

    /* Sets it. */
    result<void> signal() const noexcept { return detail::answer(coop_event_signal(event_)); }

    /* Takes the signal away, if there is one. */
    result<void> reset() const noexcept { return detail::answer(coop_event_reset(event_)); }

    /* Whether it is signalled. It only looks. */
    bool is_signaled() const noexcept { return coop_event_is_signaled(event_); }

    /* The descriptor, readable while it is signalled; it stays the event's. */
    result<int> fd() const noexcept {
        const int fd = coop_event_fd(event_);
        return detail::answer<int>(fd < 0 ? fd : COOP_OK, fd);
    }

    /* Has the loop call f() whenever it is signalled: with the signal taken, or, of one with manual reset, once for each
     * signal. It may run before this returns. */
    template <class F>
    result<io_watch> watch(event_loop_ref loop, const source_options &options, F &&f) const {
        detail::callback<coop_event_callback, detail::runs::repeatedly> callback(std::forward<F>(f));
        const coop_source_options c = options.c();
        coop_io_watch_id id = 0;
        result<void> made = callback.give(
            [&](coop_event_callback taken) { return coop_event_watch(event_, loop.get(), &c, taken, &id); });
        if (!made) return std::move(made).failure();
        return io_watch(loop.get(), id);
    }
    template <class F>
    result<io_watch> watch(event_loop_ref loop, F &&f) const {
        return watch(loop, source_options{}, std::forward<F>(f));
    }

    /* Frees the event now, as the destructor does. */
    void free() noexcept { coop_event_free(release()); }

    /* The C event; NULL in an empty one. */
    coop_event *get() const noexcept { return event_; }
    explicit operator bool() const noexcept { return event_ != nullptr; }

    /* Gives the C event away; the caller frees it. */
    [[nodiscard]] coop_event *release() noexcept { return std::exchange(event_, nullptr); }

private:
    coop_event *event_ = nullptr;
};

}  // namespace coop

#endif  // COOP_EVENT_OBJECT_HPP
