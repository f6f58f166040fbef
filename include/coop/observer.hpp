/* coop::service_event and coop::observer: what happens in a host, told to whoever asks.
 *
 *     host.observe([](const coop::service_event &event) { std::cout << event.path << ": " << event.text << '\n'; }).value();
 *
 *     auto observer = host.observe({.replay = 100}).value();   // without a callable
 *     while (auto event = observer.next(1s)) look(*event);
 *
 * Lifetimes: 1. The callable belongs to the observer and is destroyed after the host's last event, or by cancel. 2. An observer here is a
 * name, copied like a pointer; losing it leaves the observer alone. It must not be used after the host's end. 3. What an event points to is
 * there until the callable returns, or until the next call of next for that observer.
 *
 * Threads: every call from any thread; next by one at a time. Errors: as coop.h says. */
#ifndef COOP_OBSERVER_HPP
#define COOP_OBSERVER_HPP

#include <coop/event_loop.hpp>
#include <coop/result.hpp>
#include <coop/service.hpp>
#include <coop/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace coop {

/* COOP_SERVICE_*: what changed. */
enum class service_change : std::int32_t {
    added = COOP_SERVICE_ADDED,
    removed = COOP_SERVICE_REMOVED,
    starting = COOP_SERVICE_STARTING,
    spawned = COOP_SERVICE_SPAWNED,
    ready = COOP_SERVICE_READY,
    status = COOP_SERVICE_STATUS,
    start_failed = COOP_SERVICE_START_FAILED,
    ignored = COOP_SERVICE_IGNORED,
    stopping = COOP_SERVICE_STOPPING,
    ended = COOP_SERVICE_ENDED,
    backoff = COOP_SERVICE_BACKOFF,
    parked = COOP_SERVICE_PARKED,
    unresponsive = COOP_SERVICE_UNRESPONSIVE,
    gave_up = COOP_SERVICE_GAVE_UP,
    auto_shutdown = COOP_SERVICE_AUTO_SHUTDOWN,
    events_lost = COOP_SERVICE_EVENTS_LOST
};

/* Several of them, for a filter. */
constexpr service_change operator|(service_change left, service_change right) noexcept {
    return static_cast<service_change>(static_cast<std::int32_t>(left) | static_cast<std::int32_t>(right));
}

/* COOP_EXIT_*: how a run ended. */
enum class service_exit : std::int32_t {
    none = 0,
    returned = COOP_EXIT_RETURNED,
    exited = COOP_EXIT_EXITED,
    signaled = COOP_EXIT_SIGNALED,
    failed = COOP_EXIT_FAILED,
    panicked = COOP_EXIT_PANICKED,
    shutdown = COOP_EXIT_SHUTDOWN,
    lost = COOP_EXIT_LOST
};

/* COOP_BECAUSE_*: what the library had to do with it. */
enum class service_because : std::int32_t {
    nothing = 0,
    asked = COOP_BECAUSE_ASKED,
    shutdown_deadline = COOP_BECAUSE_SHUTDOWN_DEADLINE,
    ready_deadline = COOP_BECAUSE_READY_DEADLINE,
    watchdog = COOP_BECAUSE_WATCHDOG,
    hand_over = COOP_BECAUSE_HAND_OVER,
    liveness = COOP_BECAUSE_LIVENESS
};

namespace detail {
inline std::string_view view(const coop_text &text) noexcept { return {text.data, text.length}; }
}  // namespace detail

/* A change of a service or a supervisor; coop_service_event in coop.h explains the fields. */
struct service_event {
    std::uint64_t number = 0;
    std::chrono::system_clock::time_point time = {};
    service_id id = 0;
    std::uint64_t run = 0;
    service_change change = service_change::events_lost;
    std::string_view path = {};
    std::string_view text = {};
    std::string_view json = {};
    std::vector<std::string_view> tail = {};
    service_exit exit = service_exit::none;
    service_because because = service_because::nothing;
    bool normal = false;
    bool core_dumped = false;
    int code = 0;
    int signal = 0;
    int pid = 0;
    std::string_view details = {};
    std::chrono::nanoseconds uptime{};
    std::chrono::nanoseconds delay{};
    std::uint64_t restarts = 0;
    std::uint64_t lost = 0;

    service_event() noexcept = default;
    explicit service_event(const coop_service_event &c)
        : number(c.number),
          time(std::chrono::duration_cast<std::chrono::system_clock::duration>(std::chrono::nanoseconds(c.time_ns))),
          id(c.id), run(c.run), change(static_cast<service_change>(c.kind)), path(detail::view(c.path)), text(detail::view(c.text)),
          json(detail::view(c.json)), exit(static_cast<service_exit>(c.exit)), because(static_cast<service_because>(c.because)),
          normal(c.normal != 0), core_dumped(c.core_dumped != 0), code(c.code), signal(c.signal), pid(c.pid), details(detail::view(c.details)),
          uptime(c.uptime_ns), delay(c.delay_ns), restarts(c.restarts), lost(c.lost) {
        tail.reserve(c.tail_count);
        for (std::size_t index = 0; index < c.tail_count; index++) tail.push_back(detail::view(c.tail[index]));
    }
};

/* How to observe. */
struct observer_options {
    /* Events of these and of what is below them: "root/web*"; empty: of all. */
    std::string_view path = {};
    /* service_change's, joined by |; none: all. */
    service_change changes = {};
    /* How many events may wait; 0: 1024. */
    std::size_t queue = 0;
    /* How many of those before are told first. */
    std::size_t replay = 0;
    /* The callable is called on this loop's thread; none: on a thread of its own. */
    event_loop_ref event_loop = {};
    /* Each event has itself as JSON, too. */
    bool json = false;

    coop_observer_options c() const noexcept {
        coop_observer_options options{};
        options.size = sizeof options;
        options.path = path.data();
        options.path_length = path.size();
        options.queue = queue;
        options.replay = replay;
        options.event_loop = event_loop.get();
        options.kinds = static_cast<std::int32_t>(changes);
        options.json = json;
        return options;
    }
};

/* Names an observer of a host; host::observe makes one. */
class observer {
public:
    constexpr observer() noexcept = default;
    constexpr observer(coop_host *host, coop_observer_id id) noexcept : host_(host), id_(id) {}

    /* The next event, of an observer without a callable. */
    result<service_event> next(timeout limit = forever) const {
        const coop_service_event *event = nullptr;
        const coop_status status = coop_observer_next(host_, id_, limit.ns(), &event);
        if (status != COOP_OK) return coop::error::last(status);
        return service_event(*event);
    }

    /* Ends it. The callable does not begin any more, and is destroyed; if it is running, when it returns. */
    result<void> cancel() const noexcept { return detail::answer(coop_observer_cancel(host_, id_)); }

    constexpr coop_observer_id id() const noexcept { return id_; }

private:
    coop_host *host_ = nullptr;
    coop_observer_id id_ = 0;
};

}  // namespace coop

#endif  // COOP_OBSERVER_HPP
