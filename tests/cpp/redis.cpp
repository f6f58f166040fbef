/* coop::redis, with coroutines, with callables, and on a plain thread. Also built with: -fno-exceptions -fno-rtti */
#include "../../examples-c/redis_server.h"
#include "expect.hpp"

#include <concepts>
#include <coroutine>
#include <optional>
#include <string>
#include <vector>

/* What is a word: texts and numbers, but neither a truth nor a character, which would be numbers. */
template <class T>
constexpr bool is_word = std::constructible_from<coop::redis_word, const T &>;
static_assert(is_word<int> && is_word<unsigned char> && is_word<float> && is_word<double> && is_word<std::string> && is_word<const char *>);
static_assert(!is_word<bool> && !is_word<char>);

static coop::task<> by_name(coop::redis &redis) {
    MUST(co_await redis.ping());
    MUST(co_await redis.set("a", "one"));
    CHECK(MUST(co_await redis.get("a")) == "one");
    CHECK(MUST(co_await redis.get("nowhere")) == std::nullopt);
    MUST(co_await redis.set("n", 5, 60s));
    CHECK(MUST(co_await redis.incr("n")) == 6 && MUST(co_await redis.incr_by("n", -10)) == -4);
    CHECK(MUST(co_await redis.exists("n")) && MUST(co_await redis.expire("n", 1h)) && !MUST(co_await redis.expire("nowhere", 1h)));
    const std::vector<std::string> keys{"a", "nowhere", "n"};
    const auto values = MUST(co_await redis.mget(keys));
    CHECK(values.size() == 3 && values[0] == "one" && !values[1] && values[2] == "-4");
    CHECK(MUST(co_await redis.hset("h", "k", 2.5)) == 1 && MUST(co_await redis.hget("h", "k")) == "2.5");
    CHECK(coop::redis_word(0.1).view() == "0.1" && coop::redis_word(-1e300).view() == "-1e+300");
    const auto fields = MUST(co_await redis.hgetall("h"));
    CHECK(fields.size() == 1 && fields[0].first == "k" && fields[0].second == "2.5");
    CHECK(MUST(co_await redis.rpush("l", "y")) == 1 && MUST(co_await redis.lpush("l", "x")) == 2);
    const auto list = MUST(co_await redis.lrange("l", 0, -1));
    CHECK(list == std::vector<std::string>({"x", "y"}));
    CHECK(MUST(co_await redis.del("l")) == 1 && MUST(co_await redis.del(keys)) == 2);

    /* What the server refuses is a failure of what is called by name, and a reply of a command. */
    const auto refused = co_await redis.get("h");
    CHECK(!refused && refused.error() == coop::errc::failed && refused.message().find("WRONGTYPE") != std::string::npos);
    const coop::redis_reply reply = MUST(co_await redis.command("GET", "h"));
    CHECK(reply.is_error() && MUST(reply.error_code()) == "WRONGTYPE" && !reply.ok());
    REFUSED(coop::errc::invalid, reply.integer());
    REFUSED(coop::errc::invalid, co_await redis.command("SELECT", 1));
    CHECK(MUST(co_await redis.del("h")) == 1);
}

static coop::task<> in_groups(coop::redis &redis) {
    auto together = redis.pipeline(coop::redis_command("SET", "n", 1), coop::redis_command("INCR", "n"));
    const coop::redis_reply both = MUST(co_await together);
    CHECK(both.size() == 2 && MUST(both[0].string()) == "OK" && MUST(both[1].integer()) == 2 && !both[2]);
    std::size_t parts = 0;
    for (const coop::redis_view part : both) parts += !part.is_error();
    CHECK(parts == 2);
    auto at_once = redis.transaction(coop::redis_command("INCR", "n"), coop::redis_command("GET", "n"));
    const coop::redis_reply done = MUST(co_await at_once);
    CHECK(done.type() == coop::redis_type::array && MUST(done[1].string()) == "3");
    const std::vector<std::string> keys{"n"}, args{"x"};
    const coop::redis_reply made = MUST(co_await redis.script("return {redis.call('GET', KEYS[1]), ARGV[1]}", keys, args));
    CHECK(MUST(made[0].string()) == "3" && MUST(made[1].string()) == "x");

    /* Beside a watched key that changes. */
    const coop::redis own = MUST(redis.own());
    CHECK(MUST(MUST(co_await own.command("WATCH", "n")).string()) == "OK");
    MUST(co_await redis.set("n", 0));
    auto watched = own.transaction(coop::redis_command("INCR", "n"));
    CHECK(MUST(co_await watched).is_null());
    const coop::redis_command get("GET", "n");
    CHECK(MUST(MUST(co_await redis.command(get)).integer()) == 0 && MUST(co_await redis.del("n")) == 1);
}

static coop::task<> many(coop::redis &redis) {
    std::vector<coop::redis_call<coop::redis_reply>> calls;
    for (int i = 0; i < 1000; i++) calls.push_back(redis.command("ECHO", i));
    /* Half of them nobody waits for: they are cancelled, and the others have their own replies. */
    for (int i = 1; i < 1000; i += 2) {
        coop::redis_call<coop::redis_reply> gone = std::move(calls[static_cast<std::size_t>(i)]);
    }
    for (int i = 0; i < 1000; i += 2) CHECK(MUST(MUST(co_await calls[static_cast<std::size_t>(i)]).integer()) == i);
    REFUSED(coop::errc::invalid, co_await calls[0]);
}

static coop::task<> messages(coop::event_loop &loop, coop::redis &redis) {
    /* Where the callable runs, so that what it keeps may be looked at. */
    CHECK(co_await coop::on_loop(loop) == COOP_OK);
    std::vector<std::string> heard;
    auto subscriber = MUST(redis.subscriber([&](const coop::redis_message &message) {
        heard.emplace_back(message.payload);
        heard.emplace_back(message.pattern);
    }));
    MUST(co_await subscriber.subscribe("news"));
    MUST(co_await subscriber.subscribe(coop::redis_channel::pattern, "wire.*", "tape.*"));
    CHECK(MUST(co_await redis.publish("news", "a")) == 1 && MUST(co_await redis.publish("tape.1", "b")) == 1);
    while (heard.size() < 4) MUST(co_await redis.ping());
    CHECK(heard == std::vector<std::string>({"a", "", "b", "tape.*"}));
    MUST(co_await subscriber.unsubscribe("news"));
    CHECK(MUST(co_await redis.publish("news", "c")) == 0);
}

static void with_callables(coop::redis &redis) {
    latch told;
    MUST(redis.command_with([&told](coop::result<coop::redis_reply> reply) {
        CHECK(MUST(MUST(std::move(reply)).string()) == "PONG");
        told.open();
    }, "PING"));
    told.wait();
    latch again;
    const std::vector<coop::redis_command> commands{coop::redis_command("PING"), coop::redis_command("PING")};
    MUST(redis.pipeline_with([&again](coop::result<coop::redis_reply> reply) {
        CHECK(MUST(std::move(reply)).size() == 2);
        again.open();
    }, commands));
    again.wait();
    /* A refused callable is destroyed at once. */
    counts refused;
    {
        auto held = [callable = counted(refused)](const coop::result<coop::redis_reply> &) mutable { callable(); };
        REFUSED(coop::errc::invalid, redis.command_with(std::move(held), "WATCH", "k"));
    }
    CHECK(refused.runs == 0 && refused.drops == 1);

    CHECK(MUST(MUST(redis.call("ECHO", 7)).integer()) == 7);
    const coop::redis_stats stats = MUST(redis.stats());
    /* The shared connection, and any of its own that was given back and is kept for the next. */
    CHECK(stats.connected >= 1 && stats.answered > 500 && stats.cancelled + stats.answered == stats.calls);
    REFUSED(coop::errc::stale, redis.cancel(0));
}

/* A coroutine of somebody else's, destroyed while it waits: nothing is resumed, and the call is cancelled; those after it have their own replies. */
struct foreign {
    struct promise_type {
        foreign get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { CHECK(false); }
    };
    std::coroutine_handle<promise_type> handle;
};

static foreign waiting(coop::redis &redis, int &resumed) {
    const auto reply = co_await redis.command("ECHO", "nobody's");
    resumed += reply ? 1 : 1000;
}

static coop::task<> destroyed(coop::event_loop &loop, const redis_server &server) {
    CHECK(co_await coop::on_loop(loop) == COOP_OK);
    coop::redis redis = MUST(coop::redis::create(loop, server.url));
    MUST(co_await redis.ping());
    kill(server.pid, SIGSTOP);
    int resumed = 0;
    std::vector<foreign> all;
    std::vector<coop::redis_call<coop::redis_reply>> others;
    for (int i = 0; i < 1000; i++) {
        all.push_back(waiting(redis, resumed));
        others.push_back(redis.command("ECHO", i));
    }
    for (const foreign &one : all) one.handle.destroy();
    kill(server.pid, SIGCONT);
    for (int i = 0; i < 1000; i++) CHECK(MUST(MUST(co_await others[static_cast<std::size_t>(i)]).integer()) == i);
    CHECK(resumed == 0 && MUST(redis.stats()).cancelled == 1000);
}

/* A server that is killed and comes back: each call ends once, with its own reply or an error. */
static coop::task<> killed(coop::event_loop &loop) {
    redis_server server;
    redis_server_start(&server);
    coop::redis redis = MUST(coop::redis::create(loop, server.url, {.patience = LONG}));
    MUST(co_await redis.ping());
    kill(server.pid, SIGSTOP);
    std::vector<coop::redis_call<coop::redis_reply>> calls;
    for (int i = 0; i < 1000; i++) calls.push_back(redis.command("ECHO", i));
    kill(server.pid, SIGKILL);
    waitpid(server.pid, nullptr, 0);
    redis_server_run(&server);
    for (int i = 0; i < 1000; i++) {
        const auto reply = co_await calls[static_cast<std::size_t>(i)];
        CHECK(reply ? MUST(reply->integer()) == i : reply.error() == coop::errc::os);
    }
    MUST(co_await redis.ping());
    redis_server_stop(&server);
}

/* What is left ends with the client; an empty one answers so. */
static coop::task<> ends(coop::event_loop &loop, const redis_server &server) {
    coop::redis redis = MUST(coop::redis::create(loop, server.url, {.max_calls = 2, .call_timeout = coop::forever}));
    MUST(co_await redis.ping());
    kill(server.pid, SIGSTOP);
    auto one = redis.ping(), two = redis.ping(), three = redis.ping();
    REFUSED(coop::errc::queue_full, co_await three);
    MUST(one.cancel());
    REFUSED(coop::errc::cancelled, co_await one);
    MUST(redis.close());
    REFUSED(coop::errc::closed, co_await two);
    REFUSED(coop::errc::closed, co_await redis.ping());
    kill(server.pid, SIGCONT);
    redis.free();
    REFUSED(coop::errc::null, co_await redis.ping());
    REFUSED(coop::errc::null, redis.stats());
    REFUSED(coop::errc::invalid, coop::redis::create(loop, "redis://localhost:x"));

    const coop::redis narrow = MUST(coop::redis::create(loop, server.url, {.max_own = 1}));
    {
        const coop::redis own = MUST(narrow.own());
        MUST(co_await own.ping());
        REFUSED(coop::errc::queue_full, narrow.own());
    }
    MUST(co_await MUST(narrow.own()).ping());

    coop::redis slow = MUST(coop::redis::create(loop, server.url));
    MUST(co_await slow.ping());
    kill(server.pid, SIGSTOP);
    REFUSED(coop::errc::timeout, co_await slow.command_within(1ms, "PING"));
    kill(server.pid, SIGCONT);
}

int main() {
    redis_server server;
    redis_server_start(&server);
    {
        coop::event_loop loop = MUST(coop::event_loop::create());
        MUST(loop.start());
        for (const coop::redis_protocol protocol : {coop::redis_protocol::resp2, coop::redis_protocol::newest}) {
            coop::redis redis = MUST(coop::redis::create(loop, server.url, {.protocol = protocol}));
            coop::sync_wait(by_name(redis));
            coop::sync_wait(in_groups(redis));
            coop::sync_wait(many(redis));
            coop::sync_wait(messages(loop, redis));
            with_callables(redis);
            { auto gone = redis.command("PING"); }
            MUST(redis.drain(LONG));
        }
        coop::sync_wait(ends(loop, server));
        coop::sync_wait(destroyed(loop, server));
        coop::sync_wait(killed(loop));
        MUST(loop.stop());
    }
    redis_server_stop(&server);
}
