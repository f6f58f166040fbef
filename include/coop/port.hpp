/* coop::port: a named socket, of datagrams or of connections, and its handler, an object of any class:
 *
 *     struct echo {
 *         void on_batch(coop::port_context context, std::span<const coop::datagram> batch) { context.send(batch).value(); }
 *     };
 *     coop::port port("ECHO", echo{});
 *
 * A handler has on_batch(port_context, std::span<const datagram>), and, if it wants to, on_start(port_context),
 * on_timer(port_context, coop_timer_id), on_message(port_context, std::string_view sender, std::span<const std::byte>) and
 * on_stop(port_context). on_start returns nothing, or a result<void> whose failure fails the start of the whole set. Without
 * on_message messages are dropped; the sender of one from outside the set is "". They run on one thread, one at a time, the same in every mode. What a datagram
 * or a message holds lies where it is until the function returns.
 *
 * One of a port that takes connections (port_options::kind) has on_data(port_context, coop_connection_id, std::span<const std::byte>) instead of
 * on_batch, and, if it wants to, on_connect, on_end and on_drained (port_context, coop_connection_id), and
 * on_close(port_context, coop_connection_id, closed_connection):
 *
 *     struct echo {
 *         coop::result<void> on_data(coop::port_context context, coop_connection_id connection, std::span<const std::byte> bytes) {
 *             return context.write(connection, bytes);
 *         }
 *     };
 *     coop::port port("ECHO", echo{}, {.kind = coop::port_kind::tcp});
 *
 * All but the last return nothing, or a result<void> whose failure closes the connection. Without on_end a connection is closed when its peer has
 * ended its side, and all is sent.
 *
 * The handler is moved in and destroyed once: with its port, or, once a set has taken that, by the set, after on_stop or
 * instead of it all, on any thread. An exception ends at the function that threw it and goes to the exception hook
 * (coop/callback.hpp), and is not among port_stats.errors; but one from on_start fails the start, and one from on_connect, on_data, on_drained or on_end closes the
 * connection, and is.
 *
 * on_hand_over(port_context) is where a handler of a set in mode process saves what its successor is to find: port_set::reload.
 *
 * A handler may also come from a shared library, by coop::port::load: examples-c/native_handler.c is one. In mode process it is made by its
 * name: coop/port_handlers.hpp. */
#ifndef COOP_PORT_HPP
#define COOP_PORT_HPP

#include <coop/callback.hpp>
#include <coop/port_context.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coop {

/* COOP_PORT_*: what socket a port has, and so what it takes. */
enum class port_kind : std::int32_t {
    udp = COOP_PORT_UDP, /* datagrams at an address: on_batch */
    tcp = COOP_PORT_TCP, /* connections at an address: on_data, and so for those below */
    unix_socket = COOP_PORT_UNIX, /* connections at a path */
    listening = COOP_PORT_LISTENING, /* connections of a socket that listens already */
    passed = COOP_PORT_PASSED /* connections of one that this process was started with (LISTEN_FDS) */
};

/* Where a port's socket is. */
struct port_options {
    /* Where it is bound. No address: any free port of 127.0.0.1. */
    address bind = {};
    /* The only peer. No address: everybody is heard, and datagrams need an address. */
    address connect = {};
    port_kind kind = port_kind::udp;
    /* Of port_kind::unix_socket its path, of port_kind::passed its name or number. */
    std::string path = {};
    /* Of port_kind::listening. It stays the caller's, who may close it when the set was made. */
    int fd = 0;
};

/* COOP_CLOSED_*: why a connection is no more. */
enum class closed_by : std::int32_t {
    asked = COOP_CLOSED_ASKED, /* the handler: close */
    ended = COOP_CLOSED_ENDED, /* the peer had ended its side, and the handler, or the port without on_end, then closed it */
    aborted = COOP_CLOSED_ABORTED, /* the handler: abort */
    fault = COOP_CLOSED_FAULT, /* a failure or an exception of the handler's for this connection */
    stopped = COOP_CLOSED_STOPPED, /* the port ends */
    lost = COOP_CLOSED_LOST /* it was reset, or has failed otherwise */
};

/* What on_close is told. */
struct closed_connection {
    closed_by why = closed_by::asked;
    /* Of a lost one: what happened. */
    std::optional<coop::error> error = {};
};

namespace detail {

/* Whether a handler has a function. One of the name but with other arguments is a mistake, and told at compile time. */
template <class H>
inline constexpr bool has_on_batch =
    requires(H &h, port_context context, std::span<const datagram> batch) { h.on_batch(context, batch); };
template <class H>
inline constexpr bool has_on_connect =
    requires(H &h, port_context context, coop_connection_id id) { h.on_connect(context, id); };
template <class H>
inline constexpr bool has_on_data = requires(H &h, port_context context, coop_connection_id id,
                                             std::span<const std::byte> bytes) { h.on_data(context, id, bytes); };
template <class H>
inline constexpr bool has_on_end = requires(H &h, port_context context, coop_connection_id id) { h.on_end(context, id); };
template <class H>
inline constexpr bool has_on_drained = requires(H &h, port_context context, coop_connection_id id) { h.on_drained(context, id); };
template <class H>
inline constexpr bool has_on_close = requires(H &h, port_context context, coop_connection_id id,
                                              const closed_connection &closed) { h.on_close(context, id, closed); };
template <class H>
inline constexpr bool has_on_start = requires(H &h, port_context context) { h.on_start(context); };
template <class H>
inline constexpr bool has_on_timer = requires(H &h, port_context context, coop_timer_id id) { h.on_timer(context, id); };
template <class H>
inline constexpr bool has_on_message = requires(H &h, port_context context, std::string_view sender,
                                                std::span<const std::byte> bytes) { h.on_message(context, sender, bytes); };
template <class H>
inline constexpr bool has_on_hand_over = requires(H &h, port_context context) { h.on_hand_over(context); };
template <class H>
inline constexpr bool has_on_stop = requires(H &h, port_context context) { h.on_stop(context); };

/* The C table of a handler of class H. */
template <class H>
struct port_handler {
    static_assert(has_on_batch<H> || has_on_data<H>,
                  "a handler needs on_batch(coop::port_context, std::span<const coop::datagram>), or, for connections, "
                  "on_data(coop::port_context, coop_connection_id, std::span<const std::byte>)");
    static_assert(has_on_batch<H> || !requires { &H::on_batch; },
                  "it is on_batch(coop::port_context, std::span<const coop::datagram>)");
    static_assert(has_on_data<H> || !requires { &H::on_data; },
                  "it is on_data(coop::port_context, coop_connection_id, std::span<const std::byte>)");
    static_assert(has_on_connect<H> || !requires { &H::on_connect; }, "it is on_connect(coop::port_context, coop_connection_id)");
    static_assert(has_on_end<H> || !requires { &H::on_end; }, "it is on_end(coop::port_context, coop_connection_id)");
    static_assert(has_on_drained<H> || !requires { &H::on_drained; }, "it is on_drained(coop::port_context, coop_connection_id)");
    static_assert(has_on_close<H> || !requires { &H::on_close; },
                  "it is on_close(coop::port_context, coop_connection_id, coop::closed_connection)");
    static_assert(has_on_start<H> || !requires { &H::on_start; }, "it is on_start(coop::port_context)");
    static_assert(has_on_timer<H> || !requires { &H::on_timer; }, "it is on_timer(coop::port_context, coop_timer_id)");
    static_assert(has_on_message<H> || !requires { &H::on_message; },
                  "it is on_message(coop::port_context, std::string_view sender, std::span<const std::byte>)");
    static_assert(has_on_hand_over<H> || !requires { &H::on_hand_over; }, "it is on_hand_over(coop::port_context)");
    static_assert(has_on_stop<H> || !requires { &H::on_stop; }, "it is on_stop(coop::port_context)");
    static_assert(std::is_nothrow_destructible_v<H>, "the handler's destructor must not throw");

    /* Calls a function of the handler. What it returned, nothing or a result<void>, as a status; that of an exception is COOP_E_FAILED. */
    template <class F>
    static coop_status answer(void *arg, coop_port_context *context, F &&f) noexcept {
        coop_status status = COOP_E_FAILED;
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            if constexpr (std::is_void_v<decltype(f(handler, port))>) {
                f(handler, port);
                status = COOP_OK;
            } else {
                const result<void> answered = f(handler, port);
                status = answered ? COOP_OK : static_cast<coop_status>(answered.failure().status());
            }
        });
        return status;
    }

    static coop_status on_start(void *arg, coop_port_context *context) noexcept {
        return answer(arg, context, [&](H &handler, port_context &port) { return handler.on_start(port); });
    }

    static coop_status on_connect(void *arg, coop_port_context *context, coop_connection_id connection) noexcept {
        return answer(arg, context, [&](H &handler, port_context &port) { return handler.on_connect(port, connection); });
    }

    static coop_status on_data(void *arg, coop_port_context *context, coop_connection_id connection, const void *data,
                               std::size_t length) noexcept {
        return answer(arg, context, [&](H &handler, port_context &port) {
            return handler.on_data(port, connection, std::span<const std::byte>(static_cast<const std::byte *>(data), length));
        });
    }

    static coop_status on_end(void *arg, coop_port_context *context, coop_connection_id connection) noexcept {
        return answer(arg, context, [&](H &handler, port_context &port) { return handler.on_end(port, connection); });
    }

    static coop_status on_drained(void *arg, coop_port_context *context, coop_connection_id connection) noexcept {
        return answer(arg, context, [&](H &handler, port_context &port) { return handler.on_drained(port, connection); });
    }

    static void on_close(void *arg, coop_port_context *context, coop_connection_id connection, std::int32_t why,
                         const coop_error *error) noexcept {
        guarded([&] {
            closed_connection closed{static_cast<closed_by>(why)};
            if (error != nullptr) closed.error = coop::error::of(*error);
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            handler.on_close(port, connection, closed);
        });
    }

    static void on_batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, std::size_t count) noexcept {
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            handler.on_batch(port, std::span<const datagram>(static_cast<const datagram *>(datagrams), count));
        });
    }

    static void on_timer(void *arg, coop_port_context *context, coop_timer_id timer) noexcept {
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            handler.on_timer(port, timer);
        });
    }

    static void on_message(void *arg, coop_port_context *context, const char *sender, std::size_t sender_length,
                           const void *data, std::size_t length) noexcept {
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            handler.on_message(port, std::string_view(sender, sender_length),
                               std::span<const std::byte>(static_cast<const std::byte *>(data), length));
        });
    }

    static void on_hand_over(void *arg, coop_port_context *context) noexcept {
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            handler.on_hand_over(port);
        });
    }

    static void on_stop(void *arg, coop_port_context *context) noexcept {
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            handler.on_stop(port);
        });
    }

    static void drop(void *arg) noexcept { delete static_cast<H *>(arg); }

    static coop_port_handler table(H *handler) noexcept {
        coop_port_handler c{};
        c.size = sizeof c;
        c.arg = handler;
        if constexpr (has_on_start<H>) c.on_start = &on_start;
        if constexpr (has_on_batch<H>) c.on_batch = &on_batch;
        if constexpr (has_on_timer<H>) c.on_timer = &on_timer;
        if constexpr (has_on_message<H>) c.on_message = &on_message;
        if constexpr (has_on_hand_over<H>) c.on_hand_over = &on_hand_over;
        if constexpr (has_on_stop<H>) c.on_stop = &on_stop;
        if constexpr (has_on_connect<H>) c.on_connect = &on_connect;
        if constexpr (has_on_data<H>) c.on_data = &on_data;
        if constexpr (has_on_end<H>) c.on_end = &on_end;
        if constexpr (has_on_drained<H>) c.on_drained = &on_drained;
        if constexpr (has_on_close<H>) c.on_close = &on_close;
        c.drop = &drop;
        return c;
    }
};

}  // namespace detail

/* A port to be; port_set::create takes it. */
class port {
public:
    /* name: unique in its set. */
    template <class H>
        requires(!std::same_as<std::decay_t<H>, port>)
    port(std::string name, H &&handler, const port_options &options = {})
        : name_(std::move(name)), options_(options),
          handler_(detail::port_handler<std::decay_t<H>>::table(new std::decay_t<H>(std::forward<H>(handler)))) {}

    /* A port whose handler a shared library makes: "path/lib.so:symbol", a coop_port_handler_init, which is handed args. */
    [[nodiscard]] static result<port> load(std::string name, std::string_view handler,
                                           std::span<const std::byte> args = {}, const port_options &options = {}) {
        const char *const from = handler.data() != nullptr ? handler.data() : "";
        coop_port_handler made{};
        made.size = sizeof made;
        const coop_status status = coop_port_handler_load(from, handler.size(), args.data(), args.size(), &made);
        if (status != COOP_OK) return coop::error::last(status);
        return port(std::move(name), options, made);
    }

    /* A port whose handler is made by its name, inside its worker, in every mode: one of coop::port_handlers, or "path/lib.so:symbol". */
    [[nodiscard]] static port named(std::string name, std::string handler, std::span<const std::byte> args = {},
                                    const port_options &options = {}) {
        port made(std::move(name), options, coop_port_handler{});
        made.handler_name_ = std::move(handler);
        made.args_.assign(args.begin(), args.end());
        return made;
    }

    port(port &&other) noexcept
        : name_(std::move(other.name_)), options_(std::move(other.options_)), handler_(std::exchange(other.handler_, {})),
          handler_name_(std::exchange(other.handler_name_, {})), args_(std::exchange(other.args_, {})) {}
    port &operator=(port &&other) noexcept {
        if (this != &other) {
            drop();
            name_ = std::move(other.name_);
            options_ = std::move(other.options_);
            handler_ = std::exchange(other.handler_, {});
            handler_name_ = std::exchange(other.handler_name_, {});
            args_ = std::exchange(other.args_, {});
        }
        return *this;
    }
    ~port() { drop(); }

    const std::string &name() const noexcept { return name_; }

    /* Whether it still has its handler: not after it was moved, or taken by a set. */
    explicit operator bool() const noexcept { return handler_.size != 0 || !handler_name_.empty(); }

    /* The C view; valid while this object stays where it is. */
    coop_port c() const noexcept {
        coop_port c{};
        c.size = sizeof c;
        c.name = name_.data();
        c.name_length = name_.size();
        if (handler_name_.empty()) {
            c.handler = &handler_;
        } else {
            c.handler_name = handler_name_.data();
            c.handler_name_length = handler_name_.size();
            c.args = args_.data();
            c.args_length = args_.size();
        }
        c.bind = options_.bind.c();
        c.connect = options_.connect.c();
        c.kind = static_cast<std::int32_t>(options_.kind);
        c.fd = options_.fd;
        c.path = options_.path.data();
        c.path_length = options_.path.size();
        return c;
    }

    /* Says that somebody else owns the handler now. */
    void release() noexcept {
        handler_ = {};
        handler_name_.clear();
    }

private:
    port(std::string name, const port_options &options, const coop_port_handler &handler)
        : name_(std::move(name)), options_(options), handler_(handler) {}

    void drop() noexcept {
        if (handler_.drop) handler_.drop(handler_.arg);
    }

    std::string name_;
    port_options options_;
    coop_port_handler handler_;
    std::string handler_name_;
    std::vector<std::byte> args_;
};

}  // namespace coop

#endif  // COOP_PORT_HPP
