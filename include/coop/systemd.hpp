/* coop::systemd: this process as a service of systemd, or of any manager that speaks its protocol; coop::host is one.
 *
 *     coop::systemd::ready().value();
 *     for (const auto &socket : coop::systemd::listen_fds().value()) serve(socket.name, socket.fd);
 *
 * Where there is no service manager nothing is told, and that is no error. Errors and threads: as coop.h says. */
#ifndef COOP_SYSTEMD_HPP
#define COOP_SYSTEMD_HPP

#include <coop/result.hpp>
#include <coop/time.hpp>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coop {

class systemd {
public:
    /* A socket that this process was started to serve. The descriptor is the caller's. */
    struct socket {
        std::string name;
        int fd = -1;
    };

    /* It can do its work. */
    static result<void> ready() noexcept { return detail::answer(coop_systemd_ready()); }
    /* It has begun to stop. */
    static result<void> stopping() noexcept { return detail::answer(coop_systemd_stopping()); }
    /* It is alive. */
    static result<void> beat() noexcept { return detail::answer(coop_systemd_beat()); }
    /* It needs so much more time, from now, to get ready or to stop. */
    static result<void> extend(delay time) noexcept { return detail::answer(coop_systemd_extend(time.ns())); }
    /* What it does, in one line. */
    static result<void> status(std::string_view text) noexcept {
        return detail::answer(coop_systemd_status(text.data() != nullptr ? text.data() : "", text.size()));
    }

    /* How often the manager wants to hear beat; 0: it does not. */
    static result<std::chrono::nanoseconds> watchdog() noexcept {
        std::int64_t every = 0;
        const coop_status status = coop_systemd_watchdog(&every);
        return detail::answer<std::chrono::nanoseconds>(status, every);
    }

    /* The sockets that it was started to serve, closed on exec from now on. Call it once, and own them. */
    static result<std::vector<socket>> listen_fds() {
        std::vector<socket> sockets;
        const coop_listen_callback add = {
            [](void *to, const coop_listen_socket *one) {
                static_cast<std::vector<socket> *>(to)->push_back({std::string(one->name, one->name_length), one->fd});
            },
            &sockets, nullptr};
        const coop_status status = coop_systemd_listen_fds(add);
        if (status != COOP_OK) return coop::error::last(status);
        return sockets;
    }
};

}  // namespace coop

#endif  // COOP_SYSTEMD_HPP
