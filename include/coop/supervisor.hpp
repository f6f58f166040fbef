/* coop::supervisor: a supervisor of a host, and its verbs, which are OTP's.
 *
 *     auto workers = host.root().supervisor("workers", {.strategy = coop::strategy::one_for_all}).value();
 *     auto id = workers.add(coop::service("one", work)).value();
 *     workers.terminate_child(id).value();
 *
 * Lifetimes: 1. It is a name, copied like a pointer, and must not be used after the host's end. 2. A service that a call takes is empty after it;
 * one that is refused is as it was. Services that are given away end with a call that fails.
 *
 * Threads: every call from any thread. The verbs wait until they are done. Errors: as coop.h says. */
#ifndef COOP_SUPERVISOR_HPP
#define COOP_SUPERVISOR_HPP

#include <coop/observer.hpp>
#include <coop/result.hpp>
#include <coop/service.hpp>
#include <coop/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace coop {

/* COOP_STRATEGY_*: which siblings go with a child that has ended. */
enum class strategy : std::int32_t {
    one_for_one = COOP_STRATEGY_ONE_FOR_ONE,
    one_for_all = COOP_STRATEGY_ONE_FOR_ALL,
    rest_for_one = COOP_STRATEGY_REST_FOR_ONE,
    simple_one_for_one = COOP_STRATEGY_SIMPLE_ONE_FOR_ONE
};

/* COOP_AUTO_SHUTDOWN_*: whether a supervisor ends with its significant children. */
enum class auto_shutdown : std::int32_t {
    never = COOP_AUTO_SHUTDOWN_NEVER,
    any_significant = COOP_AUTO_SHUTDOWN_ANY_SIGNIFICANT,
    all_significant = COOP_AUTO_SHUTDOWN_ALL_SIGNIFICANT
};

/* So many restarts are allowed within a supervisor's period; or coop::unlimited. */
class intensity {
public:
    constexpr intensity(std::int32_t restarts) noexcept : restarts_(restarts) {}
    constexpr std::int32_t count() const noexcept { return restarts_; }

private:
    std::int32_t restarts_;
};
inline constexpr intensity unlimited{COOP_NONE};

/* What a supervisor is. */
struct supervisor_options {
    coop::strategy strategy = strategy::one_for_one;
    coop::auto_shutdown auto_shutdown = auto_shutdown::never;
    coop::intensity intensity = 1;
    /* 0: 5 s. */
    delay period = {};
    shutdown_time shutdown = {};
    coop::restart restart = restart::permanent;
    bool significant = false;

    coop_supervisor_options c() const noexcept {
        coop_supervisor_options options{};
        options.size = sizeof options;
        options.strategy = static_cast<std::int32_t>(strategy);
        options.auto_shutdown = static_cast<std::int32_t>(auto_shutdown);
        options.intensity = intensity.count();
        options.no_restarts = intensity.count() == 0;
        options.period_ns = period.ns();
        options.shutdown_ns = shutdown.ns();
        options.restart = static_cast<std::int32_t>(restart);
        options.significant = significant;
        return options;
    }
};

/* COOP_CHILD_*: what a child does. */
enum class child_state : std::int32_t {
    terminated = COOP_CHILD_TERMINATED,
    starting = COOP_CHILD_STARTING,
    running = COOP_CHILD_RUNNING,
    stopping = COOP_CHILD_STOPPING,
    restarting = COOP_CHILD_RESTARTING,
    parked = COOP_CHILD_PARKED,
    unresponsive = COOP_CHILD_UNRESPONSIVE
};

/* A child of a supervisor. */
struct child_info {
    service_id id = 0;
    std::string name = {};
    std::string path = {};
    /* "process", "thread", "async", "supervisor". */
    std::string executor = {};
    child_state state = child_state::terminated;
    std::uint64_t run = 0;
    /* 0 if it has no process of its own. */
    int pid = 0;
};

using child_counts = coop_child_counts;

/* What a supervisor knows of a child, with every default filled in; coop_child_spec in coop.h explains the fields. */
struct child_spec {
    std::string name = {};
    std::string executor = {};
    coop::restart restart = restart::permanent;
    std::int64_t shutdown_ns = 0;
    bool significant = false;
    std::chrono::nanoseconds ready_within{};
    std::chrono::nanoseconds watchdog{};
    coop_backoff backoff{};
    bool park = false;
    bool park_at_start = false;
    std::vector<std::int32_t> normal_exits = {};
    /* Of a supervisor. */
    std::optional<coop::strategy> strategy = {};
    coop::auto_shutdown auto_shutdown = auto_shutdown::never;
    std::int64_t intensity = 0;
    std::chrono::nanoseconds period{};
};

class supervisor {
public:
    constexpr supervisor() noexcept = default;
    constexpr supervisor(coop_host *host, service_id id) noexcept : host_(host), id_(id) {}

    constexpr service_id id() const noexcept { return id_; }
    /* The C host that it is of; NULL in an empty one. */
    constexpr coop_host *c_host() const noexcept { return host_; }

    /* Adds a service that comes back whenever this supervisor is restarted. After the host's start this waits until it is ready. */
    result<service_id> add(service &what) const { return take(coop_supervisor_add, what); }
    result<service_id> add(service &&what) const { return take(coop_supervisor_add, what); }

    /* Adds a supervisor below this one. */
    result<coop::supervisor> supervisor_(std::string_view name, const supervisor_options &options = {}) const noexcept {
        const coop_supervisor_options c = options.c();
        service_id made = 0;
        const coop_status status = coop_supervisor_supervisor(host_, id_, name.data(), name.size(), &c, &made);
        if (status != COOP_OK) return coop::error::last(status);
        return coop::supervisor(host_, made);
    }

    /* Starts a child, which lives as long as this run of the supervisor, and waits until it is ready. */
    result<service_id> start_child(service &what) const { return take(coop_supervisor_start_child, what); }
    result<service_id> start_child(service &&what) const { return take(coop_supervisor_start_child, what); }

    /* What the children of a simple_one_for_one supervisor are made of. */
    result<void> template_(service &what) const {
        return what.give([&](const coop_service_options *c) { return coop_supervisor_template(host_, id_, c); });
    }
    result<void> template_(service &&what) const { return template_(what); }

    /* Starts a child of the template: a process has these arguments behind its own. */
    result<service_id> start_child_with(const std::vector<std::string> &arguments) const {
        const std::vector<const char *> argv = detail::c_list(arguments);
        coop_child_args args{};
        args.size = sizeof args;
        args.argv = argv.data();
        return start_with(args);
    }
    /* The same of a function, whose context.value() points to the value: it is moved in, and destroyed when the child is forgotten. */
    template <class T>
        requires(!std::is_convertible_v<T &&, const std::vector<std::string> &>)
    result<service_id> start_child_with(T &&value) const {
        using held = std::decay_t<T>;
        static_assert(std::is_nothrow_destructible_v<held>, "the value's destructor must not throw");
        coop_child_args args{};
        args.size = sizeof args;
        args.value = new held(std::forward<T>(value));
        args.drop = [](void *arg) { delete static_cast<held *>(arg); };
        result<service_id> started = start_with(args);
        if (!started) args.drop(args.value);
        return started;
    }

    /* Stops a child, waits until it has ended, and keeps its specification (but for a temporary child's). */
    result<void> terminate_child(service_id child) const noexcept {
        return detail::answer(coop_supervisor_terminate_child(host_, id_, child));
    }
    /* Starts a child that does not run, and waits until it is ready. */
    result<void> restart_child(service_id child) const noexcept {
        return detail::answer(coop_supervisor_restart_child(host_, id_, child));
    }
    /* Removes the specification of a child that does not run. */
    result<void> delete_child(service_id child) const noexcept {
        return detail::answer(coop_supervisor_delete_child(host_, id_, child));
    }
    /* Hand-over: starts a new run, and stops the old one when the new one is ready. */
    result<void> replace_child(service_id child) const noexcept {
        return detail::answer(coop_supervisor_replace_child(host_, id_, child));
    }

    /* The children, in the order of their start. */
    result<std::vector<child_info>> which_children() const {
        std::vector<child_info> found;
        coop_child_info_callback callback{};
        callback.arg = &found;
        callback.fn = [](void *arg, const coop_child_info *c) {
            child_info child{c->id, std::string(detail::view(c->name)), std::string(detail::view(c->path)),
                             std::string(detail::view(c->executor)), static_cast<child_state>(c->state), c->run, c->pid};
            static_cast<std::vector<child_info> *>(arg)->push_back(std::move(child));
        };
        const coop_status status = coop_supervisor_which_children(host_, id_, callback);
        if (status != COOP_OK) return coop::error::last(status);
        return found;
    }

    /* How many there are. */
    result<child_counts> count_children() const noexcept {
        child_counts counts{};
        counts.size = sizeof counts;
        const coop_status status = coop_supervisor_count_children(host_, id_, &counts);
        return detail::answer<child_counts>(status, counts);
    }

    /* What is known of a child. */
    result<child_spec> get_childspec(service_id child) const {
        child_spec spec;
        coop_child_spec_callback callback{};
        callback.arg = &spec;
        callback.fn = [](void *arg, const coop_child_spec *c) { copy(*c, *static_cast<child_spec *>(arg)); };
        const coop_status status = coop_supervisor_get_childspec(host_, id_, child, callback);
        if (status != COOP_OK) return coop::error::last(status);
        return spec;
    }

    /* The child of a name; 0 if there is none. */
    result<service_id> find(std::string_view name) const noexcept {
        service_id found = 0;
        const coop_status status = coop_supervisor_find(host_, id_, name.data(), name.size(), &found);
        return detail::answer<service_id>(status, found);
    }

private:
    using taker = coop_status (*)(coop_host *, coop_service_id, const coop_service_options *, coop_service_id *);

    result<service_id> take(taker how, service &what) const {
        service_id made = 0;
        const result<void> given = what.give([&](const coop_service_options *c) { return how(host_, id_, c, &made); });
        if (!given) return given.failure();
        return made;
    }

    result<service_id> start_with(const coop_child_args &args) const noexcept {
        service_id made = 0;
        const coop_status status = coop_supervisor_start_child_with(host_, id_, &args, &made);
        return detail::answer<service_id>(status, made);
    }

    static void copy(const coop_child_spec &c, child_spec &spec) {
        spec.name = detail::view(c.name);
        spec.executor = detail::view(c.executor);
        spec.restart = static_cast<coop::restart>(c.restart);
        spec.shutdown_ns = c.shutdown_ns;
        spec.significant = c.significant != 0;
        spec.ready_within = std::chrono::nanoseconds(c.ready_timeout_ns);
        spec.watchdog = std::chrono::nanoseconds(c.watchdog_ns);
        spec.backoff = c.backoff;
        spec.park = c.park != 0;
        spec.park_at_start = c.park_at_start != 0;
        if (c.normal_exits_count > 0) spec.normal_exits.assign(c.normal_exits, c.normal_exits + c.normal_exits_count);
        if (c.strategy == COOP_NONE) return;
        spec.strategy = static_cast<coop::strategy>(c.strategy);
        spec.auto_shutdown = static_cast<coop::auto_shutdown>(c.auto_shutdown);
        spec.intensity = c.intensity;
        spec.period = std::chrono::nanoseconds(c.period_ns);
    }

    coop_host *host_ = nullptr;
    service_id id_ = 0;
};

}  // namespace coop

#endif  // COOP_SUPERVISOR_HPP
