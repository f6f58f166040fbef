/* coop::pool with a capacity, batches, and what it counts. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <array>
#include <functional>
#include <span>
#include <string>
#include <thread>
#include <vector>

/* A pool with room for three tasks, whose one worker is held until `go`. */
struct full_of_three {
    latch begun, go;
    coop::pool pool = MUST(coop::pool::create({.workers = 1, .capacity = 3}));
    full_of_three() {
        MUST(pool.submit([this] {
            begun.open();
            go.wait();
        }));
        begun.wait();
    }
};

static std::vector<counted> several(counts &c, int count) {
    std::vector<counted> tasks;
    for (int i = 0; i < count; i++) tasks.emplace_back(c);
    return tasks;
}

/* Those that are taken run once and are destroyed once; the others are still in the vector, and can be given again. */
static void a_batch_is_taken_as_far_as_there_is_room() {
    counts c;
    {
        full_of_three bounded;
        std::vector<counted> tasks = several(c, 5);
        CHECK(MUST(bounded.pool.submit_batch(tasks)) == 3);
        CHECK(c.runs == 0 && c.drops == 0);
        std::span<counted> rest = std::span(tasks).subspan(3);
        REFUSED(coop::errc::queue_full, bounded.pool.submit_batch(rest));
        REFUSED(coop::errc::timeout, bounded.pool.submit_batch({.timeout = 1ms}, rest));
        CHECK(c.runs == 0 && c.drops == 0);
        bounded.go.open();
        CHECK(MUST(bounded.pool.submit_batch({.timeout = LONG}, rest)) == 2);
        MUST(bounded.pool.shutdown());
        CHECK(c.runs == 5 && c.drops == 5);
    }
    CHECK(c.drops == 5);
}

static void what_is_refused_stays() {
    counts c;
    coop::pool pool = MUST(coop::pool::create({.workers = 2}));
    std::vector<counted> tasks = several(c, 3);
    REFUSED(coop::errc::affinity, pool.submit_batch({.cpus = coop::cpu_set{1000}}, tasks));
    REFUSED(coop::errc::null, coop::pool().submit_batch(tasks));
    std::vector<counted> none;
    REFUSED(coop::errc::invalid, pool.submit_batch(none));
    std::atomic<int> runs{0};
    std::array<std::function<void()>, 2> one_empty{[&] { runs++; }, nullptr};
    REFUSED(coop::errc::null, pool.submit_batch(one_empty));
    CHECK(one_empty[0] && !one_empty[1] && runs == 0);
    for (counted &task : tasks) task();
    CHECK(c.runs == 3 && c.drops == 0);
    CHECK(MUST(pool.submit_batch(tasks)) == 3);
    MUST(pool.shutdown());
    CHECK(c.runs == 6 && c.drops == 3);
    std::vector<counted> late = several(c, 2);
    REFUSED(coop::errc::closed, pool.submit_batch(late));
    CHECK(c.runs == 6 && c.drops == 3);
}

/* Small ones travel without an allocation, and are left as they are. */
static void small_ones() {
    full_of_three bounded;
    std::atomic<int> sum{0};
    auto add = [&sum] { sum += 1; };
    std::array small{add, add, add, add};
    CHECK(MUST(bounded.pool.submit_batch(small)) == 3);
    small[3]();
    CHECK(sum == 1);
    bounded.go.open();
    MUST(bounded.pool.shutdown());
    CHECK(sum == 4);
}

static void a_submitter_waits_for_room() {
    full_of_three bounded;
    counts c;
    std::vector<counted> tasks = several(c, 3);
    CHECK(MUST(bounded.pool.submit_batch(tasks)) == 3);
    REFUSED(coop::errc::queue_full, bounded.pool.submit(counted(c)));
    REFUSED(coop::errc::timeout, bounded.pool.submit({.timeout = 1ms}, counted(c)));
    CHECK(c.runs == 0 && c.drops == 2);
    std::thread patient([&] { MUST(bounded.pool.submit({.timeout = coop::forever}, counted(c))); });
    bounded.go.open();
    patient.join();
    MUST(bounded.pool.shutdown());
    CHECK(c.runs == 4 && c.drops == 6);
}

static void counted_by_the_pool() {
    full_of_three bounded;
    std::atomic<int> runs{0};
    for (coop::priority level : {coop::priority::low, coop::priority::normal, coop::priority::high})
        MUST(bounded.pool.submit({.priority = level}, [&] { runs++; }));
    coop::pool_statistics stats = MUST(bounded.pool.stats());
    CHECK(stats.workers == 1 && stats.capacity == 3 && stats.executed == 1);
    CHECK(stats.depth_low == 1 && stats.depth_normal == 1 && stats.depth_high == 1);
    bounded.go.open();
    MUST(bounded.pool.shutdown());
    stats = MUST(bounded.pool.stats());
    CHECK(runs == 3 && stats.executed == 4 && stats.depth_high + stats.depth_normal + stats.depth_low == 0);
    const coop::worker_statistics worker = MUST(bounded.pool.worker_stats(0));
    CHECK(worker.executed == 4 && worker.cpu == MUST(bounded.pool.worker_cpu(0)));
    REFUSED(coop::errc::invalid, bounded.pool.worker_stats(1));
    REFUSED(coop::errc::null, coop::pool().stats());
    REFUSED(coop::errc::null, coop::pool_ref().worker_stats(0));
}

static void may_run_here() {
    full_of_three bounded;
    CHECK(!bounded.pool.may_run_here() && !coop::pool().may_run_here());
    MUST(bounded.pool.submit([&] {
        CHECK(bounded.pool.may_run_here() && bounded.pool.may_run_here({.priority = coop::priority::high}));
        CHECK(!bounded.pool.may_run_here({.cpus = coop::cpu_set{1000}}));
        MUST(bounded.pool.submit({.priority = coop::priority::high}, [] {}));
        CHECK(!bounded.pool.may_run_here());
    }));
    bounded.go.open();
    MUST(bounded.pool.shutdown());
}

int main() {
    a_batch_is_taken_as_far_as_there_is_room();
    what_is_refused_stays();
    small_ones();
    a_submitter_waits_for_room();
    counted_by_the_pool();
    may_run_here();
}
