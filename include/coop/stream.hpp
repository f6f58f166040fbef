/* coop::stream: a connection, TCP or Unix, whose reads and writes end in a callable or resume a coroutine.
 *
 *     auto stream = (co_await coop::connect(loop, "localhost", 7000)).value();
 *     (co_await stream.write("hello")).value();
 *
 *     stream.read(room, [&](coop::result<std::size_t> came) { ... }).value();
 *
 * One read and one write are under way at a time: errc::exists for a second one. What is not read stays in the system, so that a fast
 * sender waits.
 *
 * Lifetimes: 1. The bytes of a read or a write stay where they are until it has ended. 2. The stream closes at its end; what is under way
 * then ends with errc::cancelled, and its bytes are let alone. It may end inside one of its own callables, and after its loop. 3. One that
 * was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread; the end with no call under way. Callables of one stream run one after another, at the place that
 * its options say, and never inside the call that took them. */
#ifndef COOP_STREAM_HPP
#define COOP_STREAM_HPP

#include <coop/address.hpp>
#include <coop/cpu_set.hpp>
#include <coop/detail/given.hpp>
#include <coop/detail/io_callback.hpp>
#include <coop/io_watch.hpp>
#include <coop/priority.hpp>
#include <coop/result.hpp>
#include <coop/stream_awaitable.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

namespace coop {

/* How a stream is, and where its callables run. */
struct stream_options {
    coop::on on = coop::on::default_;
    /* Only beside on::pool. */
    coop::priority priority = coop::priority::normal;
    /* On which CPUs; none: on any. Only beside on::pool. */
    std::optional<cpu_set> cpus = {};
    /* What is written goes out at once, instead of waiting a little for more. */
    bool nodelay = false;
    /* After so much silence the system asks whether the peer is still there; 0: never. It counts seconds. */
    delay keepalive = {};
    /* Bytes that the system may hold of what has come, and of what is to go. 0: the system's default. */
    std::size_t recv_buffer = 0;
    std::size_t send_buffer = 0;

    /* The C view; valid while this object is. */
    coop_stream_options c() const noexcept {
        coop_stream_options options{};
        options.size = sizeof options;
        options.on = static_cast<std::int32_t>(on);
        options.priority = static_cast<std::int32_t>(priority);
        if (cpus) options.cpus = cpus->c();
        options.nodelay = nodelay;
        options.keepalive_ns = keepalive.ns();
        options.recv_buffer = recv_buffer;
        options.send_buffer = send_buffer;
        return options;
    }
};

class stream {
public:
    /* Of a connected socket: of socketpair, an inherited one. The descriptor is the stream's if this succeeds. */
    template <class Loop>
    [[nodiscard]] static result<stream> create(Loop &&loop, int fd, const stream_options &options = {}) {
        const coop_stream_options c = options.c();
        coop_stream *made = nullptr;
        const coop_status status = coop_stream_new(coro::loop_of(loop), &c, fd, &made);
        return detail::answer<stream>(status, made);
    }

    /* An empty one: errc::null. */
    stream() noexcept = default;
    /* Owns a C stream from now on. */
    explicit stream(coop_stream *owned) noexcept : stream_(owned) {}

    stream(stream &&other) noexcept : stream_(other.release()) {}
    stream &operator=(stream &&other) noexcept {
        if (this != &other) {
            free();
            stream_ = other.release();
        }
        return *this;
    }
    ~stream() { free(); }

    /* Reads what is there, once there is something; 0 is the end. f(result<std::size_t>). */
    template <class F>
    result<void> read(std::span<std::byte> room, F &&f) const {
        return give(std::forward<F>(f),
                    [&](coop_io_callback c) { return coop_stream_read(stream_, room.data(), room.size(), c); });
    }
    /* co_await: the same as a result<std::size_t>. */
    [[nodiscard]] auto read(std::span<std::byte> room) const noexcept {
        return coro::transfer(stream_, coro::transfer::kind::read, room.data(), room.size());
    }

    /* Reads until the room is full; fewer is the end. f(result<std::size_t>), or f(result, moved): how much has come also beside an error. */
    template <class F>
    result<void> read_exactly(std::span<std::byte> room, F &&f) const {
        return give(std::forward<F>(f),
                    [&](coop_io_callback c) { return coop_stream_read_exactly(stream_, room.data(), room.size(), c); });
    }
    [[nodiscard]] auto read_exactly(std::span<std::byte> room) const noexcept {
        return coro::transfer(stream_, coro::transfer::kind::read_exactly, room.data(), room.size());
    }

    /* Writes all of it. f(result<std::size_t>), or f(result, moved): how much was taken also beside an error. */
    template <class F>
    result<void> write(std::span<const std::byte> bytes, F &&f) const {
        return give(std::forward<F>(f),
                    [&](coop_io_callback c) { return coop_stream_write(stream_, bytes.data(), bytes.size(), c); });
    }
    template <class F>
    result<void> write(std::string_view text, F &&f) const {
        return write(bytes_of(text), std::forward<F>(f));
    }
    [[nodiscard]] auto write(std::span<const std::byte> bytes) const noexcept {
        return coro::transfer(stream_, coro::transfer::kind::write, const_cast<std::byte *>(bytes.data()), bytes.size());
    }
    [[nodiscard]] auto write(std::string_view text) const noexcept { return write(bytes_of(text)); }

    /* Reads what is there now; 0 is the end. errc::would_block if nothing is there. */
    result<std::size_t> try_read(std::span<std::byte> room) const noexcept {
        std::size_t count = 0;
        const coop_status status = coop_stream_try_read(stream_, room.data(), room.size(), &count);
        return detail::answer<std::size_t>(status, count);
    }

    /* Writes what the system takes now, and returns how much that was. errc::would_block if it takes nothing. */
    result<std::size_t> try_write(std::span<const std::byte> bytes) const noexcept {
        std::size_t count = 0;
        const coop_status status = coop_stream_try_write(stream_, bytes.data(), bytes.size(), &count);
        return detail::answer<std::size_t>(status, count);
    }
    result<std::size_t> try_write(std::string_view text) const noexcept { return try_write(bytes_of(text)); }

    /* Sends descriptors with the bytes, over a Unix socket; the caller keeps its own. f as in write. */
    template <class F>
    result<void> send_descriptors(std::span<const std::byte> bytes, std::span<const int> descriptors, F &&f) const {
        return give(std::forward<F>(f), [&](coop_io_callback c) {
            return coop_stream_send_descriptors(stream_, bytes.data(), bytes.size(), descriptors.data(), descriptors.size(), c);
        });
    }

    /* Reads, with the descriptors that come: they are the caller's, who closes them. They and count stay where they are until it has
     * ended. f as in read. */
    template <class F>
    result<void> receive_descriptors(std::span<std::byte> room, std::span<int> descriptors, std::size_t &count, F &&f) const {
        return give(std::forward<F>(f), [&](coop_io_callback c) {
            return coop_stream_receive_descriptors(stream_, room.data(), room.size(), descriptors.data(), descriptors.size(),
                                                   &count, c);
        });
    }

    /* Ends what is under way: it ends with errc::cancelled. errc::stale if nothing is. */
    result<void> cancel(io which = io::read | io::write) const noexcept {
        return detail::answer(coop_stream_cancel(stream_, static_cast<std::uint32_t>(which)));
    }

    /* Shuts down the writing half: the peer reads to the end of what was written. */
    result<void> shutdown() const noexcept { return detail::answer(coop_stream_shutdown(stream_)); }

    /* No address for a Unix socket. */
    result<address> local_address() const noexcept {
        coop_address local{};
        const coop_status status = coop_stream_local_address(stream_, &local);
        return detail::answer<address>(status, local);
    }
    result<address> peer_address() const noexcept {
        coop_address peer{};
        const coop_status status = coop_stream_peer_address(stream_, &peer);
        return detail::answer<address>(status, peer);
    }

    /* The descriptor; it stays the stream's, which watches it. */
    result<int> fd() const noexcept {
        const int fd = coop_stream_fd(stream_);
        return detail::answer<int>(fd < 0 ? fd : COOP_OK, fd);
    }

    result<void> set_nodelay(bool nodelay) const noexcept { return detail::answer(coop_stream_set_nodelay(stream_, nodelay)); }
    /* 0: never ask. */
    result<void> set_keepalive(delay idle) const noexcept { return detail::answer(coop_stream_set_keepalive(stream_, idle.ns())); }
    /* 0: what is not sent is thrown away at the end, and the peer sees a reset. forever: it is sent meanwhile. */
    result<void> set_linger(timeout linger) const noexcept { return detail::answer(coop_stream_set_linger(stream_, linger.ns())); }

    /* Closes the stream now, as the destructor does. */
    void free() noexcept { coop_stream_free(release()); }

    /* The C stream; NULL in an empty one. */
    coop_stream *get() const noexcept { return stream_; }
    explicit operator bool() const noexcept { return stream_ != nullptr; }

    /* Gives the C stream away; the caller frees it. */
    [[nodiscard]] coop_stream *release() noexcept { return std::exchange(stream_, nullptr); }

private:
    /* libc++ 14 makes no span of a string_view by itself. */
    static std::span<const std::byte> bytes_of(std::string_view text) noexcept {
        return std::as_bytes(std::span(text.data(), text.size()));
    }

    template <class F, class Take>
    static result<void> give(F &&f, Take &&take) {
        return detail::give_reading<coop_io_callback, detail::runs::once, detail::read_count, std::size_t>(
            std::forward<F>(f), std::forward<Take>(take));
    }

    coop_stream *stream_ = nullptr;
};

namespace detail {

/* A stream: f(result<stream>), or f(). */
struct read_stream {
    template <class F>
    static void call(F &f, const coop_error *failed, coop_stream *made) {
        result<stream> handed = failed ? result<stream>(coop::error::of(*failed)) : result<stream>(stream(made));
        if constexpr (std::is_invocable_v<F &, result<stream>>)
            static_cast<void>(std::invoke(f, std::move(handed)));
        else
            static_cast<void>(std::invoke(f));
    }
};

}  // namespace detail
}  // namespace coop

#endif  // COOP_STREAM_HPP
