// Both faces in a program without exceptions and without run-time types.
#include <coop/coroutine.hpp>
#include <coop/task.hpp>

#include "coop_check.hpp"

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this is to be compiled with -fno-exceptions -fno-rtti"
#endif

namespace {

coop::task<int> half(coop_pool *pool, int n) {
    live here;
    if (co_await coop::suspend_on(pool)) co_return -1;
    co_return n / 2;
}
coop::task<int> sum(coop_pool *pool) {
    auto beside = half(pool, 20);
    if (beside.spawn(pool)) co_return -1;
    const int here = co_await half(pool, 10);
    co_return here + co_await beside;
}

coop::task_t<int, true> compatible(coop::event_t &event) {
    COOP_SUSPEND();
    co_await event;
    co_return 1;
}

// A hop that is refused goes on where it was.
coop::task<coop_status> refused(coop_pool *pool) { co_return co_await coop::suspend_on(pool); }

}  // namespace

int main() {
    coop_pool *pool = nullptr;
    CHECK(coop_pool_new(nullptr, &pool) == COOP_OK);
    CHECK(coop::sync_wait(sum(pool)) == 15);
    CHECK(coop_pool_close(pool) == COOP_OK);
    CHECK(coop::sync_wait(refused(pool)) == COOP_E_CLOSED);
    coop_pool_free(pool);
    CHECK(live::count == 0);

    coop::event_t event;
    event.init();
    auto task = compatible(event);
    event.signal();
    task.join();
    CHECK(*task == 1);
}
