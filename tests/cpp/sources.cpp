/* Events, children, signals, awaited datagrams, and a watch that looks elsewhere. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <sys/socket.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

using namespace std::chrono_literals;

static pid_t exits_with(int code) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) _exit(code);
    return child;
}

static void events() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    for (const bool manual : {false, true}) {
        const coop::event event = MUST(coop::event::create({.manual_reset = manual}));
        int called = 0;
        const coop::scoped watch = MUST(event.watch(loop, [&] { ++called; }));
        CHECK(!event.is_signaled() && MUST(event.fd()) >= 0);
        for (int round = 1; round < 4; ++round) {
            MUST(event.signal());
            for (int i = 0; i < 2; ++i) MUST(loop.run(coop::run_mode::nowait));
            CHECK(called == round && event.is_signaled() == manual);
        }
        MUST(event.reset());
        CHECK(!event.is_signaled());
    }
    const coop::event none;
    CHECK(!none && !none.is_signaled());
    REFUSED(coop::errc::null, none.signal());
    REFUSED(coop::errc::null, none.fd());
    void (*const nothing)() = nullptr;
    REFUSED(coop::errc::null, MUST(coop::event::create()).watch(loop, nothing));
}

static void children() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    std::optional<coop::exit_status> end;
    const pid_t pid = exits_with(5);
    const coop::child child =
        MUST(loop.child(pid, [&](coop::result<coop::exit_status> status) { end = MUST(std::move(status)); }));
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(end && end->pid == pid && end->code == 5 && end->signal == 0 && !end->core_dumped && !end->success());
    REFUSED(coop::errc::stale, child.cancel());

    const pid_t other = exits_with(0);
    MUST(MUST(loop.child(other, [](const coop::result<coop::exit_status> &) { CHECK(false); })).cancel());
    int status = -1;
    CHECK(waitpid(other, &status, 0) == other && status == 0);
    REFUSED(coop::errc::invalid, loop.child(0, [](const coop::result<coop::exit_status> &) {}));
    const auto gone = loop.child(other, [](const coop::result<coop::exit_status> &) {});
    CHECK(!gone && gone.os_error() == std::errc::no_such_process);
    void (*const nothing)(coop::result<coop::exit_status>) = nullptr;
    REFUSED(coop::errc::null, loop.child(1, nothing));
}

static void signals() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    std::uint64_t came = 0, calls = 0;
    {
        const coop::scoped both = MUST(loop.signal(SIGUSR1, [&](int signum, std::uint64_t times) {
            CHECK(signum == SIGUSR1);
            came += times;
        }));
        const coop::scoped plain = MUST(loop.signal(SIGUSR1, [&] { ++calls; }));
        for (int i = 0; i < 3; ++i) std::raise(SIGUSR1);
        for (int i = 0; i < 2; ++i) MUST(loop.run(coop::run_mode::nowait));
        CHECK(came == 3 && calls == 1);
    }
    CHECK(std::signal(SIGUSR1, SIG_DFL) == SIG_DFL);
    REFUSED(coop::errc::invalid, loop.signal(SIGKILL, [] {}));
}

static coop::async wake;

static void wake_ups_from_signal_handlers() {
    counts c;
    coop::event_loop loop = MUST(coop::event_loop::create());
    wake = MUST(coop::async::create(loop, counted(c)));
    std::signal(SIGUSR1, [](int) { CHECK(wake.send()); });
    for (int round = 1; round < 4; ++round) {
        for (int i = 0; i < 3; ++i) CHECK(raise(SIGUSR1) == 0);
        for (int i = 0; i < 2; ++i) MUST(loop.run(coop::run_mode::nowait));
        CHECK(c.runs == round);
    }
    std::signal(SIGUSR1, SIG_DFL);
    coop::async moved = std::move(wake);
    CHECK(!wake && !wake.send() && moved && moved.send());
    moved.free();
    CHECK(!moved && c.runs == 3 && c.drops == 1);
    /* It may end itself. */
    moved = MUST(coop::async::create(loop, coop::source_options{}, [&, probe = counted(c)] {
        moved.free();
        CHECK(c.drops == 1);
        probe();
    }));
    CHECK(moved.send());
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(c.runs == 4 && c.drops == 2);
    void (*const nothing)() = nullptr;
    REFUSED(coop::errc::null, coop::async::create(loop, nothing));
}

static void directions() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    coop::io seen = coop::io::none;
    {
        const coop::scoped watch = MUST(loop.watch(fds[0], [&](coop::io ready) { seen = ready; }));
        MUST(watch.get().set_interest(coop::io::write));
        MUST(loop.run(coop::run_mode::nowait));
        CHECK(seen == coop::io::write);
        REFUSED(coop::errc::invalid, watch.get().set_interest(coop::io::none));
    }
    for (const int fd : fds) close(fd);
}

static coop::task<int> waits(coop::event_loop &loop, const coop::event &done, int &order) {
    const coop_status status = co_await coop::signaled(loop, done);
    CHECK(status == COOP_OK);
    co_return ++order;
}

static coop::task<int> all(coop::event_loop &loop) {
    const coop::event done = MUST(coop::event::create());
    int order = 0;
    MUST(loop.post([&] { MUST(done.signal()); }));
    const int first = co_await waits(loop, done, order);
    CHECK(first == 1 && !done.is_signaled());

    const coop::exited_result child = co_await coop::exited(loop, exits_with(9));
    CHECK(child.status == COOP_OK && child.exit.code == 9);
    const coop::exited_result refused = co_await coop::exited(loop, 1);
    CHECK(refused.status == COOP_E_OS);

    coop::udp one = MUST(coop::udp::create({.address = "127.0.0.1:0"}));
    coop::udp other = MUST(coop::udp::create({.address = "127.0.0.1:0", .receive_times = true}));
    MUST(one.connect(MUST(other.local_address())));
    MUST(loop.timer({.after = 2ms}, [&] { MUST(one.send(coop::datagram("late"))); }));
    std::array<coop::datagram, 4> room;
    auto received = co_await coop::receive(loop, other, std::span(room));
    const auto came = MUST(std::move(received));
    CHECK(came.size() == 1 && came[0].text() == "late");
    std::int64_t at = 0;
    MUST(other.receive_times(std::span(&at, 1)));
    CHECK(at > 0);
    const std::array<coop::datagram, 2> two{coop::datagram("a"), coop::datagram("b")};
    auto sent = co_await coop::send(loop, one, std::span(two));
    CHECK(MUST(std::move(sent)) == 0);
    std::size_t got = 0;
    while (got < 2) {
        auto more = co_await coop::receive(loop, other, std::span(room));
        got += MUST(std::move(more)).size();
    }
    co_return static_cast<int>(got);
}

static void awaited() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    CHECK(coop::sync_wait(all(loop)) == 2);
    // A loop that ends destroys who waits in it.
    const coop::event never = MUST(coop::event::create());
    int order = 0;
    auto waiting = waits(loop, never, order);
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    CHECK(waiting.spawn(pool) == COOP_OK);
    while (MUST(loop.stats()).watches == 0) std::this_thread::yield(); // nothing may begin a call on a loop that is freed
    pool.free();
    loop.free();
    CHECK(order == 0);
}

static coop::task<> waits_or_not(coop::event_loop &loop, const coop::event &never, int fd, std::atomic<int> &went_on) {
    if (fd < 0) {
        const coop_status status = co_await coop::signaled(loop, never);
        CHECK(status == COOP_E_CLOSED);
    } else {
        const coop::ready_result refused = co_await coop::readiness(loop, fd);
        CHECK(refused.status == COOP_E_CLOSED);
    }
    ++went_on;
}

/* A loop that is stopped while waits begin in it destroys those that it has taken, and refuses the others. */
static void stopped_meanwhile() {
    const coop::event never = MUST(coop::event::create());
    for (int round = 0; round < 50; ++round) {
        coop::event_loop loop = MUST(coop::event_loop::create());
        MUST(loop.start());
        coop::pool pool = MUST(coop::pool::create({.workers = 2}));
        std::atomic<int> went_on = 0;
        std::vector<coop::task<>> waiting;
        for (int i = 0; i < 20; ++i) {
            waiting.push_back(waits_or_not(loop, never, i % 2 ? MUST(never.fd()) : -1, went_on));
            CHECK(waiting.back().spawn(pool) == COOP_OK);
        }
        while (MUST(loop.stats()).watches < static_cast<std::uint64_t>(round % 20)) std::this_thread::yield();
        MUST(loop.stop());
        MUST(loop.join());
        pool.free();
        loop.free();
        CHECK(went_on <= 20);
    }
}

int main() {
    events();
    children();
    signals();
    wake_ups_from_signal_handlers();
    directions();
    awaited();
    stopped_meanwhile();
    return 0;
}
