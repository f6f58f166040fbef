/* coop::listener: a listening socket, TCP or Unix.
 *
 *     auto listener = coop::listener::create(loop, {.address = "127.0.0.1:0"}).value();
 *     for (;;) serve((co_await listener.accept()).value());
 *
 *     coop::listener::create(loop, {.path = "/run/me"}, [](coop::result<coop::stream> came) { ... }).value();
 *
 * Lifetimes: the listener stops at its end: its callable does not begin any more, and is destroyed when it has returned. It may end inside
 * it, and after its loop. Streams that it handed over live on. One that was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread; the end with no call under way. */
#ifndef COOP_LISTENER_HPP
#define COOP_LISTENER_HPP

#include <coop/stream.hpp>

#include <string_view>
#include <utility>

namespace coop {

/* Where to listen, and how. One of address and path is given. */
struct listener_options {
    /* "127.0.0.1:7000", "[::1]:7000"; port 0 takes a free one. */
    std::string_view address = {};
    /* A Unix socket's path, whose file goes with the listener; a name that begins with a NUL is no file. */
    std::string_view path = {};
    /* How many connections may wait in the system. 0: 4096. */
    std::uint32_t backlog = 0;
    /* Several sockets may listen at this address, and the kernel spreads the connections over them. */
    bool reuse_port = false;
    /* The address is refused while connections of an earlier listener linger there. */
    bool no_reuse_address = false;
    /* A Unix socket's file that nobody listens at any more is replaced. */
    bool replace = false;
    /* How the streams are, and where their callables run; the listener's, too. */
    stream_options stream = {};
};

class listener {
public:
    /* Listens; co_await accept() takes the connections. */
    template <class Loop>
    [[nodiscard]] static result<listener> create(Loop &&loop, const listener_options &options) {
        coop_listener *made = nullptr;
        const coop_status status = begin(coro::loop_of(loop), options, {nullptr, nullptr, nullptr}, &made);
        return detail::answer<listener>(status, made);
    }
    /* Listens, and calls f(result<stream>) for each connection, one call after another. It may run before this returns. */
    template <class Loop, class F>
    [[nodiscard]] static result<listener> create(Loop &&loop, const listener_options &options, F &&f) {
        coop_listener *made = nullptr;
        result<void> taken =
            detail::give_reading<coop_stream_callback, detail::runs::repeatedly, detail::read_stream, coop_stream *>(
                std::forward<F>(f),
                [&](coop_stream_callback c) { return begin(coro::loop_of(loop), options, c, &made); });
        if (!taken) return std::move(taken).failure();
        return listener(made);
    }

    /* An empty one: errc::null. */
    listener() noexcept = default;
    /* Owns a C listener from now on. */
    explicit listener(coop_listener *owned) noexcept : listener_(owned) {}

    listener(listener &&other) noexcept : listener_(other.release()) {}
    listener &operator=(listener &&other) noexcept {
        if (this != &other) {
            free();
            listener_ = other.release();
        }
        return *this;
    }
    ~listener() { free(); }

    /* co_await: the next connection, as a result<stream>. One at a time. */
    [[nodiscard]] auto accept() const noexcept { return coro::accepting<stream>(listener_); }
    /* Calls f(result<stream>) once, with the next connection. */
    template <class F>
    result<void> accept(F &&f) const {
        return detail::give_reading<coop_stream_callback, detail::runs::once, detail::read_stream, coop_stream *>(
            std::forward<F>(f), [&](coop_stream_callback c) { return coop_listener_accept(listener_, c); });
    }

    /* Ends the accept that is under way: it ends with errc::cancelled. errc::stale if none is. */
    result<void> cancel() const noexcept { return detail::answer(coop_listener_cancel(listener_)); }

    /* No address for a Unix socket. */
    result<coop::address> address() const noexcept {
        coop_address local{};
        const coop_status status = coop_listener_address(listener_, &local);
        return detail::answer<coop::address>(status, local);
    }

    /* The descriptor; it stays the listener's, which watches it. */
    result<int> fd() const noexcept {
        const int fd = coop_listener_fd(listener_);
        return detail::answer<int>(fd < 0 ? fd : COOP_OK, fd);
    }

    /* Stops now, as the destructor does. */
    void free() noexcept { coop_listener_free(release()); }

    /* The C listener; NULL in an empty one. */
    coop_listener *get() const noexcept { return listener_; }
    explicit operator bool() const noexcept { return listener_ != nullptr; }

    /* Gives the C listener away; the caller frees it. */
    [[nodiscard]] coop_listener *release() noexcept { return std::exchange(listener_, nullptr); }

private:
    static coop_status begin(coop_event_loop *loop, const listener_options &options, coop_stream_callback callback,
                             coop_listener **made) noexcept {
        const coop_stream_options of_streams = options.stream.c();
        coop_listener_options c{};
        c.size = sizeof c;
        c.address = options.address.data();
        c.address_length = options.address.size();
        c.path = options.path.data();
        c.path_length = options.path.size();
        c.backlog = options.backlog;
        c.reuse_port = options.reuse_port;
        c.no_reuse_address = options.no_reuse_address;
        c.replace = options.replace;
        c.stream = &of_streams;
        return coop_listener_new(loop, &c, callback, made);
    }

    coop_listener *listener_ = nullptr;
};

}  // namespace coop

#endif  // COOP_LISTENER_HPP
