/* coop::port_set: handlers as objects, in each mode. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <array>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

/* What a handler was asked, told by whoever served it. */
struct story {
    counts life;
    std::atomic<int> starts{0}, batches{0}, timers{0}, stops{0};
    std::atomic<bool> refuse{false};
    latch timed;
};

/* Every function that a handler may have; it echoes, and "stop" ends the set. */
class echo {
public:
    explicit echo(story &s) : story_(&s), probe_(std::make_unique<counted>(s.life)) {}

    coop::result<void> on_start(coop::port_context context) {
        story_->starts++;
        if (story_->refuse) return coop::error(coop::errc::queue_full, "not today");
        once_ = MUST(context.set_timer(1ms));
        const coop_timer_id never = MUST(context.set_timer(1h, 1h));
        MUST(context.cancel_timer(never));
        REFUSED(coop::errc::stale, context.cancel_timer(never));
        REFUSED(coop::errc::invalid, context.set_timer(0s, -1s));
        return {};
    }
    void on_batch(coop::port_context context, std::span<const coop::datagram> batch) {
        story_->batches++;
        std::size_t sent = 77;
        MUST(context.send(batch, &sent));
        CHECK(sent == batch.size());
        if (batch.back().text() == "stop") MUST(context.stop());
    }
    void on_timer(coop::port_context, coop_timer_id timer) {
        CHECK(timer == once_);
        story_->timers++;
        story_->timed.open();
    }
    void on_stop(coop::port_context context) {
        story_->stops++;
        CHECK(context.get() != nullptr);
    }

private:
    story *story_;
    std::unique_ptr<counted> probe_;
    coop_timer_id once_ = 0;
};

static_assert(!std::is_copy_constructible_v<echo>);

/* The least that a handler is. */
struct deaf {
    void on_batch(const coop::port_context &, std::span<const coop::datagram>) const {}
};

static std::string ask(const coop::address &server, const char *text) {
    const coop::udp client = MUST(coop::udp::create());
    MUST(client.connect(server));
    CHECK(MUST(client.send(coop::datagram(text))).sent == 1);
    pollfd one{MUST(client.fd()), POLLIN, 0};
    CHECK(poll(&one, 1, static_cast<int>(std::chrono::milliseconds(LONG).count())) == 1);
    std::array<coop::datagram, 1> room;
    const std::span<coop::datagram> came = MUST(client.receive(room));
    CHECK(came.size() == 1);
    return std::string(came[0].text());
}

static void served(coop::port_set &set, story &s) {
    MUST(set.start());
    REFUSED(coop::errc::exists, set.start());
    const coop::address at = MUST(set.address("ECHO"));
    CHECK(ask(at, "hello") == "hello");
    s.timed.wait();
    CHECK(ask(at, "stop") == "stop");
    MUST(set.join(LONG));
    const coop::port_stats stats = MUST(set.stats("ECHO"));
    CHECK(stats.size == sizeof(coop_port_stats) && stats.received == 2 && stats.received_bytes == 9 && stats.sent == 2);
    CHECK(s.starts == 1 && s.batches == 2 && s.timers == 1 && s.stops == 1);
    REFUSED(coop::errc::invalid, set.address("OTHER"));
    REFUSED(coop::errc::invalid, set.stats("OTHER"));
    MUST(set.stop(LONG));
    set.free();
    CHECK(s.life.drops == 1);
}

static void threads() {
    story s;
    coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread}, coop::port("ECHO", echo(s)),
                                                     coop::port("DEAF", deaf())));
    served(set, s);
}

static void on_one_loop() {
    story s;
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    {
        coop::port_set set = MUST(coop::port_set::create({.event_loop = loop}, coop::port("ECHO", echo(s))));
        served(set, s);
    }
    MUST(loop.stop());
    MUST(loop.join(LONG));
}

static void a_start_that_fails() {
    story s;
    s.refuse = true;
    coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread}, coop::port("ECHO", echo(s))));
    REFUSED(coop::errc::failed, set.start());
    CHECK(s.starts == 1 && s.stops == 0);
    set.free();
    CHECK(s.life.drops == 1);
}

static void never_started() {
    story s;
    {
        coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread}, coop::port("ECHO", echo(s))));
        REFUSED(coop::errc::invalid, set.address("ECHO"));
        CHECK(s.life.drops == 0);
    }
    CHECK(s.starts == 0 && s.life.drops == 1);
}

/* Ports that are lent stay as they are when the set is refused; those that are given away end. */
static void refused() {
    story s;
    const coop::port_set_options in_threads{.mode = coop::port_mode::thread};
    std::vector<coop::port> ports;
    ports.emplace_back("A", echo(s));
    ports.emplace_back("A", echo(s));
    REFUSED(coop::errc::exists, coop::port_set::create(in_threads, ports));
    CHECK(ports[0] && ports[1] && s.life.drops == 0);
    ports.pop_back();
    CHECK(s.life.drops == 1);
    {
        coop::port_set set = MUST(coop::port_set::create(in_threads, ports));
        CHECK(!ports[0] && s.life.drops == 1);
        REFUSED(coop::errc::invalid, coop::port_set::create(in_threads, ports)); /* its handler is gone */
    }
    CHECK(s.life.drops == 2);

    REFUSED(coop::errc::invalid, coop::port_set::create({}, coop::port("A", echo(s)))); /* SINGLE without a loop */
    CHECK(s.life.drops == 3);
    REFUSED(coop::errc::invalid, coop::port_set::create(in_threads, std::span<coop::port>()));
    REFUSED(coop::errc::invalid, coop::port_set::create(in_threads, coop::port("", echo(s))));
    REFUSED(coop::errc::invalid, coop::port_set::create({.mode = static_cast<coop::port_mode>(9)}, coop::port("A", echo(s))));
    REFUSED(coop::errc::invalid,
            coop::port_set::create({.mode = coop::port_mode::thread, .buffer_bytes = 1}, coop::port("A", echo(s))));
    CHECK(s.life.drops == 6 && s.starts == 0);
}

static void ports_are_moved() {
    story s;
    {
        coop::port first("FIRST", echo(s), {.bind = MUST(coop::address::parse("127.0.0.1:0"))});
        coop::port second = std::move(first);
        CHECK(!first && second && second.name() == "FIRST");
        coop::port third("THIRD", echo(s));
        third = std::move(second);
        CHECK(s.life.drops == 1 && third.name() == "FIRST");
        coop::port &itself = third;
        third = std::move(itself);
        CHECK(third && s.life.drops == 1);
        coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread}, std::move(third)));
        MUST(set.start());
        CHECK(ask(MUST(set.address("FIRST")), "moved") == "moved");
    }
    CHECK(s.life.drops == 2 && s.stops == 1);
}

/* A peer of its own: others are not heard, and no address is needed. */
static void connected() {
    story s;
    const coop::udp peer = MUST(coop::udp::create({.address = "127.0.0.1:0"}));
    coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread},
                                                     coop::port("ECHO", echo(s), {.connect = MUST(peer.local_address())})));
    MUST(set.start());
    MUST(peer.connect(MUST(set.address("ECHO"))));
    CHECK(MUST(peer.send(coop::datagram("to you"))).sent == 1);
    pollfd one{MUST(peer.fd()), POLLIN, 0};
    CHECK(poll(&one, 1, static_cast<int>(std::chrono::milliseconds(LONG).count())) == 1);
    std::array<coop::datagram, 1> room;
    CHECK(MUST(peer.receive(room))[0].text() == "to you");
    MUST(set.stop());
}

int main() {
    threads();
    on_one_loop();
    a_start_that_fails();
    never_started();
    refused();
    ports_are_moved();
    connected();
}
