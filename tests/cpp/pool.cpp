/* coop::pool: options, order, CPU sets, its end. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <sched.h>
#include <pthread.h>
#include <string>
#include <vector>

static void options() {
    coop::pool pool = MUST(coop::pool::create({.workers = 3, .no_pin = true, .name = "cpp-pool"}));
    CHECK(MUST(pool.workers()) == 3);
    CHECK(MUST(pool.worker_cpu(2)) == COOP_NONE);
    REFUSED(coop::errc::invalid, pool.worker_cpu(3));
    std::string name;
    MUST(pool.submit([&name] {
        char buffer[16];
        CHECK(pthread_getname_np(pthread_self(), buffer, sizeof buffer) == 0);
        name = buffer;
    }));
    MUST(pool.shutdown());
    CHECK(name.starts_with("cpp-pool-"));
    REFUSED(coop::errc::invalid, coop::pool::create({.workers = 1025}));
    REFUSED(coop::errc::invalid, coop::pool::create({.ageing = -2}));
    CHECK(MUST(MUST(coop::pool::create({.workers = 1, .ageing = COOP_NONE})).workers()) == 1);
    CHECK(MUST(MUST(coop::pool::create()).workers()) >= 1);
}

static void the_higher_priority_first() {
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    std::string order;
    MUST(pool.submit([&] {
        CHECK(pool.is_worker_thread());
        MUST(pool.submit({.priority = coop::priority::low}, [&] { order += 'l'; }));
        MUST(pool.submit({.priority = coop::priority::normal}, [&] { order += 'n'; }));
        MUST(pool.submit([&] { order += 'n'; }));
        MUST(pool.submit({.priority = coop::priority::high}, [&] { order += 'h'; }));
    }));
    CHECK(!pool.is_worker_thread());
    MUST(pool.shutdown());
    CHECK(order == "hnnl");
}

static void inside_a_cpu_set() {
    coop::pool pool = MUST(coop::pool::create({.workers = 2}));
    for (std::size_t i = 0; i < 2; i++) {
        const std::int32_t cpu = MUST(pool.worker_cpu(i));
        const coop::submit_options there{.cpus = coop::cpu_set{static_cast<std::size_t>(cpu)}};
        MUST(pool.submit(there, [cpu] { CHECK(sched_getcpu() == cpu); }));
    }
    REFUSED(coop::errc::affinity, pool.submit({.cpus = coop::cpu_set{1000}}, [] {}));
    REFUSED(coop::errc::invalid, pool.submit({.cpus = coop::cpu_set{}}, [] {}));
    REFUSED(coop::errc::invalid, pool.submit({.cpus = coop::cpu_set{0, 1024}}, [] {}));
    MUST(pool.shutdown());
}

static void sets_are_values() {
    constexpr coop::cpu_set set{0, 63, 64, 1023};
    static_assert(set.contains(0) && set.contains(63) && set.contains(64) && set.contains(1023));
    static_assert(!set.contains(1) && !set.contains(1024) && !set.contains(static_cast<std::size_t>(-1)));
    static_assert(coop::cpu_set{}.empty() && !set.empty() && !coop::cpu_set{5000}.empty());
    static_assert(coop::cpu_set::of_mask(0b101) == coop::cpu_set{0, 2});
    static_assert(coop::cpu_set{1, 2}.remove(2) == coop::cpu_set{1} && coop::cpu_set{3}.remove(3).empty());
    static_assert(coop::cpu_set{}.add(7) == coop::cpu_set{7});
    const coop_cpu_set c = set.c();
    CHECK(c.count == 16 && c.words[0] == (UINT64_C(1) | UINT64_C(1) << 63));
    CHECK(c.words[1] == 1 && c.words[15] == UINT64_C(1) << 63);
    CHECK(coop::cpu_set{1024}.c().count == 17);
}

static void its_end() {
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    std::atomic<int> runs{0};
    latch hold, entered;
    MUST(pool.submit([&] {
        entered.open();
        hold.wait();
        REFUSED(coop::errc::would_deadlock, pool.join());
        MUST(pool.submit([&] { runs++; })); /* its own tasks still may */
    }));
    entered.wait();
    MUST(pool.submit([&] { runs++; }));
    MUST(pool.close());
    REFUSED(coop::errc::closed, pool.submit([&] { runs++; }));
    REFUSED(coop::errc::timeout, pool.join(0s));
    hold.open();
    MUST(pool.join(LONG));
    CHECK(runs == 2);
    MUST(pool.shutdown(coop::shutdown_mode::discard, 0s));
    REFUSED(coop::errc::invalid, pool.shutdown(static_cast<coop::shutdown_mode>(7)));
}

int main() {
    options();
    the_higher_priority_first();
    inside_a_cpu_set();
    sets_are_values();
    its_end();
}
