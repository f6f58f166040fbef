// Pools and loops as they are given to a function: as coop_pool * and coop_event_loop *, or as any object whose get() answers one.
#ifndef COOP_DETAIL_GIVEN_HPP
#define COOP_DETAIL_GIVEN_HPP

#include <concepts>

#include <coop.h>

namespace coop::coro {

inline coop_pool *pool_of(coop_pool *pool) noexcept { return pool; }
inline coop_event_loop *loop_of(coop_event_loop *loop) noexcept { return loop; }
template <class P>
    requires requires(P &pool) { { pool.get() } -> std::convertible_to<coop_pool *>; }
coop_pool *pool_of(P &pool) {
    return pool.get();
}
template <class L>
    requires requires(L &loop) { { loop.get() } -> std::convertible_to<coop_event_loop *>; }
coop_event_loop *loop_of(L &loop) {
    return loop.get();
}

}  // namespace coop::coro

#endif
