// task_t: values, exceptions, and every order in which a task object and its coroutine may go.
#include <coop/task.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "coop_check.hpp"

namespace {

coop::task_t<int> fib(int n) {
    COOP_SUSPEND();
    if (n < 2) co_return n;
    auto left = fib(n - 1);
    auto right = fib(n - 2);
    const int sum = co_await left;
    co_return sum + co_await right;
}
coop::task_t<int, true> fib_root(int n) { co_return co_await fib(n); }

void recursion() {
    auto root = fib_root(18);
    root.join();
    CHECK(*root == 2584);
}

coop::task_t<void, true> hop(int &out) {
    live here;
    COOP_SUSPEND();
    out = 7;
}

void temporaries_are_joined() {
    for (int i = 0; i < 500; ++i) {
        int out = 0;
        hop(out).join();
        CHECK(out == 7);
    }
    live::wait_for(0);
}

coop::task_t<> child(gate &start, std::atomic<int> &ended) {
    live here;
    COOP_SUSPEND();
    start.wait();
    ++ended;
}
coop::task_t<void, true> parent(gate &start, std::atomic<int> &ended) {
    live here;
    auto dropped = child(start, ended);
    auto replaced = child(start, ended);
    replaced = child(start, ended);
    COOP_SUSPEND();
}

void running_children_are_dropped() {
    gate start;
    std::atomic<int> ended{0};
    parent(start, ended).join();
    start.open();
    live::wait_for(0);
    CHECK(ended == 3);
}

coop::task_t<> count_down(gate &done) {
    live here;
    COOP_SUSPEND();
    done.open();
}

void fire_and_forget() {
    gate done(1000);
    for (int i = 0; i < 1000; ++i) count_down(done);
    done.wait();
    live::wait_for(0);
}

coop::task_t<int> one() {
    COOP_SUSPEND();
    co_return 1;
}
coop::task_t<int, true> gather(int count) {
    std::vector<coop::task_t<int>> tasks;
    for (int i = 0; i < count; ++i) tasks.push_back(one());
    int sum = 0;
    for (auto &task : tasks) sum += co_await task;
    co_return sum;
}

void many_in_flight() {
    auto all = gather(100000);
    all.join();
    CHECK(*all == 100000);
}

coop::task_t<int, true> from_an_array() {
    coop::task_t<int> tasks[8];
    for (auto &task : tasks) task = one();
    int sum = 0;
    for (int i = 0; i < 8; ++i) sum += co_await tasks[i];
    co_return sum;
}

void array_elements_are_awaited() {
    auto task = from_an_array();
    task.join();
    CHECK(*task == 8);
}

template <bool Hop>
coop::task_t<std::string> throws() {
    if (Hop) COOP_SUSPEND();
    throw std::runtime_error("thrown");
    co_return "never";
}
template <bool Hop>
coop::task_t<std::string, true> catches() {
    auto task = throws<Hop>();
    try {
        co_await task;
    } catch (std::runtime_error const &error) {
        const std::string what = error.what();  // g++ 11 breaks on it inside the co_return
        co_return what;
    }
    co_return "not thrown";
}
template <bool Hop>
coop::task_t<void, true> passes_on() {
    co_await throws<Hop>();
}

template <bool Hop>
void exceptions_are_rethrown() {
    auto task = catches<Hop>();
    task.join();
    CHECK(*task == "thrown");
    bool caught = false;
    try {
        passes_on<Hop>().join();
    } catch (std::runtime_error const &error) {
        caught = std::string(error.what()) == "thrown";
    }
    CHECK(caught);
    throws<Hop>();  // Nobody asks.
}

struct no_default {
    explicit no_default(int value) : value(value) {}
    int value;
};
coop::task_t<std::unique_ptr<int>> move_only() {
    COOP_SUSPEND();
    co_return std::make_unique<int>(5);
}
coop::task_t<int &> reference(int &to) {
    COOP_SUSPEND();
    co_return to;
}
coop::task_t<no_default> without_default() {
    COOP_SUSPEND();
    co_return no_default(3);
}
coop::task_t<std::pair<int, int>> braces() { co_return {1, 2}; }
struct alignas(128) wide {
    int value = 0;
};
// Compilers do not align frames beyond what operator new does, so this one is looked at where the task has it.
coop::task_t<wide, true> aligned() {
    COOP_SUSPEND();
    co_return wide{4};
}
coop::task_t<bool, true> all_kinds() {
    int there = 1;
    int &same = co_await reference(there);
    bool right = &same == &there;
    right = right && *co_await move_only() == 5;
    right = right && (co_await without_default()).value == 3;
    right = right && (co_await braces()).second == 2;
    co_return right;
}

void results_of_every_kind() {
    auto task = all_kinds();
    task.join();
    CHECK(*task);
    auto other = aligned();
    other.join();
    CHECK((*other).value == 4 && reinterpret_cast<std::uintptr_t>(&*other) % alignof(wide) == 0);
}

coop::task_t<int> at_once() { co_return 9; }

void eager_and_empty() {
    auto task = at_once();
    CHECK(task.await_ready() && task && *task == 9);
    auto const moved = std::move(task);
    CHECK(task && moved && *moved == 9);
    coop::task_t<void, true> empty;
    CHECK(empty);
    empty.join();
    int out = 0;
    auto twice = hop(out);
    twice.join();
    twice.join();
    CHECK(twice && out == 7);
}

// A million awaits in a row and a hundred thousand inside one another take no stack.
coop::task_t<int> waits(int depth) {
    if (depth == 0) {
        COOP_SUSPEND();
        co_return 0;
    }
    co_return 1 + co_await waits(depth - 1);
}
coop::task_t<int, true> long_chains() {
    int sum = 0;
    for (int i = 0; i < 100000; ++i) sum += co_await at_once();
    co_return sum + co_await waits(1000);
}

void chains_take_no_stack() {
    auto task = long_chains();
    task.join();
    CHECK(*task == 900000 + 1000);
}

}  // namespace

int main() {
    recursion();
    temporaries_are_joined();
    running_children_are_dropped();
    fire_and_forget();
    many_in_flight();
    array_elements_are_awaited();
    exceptions_are_rethrown<true>();
    exceptions_are_rethrown<false>();
    results_of_every_kind();
    eager_and_empty();
    chains_take_no_stack();
}
