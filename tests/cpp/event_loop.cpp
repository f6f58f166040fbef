/* coop::event_loop: posts, timers, watches, modes, its end. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <memory>
#include <pthread.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

static coop::event_loop new_loop() { return MUST(coop::event_loop::create()); }

static void posts_in_their_order() {
    coop::event_loop loop = new_loop();
    std::vector<int> order;
    for (int i = 0; i < 100; i++) MUST(loop.post([&order, i] { order.push_back(i); }));
    MUST(loop.post([&] {
        CHECK(loop.is_loop_thread());
        REFUSED(coop::errc::would_deadlock, loop.run());
        REFUSED(coop::errc::would_deadlock, loop.join());
        MUST(loop.stop());
    }));
    CHECK(!loop.is_loop_thread());
    MUST(loop.run());
    CHECK(order.size() == 100);
    for (int i = 0; i < 100; i++) CHECK(order[static_cast<std::size_t>(i)] == i);
    REFUSED(coop::errc::closed, loop.post([] {}));
}

static void posts_that_are_waited_for() {
    coop::event_loop loop = new_loop();
    counts c;
    REFUSED(coop::errc::timeout, loop.post_and_wait(1ms, counted(c)));
    CHECK(c.runs == 0 && c.drops == 1);
    MUST(loop.start());
    CHECK(MUST(loop.post_and_wait([&] { return loop.is_loop_thread(); })));
    CHECK(MUST(loop.post_and_wait(LONG, [] { return std::string("by value"); })) == "by value");
    counted callable(c);
    MUST(loop.post_and_wait(callable)); /* where it is: the call outlives it not */
    MUST(loop.post_and_wait(LONG, std::move(callable)));
    CHECK(c.runs == 2 && c.drops == 1);
    CHECK(MUST(loop.post_and_wait([&] {
        REFUSED(coop::errc::would_deadlock, loop.post_and_wait([] { _exit(2); }));
        return std::make_unique<int>(7);
    })) != nullptr);
    void (*const nothing)() = nullptr;
    REFUSED(coop::errc::null, loop.post_and_wait(nothing));
    MUST(loop.stop());
    REFUSED(coop::errc::closed, loop.post_and_wait([] { _exit(2); }));
}

static void timers() {
    coop::event_loop loop = new_loop();
    std::uint64_t times = 0;
    int once = 0;
    const auto begin = std::chrono::steady_clock::now();
    MUST(loop.timer({.after = 20ms}, [&] {
        once++;
        CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
    }));
    coop::timer repeating;
    repeating = MUST(loop.timer({.after = 1ms, .every = 1ms}, [&](std::uint64_t expirations) {
        CHECK(expirations >= 1);
        times += expirations;
        if (times >= 5) MUST(repeating.cancel()); /* inside its own run */
    }));
    const coop::timer never = MUST(loop.timer({.after = 1h}, [] { _exit(2); }));
    CHECK(never.id() != 0 && never.id() != repeating.id());
    MUST(never.cancel());
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(once == 1 && times >= 5);
    REFUSED(coop::errc::stale, repeating.cancel());
    REFUSED(coop::errc::stale, coop::timer(loop.get(), 0).cancel());
    REFUSED(coop::errc::invalid, loop.timer({.on = static_cast<coop::on>(9)}, [] {}));
    REFUSED(coop::errc::invalid, loop.timer({.priority = coop::priority::high}, [] {}));
    REFUSED(coop::errc::invalid, loop.timer({.on = coop::on::pool}, [] {})); /* it has none */
}

static void watches() {
    coop::event_loop loop = new_loop();
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    std::string got;
    coop::io_watch watch;
    watch = MUST(loop.watch(ends[0], {.interest = coop::io::read}, [&](coop::io ready) {
        char byte;
        if (coop::has(ready, coop::io::read) && read(ends[0], &byte, 1) == 1) {
            got += byte;
        } else {
            CHECK(coop::has(ready, coop::io::read | coop::io::hang_up) && !coop::has(ready, coop::io::write));
            MUST(watch.cancel());
        }
    }));
    REFUSED(coop::errc::exists, loop.watch(ends[0], [] {}));
    bool wrote = false;
    coop::io_watch writable;
    writable = MUST(loop.watch(ends[1], {.interest = coop::io::write, .edge = true}, [&] {
        if (!std::exchange(wrote, true)) {
            CHECK(write(ends[1], "abc", 3) == 3);
            MUST(writable.cancel());
            close(ends[1]);
        }
    }));
    int pipe_ends[2];
    CHECK(pipe(pipe_ends) == 0);
    const coop::scoped unwaited = MUST(loop.watch(pipe_ends[0], {.unref = true}, [] { _exit(2); }));
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(got == "abc" && wrote);
    REFUSED(coop::errc::stale, watch.cancel());
    REFUSED(coop::errc::invalid, loop.watch(-1, [] {}));
    REFUSED(coop::errc::invalid, loop.watch(ends[0], {.interest = static_cast<coop::io>(64)}, [] {}));
    close(ends[0]);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static_assert((coop::io::read | coop::io::write) == static_cast<coop::io>(3));
static_assert(coop::has(coop::io::read | coop::io::error, coop::io::error) && !coop::has(coop::io::read, coop::io::write));
static_assert(!coop::has(coop::io::none, coop::io::read));

static void modes() {
    coop::event_loop loop = new_loop();
    MUST(loop.run(coop::run_mode::nowait));
    int runs = 0;
    MUST(loop.post([&] { runs++; }));
    MUST(loop.run(coop::run_mode::once));
    CHECK(runs == 1);
    MUST(loop.post([&] {
        runs++;
        MUST(loop.interrupt());
    }));
    MUST(loop.run());
    CHECK(runs == 2);
    REFUSED(coop::errc::invalid, loop.run(static_cast<coop::run_mode>(9)));
    MUST(loop.stop());
    MUST(loop.stop());
    REFUSED(coop::errc::closed, loop.run());
}

static void a_thread_of_its_own() {
    coop::event_loop loop = MUST(coop::event_loop::create({.name = "cpp-loop"}));
    std::string name;
    MUST(loop.start());
    REFUSED(coop::errc::exists, loop.start());
    REFUSED(coop::errc::exists, loop.run());
    REFUSED(coop::errc::timeout, loop.join(0s));
    MUST(loop.post([&] {
        char buffer[16];
        CHECK(pthread_getname_np(pthread_self(), buffer, sizeof buffer) == 0);
        name = buffer;
        MUST(loop.stop());
    }));
    MUST(loop.join(LONG));
    CHECK(name == "cpp-loop");
}

/* A way to the loop is copied into other threads; what they post runs on the loop's. */
static void from_other_threads() {
    coop::event_loop loop = new_loop();
    int sum = 0;
    std::vector<std::thread> threads;
    for (int i = 1; i <= 4; i++) {
        threads.emplace_back([way = coop::event_loop_ref(loop), i, &sum] {
            for (int n = 0; n < 100; n++) MUST(way.post([&sum, i] { sum += i; }));
        });
    }
    for (std::thread &thread : threads) thread.join();
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(sum == 1000);
}

static void freed_inside_a_callback() {
    counts c;
    auto *loop = new coop::event_loop(new_loop());
    MUST(loop->post([&, probe = counted(c)] {
        MUST(loop->post(counted(c)));
        delete loop; /* returns at once; the rest happens when this has returned */
    }));
    MUST(coop::event_loop_ref(*loop).run());
    CHECK(c.drops == 2 && c.runs == 0);
}

/* Hooks are told of what takes too long, and the statistics know it. */
static void slow_and_late() {
    coop::event_loop loop = new_loop();
    int slow = 0, late = 0;
    REFUSED(coop::errc::invalid, loop.set_slow_hook(0ns, [] {}));
    MUST(loop.set_slow_hook(1s, [&](coop::callback_kind what, std::chrono::nanoseconds took) {
        CHECK(what == coop::callback_kind::post && took >= 1s);
        slow++;
    }));
    MUST(loop.set_lag_hook(1s, [&](std::chrono::nanoseconds lag) {
        CHECK(lag >= 1s);
        late++;
    }));
    MUST(loop.post([] { std::this_thread::sleep_for(1s); }));
    MUST(loop.post([] {}));
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(slow == 1 && late == 1);
    const coop::event_loop_statistics stats = MUST(loop.stats());
    CHECK(stats.posts == 2 && stats.longest_callback_ns >= 1'000'000'000 && stats.longest_lag_ns >= 1'000'000'000);
    MUST(loop.set_slow_log(1s));
    MUST(loop.set_slow_log(-1ns));
    MUST(loop.set_lag_log(-1ns));
}

static void local_timers_and_references() {
    coop::event_loop loop = new_loop();
    int fired = 0;
    REFUSED(coop::errc::invalid, loop.timer_local({}, [] {}));
    MUST(loop.post([&] {
        MUST(loop.timer_local({.after = 1ms}, [&] { fired++; }));
        const coop::timer far = MUST(loop.timer_local({.after = 1h}, [] {}));
        MUST(far.cancel_local());
        REFUSED(coop::errc::stale, far.cancel_local());
        MUST(loop.timer_local({.after = 1h, .unref = true}, [] {}));
    }));
    const coop::timer other = MUST(loop.timer({.after = 1h}, [] {}));
    MUST(other.unref());
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(fired == 1);
    MUST(other.ref());
    MUST(other.cancel());
    REFUSED(coop::errc::stale, other.unref());
    int fds[2];
    CHECK(pipe(fds) == 0);
    const coop::io_watch watch = MUST(loop.watch(fds[0], [] {}));
    MUST(watch.unref());
    MUST(loop.run(coop::run_mode::until_idle));
    MUST(watch.ref());
    MUST(watch.cancel());
    close(fds[0]);
    close(fds[1]);
}

int main() {
    slow_and_late();
    local_timers_and_references();
    posts_in_their_order();
    posts_that_are_waited_for();
    timers();
    watches();
    modes();
    a_thread_of_its_own();
    from_other_threads();
    freed_inside_a_callback();
}
