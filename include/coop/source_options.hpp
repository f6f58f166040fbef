/* Where the callable of an event, a child or a signal runs. */
#ifndef COOP_SOURCE_OPTIONS_HPP
#define COOP_SOURCE_OPTIONS_HPP

#include <coop/cpu_set.hpp>
#include <coop/priority.hpp>

#include <cstdint>
#include <optional>

namespace coop {

struct source_options {
    coop::on on = coop::on::default_;
    /* Only beside on::pool. */
    coop::priority priority = coop::priority::normal;
    /* On which CPUs; none: on any. Only beside on::pool. */
    std::optional<cpu_set> cpus = {};

    /* The C view; valid while this object is. */
    coop_source_options c() const noexcept {
        coop_source_options options{};
        options.size = sizeof options;
        options.on = static_cast<std::int32_t>(on);
        options.priority = static_cast<std::int32_t>(priority);
        if (cpus) options.cpus = cpus->c();
        return options;
    }
};

}  // namespace coop

#endif  // COOP_SOURCE_OPTIONS_HPP
