/* coop::task_handle: waited for, taken back, let go of; each callable destroyed once. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <memory>
#include <string>
#include <thread>
#include <vector>

static coop::pool made(std::size_t workers) { return MUST(coop::pool::create({.workers = workers})); }

static void joined() {
    coop::pool pool = made(2);
    counts c;
    std::string said;
    coop::task_handle task = MUST(pool.submit_task([&said, probe = counted(c)] { said = "done"; }));
    CHECK(task && task.id() != 0);
    MUST(task.join(LONG));
    /* The callable has gone before join returned. */
    CHECK(said == "done" && c.drops == 1);
    CHECK(!task && task.id() == 0);
    REFUSED(coop::errc::stale, task.join());
    REFUSED(coop::errc::stale, task.cancel());
    REFUSED(coop::errc::stale, task.release());
    std::vector<coop::task_handle> many;
    for (int i = 0; i < 100; i++)
        many.push_back(MUST(pool.submit_task({.priority = coop::priority::high}, counted(c))));
    for (coop::task_handle &one : many) MUST(one.join());
    CHECK(c.runs == 100 && c.drops == 101);
}

/* A worker that is held until `go`, and a handle to that. */
struct held {
    latch begun, go;
    coop::task_handle task;
    explicit held(coop::pool &pool) {
        task = MUST(pool.submit_task([this] {
            begun.open();
            go.wait();
        }));
        begun.wait();
    }
};

static void taken_back() {
    coop::pool pool = made(1);
    held worker(pool);
    counts c;
    coop::task_handle task = MUST(pool.submit_task(counted(c)));
    REFUSED(coop::errc::timeout, task.join(0s));
    CHECK(task);
    MUST(task.cancel());
    CHECK(c.runs == 0 && c.drops == 1 && !task);
    REFUSED(coop::errc::timeout, worker.task.cancel());
    CHECK(worker.task);
    worker.go.open();
    MUST(worker.task.join(LONG));
    CHECK(c.runs == 0 && c.drops == 1);
}

/* Another thread cancels what this one waits for: one of them is told, the other one that it came too late. */
static void told_that_it_is_cancelled() {
    coop::pool pool = made(1);
    held worker(pool);
    counts c;
    coop::task_handle task = MUST(pool.submit_task(counted(c)));
    latch waits;
    coop::result<void> told;
    std::thread joiner([&] {
        waits.open();
        told = task.join();
    });
    waits.wait();
    MUST(task.cancel());
    joiner.join();
    CHECK(told.error() == coop::errc::cancelled || told.error() == coop::errc::stale);
    CHECK(told.error() == coop::errc::stale || told.error() == std::errc::operation_canceled);
    CHECK(c.runs == 0 && c.drops == 1);
    worker.go.open();
    MUST(worker.task.join(LONG));
}

static void let_go_of() {
    coop::pool pool = made(1);
    counts c;
    {
        held worker(pool);
        /* By its end, by another value, by name; and what was moved from is empty. */
        { coop::task_handle ends = MUST(pool.submit_task(counted(c))); }
        coop::task_handle one = MUST(pool.submit_task(counted(c))), two = MUST(pool.submit_task(counted(c)));
        one = std::move(two);
        CHECK(one && !two);
        REFUSED(coop::errc::null, two.join());
        REFUSED(coop::errc::null, two.cancel());
        REFUSED(coop::errc::null, coop::task_handle().release());
        MUST(one.release());
        REFUSED(coop::errc::stale, one.release());
        worker.go.open();
        MUST(worker.task.join(LONG));
    }
    MUST(pool.shutdown());
    CHECK(c.runs == 3 && c.drops == 3);
}

static void refused_and_dropped() {
    counts c;
    coop::task_handle dropped;
    {
        coop::pool pool = made(1);
        REFUSED(coop::errc::affinity, pool.submit_task({.cpus = coop::cpu_set{1000}}, counted(c)));
        REFUSED(coop::errc::null, pool.submit_task(std::function<void()>()));
        CHECK(c.runs == 0 && c.drops == 1);
        held worker(pool);
        dropped = MUST(pool.submit_task(counted(c)));
        REFUSED(coop::errc::timeout, pool.shutdown(coop::shutdown_mode::discard, 0s));
        REFUSED(coop::errc::closed, dropped.join(LONG));
        CHECK(c.runs == 0 && c.drops == 2);
        REFUSED(coop::errc::closed, pool.submit_task(counted(c)));
        CHECK(c.runs == 0 && c.drops == 3);
        worker.go.open();
        MUST(worker.task.join(LONG));
    }
    /* The pool has gone, and the handle has nothing to tell it. */
    CHECK(!dropped);
    REFUSED(coop::errc::null, coop::pool().submit_task(counted(c)));
    CHECK(c.runs == 0 && c.drops == 4);
}

/* A task may wait for one of its own pool: the worker runs it. */
static void joined_inside() {
    coop::pool pool = made(1);
    counts c;
    coop::task_handle outer = MUST(pool.submit_task([&] {
        coop::task_handle inner = MUST(pool.submit_task(counted(c)));
        MUST(inner.join());
        CHECK(c.runs == 1 && c.drops == 1);
    }));
    MUST(outer.join(LONG));
}

int main() {
    joined();
    taken_back();
    told_that_it_is_cancelled();
    let_go_of();
    refused_and_dropped();
    joined_inside();
}
