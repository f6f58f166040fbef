// event_t and event_ref_t: threads and coroutines that wait, signals before and after.
#include <coop/task.hpp>

#include <sched.h>
#include <sys/eventfd.h>
#include <thread>
#include <vector>

#include "coop_check.hpp"

namespace {

using status = coop::event_ref_t::status_e;

void *as_handle(int fd) { return reinterpret_cast<void *>(static_cast<std::intptr_t>(fd)); }

void looking_and_taking() {
    coop::event_t event;
    CHECK(!event.is_signaled() && !event.wait());
    event.init();
    CHECK(!event.is_signaled() && !event);
    event.signal();
    event.signal();
    CHECK(event.is_signaled() && event && event.is_signaled());
    CHECK(event.wait());
    CHECK(!event.is_signaled());
    event.signal();
    event.reset();
    CHECK(!event);

    coop::event_t manual;
    manual.init(true, "manual");
    manual.signal();
    CHECK(manual.wait() && manual.wait() && manual);
    manual.reset();
    manual.reset();
    CHECK(!manual);
}

void moving() {
    coop::event_t event;
    event.init();
    coop::event_ref_t ref = event.ref();
    ref.signal();
    coop::event_t moved(std::move(event));
    CHECK(!event && moved);
    event = std::move(moved);
    CHECK(event && !moved && ref);
    event.init();
    CHECK(!event);
}

coop::task_t<int, true> waits(coop::event_t &event) {
    co_await event;
    co_return coop_pool_is_worker_thread(coop::scheduler_t::instance().pool());
}

void signalled_before_the_wait() {
    coop::event_t event;
    event.init();
    event.signal();
    auto task = waits(event);
    CHECK(task && *task == 0);
    CHECK(!event);
}

void signalled_after_the_wait() {
    for (int i = 0; i < 100; ++i) {
        coop::event_t event;
        event.init();
        auto task = waits(event);
        CHECK(!task);
        event.signal();
        task.join();
        CHECK(*task == 1);
        CHECK(!event);
    }
}

coop::task_t<> passes(coop::event_t &event, std::atomic<int> &passed) {
    co_await event;
    ++passed;
}

void wait_for(std::atomic<int> &counter, int wanted) {
    const auto until = std::chrono::steady_clock::now() + LONG;
    while (counter != wanted) {
        CHECK(std::chrono::steady_clock::now() < until);
        usleep(100);
    }
}

// Each signal of an event that resets itself lets one of many through; a manual one lets all through.
void many_waiters() {
    std::atomic<int> passed{0};
    coop::event_t event, all;
    event.init();
    all.init(true);
    for (int i = 0; i < 10; ++i) passes(event, passed);
    for (int i = 0; i < 10; ++i) {
        event.signal();
        wait_for(passed, i + 1);
        CHECK(!event);
    }
    for (int i = 0; i < 10; ++i) passes(all, passed);
    CHECK(passed == 10);
    all.signal();
    wait_for(passed, 20);
    CHECK(all);
    passes(all, passed);
    CHECK(passed == 21);
}

coop::task_t<bool, true> array_of_events() {
    coop::event_t events[3];
    for (auto &event : events) {
        event.init();
        event.signal();
    }
    for (int i = 0; i < 3; ++i) co_await events[i];
    co_return !events[0] && !events[1] && !events[2];
}

void elements_are_awaited() {
    auto task = array_of_events();
    task.join();
    CHECK(*task);
}

void many_at_once() {
    coop::event_t events[3];
    for (auto &event : events) event.init();
    coop::event_ref_t refs[3] = {events[0].ref(), events[1].ref(), events[2].ref()};
    events[1].signal();
    auto result = coop::event_ref_t::wait_many(refs, 3);
    CHECK(result.status == status::normal && result.index == 1 && !events[1]);
    events[2].signal();
    events[0].signal();
    CHECK(coop::event_ref_t::wait_many(refs, 3).index == 0);
    CHECK(coop::event_ref_t::wait_many(refs, 3).index == 2);

    std::thread later([&] { events[2].signal(); });
    result = coop::event_ref_t::wait_many(refs, 3);
    later.join();
    CHECK(result.status == status::normal && result.index == 2);

    CHECK(coop::event_ref_t::wait_many(refs, 0).status == status::failed);
    CHECK(coop::event_ref_t::wait_many(nullptr, 2).status == status::failed);
    refs[1] = coop::event_ref_t{};
    result = coop::event_ref_t::wait_many(refs, 3);
    CHECK(result.status == status::failed && result.index == 1);
}

// Threads that wait for one event at the same time: each signal is taken once.
void threads_take_turns() {
    coop::event_t event, taken;
    event.init();
    taken.init();
    std::atomic<int> count{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            CHECK(event.wait());
            ++count;
            taken.signal();
        });
    }
    for (int i = 1; i <= 4; ++i) {
        event.signal();
        CHECK(taken.wait());
        CHECK(count == i);
    }
    for (auto &thread : threads) thread.join();
}

// A file descriptor cast to a pointer: what makes it readable is left to its owner.
void descriptors() {
    const int fd = eventfd(0, EFD_CLOEXEC);
    CHECK(fd >= 0);
    {
        coop::event_t event(as_handle(fd));
        CHECK(!event);
        auto task = waits(event);
        CHECK(!task);
        event.signal();
        task.join();
        CHECK(event && event.wait());
        event.reset();
        CHECK(!event);
    }
    std::uint64_t one = 1;
    CHECK(write(fd, &one, sizeof one) < 0);  // It was closed.

    int ends[2];
    CHECK(pipe(ends) == 0);
    coop::event_t readable(as_handle(ends[0]));
    readable.signal();  // No eventfd: left alone.
    CHECK(!readable);
    auto task = waits(readable);
    CHECK(write(ends[1], "x", 1) == 1);
    task.join();
    char byte = 0;
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'x');
    close(ends[1]);
    coop::event_ref_t ref = readable.ref();
    const auto result = coop::event_ref_t::wait_many(&ref, 1);
    CHECK(result.status == status::abandoned && result.index == 0);
    CHECK(!coop::event_t(nullptr).wait() && !coop::event_t(as_handle(-1)).wait());
}

coop::task_t<int, true> where_after(coop::event_t &event) {
    co_await event;
    co_return sched_getcpu();
}

void affinity_and_priority_on_resume() {
    std::int32_t cpu = -1;
    CHECK(coop_pool_worker_cpu(coop::scheduler_t::instance().pool(), 0, &cpu) == COOP_OK);
    if (cpu < 0 || cpu >= 32) return;
    for (int i = 0; i < 30; ++i) {
        coop::event_t event;
        event.init();
        event.set_cpu_affinity(std::uint32_t{1} << cpu);
        event.set_priority(static_cast<std::uint32_t>(i % 2));
        auto task = where_after(event);
        event.signal();
        task.join();
        CHECK(*task == cpu);
    }
}

coop::task_t<bool, true> cannot_wait() {
    coop::event_t event;
    try {
        co_await event;
    } catch (coop::coroutine_error const &error) {
        co_return error.status() == COOP_E_INVALID;
    }
    co_return false;
}

void what_cannot_be_waited_for() {
    auto task = cannot_wait();
    task.join();
    CHECK(*task);
}

}  // namespace

int main() {
    looking_and_taking();
    moving();
    signalled_before_the_wait();
    signalled_after_the_wait();
    many_waiters();
    elements_are_awaited();
    many_at_once();
    threads_take_turns();
    descriptors();
    affinity_and_priority_on_resume();
    what_cannot_be_waited_for();
}
