// suspend and its macros: where a coroutine goes on, with the default scheduler and with others.
#include <coop/task.hpp>

#include <deque>
#include <sched.h>
#include <set>
#include <thread>

#include "coop_check.hpp"

namespace {

coop::scheduler_t &everyone() { return coop::scheduler_t::instance(); }

coop::task_t<int, true> every_macro() {
    int elsewhere = 0;
    const auto moved = [&] { elsewhere += coop_pool_is_worker_thread(everyone().pool()); };
    COOP_SUSPEND();
    moved();
    COOP_SUSPEND1(everyone());
    moved();
    COOP_SUSPEND2(everyone(), 1);
    moved();
    COOP_SUSPEND3(everyone(), 1, 1);
    moved();
    COOP_SUSPEND4(1);
    moved();
    COOP_SUSPEND5(1, 1);
    moved();
    co_await coop::suspend();
    moved();
    co_return elsewhere;
}

void macros() {
    auto task = every_macro();
    task.join();
    CHECK(*task == 7);
}

// The lowest CPU that has a worker, and a mask of CPUs that have none.
int a_cpu = -1;
std::uint64_t absent = 0;

void look_at_workers() {
    std::size_t workers = 0;
    CHECK(coop_pool_workers(everyone().pool(), &workers) == COOP_OK && workers >= 4);
    std::uint64_t present = 0;
    for (std::size_t i = 0; i < workers; ++i) {
        std::int32_t cpu = -1;
        CHECK(coop_pool_worker_cpu(everyone().pool(), i, &cpu) == COOP_OK);
        if (cpu >= 0 && cpu < 64) present |= std::uint64_t{1} << cpu;
    }
    absent = ~present;
    for (a_cpu = 0; a_cpu < 64 && !(present >> a_cpu & 1);) ++a_cpu;
}

coop::task_t<int, true> on_cpu(std::uint64_t mask) {
    COOP_SUSPEND4(mask);
    co_return sched_getcpu();
}

void masks() {
    for (int i = 0; i < 50 && a_cpu < 64; ++i) {
        auto inside = on_cpu(std::uint64_t{1} << a_cpu);
        inside.join();
        CHECK(*inside == a_cpu);
    }
    if (absent) {
        on_cpu(absent).join();
        on_cpu(absent & (~absent + 1)).join();
    }
    on_cpu(~std::uint64_t{0}).join();
}

// What was awaited on another CPU brings its awaiter back to its own.
coop::task_t<> anywhere() { co_await coop::suspend(); }
coop::task_t<bool, true> comes_back() {
    bool right = true;
    COOP_SUSPEND4(std::uint64_t{1} << a_cpu);
    for (int i = 0; i < 200; ++i) {
        co_await anywhere();
        right = right && sched_getcpu() == a_cpu;
    }
    co_return right;
}

void awaiters_keep_their_cpus() {
    if (a_cpu >= 64) return;
    auto task = comes_back();
    task.join();
    CHECK(*task);
}

// Holds its worker until it is one of four.
coop::task_t<> waits_for_three(std::atomic<int> &inside, std::atomic<bool> &met) {
    COOP_SUSPEND();
    if (++inside == 4) met = true;
    const auto until = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!met) {
        CHECK(std::chrono::steady_clock::now() < until);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    --inside;
}
coop::task_t<void, true> eight_that_wait() {
    std::atomic<int> inside{0};
    std::atomic<bool> met{false};
    coop::task_t<> tasks[8];
    for (auto &task : tasks) task = waits_for_three(inside, met);
    for (auto &task : tasks) co_await task;
}

void calls_overlap() {
    auto task = eight_that_wait();
    task.join();
}

coop::task_t<> queued(coop::scheduler_t &where, std::uint32_t priority, std::string &order, char name, gate &done) {
    co_await coop::suspend(where, 0, priority);
    order += name;
    done.open();
}
coop::task_t<> holds(coop::scheduler_t &where, gate &begun, gate &go) {
    co_await coop::suspend(where);
    begun.open();
    go.wait();
}

void priorities() {
    coop_pool_options options{};
    options.workers = 1;
    gate begun, go, done(4);
    std::string order;
    coop::scheduler_t single(options);
    holds(single, begun, go);
    begun.wait();
    queued(single, 0, order, 'a', done);
    queued(single, 0, order, 'b', done);
    queued(single, 1, order, 'C', done);
    queued(single, 7, order, 'D', done);
    go.open();
    done.wait();
    CHECK(order == "CDab");
}

// A normal coroutine whose wait is over goes behind a high one that is queued, although it could go on at once.
coop::task_t<> ends_after(coop::scheduler_t &where, coop::scheduler_t &self, std::string &order, gate &done) {
    co_await coop::suspend(where);
    queued(self, 1, order, 'H', done);
}
coop::task_t<> waits_for_it(coop::scheduler_t &self, std::string &order, gate &done) {
    co_await coop::suspend(self);
    co_await ends_after(self, self, order, done);
    order += 'n';
    done.open();
}

void high_goes_first() {
    coop_pool_options options{};
    options.workers = 1;
    gate done(2);
    std::string order;
    coop::scheduler_t single(options);
    waits_for_it(single, order, done);
    done.wait();
    CHECK(order == "Hn");
}

// A scheduler of the user's own: one queue, run by whoever calls run().
class by_hand {
public:
    static by_hand &instance() {
        static by_hand one;
        return one;
    }
    void schedule(std::coroutine_handle<> coroutine, std::uint64_t cpu_affinity = 0, std::uint32_t priority = 0,
                  coop::source_location_t location = {}) {
        if (location.file) line = location.line;
        mask = cpu_affinity;
        level = priority;
        queue.push_back(coroutine);
    }
    void run() {
        while (!queue.empty()) {
            auto next = queue.front();
            queue.pop_front();
            next.resume();
        }
    }
    std::deque<std::coroutine_handle<>> queue;
    std::size_t line = 0;
    std::uint64_t mask = 0;
    std::uint32_t level = 0;
};
static_assert(coop::Scheduler<by_hand> && coop::Scheduler<coop::scheduler_t> && !coop::Scheduler<int>);

coop::task_t<int> step(int value) {
    COOP_SUSPEND3(by_hand::instance(), 6, 1);
    co_return value;
}
coop::task_t<int, true> steps() {
    co_await coop::suspend<by_hand>();
    int sum = 0;
    for (int i = 0; i < 100; ++i) sum += co_await step(i);
    co_return sum;
}

void custom_scheduler() {
    auto task = steps();
    CHECK(!task);
    by_hand::instance().run();
    CHECK(task && *task == 4950);
    CHECK(by_hand::instance().line != 0 && by_hand::instance().mask == 6 && by_hand::instance().level == 1);
    task.join();
}

// A scheduler that refuses by throwing: the coroutine goes on where it was, with the exception.
struct refuses {
    void schedule(std::coroutine_handle<>, std::uint64_t, std::uint32_t, coop::source_location_t) { throw 5; }
};
coop::task_t<int, true> refused() {
    refuses scheduler;
    try {
        COOP_SUSPEND1(scheduler);
    } catch (int thrown) {
        co_return thrown;
    }
    co_return 0;
}

void refusal() {
    auto task = refused();
    task.join();
    CHECK(*task == 5);
}

// Coroutines that are none of this library's may be scheduled too.
struct plain {
    struct promise_type {
        plain get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::abort(); }
    };
};
plain foreign(gate &done) {
    CHECK(!coop_pool_is_worker_thread(everyone().pool()));
    COOP_SUSPEND();
    CHECK(coop_pool_is_worker_thread(everyone().pool()));
    co_await anywhere();
    done.open();
}

void foreign_coroutines() {
    gate done;
    foreign(done);
    done.wait();
}

}  // namespace

int main() {
    look_at_workers();
    macros();
    masks();
    awaiters_keep_their_cpus();
    calls_overlap();
    priorities();
    high_goes_first();
    custom_scheduler();
    refusal();
    foreign_coroutines();
}
