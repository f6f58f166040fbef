/* coop::service: what a supervisor keeps alive: a program, a function on a thread, an object on the host's main loop, or an entry of
 * coop::workers in a process of its own (coop/workers.hpp).
 *
 *     coop::service web("web", coop::command{.argv = {"/usr/sbin/web", "--port", "80"}}, {.shutdown = 10s});
 *     coop::service work("work", [](coop::service_context context) {
 *         while (!context.wait_stopping(1s)) work_a_little();
 *     });
 *     host.root().add(web).value();
 *
 * An object on the main loop has start(service_context), which begins a run and returns, and may have stop(service_context), which is
 * asked to end it; context.end() ends the run, then or later.
 *
 * Lifetimes: 1. A callable or object is moved in, and destroyed once: with its service, or, when a host has taken that, when the host
 * forgets it and its last run is over. 2. A service that was refused is as it was; one that was taken is empty. 3. A context is valid
 * until the function returns, or end() was called.
 *
 * A callable is called as const: during a hand-over two runs go at once. An exception that leaves it goes to the exception hook
 * (coop/callback.hpp), and its run has failed. Errors and threads: as coop.h says. */
#ifndef COOP_SERVICE_HPP
#define COOP_SERVICE_HPP

#include <coop/callback.hpp>
#include <coop/cpu_set.hpp>
#include <coop/event_loop.hpp>
#include <coop/result.hpp>
#include <coop/time.hpp>

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

using service_id = coop_service_id;

/* COOP_RESTART_*: when a child is started again. */
enum class restart : std::int32_t {
    permanent = COOP_RESTART_PERMANENT, /* always */
    transient = COOP_RESTART_TRANSIENT, /* when it ended otherwise than normally */
    temporary = COOP_RESTART_TEMPORARY  /* never */
};

/* How long a child may take to stop: a duration, coop::forever, or coop::kill, which does not ask. */
struct kill_t {};
inline constexpr kill_t kill{};

class shutdown_time {
public:
    /* 5 s for a service, as long as it takes for a supervisor. */
    constexpr shutdown_time() noexcept = default;
    template <class Rep, class Period>
    constexpr shutdown_time(std::chrono::duration<Rep, Period> duration) : ns_(detail::nanoseconds_of(duration)) {
        if (ns_ == 0) ns_ = 1;
    }
    constexpr shutdown_time(forever_t) noexcept : ns_(COOP_FOREVER) {}
    constexpr shutdown_time(kill_t) noexcept : ns_(COOP_BRUTAL_KILL) {}

    constexpr std::int64_t ns() const noexcept { return ns_; }

private:
    std::int64_t ns_ = 0;
};

/* COOP_GROWTH_*: how a delay grows from restart to restart. */
enum class growth : std::int32_t {
    fixed = COOP_GROWTH_FIXED,
    linear = COOP_GROWTH_LINEAR,
    exponential = COOP_GROWTH_EXPONENTIAL
};

/* A delay before a restart; without delay there is none. */
struct backoff {
    coop::delay delay = {};
    /* At most so long. 0: a minute, or delay if that is longer. */
    coop::delay cap = {};
    /* After so long without an end, the first delay again. 0: a minute. */
    coop::delay calm = {};
    coop::growth growth = growth::fixed;
    /* Each delay is shortened by a random part of itself, up to this many thousandths. */
    std::int32_t jitter_per_mille = 0;

    constexpr coop_backoff c() const noexcept {
        return {delay.ns(), cap.ns(), calm.ns(), static_cast<std::int32_t>(growth), jitter_per_mille};
    }
};

/* What is said of a service. */
struct service_options {
    coop::restart restart = restart::permanent;
    shutdown_time shutdown = {};
    /* It counts as ready when it says so, which it must within this time; none: at once. */
    std::optional<timeout> ready_within = {};
    /* It must beat at least so often; 0: it need not. */
    delay watchdog = {};
    /* Of a coop::worker: its process must show that it runs at least so often, which the library does for it; 0: it need not. */
    delay liveness = {};
    coop::backoff backoff = {};
    /* Its end counts for its supervisor's auto_shutdown. */
    bool significant = false;
    /* Where its supervisor would give up, it rests for its longest backoff and is tried again; also when its first start fails. */
    bool park = false;
    bool park_at_start = false;
    /* Exit statuses beside 0 that are a normal end. */
    std::vector<std::int32_t> normal_exits = {};
};

/* COOP_OUTPUT_*: what becomes of what a process writes. */
enum class output : std::int32_t {
    prefixed = COOP_OUTPUT_PREFIXED, /* behind its service's name */
    json = COOP_OUTPUT_JSON,         /* each line as an object of JSON */
    null = COOP_OUTPUT_NULL,         /* nothing, but for the last lines */
    inherit = COOP_OUTPUT_INHERIT    /* it writes where this process does */
};

/* A program to be run; coop_command in coop.h explains the fields. */
struct command {
    struct socket {
        std::string name;
        int fd = -1;
    };

    /* The first is the program. */
    std::vector<std::string> argv;
    /* "NAME=VALUE" sets a variable, "NAME" takes it away. */
    std::vector<std::string> env = {};
    bool env_clear = false;
    std::string directory = {};
    std::optional<std::uint32_t> uid = {};
    std::optional<std::uint32_t> gid = {};
    std::optional<std::vector<std::uint32_t>> groups = {};
    std::optional<std::uint32_t> umask = {};
    std::optional<std::int32_t> nice = {};
    std::vector<coop_limit> limits = {};
    std::optional<cpu_set> cpus = {};
    std::vector<coop_descriptor> descriptors = {};
    std::vector<socket> listen = {};
    /* 0: SIGTERM. */
    int stop_signal = 0;
    bool new_session = false;
    coop::output output = coop::output::prefixed;
    /* Where prefixed lines and JSON go; 0: this process's error output. */
    int output_fd = 0;
    /* How many of its last lines the event of its end has. */
    std::int32_t tail = 20;
};

/* A process with a main loop: the entry of this name that the program gives to coop::workers, each run in a process of its own. */
struct worker {
    std::string name;
    /* The program: this one, unless there is an argv. */
    coop::command command = {.argv = {}};
};

/* A run of a service, to the service itself. Copied like a pointer. */
class service_context {
public:
    explicit service_context(coop_service_context *context) noexcept : context_(context) {}

    /* Its id, and which run it is, from 1. */
    service_id id() const noexcept { return coop_service_context_id(context_); }
    std::uint64_t run() const noexcept { return coop_service_context_run(context_); }

    /* Whether it was asked to stop. */
    bool is_stopping() const noexcept { return coop_service_context_is_stopping(context_); }
    /* Waits until it was asked to stop: true; or until the time is over: false. */
    bool wait_stopping(timeout limit = forever) const noexcept {
        return coop_service_context_wait_stopping(context_, limit.ns()) == COOP_OK;
    }
    /* A descriptor that is readable once it was asked to stop; it stays the run's. */
    result<int> stopping_fd() const noexcept {
        const int fd = coop_service_context_stopping_fd(context_);
        return detail::answer<int>(fd < 0 ? fd : COOP_OK, fd);
    }

    /* It can do its work. */
    result<void> ready() const noexcept { return detail::answer(coop_service_context_ready(context_)); }
    /* It is alive. */
    result<void> beat() const noexcept { return detail::answer(coop_service_context_beat(context_)); }
    /* It needs so much more time, from now, to get ready, to stop or to beat again. */
    result<void> extend(delay time) const noexcept {
        return detail::answer(coop_service_context_extend(context_, time.ns()));
    }
    /* What it does, in words, for observers. */
    result<void> status(std::string_view text) const noexcept {
        return detail::answer(coop_service_context_status(context_, text.data(), text.size()));
    }
    /* It is not to be run: its start is not counted as a failure. */
    result<void> ignore() const noexcept { return detail::answer(coop_service_context_ignore(context_)); }

    /* The main loop: the host's, or that of the worker's process; an empty one if there is none. Good until the run has ended. */
    event_loop_ref event_loop() const noexcept { return event_loop_ref(coop_service_context_event_loop(context_)); }

    /* The texts of start_child_with, for a worker. */
    std::vector<std::string_view> argv() const {
        std::vector<std::string_view> texts;
        const char *const *next = coop_service_context_argv(context_);
        while (next != nullptr && *next != nullptr) texts.emplace_back(*next++);
        return texts;
    }
    /* The value of start_child_with; NULL if there is none. */
    void *value() const noexcept { return coop_service_context_value(context_); }

    /* Ends the run of an object on the main loop; the context is not used after that. On a thread it says what the return is told as. */
    result<void> end() const noexcept { return detail::answer(coop_service_context_end(context_, COOP_OK, nullptr, 0)); }
    /* The same of a run that has failed, with the reason. */
    result<void> fail(std::string_view why) const noexcept {
        return detail::answer(coop_service_context_end(context_, COOP_E_FAILED, why.data(), why.size()));
    }

    coop_service_context *get() const noexcept { return context_; }

private:
    coop_service_context *context_;
};

namespace detail {

template <class F>
struct thread_service {
    static_assert(callable_with<const F &, service_context>, "a service takes a coop::service_context, or nothing, and is const");
    static_assert(std::is_nothrow_destructible_v<F>, "the callable's destructor must not throw");

    static void run(void *arg, coop_service_context *c) noexcept {
        bool returned = false;
        guarded([&] {
            call(*static_cast<const F *>(arg), service_context(c));
            returned = true;
        });
        if (!returned) static_cast<void>(service_context(c).fail("the function has thrown"));
    }
    static void drop(void *arg) noexcept { delete static_cast<F *>(arg); }
};

template <class H>
concept loop_service = requires(H &h, service_context context) { h.start(context); };

template <class H>
struct async_service {
    static_assert(std::is_nothrow_destructible_v<H>, "the object's destructor must not throw");
    static constexpr bool has_stop = requires(H &h, service_context context) { h.stop(context); };
    static_assert(has_stop || !requires { &H::stop; }, "it is stop(coop::service_context)");

    static void start(void *arg, coop_service_context *c) noexcept {
        bool returned = false;
        guarded([&] {
            static_cast<H *>(arg)->start(service_context(c));
            returned = true;
        });
        if (!returned) static_cast<void>(service_context(c).fail("start has thrown"));
    }
    static void stop(void *arg, coop_service_context *c) noexcept {
        if constexpr (has_stop) guarded([&] { static_cast<H *>(arg)->stop(service_context(c)); });
    }
    static void drop(void *arg) noexcept { delete static_cast<H *>(arg); }
};

/* The C list of texts, which NULL ends. */
inline std::vector<const char *> c_list(const std::vector<std::string> &texts) {
    std::vector<const char *> list;
    list.reserve(texts.size() + 1);
    for (const std::string &text : texts) list.push_back(text.c_str());
    list.push_back(nullptr);
    return list;
}

}  // namespace detail

/* A service to be; supervisor::add and others take it. */
class service {
public:
    /* A program, as a process. */
    service(std::string id, coop::command command, service_options options = {})
        : id_(std::move(id)), options_(std::move(options)), command_(std::move(command)) {}

    /* An entry of this program's coop::workers, or of another one's, in a process of its own. */
    service(std::string id, coop::worker worker, service_options options = {})
        : id_(std::move(id)), options_(std::move(options)), command_(std::move(worker.command)), worker_(std::move(worker.name)) {}

    /* An object of the main loop's, if it has start(service_context); else a callable, on a thread of its own for each run. */
    template <class F>
        requires(!std::same_as<std::remove_cvref_t<F>, coop::command> && !std::same_as<std::remove_cvref_t<F>, coop::worker>)
    service(std::string id, F &&f, service_options options = {}) : id_(std::move(id)), options_(std::move(options)) {
        using callable = std::decay_t<F>;
        if constexpr (detail::loop_service<callable>) {
            using functions = detail::async_service<callable>;
            async_ = {&functions::start, &functions::stop, new callable(std::forward<F>(f)), &functions::drop};
        } else {
            using functions = detail::thread_service<callable>;
            /* A null pointer to a function stays NULL: the library refuses that in words. */
            if constexpr (detail::may_be_null<std::remove_cvref_t<F>>) {
                if (f == nullptr) return;
            }
            thread_ = {&functions::run, new callable(std::forward<F>(f)), &functions::drop};
        }
    }

    service(service &&other) noexcept
        : id_(std::move(other.id_)), options_(std::move(other.options_)), command_(std::move(other.command_)),
          worker_(std::move(other.worker_)), thread_(std::exchange(other.thread_, {})), async_(std::exchange(other.async_, {})) {}
    service &operator=(service &&) = delete;
    ~service() {
        if (thread_.drop) thread_.drop(thread_.arg);
        if (async_.drop) async_.drop(async_.arg);
    }

    const std::string &id() const noexcept { return id_; }

    /* Has take(const coop_service_options *) hand it to the library; if that takes it, it is empty. */
    template <class Take>
    result<void> give(Take &&take) {
        coop_service_options c{};
        c.size = sizeof c;
        c.id = id_.data();
        c.id_length = id_.size();
        c.thread = thread_;
        c.async = async_;
        c.normal_exits = options_.normal_exits.data();
        c.normal_exits_count = options_.normal_exits.size();
        c.shutdown_ns = options_.shutdown.ns();
        if (options_.ready_within) {
            c.ready = COOP_READY_NOTIFY;
            c.ready_timeout_ns = options_.ready_within->ns();
        }
        c.watchdog_ns = options_.watchdog.ns();
        c.liveness_ns = options_.liveness.ns();
        if (worker_) {
            c.worker = worker_->c_str();
            c.worker_length = worker_->size();
        }
        c.backoff = options_.backoff.c();
        c.restart = static_cast<std::int32_t>(options_.restart);
        c.significant = options_.significant;
        c.park = options_.park;
        c.park_at_start = options_.park_at_start;
        const result<void> given = command_ ? with_command(c, take) : detail::answer(take(&c));
        if (given) {
            thread_ = {};
            async_ = {};
            command_.reset();
            worker_.reset();
        }
        return given;
    }

private:
    template <class Take>
    result<void> with_command(coop_service_options &c, Take &take) {
        const coop::command &from = *command_;
        coop_command to{};
        to.size = sizeof to;
        const std::vector<const char *> argv = detail::c_list(from.argv), env = detail::c_list(from.env);
        /* None at all is this program, as a worker. */
        if (!from.argv.empty() || !worker_) to.argv = argv.data();
        to.env = env.data();
        to.directory = from.directory.data();
        to.directory_length = from.directory.size();
        to.limits = from.limits.data();
        to.limits_count = from.limits.size();
        to.descriptors = from.descriptors.data();
        to.descriptors_count = from.descriptors.size();
        std::vector<coop_listen_socket> sockets;
        for (const command::socket &socket : from.listen) sockets.push_back({socket.name.data(), socket.name.size(), socket.fd, 0});
        to.listen = sockets.data();
        to.listen_count = sockets.size();
        if (from.cpus) to.cpus = from.cpus->c();
        if (from.groups) {
            to.groups = from.groups->data();
            to.groups_count = from.groups->size();
            to.has |= COOP_COMMAND_GROUPS;
        }
        set(to, to.uid, from.uid, COOP_COMMAND_UID);
        set(to, to.gid, from.gid, COOP_COMMAND_GID);
        set(to, to.umask, from.umask, COOP_COMMAND_UMASK);
        set(to, to.nice, from.nice, COOP_COMMAND_NICE);
        to.stop_signal = from.stop_signal;
        to.env_clear = from.env_clear;
        to.new_session = from.new_session;
        to.output = static_cast<std::int32_t>(from.output);
        to.output_fd = from.output_fd;
        to.tail = from.tail == 0 ? COOP_NONE : from.tail;
        c.command = &to;
        return detail::answer(take(&c));
    }

    template <class T>
    static void set(coop_command &to, T &field, const std::optional<T> &given, std::uint32_t bit) noexcept {
        if (!given) return;
        field = *given;
        to.has |= bit;
    }

    std::string id_;
    service_options options_;
    std::optional<coop::command> command_;
    std::optional<std::string> worker_;
    coop_thread_service thread_{};
    coop_async_service async_{};
};

}  // namespace coop

#endif  // COOP_SERVICE_HPP
