// Schedulers that end with work queued, coroutines that are destroyed before their end, and joins that must not hang.
#include <coop/task.hpp>

#include <thread>
#include <vector>

#include "coop_check.hpp"

namespace {

coop_pool_options workers(std::size_t count) {
    coop_pool_options options{};
    options.workers = count;
    return options;
}

coop::task_t<> holds(coop::scheduler_t &where, gate &begun, gate &go) {
    co_await coop::suspend(where);
    begun.open();
    go.wait();
}

coop::task_t<> queued(coop::scheduler_t &where, std::atomic<int> &ran) {
    live here;
    co_await coop::suspend(where);
    ++ran;
}
// Waits for one that is queued, three deep.
coop::task_t<> waiting(coop::scheduler_t &where, std::atomic<int> &ran, int depth) {
    live here;
    if (depth)
        co_await waiting(where, ran, depth - 1);
    else
        co_await queued(where, ran);
    ++ran;
}
coop::task_t<> for_event(coop::event_t &event, std::atomic<int> &ran) {
    live here;
    co_await event;
    ++ran;
}

// Every frame is destroyed: those that are queued, those that wait for them, with and without a task that is held.
void with_work_queued() {
    std::atomic<int> ran{0};
    std::vector<coop::task_t<>> held;
    {
        gate begun, go;  // They outlive the coroutine that the scheduler's end waits for.
        coop::scheduler_t single(workers(1));
        holds(single, begun, go);
        begun.wait();
        for (int i = 0; i < 100; ++i) {
            queued(single, ran);
            held.push_back(queued(single, ran));
            waiting(single, ran, 3);
            held.push_back(waiting(single, ran, 3));
        }
        CHECK(live::count == 2 * 100 + 2 * 100 * 5);
        CHECK(coop_pool_shutdown(single.pool(), COOP_SHUTDOWN_DISCARD, 0) == COOP_E_TIMEOUT);
        go.open();
    }
    CHECK(live::count == 0 && ran == 0);
    for (auto &task : held) CHECK(task.await_ready());
}

coop::task_t<void, true> joined(coop::scheduler_t &where) {
    live here;
    co_await coop::suspend(where);
}

// A task whose coroutine was destroyed says so, instead of keeping its joiner for ever.
void abandoned_tasks_are_joined() {
    coop::task_t<void, true> task;
    {
        gate begun, go;
        coop::scheduler_t single(workers(1));
        holds(single, begun, go);
        begun.wait();
        task = joined(single);
        coop_pool_shutdown(single.pool(), COOP_SHUTDOWN_DISCARD, 0);
        go.open();
    }
    CHECK(live::count == 0);
    coop_status status = COOP_OK;
    try {
        task.join();
    } catch (coop::coroutine_error const &error) {
        status = error.status();
    }
    CHECK(status == COOP_E_CLOSED);
}

// A closed scheduler refuses; the coroutine goes on where it was and learns why.
coop::task_t<coop_status, true> hops_to(coop::scheduler_t &where) {
    live here;
    try {
        co_await coop::suspend(where);
    } catch (coop::coroutine_error const &error) {
        co_return error.status();
    }
    co_return COOP_OK;
}
coop::task_t<coop_status> hops_to_plain(coop::scheduler_t &where) {
    try {
        co_await coop::suspend(where);
    } catch (coop::coroutine_error const &error) {
        co_return error.status();
    }
    co_return COOP_OK;
}

void refused_hops() {
    coop::scheduler_t closed(workers(1));
    CHECK(coop_pool_close(closed.pool()) == COOP_OK);
    auto task = hops_to(closed);
    task.join();
    CHECK(*task == COOP_E_CLOSED);
    auto plain = hops_to_plain(closed);
    CHECK(plain && *plain == COOP_E_CLOSED);
}

// The only worker joins what is queued behind it: it runs that itself.
coop::task_t<int, true> on(coop::scheduler_t &where, int hops) {
    live here;
    for (int i = 0; i < hops; ++i) co_await coop::suspend(where);
    co_return 3;
}
coop::task_t<int, true> joins_on_the_worker(coop::scheduler_t &where) {
    live here;
    co_await coop::suspend(where);
    int sum = 0;
    for (int hops = 0; hops < 4; ++hops) {
        auto task = on(where, hops);
        task.join();
        sum += *task;
    }
    co_return sum;
}

void joining_on_a_worker() {
    coop::scheduler_t single(workers(1));
    for (int i = 0; i < 200; ++i) {
        auto task = joins_on_the_worker(single);
        task.join();
        CHECK(*task == 12);
    }
}

// Every worker joins a task that the others could run as well: whoever is first runs it, once.
void joining_on_every_worker() {
    coop::scheduler_t four(workers(4));
    std::vector<coop::task_t<int, true>> tasks;
    for (int i = 0; i < 500; ++i) tasks.push_back(joins_on_the_worker(four));
    for (auto &task : tasks) {
        task.join();
        CHECK(*task == 12);
    }
}

coop::task_t<void, true> *self = nullptr;
coop::task_t<void, true> joins_itself(gate &ready, coop_status &status) {
    COOP_SUSPEND();
    ready.wait();
    try {
        self->join();
    } catch (coop::coroutine_error const &error) {
        status = error.status();
    }
}

void self_join() {
    gate ready;
    coop_status status = COOP_OK;
    auto task = joins_itself(ready, status);
    self = &task;
    ready.open();
    task.join();
    CHECK(status == COOP_E_WOULD_DEADLOCK);
}

// Two threads join one task, and a coroutine awaits it too.
coop::task_t<void, true> slow(gate &go) {
    COOP_SUSPEND();
    go.wait();
}
coop::task_t<void, true> awaits(coop::task_t<void, true> &task) { co_await task; }

void many_wait_for_one() {
    gate go;
    auto task = slow(go);
    auto awaiting = awaits(task);
    std::thread first([&] { task.join(); }), second([&] { task.join(); });
    go.open();
    first.join();
    second.join();
    task.join();
    awaiting.join();
}

// The scheduler that waits for events may go first as well: not the process's own, so by the function underneath.
struct event_on {
    coop::scheduler_t &where;
    coop::event_t &event;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> coroutine) const { where.schedule(coroutine, event.ref(), 0, 1); }
    void await_resume() const noexcept {}
};
coop::task_t<> waits_on(coop::scheduler_t &where, coop::event_t &event, std::atomic<int> &ran) {
    live here;
    co_await event_on{where, event};
    ++ran;
}

void with_events_awaited() {
    std::atomic<int> ran{0};
    coop::event_t event;
    event.init();
    {
        coop::scheduler_t scheduler(workers(2));
        for (int i = 0; i < 10; ++i) waits_on(scheduler, event, ran);
        event.signal();
        const auto until = std::chrono::steady_clock::now() + LONG;
        while (ran != 1) CHECK(std::chrono::steady_clock::now() < until);
        CHECK(live::count >= 9);
    }
    CHECK(live::count == 0 && ran == 1);
}

}  // namespace

int main() {
    with_work_queued();
    abandoned_tasks_are_joined();
    refused_hops();
    joining_on_a_worker();
    joining_on_every_worker();
    live::wait_for(0);
    self_join();
    many_wait_for_one();
    with_events_awaited();

    // The process ends with coroutines queued, running and waiting in the default scheduler: no hang, no crash, no leak.
    static coop::event_t never;
    never.init();
    static std::atomic<int> ran{0};
    for_event(never, ran);
    for (int i = 0; i < 1000; ++i) queued(coop::scheduler_t::instance(), ran);
}
