/* coop::port_set: named sockets, of datagrams or of connections, each with a handler of its own, served in a mode.
 *
 *     auto ports = coop::port_set::create({.mode = coop::port_mode::thread}, coop::port("ECHO", echo{})).value();
 *     ports.start().value();
 *
 * Lifetimes: 1. A set that was made owns the handlers of its ports; one that was refused does not. 2. At its end a set stops,
 * waiting up to a second for its handlers; from inside a handler it returns at once. 3. The loop of a SINGLE set is the
 * caller's, and ends after it. 4. A set that was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread; the end with no call under way. Errors: as coop.h says. Handlers: coop/port.hpp. */
#ifndef COOP_PORT_SET_HPP
#define COOP_PORT_SET_HPP

#include <coop/event_loop.hpp>
#include <coop/port.hpp>
#include <coop/port_handlers.hpp>
#include <coop/result.hpp>
#include <coop/supervisor.hpp>
#include <coop/time.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace coop {

/* COOP_MODE_*: where handlers run. */
enum class port_mode : std::int32_t {
    single = COOP_MODE_SINGLE, /* all on the loop that the options name */
    thread = COOP_MODE_THREAD, /* each on a thread of its own, and another one only receives */
    process = COOP_MODE_PROCESS /* each in a process of its own, which is started again when it ends */
};

/* How a set is made. */
struct port_set_options {
    port_mode mode = port_mode::single;
    /* The loop that a single set is served on. */
    event_loop_ref event_loop = {};
    /* Bytes that each port may hold of what came, and of what is to be sent. 0: 64 MiB. */
    std::size_t buffer_bytes = 0;
    /* The program's handlers, which ports name; they stay the caller's until the set was made. */
    const port_handlers *handlers = nullptr;
    /* Bytes that each handler may save. 0: 1 MiB. */
    std::size_t saved_bytes = 0;
    /* Of mode process: the workers' program; NULL is this one, entered again. */
    const coop_command *command = nullptr;
    /* The supervisor that the set's own becomes a child of; it must outlive the set. An empty one: the set has a host of its own. */
    coop::supervisor supervisor = {};
    /* What the set is called there. Empty: "ports". */
    std::string_view name = {};
    /* What messages that wait may take, from each port to each: a power of two. 0: 1 MiB. */
    std::size_t ring_bytes = 0;
    /* How long a worker may take to start, and to stop where nobody says anything else. 0: 60 s, and 1 s. */
    delay ready = {};
    delay shutdown = {};
    /* A worker whose process did not run for so long is replaced. 0: 2 s; COOP_NONE: none is. */
    std::int64_t liveness_ns = 0;
    /* How many connections a port may have at once; more of them wait in the system. 0: 10,000. */
    std::size_t connections = 0;

    coop_port_set_options c() const noexcept {
        coop_port_set_options options{};
        options.size = sizeof options;
        options.mode = static_cast<std::int32_t>(mode);
        options.event_loop = event_loop.get();
        options.buffer_bytes = buffer_bytes;
        if (handlers != nullptr) {
            const std::span<const coop_named_handler> all = handlers->c();
            options.handlers = all.data();
            options.handler_count = all.size();
        }
        options.saved_bytes = saved_bytes;
        options.command = command;
        options.host = supervisor.c_host();
        options.supervisor = supervisor.id();
        options.name = name.data();
        options.name_length = name.size();
        options.ring_bytes = ring_bytes;
        options.ready_ns = ready.ns();
        options.shutdown_ns = shutdown.ns();
        options.liveness_ns = liveness_ns;
        options.connections = connections;
        return options;
    }
};

/* What a port has counted since its start: the C struct, whose fields coop.h explains. */
using port_stats = coop_port_stats;

class port_set {
public:
    /* Makes a set. Nothing is bound before start. If it is made, the ports are empty after that; if not, they are as they
     * were. */
    [[nodiscard]] static result<port_set> create(const port_set_options &options, std::span<port> ports) {
        std::vector<coop_port> c_ports;
        c_ports.reserve(ports.size());
        for (const port &one : ports) c_ports.push_back(one.c());
        const coop_port_set_options c = options.c();
        coop_port_set *made = nullptr;
        const coop_status status = coop_port_set_new(&c, c_ports.data(), c_ports.size(), &made);
        if (status != COOP_OK) return coop::error::last(status);
        for (port &one : ports) one.release();
        return port_set(made);
    }

    /* The same of ports that are given away: if it is not made, they end. */
    template <std::same_as<port>... Ports>
        requires(sizeof...(Ports) > 0)
    [[nodiscard]] static result<port_set> create(const port_set_options &options, Ports... ports) {
        std::array<port, sizeof...(Ports)> all{std::move(ports)...};
        return create(options, std::span<port>(all));
    }

    /* An empty one: errc::null. */
    port_set() noexcept = default;
    /* Owns a C set from now on. */
    explicit port_set(coop_port_set *owned) noexcept : set_(owned) {}

    port_set(port_set &&other) noexcept : set_(other.release()) {}
    port_set &operator=(port_set &&other) noexcept {
        if (this != &other) {
            free();
            set_ = other.release();
        }
        return *this;
    }
    ~port_set() { free(); }

    /* Binds every socket, starts the handlers and waits until each has started. */
    result<void> start() const noexcept { return detail::answer(coop_port_set_start(set_)); }

    /* Ends every port and waits for them. */
    result<void> stop(timeout limit = forever) const noexcept { return detail::answer(coop_port_set_stop(set_, limit.ns())); }

    /* Waits until the set has ended: by stop, or because a handler asked for it. */
    result<void> join(timeout limit = forever) const noexcept { return detail::answer(coop_port_set_join(set_, limit.ns())); }

    /* Sends a message, which is copied, to a port from outside the set: its handler's on_message, without a sender. */
    result<void> send_message(std::string_view port, std::span<const std::byte> bytes) const noexcept {
        const char *const name = port.data() != nullptr ? port.data() : "";
        return detail::answer(coop_port_set_send_message(set_, name, port.size(), bytes.data(), bytes.size()));
    }

    /* Has a new worker take over a port of a set in mode PROCESS, or each one where none is named (no characters at all: a text that is there and empty is
     * errc::invalid), without a moment in which nobody serves. The old one has so long for the connections that are open. */
    result<void> reload(std::string_view port = {}, timeout drain = forever) const noexcept {
        return detail::answer(coop_port_set_reload(set_, port.data(), port.size(), drain.ns()));
    }

    /* The address that a port is bound to. errc::unsupported for a Unix socket. */
    result<coop::address> address(std::string_view name) const noexcept {
        coop_address bound{};
        const coop_status status = coop_port_set_address(set_, name.data(), name.size(), &bound);
        return detail::answer<coop::address>(status, bound);
    }

    /* The path of a port's Unix socket; that of the abstract kind begins with a NUL. errc::unsupported for a port with an address. */
    result<std::string> path(std::string_view name) const {
        std::string text;
        std::size_t length = 0;
        coop_status status = coop_port_set_path(set_, name.data(), name.size(), nullptr, 0, &length);
        if (status == COOP_OK) {
            text.resize(length);
            status = coop_port_set_path(set_, name.data(), name.size(), text.data(), text.size(), &length);
        }
        if (status != COOP_OK) return coop::error::last(status);
        return text;
    }

    /* What a port has counted since its start, also after its end. */
    result<port_stats> stats(std::string_view name) const noexcept {
        port_stats counted{};
        counted.size = sizeof counted;
        const coop_status status = coop_port_set_stats(set_, name.data(), name.size(), &counted);
        return detail::answer<port_stats>(status, counted);
    }

    /* Ends the set now, as the destructor does. */
    void free() noexcept { coop_port_set_free(release()); }

    /* The C set; NULL in an empty one. */
    coop_port_set *get() const noexcept { return set_; }
    explicit operator bool() const noexcept { return set_ != nullptr; }

    /* Gives the C set away; the caller frees it. */
    [[nodiscard]] coop_port_set *release() noexcept { return std::exchange(set_, nullptr); }

private:
    coop_port_set *set_ = nullptr;
};

}  // namespace coop

#endif  // COOP_PORT_SET_HPP
