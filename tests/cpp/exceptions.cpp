/* What a callback throws ends in the exception hook, once, and the worker or the loop goes on. */
#include "expect.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

static std::mutex lock;
static std::vector<std::string> told;

static void tell(std::exception_ptr thrown) noexcept {
    const std::lock_guard<std::mutex> guard(lock);
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception &exception) {
        told.push_back(exception.what());
    } catch (int number) {
        told.push_back(std::to_string(number));
    }
}

static std::vector<std::string> take() {
    const std::lock_guard<std::mutex> guard(lock);
    return std::exchange(told, {});
}

using words = std::vector<std::string>;

static void from_a_pool() {
    counts c;
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    MUST(pool.submit([probe = counted(c)] { throw std::runtime_error("from a task"); }));
    MUST(pool.submit([] { throw 42; })); /* small: it travels in arg */
    MUST(pool.submit([probe = counted(c)] { probe(); }));
    MUST(pool.shutdown());
    CHECK(take() == words({"from a task", "42"}));
    CHECK(c.runs == 1 && c.drops == 2);
}

static void from_a_loop() {
    counts c;
    coop::event_loop loop = MUST(coop::event_loop::create());
    int times = 0;
    MUST(loop.post([] { throw std::runtime_error("from a post"); }));
    MUST(loop.run(coop::run_mode::nowait));
    MUST(loop.timer({.every = 1ms}, [&, probe = counted(c)] {
        if (++times == 3) MUST(loop.stop());
        throw std::runtime_error("from a timer");
    }));
    MUST(loop.run());
    /* A turn's timers are before its posts. */
    words all = take();
    std::sort(all.begin(), all.end());
    CHECK(all == words({"from a post", "from a timer", "from a timer", "from a timer"}));

    coop::event_loop other = MUST(coop::event_loop::create());
    int ends[2];
    CHECK(pipe(ends) == 0 && write(ends[1], "x", 1) == 1);
    MUST(other.watch(ends[0], [&](coop::io ready) {
        CHECK(coop::has(ready, coop::io::read));
        MUST(other.stop());
        throw std::runtime_error("from a watch");
    }));
    MUST(other.run());
    CHECK(take() == words({"from a watch"}));
    close(ends[0]);
    close(ends[1]);
}

/* Of each of the other kinds: the loop goes on, and so do the sources that call again. */
static void from_each_source() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    int done = 0;
    const auto until = [&](int wanted) {
        while (done < wanted) MUST(loop.run(coop::run_mode::once));
    };
    coop::timer local;
    MUST(loop.post([&] {
        local = MUST(loop.timer_local({.every = 1ms}, [&] {
            if (++done == 2) MUST(local.cancel());
            throw std::runtime_error("from a local timer");
        }));
    }));
    until(2);
    CHECK(take() == words({"from a local timer", "from a local timer"}));

    const coop::scoped signal = MUST(loop.signal(SIGUSR1, [&] {
        done++;
        throw std::runtime_error("from a signal");
    }));
    coop::async wake = MUST(coop::async::create(loop, [&] {
        done++;
        throw std::runtime_error("from an async");
    }));
    const coop::event event = MUST(coop::event::create());
    const coop::scoped watch = MUST(event.watch(loop, [&] {
        done++;
        throw std::runtime_error("from an event");
    }));
    for (const int wanted : {3, 4}) {
        CHECK(raise(SIGUSR1) == 0);
        until(wanted);
    }
    CHECK(take() == words({"from a signal", "from a signal"}));
    for (const int wanted : {5, 6}) {
        CHECK(wake.send());
        until(wanted);
    }
    CHECK(take() == words({"from an async", "from an async"}));
    for (const int wanted : {7, 8}) {
        MUST(event.signal());
        until(wanted);
    }
    CHECK(take() == words({"from an event", "from an event"}));

    const pid_t pid = fork();
    if (pid == 0) _exit(0);
    MUST(loop.child(pid, [&](coop::result<coop::exit_status>) {
        done++;
        throw std::runtime_error("from a child's end");
    }));
    until(9);
    CHECK(take() == words({"from a child's end"}));

    MUST(loop.resolve("127.0.0.1", 1, [&](coop::result<std::vector<coop::address>>) {
        done++;
        throw std::runtime_error("from a look-up");
    }));
    until(10);
    CHECK(take() == words({"from a look-up"}));
    MUST(loop.post([] {}));
    MUST(loop.run(coop::run_mode::once));

    MUST(loop.start());
    REFUSED(coop::errc::panic, loop.post_and_wait([] { throw std::runtime_error("from a post that is waited for"); }));
    REFUSED(coop::errc::panic, loop.post_and_wait([]() -> int { throw 42; }));
    CHECK(take() == words({"from a post that is waited for", "42"}));
    CHECK(MUST(loop.post_and_wait([] { return 7; })) == 7);
}

/* A stream's calls: each ends once, and the next one is as if nothing had been thrown. */
static void from_streams() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    int done = 0;
    const auto until = [&](int wanted) {
        while (done < wanted) MUST(loop.run(coop::run_mode::once));
    };
    std::vector<coop::stream> accepted;
    const coop::listener listener =
        MUST(coop::listener::create(loop, {.address = "127.0.0.1:0"}, [&](coop::result<coop::stream> came) {
            accepted.push_back(MUST(std::move(came)));
            done++;
            throw std::runtime_error("from a listener");
        }));
    const std::string where = MUST(MUST(listener.address()).text());
    const auto port = static_cast<std::uint16_t>(std::stoi(where.substr(where.rfind(':') + 1)));
    std::vector<coop::stream> made;
    for (const int wanted : {2, 4}) {
        MUST(loop.connect("127.0.0.1", port, {}, [&](coop::result<coop::stream> connected) {
            made.push_back(MUST(std::move(connected)));
            done++;
            throw std::runtime_error("from a connect");
        }));
        until(wanted);
    }
    std::vector<std::string> both = take();
    CHECK(both.size() == 4 && std::count(both.begin(), both.end(), "from a listener") == 2);
    CHECK(std::count(both.begin(), both.end(), "from a connect") == 2);

    std::array<std::byte, 8> room;
    /* Which of the accepted is the peer of made[0] is not known: both write. */
    for (coop::stream &stream : accepted)
        MUST(stream.write("x", [&](coop::result<std::size_t>) {
            done++;
            throw std::runtime_error("from a write");
        }));
    until(6);
    CHECK(take() == words({"from a write", "from a write"}));
    MUST(made[0].read(room, [&](coop::result<std::size_t> read) {
        CHECK(MUST(std::move(read)) == 1);
        done++;
        throw std::runtime_error("from a read");
    }));
    until(7);
    accepted.clear();
    MUST(made[0].read(room, [&](coop::result<std::size_t> read) {
        CHECK(MUST(std::move(read)) == 0);
        done++;
        throw std::runtime_error("from a read of the end");
    }));
    until(8);
    CHECK(take() == words({"from a read", "from a read of the end"}));
}

struct thrower {
    bool from_start;
    std::unique_ptr<counted> probe;
    void on_start(coop::port_context context) {
        if (from_start) throw std::runtime_error("from on_start");
        MUST(context.set_timer(0s));
    }
    void on_batch(coop::port_context, std::span<const coop::datagram>) {}
    void on_timer(coop::port_context context, coop_timer_id) {
        MUST(context.stop());
        throw std::runtime_error("from on_timer");
    }
    void on_stop(coop::port_context) { throw std::runtime_error("from on_stop"); }
};

static void from_a_handler() {
    counts c;
    {
        coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread},
                                                         coop::port("A", thrower{false, std::make_unique<counted>(c)})));
        MUST(set.start());
        MUST(set.join(LONG));
        CHECK(take() == words({"from on_timer", "from on_stop"}));
    }
    CHECK(c.drops == 1);
    {
        coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread},
                                                         coop::port("A", thrower{true, std::make_unique<counted>(c)})));
        REFUSED(coop::errc::failed, set.start());
        CHECK(take() == words({"from on_start"}));
    }
    CHECK(c.drops == 2);
}

/* A move that throws is the caller's, as in any C++: nothing has been handed over. */
static void from_a_move() {
    counts c;
    struct throws_when_moved {
        counted probe;
        bool armed = true;
        explicit throws_when_moved(counts &counter) : probe(counter) {}
        throws_when_moved(throws_when_moved &&other) : probe(std::move(other.probe)) {
            if (other.armed) throw std::runtime_error("not moved");
        }
        void operator()() const { probe(); }
    };
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    bool caught = false;
    try {
        static_cast<void>(pool.submit(throws_when_moved(c)));
    } catch (const std::runtime_error &) {
        caught = true;
    }
    CHECK(caught && c.runs == 0 && c.drops == 1);
    CHECK(take().empty());
}

int main() {
    CHECK(coop::set_exception_hook(tell) == coop::print_exception);
    from_a_pool();
    from_a_loop();
    from_each_source();
    from_streams();
    from_a_handler();
    from_a_move();
    CHECK(coop::set_exception_hook(nullptr) == tell);
    CHECK(coop::set_exception_hook(nullptr) == coop::print_exception);

    /* Without a hook of its own the program is told on stderr. */
    int ends[2];
    CHECK(pipe(ends) == 0);
    const int before = dup(STDERR_FILENO);
    CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    MUST(pool.submit([] { throw std::runtime_error("to whom it may concern"); }));
    MUST(pool.submit([] { throw 1; }));
    MUST(pool.shutdown());
    CHECK(dup2(before, STDERR_FILENO) == STDERR_FILENO);
    close(ends[1]);
    close(before);
    std::string said;
    char buffer[256];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<std::size_t>(n));
    close(ends[0]);
    CHECK(said == "coop: a callback has thrown: to whom it may concern\n"
                  "coop: a callback has thrown what is no std::exception\n");
}
