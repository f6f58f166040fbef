/* coop::port_context: a handler's way to its port.
 *
 * Copied like a pointer. It may be used from any thread until the handler's destructor has returned. */
#ifndef COOP_PORT_CONTEXT_HPP
#define COOP_PORT_CONTEXT_HPP

#include <coop/datagram.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace coop {

class port_context {
public:
    constexpr port_context() noexcept = default;
    constexpr explicit port_context(coop_port_context *context) noexcept : context_(context) {}

    /* Sends datagrams, which are copied. What a handler's function sends leaves in batches, at the latest when it returns.
     * sent, if given, is set to how many were taken, also when one was refused. */
    result<void> send(std::span<const datagram> datagrams, std::size_t *sent = nullptr) const noexcept {
        return detail::answer(coop_port_context_send(context_, datagrams.data(), datagrams.size(), sent));
    }
    result<void> send(const datagram &one) const noexcept { return send(std::span<const datagram>(&one, 1)); }

    /* Sends a message, which is copied, to another port of the set: its handler's on_message. */
    result<void> send_message(std::string_view port, std::span<const std::byte> bytes) const noexcept {
        const char *const name = port.data() != nullptr ? port.data() : "";
        return detail::answer(coop_port_context_send_message(context_, name, port.size(), bytes.data(), bytes.size()));
    }

    /* The port's name, valid until the handler has gone. */
    result<std::string_view> name() const noexcept {
        const char *text = nullptr;
        std::size_t length = 0;
        const coop_status status = coop_port_context_name(context_, &text, &length);
        return detail::answer<std::string_view>(status, std::string_view(text, length));
    }

    /* The address that the port's socket is bound to. */
    result<coop::address> address() const noexcept {
        coop_address bound{};
        const coop_status status = coop_port_context_address(context_, &bound);
        return detail::answer<coop::address>(status, bound);
    }

    /* How many datagrams wait that the kernel has not taken yet. */
    result<std::size_t> backlog() const noexcept {
        std::size_t waiting = 0;
        const coop_status status = coop_port_context_backlog(context_, &waiting);
        return detail::answer<std::size_t>(status, waiting);
    }

    /* Has on_timer called after a time, once, or again and again. Returns the timer's id. */
    result<coop_timer_id> set_timer(delay after, period every = {}) const noexcept {
        coop_timer_id id = 0;
        const coop_status status = coop_port_context_set_timer(context_, after.ns(), every.ns(), &id);
        return detail::answer<coop_timer_id>(status, id);
    }

    result<void> cancel_timer(coop_timer_id timer) const noexcept {
        return detail::answer(coop_port_context_cancel_timer(context_, timer));
    }

    /* Asks the whole set to stop, and returns at once. */
    result<void> stop() const noexcept { return detail::answer(coop_port_context_stop(context_)); }

    /* The C context; NULL in an empty one. */
    coop_port_context *get() const noexcept { return context_; }

private:
    coop_port_context *context_ = nullptr;
};

}  // namespace coop

#endif  // COOP_PORT_CONTEXT_HPP
