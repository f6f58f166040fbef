/* coop::pool_options and coop::submit_options: how a pool is made, and how a task is to run. */
#ifndef COOP_POOL_OPTIONS_HPP
#define COOP_POOL_OPTIONS_HPP

#include <coop/cpu_set.hpp>
#include <coop/priority.hpp>
#include <coop/time.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace coop {

/* COOP_SHUTDOWN_*: what becomes of queued tasks. */
enum class shutdown_mode : std::int32_t {
    drain = COOP_SHUTDOWN_DRAIN,    /* they run, and what they submit */
    discard = COOP_SHUTDOWN_DISCARD /* they are dropped */
};

/* How a pool is made. */
struct pool_options {
    /* Up to 1024; 0: as many as this process has CPUs to use, at least 4 (a runtime's pool: half, at least 4). */
    std::size_t workers = 0;
    /* Leaves the workers where the system puts them; such a pool takes no CPU sets. */
    bool no_pin = false;
    /* After how many tasks above a priority one of it runs. 0: 64. COOP_NONE: never, the order is strict. */
    std::int32_t ageing = 0;
    /* What the threads are called, with "-0", "-1" after it; copied. Empty: "coop-pool". */
    std::string_view name = {};
    /* How many tasks may be queued at once; a pool that is full refuses tasks, or has the submitter wait. 0: as many as there
     * is memory for. */
    std::size_t capacity = 0;

    /* The C view; valid while name is. */
    coop_pool_options c() const noexcept {
        coop_pool_options options{};
        options.size = sizeof options;
        options.workers = workers;
        options.no_pin = no_pin;
        options.ageing = ageing;
        options.name = name.data();
        options.name_length = name.size();
        options.capacity = capacity;
        return options;
    }
};

/* How a task is to run. */
struct submit_options {
    coop::priority priority = coop::priority::normal;
    /* On the workers whose CPU is in the set. None: on any. */
    std::optional<cpu_set> cpus = {};
    /* How long to wait for room in a pool that is full: not at all, a duration, or coop::forever. */
    coop::timeout timeout = std::chrono::nanoseconds(0);

    /* The C view; valid while this object is. */
    coop_submit_options c() const noexcept {
        coop_submit_options options{};
        options.size = sizeof options;
        options.priority = static_cast<std::int32_t>(priority);
        if (cpus) options.cpus = cpus->c();
        options.timeout_ns = timeout.ns();
        return options;
    }
};

}  // namespace coop

#endif  // COOP_POOL_OPTIONS_HPP
