/* coop::port: a named socket and its handler, an object of any class:
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
 * The handler is moved in and destroyed once: with its port, or, once a set has taken that, by the set, after on_stop or
 * instead of it all, on any thread. An exception ends at the function that threw it and goes to the exception hook
 * (coop/callback.hpp), and is not among port_stats.errors; one from on_start fails the start.
 *
 * A handler may also come from a shared library, by coop::port::load: examples-c/native_handler.c is one. */
#ifndef COOP_PORT_HPP
#define COOP_PORT_HPP

#include <coop/callback.hpp>
#include <coop/port_context.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coop {

/* Where a port's socket is. */
struct port_options {
    /* Where it is bound. No address: any free port of 127.0.0.1. */
    address bind = {};
    /* The only peer. No address: everybody is heard, and datagrams need an address. */
    address connect = {};
};

namespace detail {

/* Whether a handler has a function. One of the name but with other arguments is a mistake, and told at compile time. */
template <class H>
inline constexpr bool has_on_batch =
    requires(H &h, port_context context, std::span<const datagram> batch) { h.on_batch(context, batch); };
template <class H>
inline constexpr bool has_on_start = requires(H &h, port_context context) { h.on_start(context); };
template <class H>
inline constexpr bool has_on_timer = requires(H &h, port_context context, coop_timer_id id) { h.on_timer(context, id); };
template <class H>
inline constexpr bool has_on_message = requires(H &h, port_context context, std::string_view sender,
                                                std::span<const std::byte> bytes) { h.on_message(context, sender, bytes); };
template <class H>
inline constexpr bool has_on_stop = requires(H &h, port_context context) { h.on_stop(context); };

/* The C table of a handler of class H. */
template <class H>
struct port_handler {
    static_assert(has_on_batch<H>, "a handler needs on_batch(coop::port_context, std::span<const coop::datagram>)");
    static_assert(has_on_start<H> || !requires { &H::on_start; }, "it is on_start(coop::port_context)");
    static_assert(has_on_timer<H> || !requires { &H::on_timer; }, "it is on_timer(coop::port_context, coop_timer_id)");
    static_assert(has_on_message<H> || !requires { &H::on_message; },
                  "it is on_message(coop::port_context, std::string_view sender, std::span<const std::byte>)");
    static_assert(has_on_stop<H> || !requires { &H::on_stop; }, "it is on_stop(coop::port_context)");
    static_assert(std::is_nothrow_destructible_v<H>, "the handler's destructor must not throw");

    static coop_status on_start(void *arg, coop_port_context *context) noexcept {
        coop_status status = COOP_E_FAILED;
        guarded([&] {
            H &handler = *static_cast<H *>(arg);
            port_context port(context);
            if constexpr (std::is_void_v<decltype(handler.on_start(port))>) {
                handler.on_start(port);
                status = COOP_OK;
            } else {
                const result<void> started = handler.on_start(port);
                status = started ? COOP_OK : static_cast<coop_status>(started.failure().status());
            }
        });
        return status;
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
        c.on_batch = &on_batch;
        if constexpr (has_on_timer<H>) c.on_timer = &on_timer;
        if constexpr (has_on_message<H>) c.on_message = &on_message;
        if constexpr (has_on_stop<H>) c.on_stop = &on_stop;
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
        const coop_status status = coop_port_handler_load(from, handler.size(), args.data(), args.size(), &made);
        if (status != COOP_OK) return coop::error::last(status);
        return port(std::move(name), options, made);
    }

    port(port &&other) noexcept
        : name_(std::move(other.name_)), options_(other.options_), handler_(std::exchange(other.handler_, {})) {}
    port &operator=(port &&other) noexcept {
        if (this != &other) {
            drop();
            name_ = std::move(other.name_);
            options_ = other.options_;
            handler_ = std::exchange(other.handler_, {});
        }
        return *this;
    }
    ~port() { drop(); }

    const std::string &name() const noexcept { return name_; }

    /* Whether it still has its handler: not after it was moved, or taken by a set. */
    explicit operator bool() const noexcept { return handler_.on_batch != nullptr; }

    /* The C view; valid while this object stays where it is. */
    coop_port c() const noexcept {
        coop_port c{};
        c.size = sizeof c;
        c.name = name_.data();
        c.name_length = name_.size();
        c.handler = &handler_;
        c.bind = options_.bind.c();
        c.connect = options_.connect.c();
        return c;
    }

    /* Says that somebody else owns the handler now. */
    void release() noexcept { handler_ = {}; }

private:
    port(std::string name, const port_options &options, const coop_port_handler &handler) noexcept
        : name_(std::move(name)), options_(options), handler_(handler) {}

    void drop() noexcept {
        if (handler_.drop) handler_.drop(handler_.arg);
    }

    std::string name_;
    port_options options_;
    coop_port_handler handler_;
};

}  // namespace coop

#endif  // COOP_PORT_HPP
