/* coop::pool::suspend: a coroutine's hop, with results and options of coop.hpp. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <memory>
#include <sched.h>
#include <string>
#include <thread>


static coop::task<std::string> hops(coop::pool_ref one, coop::pool_ref two, coop::event_loop_ref loop) {
    std::string way = one.is_worker_thread() || two.is_worker_thread() ? "worker" : "caller";
    MUST(co_await one.suspend());
    way += one.is_worker_thread() ? ",one" : ",?";
    MUST(co_await two.suspend({.priority = coop::priority::high}));
    way += two.is_worker_thread() ? ",two" : ",?";
    CHECK(co_await coop::sleep_for(loop, 1ms) == COOP_OK);
    way += two.is_worker_thread() ? ",two" : ",?";
    const auto cpu = static_cast<std::size_t>(MUST(one.worker_cpu(1)));
    MUST(co_await one.suspend({.cpus = coop::cpu_set().add(cpu)}));
    CHECK(static_cast<std::size_t>(sched_getcpu()) == cpu);
    co_return way;
}

static void from_pool_to_pool() {
    coop::pool one = MUST(coop::pool::create({.workers = 2})), two = MUST(coop::pool::create({.workers = 1}));
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    CHECK(coop::sync_wait(hops(one, two, loop)) == "caller,one,two,two");
}

/* A refusal leaves the coroutine where it was, with words. */
static coop::task<int> refused(const coop::pool &pool, coop::errc why) {
    std::unique_ptr<int> kept = std::make_unique<int>(7);
    const bool before = pool.is_worker_thread();
    REFUSED(why, co_await pool.suspend({.cpus = coop::cpu_set().add(1000)}));
    CHECK(pool.is_worker_thread() == before);
    co_return *kept;
}

/* What is spawned with options of coop.hpp, and pools that are objects of coop.hpp. */
static coop::task<int> twice(coop::pool_ref pool, int n) {
    if (n == 0) co_return 1;
    coop::task<int> beside = twice(pool, n - 1);
    CHECK(beside.spawn(pool, coop::submit_options{.priority = coop::priority::low}) == COOP_OK);
    const int here = co_await twice(pool, n - 1);
    co_return here + co_await beside;
}

static coop::task<int> one() { co_return 1; }

/* A pool that is full refuses a spawn: the task is still the caller's, and starts where it is awaited. */
static coop::task<int> beside_a_full_pool(coop::pool_ref pool) {
    coop::task<int> refused = one();
    CHECK(refused.spawn(pool) == COOP_E_QUEUE_FULL);
    const int answer = co_await refused;
    co_return answer;
}

static void spawned_in_a_full_pool() {
    coop::pool pool = MUST(coop::pool::create({.workers = 1, .capacity = 1}));
    latch held, filled;
    int inside = 0;
    const coop::submit_options patient{.timeout = LONG};
    MUST(pool.submit(patient, [&] {
        held.open();
        filled.wait();
        inside = coop::sync_wait(beside_a_full_pool(pool));
    }));
    held.wait();
    MUST(pool.submit(patient, [] {}));
    CHECK(coop::sync_wait(beside_a_full_pool(pool)) == 1);
    filled.open();
    MUST(pool.shutdown(coop::shutdown_mode::drain, LONG));
    CHECK(inside == 1);
}

#if defined(__cpp_exceptions)
/* Whatever these headers throw is a std::system_error with a coop::errc. */
static coop::task<int> throws(const coop::pool &closed) {
    (co_await closed.suspend()).value();
    co_return 1;
}
static void thrown_as_one() {
    coop::pool closed = MUST(coop::pool::create({.workers = 1}));
    MUST(closed.close());
    int times = 0;
    try {
        coop::sync_wait(throws(closed));
    } catch (const std::system_error &error) {
        CHECK(error.code() == coop::errc::closed);
        times++;
    }
    try {
        coop::sync_wait(coop::task<int>());
    } catch (const std::system_error &error) {
        CHECK(error.code() == coop::errc::null && error.code() == std::errc::invalid_argument);
        CHECK(dynamic_cast<const coop::coroutine_error *>(&error)->status() == COOP_E_NULL);
        times++;
    }
    CHECK(times == 2);
}
#endif

int main() {
    from_pool_to_pool();
    {
        coop::pool pool = MUST(coop::pool::create({.workers = 2}));
        CHECK(coop::sync_wait(refused(pool, coop::errc::affinity)) == 7);
        CHECK(coop::sync_wait(refused(coop::pool(), coop::errc::null)) == 7);
        CHECK(coop::sync_wait(twice(pool, 6)) == 64);
    }
    spawned_in_a_full_pool();
#if defined(__cpp_exceptions)
    thrown_as_one();
#endif
}
