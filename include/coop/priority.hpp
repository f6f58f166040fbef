/* coop::priority and coop::on: how important a callback is, and where it runs. */
#ifndef COOP_PRIORITY_HPP
#define COOP_PRIORITY_HPP

#include <coop.h>

#include <cstdint>

namespace coop {

/* COOP_PRIORITY_*: the higher first. */
enum class priority : std::int32_t {
    low = COOP_PRIORITY_LOW,
    normal = COOP_PRIORITY_NORMAL,
    high = COOP_PRIORITY_HIGH
};

/* COOP_ON_*: where a timer's or a watch's callback runs. */
enum class on : std::int32_t {
    default_ = COOP_ON_DEFAULT, /* a bare loop's thread; a runtime's pool */
    loop = COOP_ON_LOOP,
    pool = COOP_ON_POOL
};

}  // namespace coop

#endif  // COOP_PRIORITY_HPP
