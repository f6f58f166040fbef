// Where in the source a coroutine was suspended: what the COOP_SUSPEND macros fill in, for schedulers that want to know.
#ifndef COOP_SOURCE_LOCATION_HPP
#define COOP_SOURCE_LOCATION_HPP

#include <cstddef>

namespace coop {

struct source_location_t {
    char const *file = nullptr;
    std::size_t line = 0;
};

}  // namespace coop

#endif
