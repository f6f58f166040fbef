/* coop::port_context: a handler's way to its port.
 *
 * Copied like a pointer. It may be used from any thread until the handler's destructor has returned. */
#ifndef COOP_PORT_CONTEXT_HPP
#define COOP_PORT_CONTEXT_HPP

#include <coop/datagram.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

    /* The address that the port's socket is bound to. errc::unsupported for a Unix socket. */
    result<coop::address> address() const noexcept {
        coop_address bound{};
        const coop_status status = coop_port_context_address(context_, &bound);
        return detail::answer<coop::address>(status, bound);
    }

    /* The path of a port's Unix socket; that of the abstract kind begins with a NUL. errc::unsupported for a port with an address. */
    result<std::string> path() const {
        std::string text;
        std::size_t length = 0;
        coop_status status = coop_port_context_path(context_, nullptr, 0, &length);
        if (status == COOP_OK) {
            text.resize(length);
            status = coop_port_context_path(context_, text.data(), text.size(), &length);
        }
        if (status != COOP_OK) return coop::error::last(status);
        return text;
    }

    /* Sends bytes, which are copied, to a connection. What a handler's function writes leaves at the latest when it returns; what the peer does not
     * take yet waits. errc::queue_full when that is as much as the set may buffer, or an eighth of it for this connection; errc::invalid for more than that
     * eighth. */
    result<void> write(coop_connection_id connection, std::span<const std::byte> bytes) const noexcept {
        return detail::answer(coop_port_context_write(context_, connection, bytes.data(), bytes.size()));
    }
    result<void> write(coop_connection_id connection, std::string_view text) const noexcept {
        return detail::answer(coop_port_context_write(context_, connection, text.data(), text.size()));
    }

    /* How many bytes written to a connection the system has not taken yet. */
    result<std::size_t> backlog_of(coop_connection_id connection) const noexcept {
        std::size_t waiting = 0;
        const coop_status status = coop_port_context_backlog_of(context_, connection, &waiting);
        return detail::answer<std::size_t>(status, waiting);
    }

    /* Closes a connection, when what was written to it is sent: on_close comes then. Nothing more is read. */
    result<void> close(coop_connection_id connection) const noexcept {
        return detail::answer(coop_port_context_close(context_, connection));
    }

    /* Closes a connection at once, with a reset; what waits to be sent is dropped. */
    result<void> abort(coop_connection_id connection) const noexcept {
        return detail::answer(coop_port_context_abort(context_, connection));
    }

    /* Ends the writing to a connection: its peer reads to the end of what was written. What it sends is still heard. */
    result<void> shutdown_write(coop_connection_id connection) const noexcept {
        return detail::answer(coop_port_context_shutdown_write(context_, connection));
    }

    /* Reads nothing more from a connection, so that its peer has to wait, until resume. */
    result<void> pause(coop_connection_id connection) const noexcept {
        return detail::answer(coop_port_context_pause(context_, connection));
    }
    result<void> resume(coop_connection_id connection) const noexcept {
        return detail::answer(coop_port_context_resume(context_, connection));
    }

    /* Where the other end of a connection is; no address for a Unix socket. */
    result<coop::address> peer(coop_connection_id connection) const noexcept {
        coop_address other{};
        const coop_status status = coop_port_context_peer(context_, connection, &other);
        return detail::answer<coop::address>(status, other);
    }

    /* How many connections are open. */
    result<std::size_t> connections() const noexcept {
        std::size_t open = 0;
        const coop_status status = coop_port_context_connections(context_, &open);
        return detail::answer<std::size_t>(status, open);
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

    /* Which worker of its port this is, from 1: in mode process each start of its process counts. */
    result<std::uint64_t> run() const noexcept {
        std::uint64_t number = 0;
        const coop_status status = coop_port_context_run(context_, &number);
        return detail::answer<std::uint64_t>(status, number);
    }

    /* Saves the handler's state: in mode process the port's next worker finds it, whatever this one ends by. */
    result<void> save(std::span<const std::byte> state) const noexcept {
        return detail::answer(coop_port_context_save(context_, state.data(), state.size()));
    }

    /* What was saved last; empty if nothing was. */
    result<std::vector<std::byte>> saved() const {
        std::vector<std::byte> state;
        std::size_t length = 0;
        do {
            /* Another thread may save more meanwhile. */
            state.resize(length);
            const coop_status status = coop_port_context_saved(context_, state.data(), state.size(), &length);
            if (status != COOP_OK) return coop::error::last(status);
        } while (length > state.size());
        state.resize(length);
        return state;
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
