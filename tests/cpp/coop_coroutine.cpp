// coop::task and what it may wait for, over bare C objects.
#include <coop/coroutine.hpp>

#include <memory>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include "coop_check.hpp"

using namespace std::chrono_literals;

namespace {

coop_pool *pool = nullptr;
coop_event_loop *loop = nullptr;

// How C++ objects that own a pool or a loop are given.
struct pool_owner {
    coop_pool *get() const { return pool; }
};
struct loop_owner {
    coop_event_loop *get() const { return loop; }
};

coop::task<int> fib(int n) {
    if (n < 2) co_return n;
    auto left = fib(n - 1);
    CHECK(left.spawn(pool) == COOP_OK);
    const int right = co_await fib(n - 2);
    co_return right + co_await left;
}

void recursion() { CHECK(coop::sync_wait(fib(16)) == 987); }

// More than a worker keeps to itself, awaited in the order in which they were spawned; others are dropped.
coop::task<int> counted(live, std::atomic<int> &ran) {
    ++ran;
    co_return 1;
}
coop::task<int> many(std::atomic<int> &ran) {
    co_await coop::suspend_on(pool);
    std::vector<coop::task<int>> tasks;
    for (int i = 0; i < 3000; ++i) {
        tasks.push_back(counted({}, ran));
        CHECK(tasks.back().spawn(pool) == COOP_OK);
        auto dropped = counted({}, ran);
        CHECK(dropped.spawn(pool) == COOP_OK);
    }
    int sum = 0;
    for (auto &task : tasks) sum += co_await task;
    co_return sum;
}

void many_are_spawned() {
    std::atomic<int> ran{0};
    CHECK(coop::sync_wait(many(ran)) == 3000);
    live::wait_for(0);
    CHECK(ran == 6000);
}

// A pool that ends runs what its workers have spawned if it drains, and destroys it if it discards.
coop::task<> leaves_some(coop_pool *few, gate &begun, gate &go, std::atomic<int> &ran) {
    for (int i = 0; i < 100; ++i) {
        auto task = counted({}, ran);
        CHECK(task.spawn(few) == COOP_OK);
    }
    begun.open();
    go.wait();
    auto late = counted({}, ran);
    const coop_status status = late.spawn(few);
    CHECK(status == COOP_OK || status == COOP_E_CLOSED);
    co_return;
}

void pools_end_with_spawned_tasks(std::int32_t mode) {
    coop_pool_options options{};
    options.size = sizeof options;
    options.workers = 1;
    coop_pool *few = nullptr;
    CHECK(coop_pool_new(&options, &few) == COOP_OK);
    std::atomic<int> ran{0};
    gate begun, go;
    {
        auto task = leaves_some(few, begun, go, ran);
        CHECK(task.spawn(few) == COOP_OK);
        begun.wait();
    }
    CHECK(live::count == 100);
    CHECK(coop_pool_close(few) == COOP_OK);
    if (mode == COOP_SHUTDOWN_DISCARD) CHECK(coop_pool_shutdown(few, mode, 0) == COOP_E_TIMEOUT);
    go.open();
    CHECK(coop_pool_shutdown(few, mode, COOP_FOREVER) == COOP_OK);
    coop_pool_free(few);
    CHECK(live::count == 0);
    CHECK(ran == (mode == COOP_SHUTDOWN_DRAIN ? 101 : 0));
}

coop::task<> never_started() {
    CHECK(false);
    co_return;
}
coop::task<> takes(live) { co_return; }

void lazy() {
    {
        auto task = never_started();
        auto with_argument = takes(live{});
        CHECK(task && !task.is_done() && live::count == 1);
        coop::task<> empty;
        CHECK(!empty && empty.is_done() && empty.spawn(pool) == COOP_E_NULL);
    }
    CHECK(live::count == 0);
}

coop::task<std::unique_ptr<std::string>> text(const char *what) {
    co_await coop::suspend_on(pool_owner{});
    co_return std::make_unique<std::string>(what);
}
coop::task<int &> reference(int &to) { co_return to; }
coop::task<bool> results() {
    int there = 0;
    int &same = co_await reference(there);
    co_return &same == &there && *co_await text("a text") == "a text";
}

coop::task<> hops() {
    CHECK(!coop_pool_is_worker_thread(pool));
    CHECK(co_await coop::suspend_on(pool) == COOP_OK);
    CHECK(coop_pool_is_worker_thread(pool));
    CHECK(co_await coop::on_loop(loop) == COOP_OK);
    CHECK(coop_event_loop_is_loop_thread(loop));
    CHECK(co_await coop::on_loop(loop_owner{}) == COOP_OK);
    CHECK(coop_event_loop_is_loop_thread(loop));

    coop_submit_options options{};
    options.priority = COOP_PRIORITY_HIGH;
    CHECK(co_await coop::suspend_on(pool, options) == COOP_OK);
    CHECK(coop_pool_is_worker_thread(pool));
    options.priority = 7;
    CHECK(co_await coop::suspend_on(pool, options) == COOP_E_INVALID);
    options.priority = 0;
    const std::uint64_t beyond[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, std::uint64_t{1} << 63};
    options.cpus = {beyond, 16};
    CHECK(co_await coop::suspend_on(pool, options) == COOP_E_AFFINITY);
    CHECK(coop_pool_is_worker_thread(pool));
}

// What is waited for elsewhere brings a coroutine back to where it belongs.
coop::task<> on_the_loop() { co_await coop::on_loop(loop); }
coop::task<> on_the_pool() { co_await coop::suspend_on(pool); }
coop::task<> comes_back() {
    co_await coop::suspend_on(pool);
    for (int i = 0; i < 100; ++i) {
        co_await on_the_loop();
        CHECK(coop_pool_is_worker_thread(pool));
    }
    co_await coop::sleep_for(loop, 1ms);
    CHECK(coop_pool_is_worker_thread(pool));
    co_await coop::on_loop(loop);
    for (int i = 0; i < 100; ++i) {
        co_await on_the_pool();
        CHECK(coop_event_loop_is_loop_thread(loop));
    }
}

coop::task<> timers() {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(co_await coop::sleep_for(loop, 5ms) == COOP_OK);
    CHECK(std::chrono::steady_clock::now() - begin >= 5ms);
    CHECK(coop_event_loop_is_loop_thread(loop));
    CHECK(co_await coop::sleep_for(loop, std::chrono::nanoseconds(-1)) == COOP_OK); // over already
}

// A reader and a writer of one socket wait at the same time.
coop::task<std::size_t> reads(int fd, std::size_t wanted) {
    co_await coop::suspend_on(pool);
    std::size_t total = 0;
    char bytes[4096];
    while (total < wanted) {
        const ssize_t got = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (got > 0) {
            total += static_cast<std::size_t>(got);
            continue;
        }
        const auto told = co_await coop::readiness(loop, fd);
        CHECK(told.status == COOP_OK && (told.ready & COOP_IO_READ));
        CHECK(coop_pool_is_worker_thread(pool));
    }
    co_return total;
}
coop::task<> writes(int fd, std::size_t count) {
    co_await coop::suspend_on(pool);
    const std::vector<char> bytes(4096);
    while (count) {
        const ssize_t sent = send(fd, bytes.data(), std::min(bytes.size(), count), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            count -= static_cast<std::size_t>(sent);
            continue;
        }
        const auto told = co_await coop::readiness(loop, fd, COOP_IO_WRITE);
        CHECK(told.status == COOP_OK && (told.ready & COOP_IO_WRITE));
    }
}
coop::task<> talk(int near, int far) {
    constexpr std::size_t much = 1 << 20;
    auto out = writes(near, much), back = writes(far, much);
    auto here = reads(near, much);
    CHECK(out.spawn(pool) == COOP_OK && back.spawn(pool) == COOP_OK && here.spawn(pool) == COOP_OK);
    CHECK(co_await reads(far, much) == much && co_await here == much);
    co_await out;
    co_await back;
}

void sockets() {
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    coop::sync_wait(talk(ends[0], ends[1]));
    close(ends[0]);
    close(ends[1]);
}

coop::task<> bad_descriptor() {
    CHECK((co_await coop::readiness(loop, -1)).status == COOP_E_OS);
    const auto file = std::unique_ptr<std::FILE, int (*)(std::FILE *)>(std::tmpfile(), std::fclose);
    CHECK((co_await coop::readiness(loop, fileno(file.get()))).status == COOP_E_OS);
}

coop::task<int> throws() {
    co_await coop::suspend_on(pool);
    throw std::runtime_error("thrown");
}
coop::task<std::string> catches() {
    auto spawned = throws();
    CHECK(spawned.spawn(pool) == COOP_OK && spawned.spawn(pool) == COOP_E_EXISTS);
    try {
        co_await spawned;
    } catch (std::runtime_error const &error) {
        co_return error.what();
    }
    co_return "";
}

void exceptions() {
    CHECK(coop::sync_wait(catches()) == "thrown");
    bool caught = false;
    try {
        coop::sync_wait(throws());
    } catch (std::runtime_error const &) {
        caught = true;
    }
    CHECK(caught);
}

coop::task<> runs_alone(gate &begun, gate &go) {
    live here;
    begun.open();
    go.wait();
    co_await coop::sleep_for(loop, 1ms);
}

void dropped_while_it_runs() {
    gate begun, go;
    {
        auto task = runs_alone(begun, go);
        CHECK(task.spawn(pool) == COOP_OK);
        begun.wait();
    }
    go.open();
    live::wait_for(0);
}

coop::task<int> nothing_to_wait_for() { co_return 1; }
coop::task<int> row(int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) sum += co_await nothing_to_wait_for();
    co_return sum;
}
coop::task<int> nest(int depth) {
    if (depth == 0) co_return 0;
    co_return 1 + co_await nest(depth - 1);
}

void chains_take_no_stack() {
    CHECK(coop::sync_wait(row(200000)) == 200000);
    CHECK(coop::sync_wait(nest(100000)) == 100000);
}

// Loops and pools that are freed destroy who waits in them, and who waits for those.
coop::task<> sleeps(coop_event_loop *where) {
    live here;
    co_await coop::sleep_for(where, 1h);
    CHECK(false);
}
coop::task<> listens(coop_event_loop *where, int fd) {
    live here;
    co_await coop::readiness(where, fd);
    CHECK(false);
}
coop::task<> awaits(coop::task<> other) {
    live here;
    co_await other;
    CHECK(false);
}
coop::task<> hops_to(coop_event_loop *where) {
    live here;
    co_await coop::on_loop(where);
    CHECK(false);
}

void freed_with_coroutines_inside() {
    coop_event_loop *brief = nullptr;
    coop_pool *few = nullptr;
    coop_pool_options options{};
    options.size = sizeof options;
    options.workers = 1;
    CHECK(coop_event_loop_new(nullptr, &brief) == COOP_OK && coop_pool_new(&options, &few) == COOP_OK);
    int ends[2];
    CHECK(pipe(ends) == 0);
    {
        std::vector<coop::task<>> all;
        for (int i = 0; i < 10; ++i) {
            all.push_back(awaits(sleeps(brief)));
            all.push_back(awaits(listens(brief, ends[0])));
            all.push_back(awaits(awaits(hops_to(brief))));
        }
        for (auto &task : all) CHECK(task.spawn(few) == COOP_OK);
        live::wait_for(10 * (2 + 2 + 3));
    }
    CHECK(coop_pool_shutdown(few, COOP_SHUTDOWN_DRAIN, COOP_FOREVER) == COOP_OK);
    CHECK(live::count == 70);
    coop_event_loop_free(brief);
    CHECK(live::count == 0);
    coop_pool_free(few);
    close(ends[0]);
    close(ends[1]);
}

}  // namespace

int main() {
    CHECK(coop_pool_new(nullptr, &pool) == COOP_OK);
    CHECK(coop_event_loop_new(nullptr, &loop) == COOP_OK && coop_event_loop_start(loop) == COOP_OK);
    recursion();
    many_are_spawned();
    pools_end_with_spawned_tasks(COOP_SHUTDOWN_DRAIN);
    pools_end_with_spawned_tasks(COOP_SHUTDOWN_DISCARD);
    lazy();
    CHECK(coop::sync_wait(results()));
    coop::sync_wait(hops());
    coop::sync_wait(comes_back());
    coop::sync_wait(timers());
    sockets();
    coop::sync_wait(bad_descriptor());
    exceptions();
    dropped_while_it_runs();
    chains_take_no_stack();
    freed_with_coroutines_inside();
    coop_event_loop_free(loop);
    coop_pool_free(pool);
}
