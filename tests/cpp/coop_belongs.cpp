// Where a coroutine goes on: pools that are full, levels, and chains that end before their time.
#include <coop/coroutine.hpp>
#include <coop/task.hpp>

#include <string>

#include "coop_check.hpp"

using namespace std::chrono_literals;

namespace {

coop_pool *one_worker(std::size_t capacity) {
    coop_pool_options options{};
    options.size = sizeof options;
    options.workers = 1;
    options.capacity = capacity;
    coop_pool *pool = nullptr;
    CHECK(coop_pool_new(&options, &pool) == COOP_OK);
    return pool;
}

coop_event_loop *started_loop() {
    coop_event_loop *loop = nullptr;
    CHECK(coop_event_loop_new(nullptr, &loop) == COOP_OK && coop_event_loop_start(loop) == COOP_OK);
    return loop;
}

// A task that holds its worker.
struct blocker {
    gate begun, go;
    static void run(void *arg) {
        static_cast<blocker *>(arg)->begun.open();
        static_cast<blocker *>(arg)->go.wait();
    }
};
void nothing(void *) {}

// Has the pool's only worker wait, and takes what room there is.
void fill(coop_pool *pool, blocker &held) {
    CHECK(coop_pool_submit(pool, nullptr, {blocker::run, &held, nullptr}) == COOP_OK);
    held.begun.wait();
    coop_status status = COOP_OK;
    while (status == COOP_OK) status = coop_pool_submit(pool, nullptr, {nothing, nullptr, nullptr});
    CHECK(status == COOP_E_QUEUE_FULL);
}

coop::task<bool> comes_back(coop_pool *pool, coop_event_loop *loop, int fd, gate &begun,
                               gate &woken) {
    coop_status waited = co_await coop::suspend_on(pool);
    CHECK(waited == COOP_OK);
    begun.open();
    waited = (co_await coop::readiness(loop, fd)).status;
    CHECK(waited == COOP_OK);
    woken.open();
    co_return coop_pool_is_worker_thread(pool);
}

coop::task<> answers(coop::task<bool> asked, bool &answer, gate &done) {
    answer = co_await asked;
    done.open();
}

// Opened by the loop when it has long seen the descriptor.
void opens_gate(void *arg, std::uint64_t) { static_cast<gate *>(arg)->open(); }

// What waits for something goes on in its pool, also when that is full: not on the thread that tells it.
void a_full_pool_takes_what_goes_on() {
    coop_pool *pool = one_worker(2);
    coop_pool *other = one_worker(0);
    coop_event_loop *loop = started_loop();
    int ends[2];
    CHECK(pipe(ends) == 0);
    blocker held;
    gate begun, woken, fired, done;
    bool on_worker = false;
    auto task = answers(comes_back(pool, loop, ends[0], begun, woken), on_worker, done);
    CHECK(task.spawn(other) == COOP_OK);
    begun.wait();
    fill(pool, held);
    CHECK(write(ends[1], "x", 1) == 1);
    coop_timer_options later{};
    later.size = sizeof later;
    later.after_ns = 20'000'000;
    CHECK(coop_event_loop_timer(loop, &later, {opens_gate, &fired, nullptr}, nullptr) == COOP_OK);
    fired.wait();
    CHECK(!woken.is_open());
    held.go.open();
    done.wait();
    CHECK(on_worker);
    close(ends[0]);
    close(ends[1]);
    coop_event_loop_free(loop);
    coop_pool_free(other);
    coop_pool_free(pool);
}

coop::task_t<void, true> waits(coop::scheduler_t &scheduler, coop::event_ref_t event, gate &passed) {
    struct waiting {
        coop::scheduler_t &scheduler;
        coop::event_ref_t event;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> me) { scheduler.schedule(me, event, 0, 0); }
        void await_resume() const {}
    };
    co_await waiting{scheduler, event};
    passed.open();
}

// An event that is signalled while the scheduler is full loses nobody.
void a_full_scheduler_takes_who_waited_for_an_event() {
    coop_pool_options options{};
    options.workers = 1;
    options.capacity = 1;
    coop::scheduler_t scheduler(options);
    coop::event_t event;
    event.init();
    blocker held;
    gate passed;
    auto task = waits(scheduler, event.ref(), passed);
    fill(scheduler.pool(), held);
    event.signal();
    const auto until = std::chrono::steady_clock::now() + LONG;
    while (event.is_signaled()) CHECK(std::chrono::steady_clock::now() < until);
    held.go.open();
    task.join();
    CHECK(passed.is_open());
}

coop::task<> counts(live, std::atomic<int> &ran) {
    ++ran;
    co_return;
}

// Each task that a worker spawns has a place of its own, and what was taken runs.
coop::task<int> spawns_until_full(coop_pool *pool, std::atomic<int> &ran) {
    int taken = 0;
    CHECK(co_await coop::suspend_on(pool) == COOP_OK);
    for (int i = 0; i < 100; ++i) {
        auto task = counts({}, ran);
        const coop_status status = task.spawn(pool);
        CHECK(status == COOP_OK || status == COOP_E_QUEUE_FULL);
        taken += status == COOP_OK;
    }
    co_return taken;
}

void spawned_tasks_count() {
    coop_pool *pool = one_worker(8);
    std::atomic<int> ran{0};
    CHECK(coop::sync_wait(spawns_until_full(pool, ran)) <= 8);
    CHECK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER) == COOP_OK);
    CHECK(ran > 0 && ran <= 8 && live::count == 0);
    coop_pool_free(pool);
}

// A coroutine of the lowest level goes on in place if nothing else waits, and behind what does.
void notes_normal(void *arg) { *static_cast<std::string *>(arg) += 'n'; }
void notes_low(void *arg) { *static_cast<std::string *>(arg) += 'l'; }
coop::task<> ends() { co_return; }
coop::task<> low(coop_pool *pool, bool with_others, std::string &order) {
    coop_submit_options options{};
    options.priority = COOP_PRIORITY_LOW;
    CHECK(co_await coop::suspend_on(pool, options) == COOP_OK);
    coop_submit_options same{};
    same.size = sizeof same;
    same.priority = COOP_PRIORITY_LOW;
    CHECK(coop_pool_submit(pool, &same, {notes_low, &order, nullptr}) == COOP_OK);
    if (with_others) CHECK(coop_pool_submit(pool, nullptr, {notes_normal, &order, nullptr}) == COOP_OK);
    co_await ends();
    order += 'c';
}

void low_ones_go_on_in_place() {
    for (const bool with_others : {false, true}) {
        coop_pool *pool = one_worker(0);
        std::string order;
        coop::sync_wait(low(pool, with_others, order));
        CHECK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER) == COOP_OK);
        CHECK(order == (with_others ? "nlc" : "cl"));
        coop_pool_free(pool);
    }
}

// A chain of any length is destroyed without stack when its innermost one never ends.
coop::task<> sleeps_below(coop_event_loop *loop, int depth, gate &asleep) {
    live here;
    if (depth == 0) {
        asleep.open();
        co_await coop::sleep_for(loop, 1h);
    } else {
        co_await sleeps_below(loop, depth - 1, asleep);
    }
}

void long_chains_are_abandoned() {
    coop_pool *pool = one_worker(0);
    coop_event_loop *loop = started_loop();
    gate asleep;
    {
        auto task = sleeps_below(loop, 100000, asleep);
        CHECK(task.spawn(pool) == COOP_OK);
    }
    CHECK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER) == COOP_OK);
    CHECK(asleep.is_open());
    coop_event_loop_free(loop);
    CHECK(live::count == 0);
    coop_pool_free(pool);
}

}  // namespace

int main() {
    a_full_pool_takes_what_goes_on();
    a_full_scheduler_takes_who_waited_for_an_event();
    spawned_tasks_count();
    low_ones_go_on_in_place();
    long_chains_are_abandoned();
}
