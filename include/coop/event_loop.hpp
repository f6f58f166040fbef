/* coop::event_loop: posts, timers and watches of file descriptors, on one thread.
 *
 *     auto loop = coop::event_loop::create().value();
 *     loop.timer({.after = 10ms}, [&] { loop.stop().value(); }).value();
 *     loop.run().value();
 *
 * Lifetimes: 1. A loop owns the callables of its posts, timers and watches, drops those of timers and watches when it was
 * stopped and has finished, and at its end what has not run, and waits for the one that does. It may end inside one of its own callbacks: then it returns at once. 2. An
 * event_loop_ref is a way to a loop that somebody else owns (another event_loop object, or a runtime); it, and the names of
 * timers and watches, must not be used after the loop's end. 3. A loop that was moved from or freed, and an empty
 * event_loop_ref, answer errc::null.
 *
 * Threads: every call from any thread, also from the loop's own callbacks; create, move, free and the destructor as for any
 * object, by one thread and with no call under way.
 *
 * Errors: as coop.h says at the C function of the same name. Callables: see coop/callback.hpp. */
#ifndef COOP_EVENT_LOOP_HPP
#define COOP_EVENT_LOOP_HPP

#include <coop/callback.hpp>
#include <coop/child.hpp>
#include <coop/connect.hpp>
#include <coop/io_watch.hpp>
#include <coop/result.hpp>
#include <coop/scoped.hpp>
#include <coop/signal.hpp>
#include <coop/source_options.hpp>
#include <coop/time.hpp>
#include <coop/timer.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coop {

/* COOP_RUN_*: until when a loop runs. */
enum class run_mode : std::int32_t {
    default_ = COOP_RUN_DEFAULT,     /* until it is stopped */
    once = COOP_RUN_ONCE,            /* one turn that waits for something to do */
    nowait = COOP_RUN_NOWAIT,        /* one turn of what is ready now */
    until_idle = COOP_RUN_UNTIL_IDLE /* until no post, timer or watch (but for those that are unref) is left */
};

/* Of what kind a slow callback is. */
enum class callback_kind : std::int32_t {
    post = COOP_CALLBACK_POST, /* a post, or what was woken by one */
    timer = COOP_CALLBACK_TIMER,
    watch = COOP_CALLBACK_WATCH /* a watch's, a socket's, or that of another source that a descriptor stands for */
};

using event_loop_statistics = coop_event_loop_statistics;

/* How a loop is made. */
struct event_loop_options {
    /* What the loop's own thread is called, if start makes one; copied. Empty: "coop-loop". */
    std::string_view name = {};

    /* The C view; valid while name is. */
    coop_event_loop_options c() const noexcept {
        coop_event_loop_options options{};
        options.size = sizeof options;
        options.name = name.data();
        options.name_length = name.size();
        return options;
    }
};

/* A way to a loop that somebody else owns. Copied like a pointer. */
class event_loop_ref {
public:
    constexpr event_loop_ref() noexcept = default;
    constexpr explicit event_loop_ref(coop_event_loop *loop) noexcept : loop_(loop) {}

    /* Has the loop's thread call f(), once. Posts of one thread run in their order. */
    template <class F>
    result<void> post(F &&f) const {
        detail::callback<coop_callback, detail::runs::once> callback(std::forward<F>(f));
        return callback.give([&](coop_callback c) { return coop_event_loop_post(loop_, c); });
    }

    /* Has the loop's thread call f(), once, and waits for what it returns. At the deadline an f that has not begun is not called any
     * more (errc::timeout); the end of one that has is waited for. What f throws goes to the exception hook: errc::panic. */
    template <class F>
    auto post_and_wait(timeout limit, F &&f) const -> result<std::remove_cv_t<std::invoke_result_t<F>>> {
        using answer = std::remove_cv_t<std::invoke_result_t<F>>;
        static_assert(!std::is_reference_v<answer>, "post_and_wait: f returns a value, or a pointer");
        if constexpr (detail::may_be_null<std::remove_cvref_t<F>>) {
            if (f == nullptr) return error(errc::null, "callback.fn must not be NULL");
        }
        /* Here, since whoever waits outlives the call. */
        struct {
            std::remove_reference_t<F> *f;
            std::optional<std::conditional_t<std::is_void_v<answer>, bool, answer>> answered;
        } here{std::addressof(f), {}};
        auto run = [at = &here] {
            if constexpr (std::is_void_v<answer>) {
                std::invoke(std::forward<F>(*at->f));
                at->answered.emplace(true);
            } else {
                at->answered.emplace(std::invoke(std::forward<F>(*at->f)));
            }
        };
        detail::callback<coop_callback, detail::runs::once> callback(std::move(run));
        result<void> waited =
            callback.give([&](coop_callback c) { return coop_event_loop_post_and_wait(loop_, c, limit.ns()); });
        if (!waited) return std::move(waited).failure();
        if (!here.answered) return error(errc::panic, "the callable has thrown");
        if constexpr (std::is_void_v<answer>) {
            return {};
        } else {
            return std::move(*here.answered);
        }
    }
    template <class F>
    auto post_and_wait(F &&f) const {
        return post_and_wait(forever, std::forward<F>(f));
    }

    /* Has the loop call f(), or f(std::uint64_t expirations), at a time, once or repeatedly. It may run before this
     * returns. */
    template <class F>
    result<coop::timer> timer(const timer_options &options, F &&f) const {
        detail::callback<coop_timer_callback, detail::runs::repeatedly, std::uint64_t> callback(std::forward<F>(f));
        const coop_timer_options c = options.c();
        coop_timer_id id = 0;
        result<void> made =
            callback.give([&](coop_timer_callback taken) { return coop_event_loop_timer(loop_, &c, taken, &id); });
        if (!made) return std::move(made).failure();
        return coop::timer(loop_, id);
    }

    /* timer by one of the loop's own callbacks, on its thread: without a lock and without a look at the clock; f runs on that
     * thread. The delay counts from the first such call of this turn. */
    template <class F>
    result<coop::timer> timer_local(const timer_options &options, F &&f) const {
        detail::callback<coop_timer_callback, detail::runs::repeatedly, std::uint64_t> callback(std::forward<F>(f));
        const coop_timer_options c = options.c();
        coop_timer_id id = 0;
        result<void> made = callback.give(
            [&](coop_timer_callback taken) { return coop_event_loop_timer_local(loop_, &c, taken, &id); });
        if (!made) return std::move(made).failure();
        return coop::timer(loop_, id);
    }

    /* Has the loop call f(), or f(coop::io ready), when a descriptor is ready. Cancel the watch before closing fd. It may
     * run before this returns. */
    template <class F>
    result<io_watch> watch(int fd, const io_watch_options &options, F &&f) const {
        detail::callback<coop_io_watch_callback, detail::runs::repeatedly, io> callback(std::forward<F>(f));
        const coop_io_watch_options c = options.c();
        coop_io_watch_id id = 0;
        result<void> made =
            callback.give([&](coop_io_watch_callback taken) { return coop_event_loop_watch(loop_, fd, &c, taken, &id); });
        if (!made) return std::move(made).failure();
        return io_watch(loop_, id);
    }
    template <class F>
    result<io_watch> watch(int fd, F &&f) const {
        return watch(fd, io_watch_options{}, std::forward<F>(f));
    }

    /* Has the loop call f(int signum, std::uint64_t times), or f(), whenever the process gets a signal; not in a signal
     * handler, so f may do anything. It may run before this returns. */
    template <class F>
    result<coop::signal> signal(int signum, const source_options &options, F &&f) const {
        detail::callback<coop_signal_callback, detail::runs::repeatedly, int, std::uint64_t> callback(std::forward<F>(f));
        const coop_source_options c = options.c();
        coop_signal_id id = 0;
        result<void> made = callback.give(
            [&](coop_signal_callback taken) { return coop_event_loop_signal(loop_, signum, &c, taken, &id); });
        if (!made) return std::move(made).failure();
        return coop::signal(loop_, id);
    }
    template <class F>
    result<coop::signal> signal(int signum, F &&f) const {
        return signal(signum, source_options{}, std::forward<F>(f));
    }

    /* Has the loop reap a child when it ends, and call f(result<exit_status>) once, with how it did. It may run before this
     * returns. */
    template <class F>
    result<coop::child> child(int pid, const source_options &options, F &&f) const {
        if constexpr (detail::may_be_null<std::remove_cvref_t<F>>) {
            if (f == nullptr) return error(errc::null, "callback.fn must not be NULL");
        }
        auto ended = [f = std::decay_t<F>(std::forward<F>(f))](const coop_error *failed, const coop_exit_status *status) mutable {
            using end = result<exit_status>;
            std::move(f)(failed ? end(error(static_cast<errc>(failed->status), failed->message, failed->os_errno))
                                : end(exit_status(*status)));
        };
        detail::callback<coop_child_callback, detail::runs::once, const coop_error *, const coop_exit_status *> callback(
            std::move(ended));
        const coop_source_options c = options.c();
        coop_child_id id = 0;
        result<void> made =
            callback.give([&](coop_child_callback taken) { return coop_event_loop_child(loop_, pid, &c, taken, &id); });
        if (!made) return std::move(made).failure();
        return coop::child(loop_, id);
    }
    template <class F>
    result<coop::child> child(int pid, F &&f) const {
        return child(pid, source_options{}, std::forward<F>(f));
    }

    /* Connects over TCP, and calls f(result<stream>) once. A name is looked up beside the loop. co_await coop::connect does the same. */
    template <class F>
    result<void> connect(std::string_view host, std::uint16_t port, const connect_options &options, F &&f) const {
        return detail::give_reading<coop_stream_callback, detail::runs::once, detail::read_stream, coop_stream *>(
            std::forward<F>(f), [&](coop_stream_callback c) { return detail::connect(loop_, host, port, options, c); });
    }

    /* Connects to a Unix socket. */
    template <class F>
    result<void> connect_unix(std::string_view path, const connect_options &options, F &&f) const {
        return detail::give_reading<coop_stream_callback, detail::runs::once, detail::read_stream, coop_stream *>(
            std::forward<F>(f), [&](coop_stream_callback c) { return detail::connect_unix(loop_, path, options, c); });
    }

    /* Looks up a name, and calls f(result<std::vector<address>>) once, on the loop's default place. */
    template <class F>
    result<void> resolve(std::string_view host, std::uint16_t port, F &&f) const {
        return detail::give_reading<coop_resolve_callback, detail::runs::once, detail::read_addresses, const coop_address *, std::size_t>(
            std::forward<F>(f), [&](coop_resolve_callback c) {
                return coop_event_loop_resolve(loop_, nullptr, host.data(), host.size(), port, c);
            });
    }

    /* Runs the loop in the calling thread. */
    result<void> run(run_mode mode = run_mode::default_) const noexcept {
        return detail::answer(coop_event_loop_run(loop_, static_cast<std::int32_t>(mode)));
    }

    /* Runs the loop in a thread of its own until it is stopped. */
    result<void> start() const noexcept { return detail::answer(coop_event_loop_start(loop_)); }

    /* Closes the loop for good and returns at once; it finishes the posts that it has accepted. */
    result<void> stop() const noexcept { return detail::answer(coop_event_loop_stop(loop_)); }

    /* Makes the run that is under way return. The loop stays open. */
    result<void> interrupt() const noexcept { return detail::answer(coop_event_loop_interrupt(loop_)); }

    /* Waits until nobody runs the loop. */
    result<void> join(timeout limit = forever) const noexcept {
        return detail::answer(coop_event_loop_join(loop_, limit.ns()));
    }

    /* Whether the caller is one of the loop's callbacks, on its thread. */
    bool is_loop_thread() const noexcept { return coop_event_loop_is_loop_thread(loop_); }

    /* For a foreign loop that runs this one inside it: a descriptor that is readable when there is something to run with
     * run(run_mode::nowait). It is the loop's. */
    result<int> backend_fd() const noexcept {
        std::int32_t fd = -1;
        const coop_status status = coop_event_loop_backend_fd(loop_, &fd);
        return detail::answer<int>(status, static_cast<int>(fd));
    }

    /* How long a foreign loop may sleep unless the descriptor becomes readable: 0 if something is due, -1 ns for ever.
     * errc::closed when the loop was stopped and has nothing left to run. */
    result<std::chrono::nanoseconds> backend_timeout() const noexcept {
        std::int64_t ns = 0;
        const coop_status status = coop_event_loop_backend_timeout(loop_, &ns);
        return detail::answer<std::chrono::nanoseconds>(status, std::chrono::nanoseconds(ns));
    }

    /* The time on the loop's clock, which its timers go by, since it was made. */
    result<std::chrono::nanoseconds> now() const noexcept {
        std::int64_t ns = 0;
        const coop_status status = coop_event_loop_now(loop_, &ns);
        return detail::answer<std::chrono::nanoseconds>(status, std::chrono::nanoseconds(ns));
    }

    /* What the loop did so far; the first call has the times measured from then on. */
    result<event_loop_statistics> stats() const noexcept {
        event_loop_statistics counted{};
        counted.size = sizeof counted;
        const coop_status status = coop_event_loop_stats(loop_, &counted);
        return detail::answer<event_loop_statistics>(status, counted);
    }

    /* Has f(coop::callback_kind what, std::chrono::nanoseconds took), or f(), called whenever a callback has run on the loop's
     * thread for the threshold or longer. It replaces the hook before. */
    template <class F>
    result<void> set_slow_hook(std::chrono::nanoseconds threshold, F &&f) const {
        detail::callback<coop_slow_callback, detail::runs::repeatedly, callback_kind, std::chrono::nanoseconds> callback(
            std::forward<F>(f));
        return callback.give(
            [&](coop_slow_callback c) { return coop_event_loop_set_slow_hook(loop_, threshold.count(), c); });
    }
    /* A message in the log in the place of a hook; -1 ns: nothing any more. */
    result<void> set_slow_log(std::chrono::nanoseconds threshold) const noexcept {
        return detail::answer(coop_event_loop_set_slow_hook(loop_, threshold.count(), coop_slow_callback{}));
    }

    /* Has f(std::chrono::nanoseconds lag), or f(), called after every turn in which the last of what was ready waited for the
     * threshold or longer until its callback began. It replaces the hook before. */
    template <class F>
    result<void> set_lag_hook(std::chrono::nanoseconds threshold, F &&f) const {
        detail::callback<coop_lag_callback, detail::runs::repeatedly, std::chrono::nanoseconds> callback(
            std::forward<F>(f));
        return callback.give(
            [&](coop_lag_callback c) { return coop_event_loop_set_lag_hook(loop_, threshold.count(), c); });
    }
    /* A message in the log in the place of a hook; -1 ns: nothing any more. */
    result<void> set_lag_log(std::chrono::nanoseconds threshold) const noexcept {
        return detail::answer(coop_event_loop_set_lag_hook(loop_, threshold.count(), coop_lag_callback{}));
    }

    /* The C loop, for what C++ has no name for; NULL in an empty one. */
    coop_event_loop *get() const noexcept { return loop_; }
    explicit operator bool() const noexcept { return loop_ != nullptr; }

protected:
    coop_event_loop *loop_ = nullptr;
};

/* A loop and its owner. */
class event_loop : public event_loop_ref {
public:
    /* Makes a loop. It takes posts, timers and watches at once; nothing runs before run or start. */
    [[nodiscard]] static result<event_loop> create(const event_loop_options &options = {}) noexcept {
        const coop_event_loop_options c = options.c();
        coop_event_loop *made = nullptr;
        const coop_status status = coop_event_loop_new(&c, &made);
        return detail::answer<event_loop>(status, made);
    }

    /* An empty one: errc::null. */
    event_loop() noexcept = default;
    /* Owns a C loop from now on. */
    explicit event_loop(coop_event_loop *owned) noexcept : event_loop_ref(owned) {}

    event_loop(event_loop &&other) noexcept : event_loop_ref(other.release()) {}
    event_loop &operator=(event_loop &&other) noexcept {
        if (this != &other) {
            free();
            loop_ = other.release();
        }
        return *this;
    }
    ~event_loop() { free(); }

    /* Ends the loop now, as the destructor does. */
    void free() noexcept { coop_event_loop_free(release()); }

    /* Gives the C loop away; the caller frees it. */
    [[nodiscard]] coop_event_loop *release() noexcept { return std::exchange(loop_, nullptr); }
};

}  // namespace coop

#endif  // COOP_EVENT_LOOP_HPP
