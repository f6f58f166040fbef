/* coop::udp: a UDP socket that receives and sends in batches.
 *
 *     auto socket = coop::udp::create({.address = "127.0.0.1:0"}).value();
 *     std::array<coop::datagram, 64> room;
 *     for (const coop::datagram &one : socket.receive(room).value()) std::cout << one.text();
 *
 * Lifetimes: 1. The socket closes its descriptor at its end; end its watch first. 2. What was received lies where it is
 * until the next receive. 3. One that was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread, but one thread at a time receives; the end with no call under way. */
#ifndef COOP_UDP_HPP
#define COOP_UDP_HPP

#include <coop/datagram.hpp>
#include <coop/detail/given.hpp>
#include <coop/detail/retried.hpp>
#include <coop/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace coop {

/* How a socket is made. */
struct udp_options {
    /* Where to bind: "127.0.0.1:7000", "[::1]:7000"; port 0 takes a free one. Empty: "0.0.0.0:0". */
    std::string_view address = {};
    /* Bytes that the kernel may hold; it may allow less. 0: the system's default. */
    std::size_t recv_buffer = 0;
    std::size_t send_buffer = 0;
    /* Several sockets may bind this address, and the kernel spreads the senders over them. */
    bool reuse_port = false;
    /* The kernel never joins datagrams that it received; is never asked to cut what is sent. */
    bool no_gro = false;
    bool no_gso = false;
    /* The kernel tells of each datagram when it came: udp::receive_times. */
    bool receive_times = false;

    /* The C view; valid while address is. */
    coop_udp_options c() const noexcept {
        coop_udp_options options{};
        options.size = sizeof options;
        options.address = address.data();
        options.address_length = address.size();
        options.recv_buffer = recv_buffer;
        options.send_buffer = send_buffer;
        options.reuse_port = reuse_port;
        options.no_gro = no_gro;
        options.no_gso = no_gso;
        options.receive_times = receive_times;
        return options;
    }
};

/* What became of a send. */
struct udp_sent {
    /* How many of the array were taken; the rest is still the caller's. */
    std::size_t sent = 0;
    /* How many of those taken, segments counted singly, the network refused. */
    std::size_t refused = 0;
};

class udp {
public:
    /* Makes a socket and binds it. */
    [[nodiscard]] static result<udp> create(const udp_options &options = {}) noexcept {
        const coop_udp_options c = options.c();
        coop_udp *made = nullptr;
        const coop_status status = coop_udp_new(&c, &made);
        return detail::answer<udp>(status, made);
    }

    /* An empty one: errc::null. */
    udp() noexcept = default;
    /* Owns a C socket from now on. */
    explicit udp(coop_udp *owned) noexcept : udp_(owned) {}

    udp(udp &&other) noexcept : udp_(other.release()) {}
    udp &operator=(udp &&other) noexcept {
        if (this != &other) {
            free();
            udp_ = other.release();
        }
        return *this;
    }
    ~udp() { free(); }

    /* Sets the peer: what has no address of its own goes there, and only what it sends is received. */
    result<void> connect(const address &peer) const noexcept { return detail::answer(coop_udp_connect(udp_, &peer.c())); }

    result<address> local_address() const noexcept {
        coop_address local{};
        const coop_status status = coop_udp_local_address(udp_, &local);
        return detail::answer<address>(status, local);
    }

    /* The descriptor, to watch it; it stays the socket's. */
    result<int> fd() const noexcept {
        const int fd = coop_udp_fd(udp_);
        return detail::answer<int>(fd < 0 ? fd : COOP_OK, fd);
    }

    /* Takes datagrams that have come, without waiting, and returns the part of room that they fill. Call until it is empty,
     * then wait until the descriptor is readable. */
    result<std::span<datagram>> receive(std::span<datagram> room) const noexcept {
        std::size_t count = 0;
        datagram none;
        coop_datagram *out = room.empty() ? &none : room.data();
        const coop_status status = coop_udp_receive(udp_, out, room.size(), &count);
        return detail::answer<std::span<datagram>>(status, room.first(count));
    }

    /* When the first datagrams of the last receive came: nanoseconds since 1970-01-01 UTC, as many as there is room for. */
    result<void> receive_times(std::span<std::int64_t> out_ns) const noexcept {
        std::int64_t none;
        return detail::answer(coop_udp_receive_times(udp_, out_ns.empty() ? &none : out_ns.data(), out_ns.size()));
    }

    /* Hands datagrams to the kernel, in their order, without waiting. Fewer sent than given: its buffer is full. */
    result<udp_sent> send(std::span<const datagram> datagrams) const noexcept {
        udp_sent done;
        const coop_status status = coop_udp_send(udp_, datagrams.data(), datagrams.size(), &done.sent, &done.refused);
        return detail::answer<udp_sent>(status, done);
    }
    result<udp_sent> send(const datagram &one) const noexcept { return send(std::span<const datagram>(&one, 1)); }

    /* co_await receive(loop, room): the same, once there is something. The socket stays open underneath until then. */
    template <class Loop>
    [[nodiscard]] auto receive(Loop &&loop, std::span<datagram> room) const noexcept {
        auto attempt = [this, room](result<std::span<datagram>> &done) {
            done = receive(room);
            return !done || !done->empty() || room.empty();
        };
        return coro::retried<std::span<datagram>, decltype(attempt)>(coro::loop_of(loop), coop_udp_fd(udp_), COOP_IO_READ,
                                                                     std::move(attempt));
    }

    /* co_await send(loop, datagrams): the same, when all are sent, or one is wrong. */
    template <class Loop>
    [[nodiscard]] auto send(Loop &&loop, std::span<const datagram> datagrams) const noexcept {
        auto attempt = [this, datagrams, sum = udp_sent{}](result<udp_sent> &done) mutable {
            done = send(datagrams.subspan(sum.sent));
            if (!done) return true;
            sum.sent += done->sent;
            sum.refused += done->refused;
            done = sum;
            return sum.sent == datagrams.size();
        };
        return coro::retried<udp_sent, decltype(attempt)>(coro::loop_of(loop), coop_udp_fd(udp_), COOP_IO_WRITE,
                                                          std::move(attempt));
    }
    template <class Loop>
    [[nodiscard]] auto send(Loop &&loop, const datagram &one) const noexcept {
        return send(std::forward<Loop>(loop), std::span<const datagram>(&one, 1));
    }

    /* Closes the socket now, as the destructor does. */
    void free() noexcept { coop_udp_free(release()); }

    /* The C socket; NULL in an empty one. */
    coop_udp *get() const noexcept { return udp_; }
    explicit operator bool() const noexcept { return udp_ != nullptr; }

    /* Gives the C socket away; the caller frees it. */
    [[nodiscard]] coop_udp *release() noexcept { return std::exchange(udp_, nullptr); }

private:
    coop_udp *udp_ = nullptr;
};

}  // namespace coop

#endif  // COOP_UDP_HPP
