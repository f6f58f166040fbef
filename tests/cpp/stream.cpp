/* coop::stream, coop::listener and coop::connect, with callables and with coroutines. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <netinet/in.h>
#include <span>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <vector>

static std::uint16_t port_of(const coop::listener &listener) {
    sockaddr_in at{};
    std::memcpy(&at, MUST(listener.address()).c().bytes, sizeof at);
    return ntohs(at.sin_port);
}

static std::array<coop::stream, 2> pair_on(coop::event_loop &loop, const coop::stream_options &options = {}) {
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    return {MUST(coop::stream::create(loop, fds[0], options)), MUST(coop::stream::create(loop, fds[1], options))};
}

/* Waits for a callable. */
struct once {
    latch over;
    coop::result<std::size_t> result{std::size_t{0}};
    std::size_t moved = 0;
    auto callable() {
        return [this](coop::result<std::size_t> done, std::size_t count) {
            result = std::move(done);
            moved = count;
            over.open();
        };
    }
};

static void with_callables() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    auto [left, right] = pair_on(loop);
    std::array<std::byte, 16> room;
    once in, out;
    MUST(right.read(room, in.callable()));
    counts refused;
    {
        counted callable(refused);
        REFUSED(coop::errc::exists, right.read(room, std::move(callable)));
    }
    CHECK(refused.drops == 1 && refused.runs == 0);
    REFUSED(coop::errc::null, right.read(room, static_cast<void (*)()>(nullptr)));
    MUST(left.write("hello", out.callable()));
    out.over.wait();
    in.over.wait();
    CHECK(MUST(std::move(in.result)) == 5 && MUST(std::move(out.result)) == 5 && out.moved == 5);
    CHECK(std::memcmp(room.data(), "hello", 5) == 0);

    /* What is under way is cancelled, by name and by the end of the stream. */
    once cancelled, freed;
    MUST(right.read(room, cancelled.callable()));
    MUST(right.cancel(coop::io::read));
    cancelled.over.wait();
    REFUSED(coop::errc::cancelled, cancelled.result);
    REFUSED(coop::errc::stale, right.cancel());
    MUST(right.read_exactly(room, freed.callable()));
    CHECK(MUST(left.try_write("abc")) == 3);
    right.free();
    freed.over.wait();
    REFUSED(coop::errc::cancelled, freed.result);
    REFUSED(coop::errc::null, right.shutdown());
    REFUSED(coop::errc::null, coop::stream().try_read(room));

    /* A listener with a callable, connections by name. */
    latch served;
    coop::listener listener = MUST(coop::listener::create(loop, {.address = "127.0.0.1:0"}, [&](coop::result<coop::stream> came) {
        CHECK(came && MUST(came->peer_address()));
        auto owned = std::make_shared<coop::stream>(*std::move(came));
        MUST(owned->write("welcome", [owned, &served] { served.open(); }));
    }));
    REFUSED(coop::errc::exists, listener.accept([] {}));
    latch connected;
    coop::stream client;
    MUST(loop.connect("localhost", port_of(listener), {.timeout = LONG}, [&](coop::result<coop::stream> made) {
        client = MUST(std::move(made));
        connected.open();
    }));
    connected.wait();
    served.wait();
    once welcome;
    MUST(client.read_exactly(std::span(room).first(7), welcome.callable()));
    welcome.over.wait();
    CHECK(MUST(std::move(welcome.result)) == 7 && std::memcmp(room.data(), "welcome", 7) == 0);
    MUST(client.set_nodelay(true));
    MUST(client.set_keepalive(30s));
    MUST(client.set_linger(coop::forever));
    CHECK(MUST(client.fd()) >= 0 && MUST(listener.fd()) >= 0 && MUST(client.local_address()));

    latch resolved;
    MUST(loop.resolve("127.0.0.1", 7000, [&](coop::result<std::vector<coop::address>> found) {
        CHECK(found && found->size() == 1 && MUST(found->front().text()) == "127.0.0.1:7000");
        resolved.open();
    }));
    resolved.wait();
    latch nobody;
    MUST(loop.connect_unix("/nowhere/at/all", {}, [&](coop::result<coop::stream> made) {
        CHECK(!made && made.error() == coop::errc::os && made.os_error() == std::errc::no_such_file_or_directory);
        nobody.open();
    }));
    nobody.wait();
}

/* Descriptors over a Unix socket. */
static void descriptors() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    auto [left, right] = pair_on(loop);
    int pipes[2];
    CHECK(pipe(pipes) == 0);
    once in, out;
    std::array<std::byte, 4> room;
    std::array<int, 4> came{};
    std::size_t count = 0;
    MUST(right.receive_descriptors(room, came, count, in.callable()));
    MUST(left.send_descriptors(std::as_bytes(std::span("fd")).first(2), std::span(pipes, 2), out.callable()));
    close(pipes[0]);
    close(pipes[1]);
    out.over.wait();
    in.over.wait();
    CHECK(MUST(std::move(in.result)) == 2 && count == 2);
    CHECK(write(came[1], "x", 1) == 1);
    char byte = 0;
    CHECK(read(came[0], &byte, 1) == 1 && byte == 'x');
    close(came[0]);
    close(came[1]);
}

/* --- Coroutines. */

static coop::task<std::size_t> echo(coop::stream stream) {
    std::array<std::byte, 1024> room;
    std::size_t total = 0;
    for (;;) {
        auto came = co_await stream.read(room);
        if (!came || *came == 0) co_return total;
        total += *came;
        auto sent = co_await stream.write(std::span<const std::byte>(room).first(*came));
        CHECK(sent && *sent == *came);
    }
}

static coop::task<> serve(coop::listener listener, coop_pool *pool, int clients) {
    for (int i = 0; i < clients; ++i) {
        auto session = echo(MUST(co_await listener.accept()));
        CHECK(session.spawn(pool) == COOP_OK);
    }
}

static coop::task<> client(coop::event_loop &loop, std::uint16_t port, int number) {
    coop::stream stream = MUST(co_await coop::connect(loop, number % 2 ? "localhost" : "127.0.0.1", port));
    const std::string text(50000, static_cast<char>('a' + number % 26));
    for (int round = 0; round < 3; ++round) {
        /* Both directions at once: the echo's writes wait for these reads. */
        std::size_t sent = 0;
        std::vector<std::byte> back(text.size());
        while (sent < text.size()) {
            const std::size_t part = std::min<std::size_t>(1000, text.size() - sent);
            CHECK(MUST(co_await stream.write(std::string_view(text).substr(sent, part))) == part);
            CHECK(MUST(co_await stream.read_exactly(std::span(back).subspan(sent, part))) == part);
            sent += part;
        }
        CHECK(std::memcmp(back.data(), text.data(), text.size()) == 0);
    }
    MUST(stream.shutdown());
    std::byte one;
    CHECK(MUST(co_await stream.read(std::span(&one, 1))) == 0);
}

static void echo_server() {
    constexpr int clients = 20;
    coop::pool pool = MUST(coop::pool::create({.workers = 3}));
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    coop::listener listener = MUST(coop::listener::create(loop, {.address = "127.0.0.1:0"}));
    const std::uint16_t port = port_of(listener);
    auto serving = serve(std::move(listener), pool.get(), clients);
    CHECK(serving.spawn(pool) == COOP_OK);
    std::vector<coop::task<>> all;
    for (int i = 0; i < clients; ++i) {
        all.push_back(client(loop, port, i));
        CHECK(all.back().spawn(pool) == COOP_OK);
    }
    for (auto &one : all) coop::sync_wait(std::move(one));
    coop::sync_wait(std::move(serving));
}

static coop::task<> others(coop::event_loop &loop) {
    auto found = MUST(co_await coop::resolve(loop, "::1", 80));
    CHECK(found.size() == 1 && MUST(found[0].text()) == "[::1]:80");
    auto none = co_await coop::resolve(loop, "no.such.host.invalid", 80);
    CHECK(none.error() == coop::errc::resolve && !none.message().empty());
    auto refused = co_await coop::connect(loop, "127.0.0.1", 1);
    CHECK(refused.os_error() == std::errc::connection_refused);
    auto nowhere = co_await coop::connect_unix(loop, "/nowhere/at/all");
    CHECK(nowhere.os_error() == std::errc::no_such_file_or_directory);
    auto empty = co_await coop::connect(loop, "", 1);
    CHECK(empty.error() == coop::errc::null);

    /* Datagrams. */
    coop::udp left = MUST(coop::udp::create({.address = "127.0.0.1:0"}));
    coop::udp right = MUST(coop::udp::create({.address = "127.0.0.1:0"}));
    const coop::address there = MUST(right.local_address());
    std::array<coop::datagram, 8> room;
    CHECK(MUST(co_await left.send(loop, coop::datagram("one", there))).sent == 1);
    auto came = MUST(co_await right.receive(loop, room));
    CHECK(came.size() == 1 && came[0].text() == "one");
    MUST(loop.timer({.after = 5ms}, [&] { CHECK(MUST(left.send(coop::datagram("two", there))).sent == 1); })
        );
    came = MUST(co_await right.receive(loop, room));
    CHECK(came.size() == 1 && came[0].text() == "two");

    /* A sleep of less than nothing is none, and one of more than there is waits. */
    CHECK(co_await coop::sleep_for(loop, -1h) == COOP_OK);
    CHECK(co_await coop::sleep_for(loop, std::chrono::nanoseconds::min()) == COOP_OK);
}

static coop::task<> sleeps_long(coop::event_loop &loop, bool &woke) {
    static_cast<void>(co_await coop::sleep_for(loop, std::chrono::hours::max()));
    woke = true;
}

/* A loop that ends tells those who wait. */
static coop::task<coop::errc> waits(coop::stream &stream, coop::result<std::size_t> &ended) {
    std::byte one;
    ended = co_await stream.read(std::span(&one, 1));
    co_return static_cast<coop::errc>(ended.error().value());
}

/* What is posted from the loop's thread runs when the coroutine has left it: while the read is under way. */
static coop::task<coop::errc> freed_under(coop::event_loop &loop, coop::stream &stream, coop::result<std::size_t> &ended) {
    CHECK(co_await coop::on_loop(loop) == COOP_OK);
    MUST(loop.post([&] { stream.free(); }));
    co_return co_await waits(stream, ended);
}

static void ends() {
    {
        coop::event_loop loop = MUST(coop::event_loop::create());
        auto [left, right] = pair_on(loop);
        MUST(loop.start());
        coop::sync_wait(others(loop));
        coop::pool pool = MUST(coop::pool::create({.workers = 2}));
        bool woke = false;
        auto sleeping = sleeps_long(loop, woke);
        CHECK(sleeping.spawn(pool) == COOP_OK);
        coop::result<std::size_t> ended{std::size_t{0}};
        auto waiting = waits(left, ended);
        CHECK(waiting.spawn(pool) == COOP_OK);
        std::this_thread::sleep_for(20ms); /* under way, most likely; closed either way */
        MUST(loop.stop());
        CHECK(coop::sync_wait(std::move(waiting)) == coop::errc::closed);
        CHECK(!woke);
    }
    {
        /* Freed under its waiter. */
        coop::event_loop loop = MUST(coop::event_loop::create());
        MUST(loop.start());
        auto [left, right] = pair_on(loop);
        coop::result<std::size_t> ended{std::size_t{0}};
        CHECK(coop::sync_wait(freed_under(loop, left, ended)) == coop::errc::cancelled);
    }
}

/* A coroutine of somebody else's, destroyed while it waits: nothing is resumed, nothing is written into its frame. */
struct bare {
    struct promise_type {
        bare get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::coroutine_handle<promise_type> handle;
};
static bare reads(coop::stream &stream, bool &resumed) {
    std::array<std::byte, 64> room;
    static_cast<void>(co_await stream.read(room));
    resumed = true;
}
static bare accepts(coop::listener &listener, bool &resumed) {
    static_cast<void>(co_await listener.accept());
    resumed = true;
}
static bare connects(coop::event_loop &loop, std::uint16_t port, bool &resumed) {
    static_cast<void>(co_await coop::connect(loop, "127.0.0.1", port));
    resumed = true;
}

static void destroyed() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    auto [left, right] = pair_on(loop);
    coop::listener listener = MUST(coop::listener::create(loop, {.address = "127.0.0.1:0"}));
    bool resumed = false;
    bare reading = reads(left, resumed), accepting = accepts(listener, resumed);
    bare connecting = connects(loop, port_of(listener), resumed);
    MUST(loop.run(coop::run_mode::nowait));
    reading.handle.destroy();
    accepting.handle.destroy();
    connecting.handle.destroy();
    CHECK(MUST(right.try_write("late")) == 4);
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(!resumed);
    std::array<std::byte, 8> room;
    CHECK(MUST(left.try_read(room)) == 4);
}

int main() {
    with_callables();
    descriptors();
    echo_server();
    ends();
    destroyed();
}
