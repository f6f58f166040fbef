/* coop::host: a tree of supervisors and services, on a thread of its own.
 *
 *     auto host = coop::host::create({.root = {.intensity = coop::unlimited}}).value();
 *     host.root().add(coop::service("web", coop::command{.argv = {"web", "--port", "80"}})).value();
 *     host.observe([](const coop::service_event &event) { std::cout << event.path << ": " << event.text << '\n'; }).value();
 *     host.start().value();
 *     host.wait().value();  // until SIGTERM
 *
 * Lifetimes: 1. At its end a host stops its services and waits for them; those that may take as long as they like are given 5 s. From a callable of
 * its services or observers it returns at once. 2. Supervisors and observers are names, and must not be used after that. 3. The main loop is
 * the caller's, and ends after it. 4. A host that was moved from or freed answers errc::null.
 *
 * Threads: every call from any thread; the end with no call under way. Errors: as coop.h says. */
#ifndef COOP_HOST_HPP
#define COOP_HOST_HPP

#include <coop/callback.hpp>
#include <coop/event_loop.hpp>
#include <coop/observer.hpp>
#include <coop/result.hpp>
#include <coop/supervisor.hpp>
#include <coop/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace coop {

/* How a host is made. */
struct host_options {
    /* The root's name, which every path begins with; empty: "root". */
    std::string_view name = {};
    supervisor_options root = {};
    /* The main loop, which services that are objects with start() run on. */
    event_loop_ref event_loop = {};
    /* How many events are kept for observers that come late. */
    std::size_t history = 256;
};

class host {
public:
    /* Makes a host. What is added to it is only noted before start. */
    [[nodiscard]] static result<host> create(const host_options &options = {}) noexcept {
        const coop_supervisor_options root = options.root.c();
        coop_host_options c{};
        c.size = sizeof c;
        c.name = options.name.data();
        c.name_length = options.name.size();
        c.root = &root;
        c.event_loop = options.event_loop.get();
        c.history = options.history == 0 ? COOP_NONE : static_cast<std::int64_t>(options.history);
        coop_host *made = nullptr;
        const coop_status status = coop_host_new(&c, &made);
        return detail::answer<host>(status, made);
    }

    /* An empty one: errc::null. */
    host() noexcept = default;
    /* Owns a C host from now on. */
    explicit host(coop_host *owned) noexcept : host_(owned) {}

    host(host &&other) noexcept : host_(other.release()) {}
    host &operator=(host &&other) noexcept {
        if (this != &other) {
            free();
            host_ = other.release();
        }
        return *this;
    }
    ~host() { free(); }

    /* The root supervisor. */
    supervisor root() const noexcept { return supervisor(host_, coop_host_root(host_)); }

    /* Starts the tree, in order, and waits until all are ready. */
    result<void> start() const noexcept { return detail::answer(coop_host_start(host_)); }

    /* Asks it to end; returns at once. */
    result<void> stop() const noexcept { return detail::answer(coop_host_stop(host_)); }

    /* Ends everything that runs, without asking; returns at once. */
    result<void> kill() const noexcept { return detail::answer(coop_host_kill(host_)); }

    /* stop, and waits until it has ended. */
    result<void> shutdown(timeout limit = forever) const noexcept {
        return detail::answer(coop_host_shutdown(host_, limit.ns()));
    }

    /* Waits until it has ended, by whatever. */
    result<void> join(timeout limit = forever) const noexcept { return detail::answer(coop_host_join(host_, limit.ns())); }

    /* join, as the main thread of a program: SIGINT and SIGTERM stop it meanwhile, and a second one ends everything. */
    result<void> wait() const noexcept { return detail::answer(coop_host_wait(host_)); }

    /* Has f(const service_event &) called with each event, one after another. */
    template <class F>
        requires(detail::callable_with<std::decay_t<F> &, const service_event &>)
    result<observer> observe(const observer_options &options, F &&f) const {
        const coop_observer_options c = options.c();
        coop_observer_id id = 0;
        auto run = [f = std::decay_t<F>(std::forward<F>(f))](const coop_service_event *event) mutable {
            detail::call(f, static_cast<const service_event &>(service_event(*event)));
        };
        detail::callback<coop_service_event_callback, detail::runs::repeatedly, const coop_service_event *> callback(
            std::move(run));
        const result<void> made =
            callback.give([&](coop_service_event_callback taken) { return coop_host_observe(host_, &c, taken, &id); });
        if (!made) return made.failure();
        return observer(host_, id);
    }
    template <class F>
        requires(detail::callable_with<std::decay_t<F> &, const service_event &>)
    result<observer> observe(F &&f) const {
        return observe(observer_options{}, std::forward<F>(f));
    }

    /* Has events wait for observer::next. */
    result<observer> observe(const observer_options &options = {}) const noexcept {
        const coop_observer_options c = options.c();
        coop_observer_id id = 0;
        const coop_status status = coop_host_observe(host_, &c, coop_service_event_callback{}, &id);
        if (status != COOP_OK) return coop::error::last(status);
        return observer(host_, id);
    }

    /* Frees the host now, as the destructor does. */
    void free() noexcept { coop_host_free(release()); }

    /* The C host; NULL in an empty one. */
    coop_host *get() const noexcept { return host_; }
    explicit operator bool() const noexcept { return host_ != nullptr; }

    /* Gives the C host away; the caller frees it. */
    [[nodiscard]] coop_host *release() noexcept { return std::exchange(host_, nullptr); }

private:
    coop_host *host_ = nullptr;
};

}  // namespace coop

#endif  // COOP_HOST_HPP
