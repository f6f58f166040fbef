// A timeline of what is in redis, as a graph: who the viewer is, whom she follows, a post of each of them, then what is computed of the posts. 100
// viewers at once, so that some 10,000 calls are in flight, on one connection and one thread.
//
//     viewer (GET) -> follow (LRANGE, then 100 HGETs at once) -> filter -> sort
//
// viewer and follow are coroutines on the loop; filter and sort run in the pool.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "redis_server.h"

#include <coop.hpp>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace {

constexpr long FOLLOWED = 100, REQUESTS = 100;
using posts = std::vector<long>;

long post_of(long user) { return user * 7919 % 1009; }

// What the server is to know: who view:N is, whom they follow, and each one's last post.
coop::task<> fill(const coop::redis &redis) {
    std::vector<coop::redis_command> commands;
    for (long viewer = 0; viewer < REQUESTS; viewer++) {
        const std::string name = "user" + std::to_string(viewer);
        commands.emplace_back("SET", "viewer:" + std::to_string(viewer), name);
        coop::redis_command follows("RPUSH", "follows:" + name);
        for (long i = 0; i < FOLLOWED; i++) follows.arg(viewer * 1000 + i);
        commands.push_back(follows);
        for (long i = 0; i < FOLLOWED; i++)
            commands.emplace_back("HSET", "user:" + std::to_string(viewer * 1000 + i), "post", post_of(viewer * 1000 + i));
    }
    auto filled = redis.pipeline(commands);
    const coop::redis_reply replies = (co_await filled).value();
    for (const coop::redis_view reply : replies) reply.ok().value();
}

posts expected(long viewer) {
    posts all;
    for (long i = 0; i < FOLLOWED; i++)
        if (const long post = post_of(viewer * 1000 + i); post % 2 == 0) all.push_back(post);
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

int main() {
    redis_server server;
    redis_server_start(&server);
    std::size_t total = 0;
    bool right = true;
    {
        auto runtime = coop::runtime::create().value();
        runtime.start().value();
        const auto redis = coop::redis::create(runtime.event_loop(), server.url).value();
        coop::sync_wait(fill(redis));

        auto builder = coop::dag_builder::create().value();
        const auto request = builder.input<long>("request");
        const auto viewer = builder.io("viewer", [&redis](long number) -> coop::task<std::string> {
            auto name = (co_await redis.get("viewer:" + std::to_string(number))).value();
            co_return name.value();
        }, request);
        const auto follow = builder.io("follow", [&redis](const std::string &name) -> coop::task<posts> {
            const auto followed = (co_await redis.lrange("follows:" + name, 0, -1)).value();
            // A call is made when it is called: all of them are on their way before the first is awaited.
            std::vector<coop::redis_call<std::optional<std::string>>> calls;
            for (const std::string &user : followed) calls.push_back(redis.hget("user:" + user, "post"));
            posts all;
            for (auto &call : calls) {
                const auto post = (co_await call).value();
                all.push_back(std::stol(post.value()));
            }
            co_return all;
        }, viewer);
        const auto filter = builder.cpu("filter", [](posts &&all) {
            std::erase_if(all, [](long post) { return post % 2 != 0; });
            return std::move(all);
        }, follow);
        const auto sort = builder.cpu("sort", [](posts &&all) {
            std::sort(all.begin(), all.end());
            return std::move(all);
        }, filter);
        const coop::dag graph = builder.build().value();

        auto serve = [&]() -> coop::task<> {
            std::vector<coop::dag_run> runs;
            for (long i = 0; i < REQUESTS; i++) runs.push_back(graph.run(runtime, coop::dag_inputs().with(request, i)));
            for (long i = 0; i < REQUESTS; i++) {
                const coop::dag_outcome outcome = (co_await runs[static_cast<std::size_t>(i)]).value();
                outcome.result().value();
                const posts timeline = outcome.take(sort).value();
                right = right && timeline == expected(i);
                total += timeline.size();
            }
        };
        coop::sync_wait(serve());
        const coop::redis_stats stats = redis.stats().value();
        std::printf("%ld timelines of %zu posts: %llu calls on %llu connection, in %llu writes\n", REQUESTS, total,
                    static_cast<unsigned long long>(stats.calls), static_cast<unsigned long long>(stats.connects),
                    static_cast<unsigned long long>(stats.writes));
    }
    redis_server_stop(&server);
    if (!right) std::fputs("a timeline is wrong\n", stderr);
    return right ? 0 : 1;
}
