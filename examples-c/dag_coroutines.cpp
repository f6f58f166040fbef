// A timeline as a graph: whom a viewer follows, a call for each of them, then what is computed of the answers. 100 viewers at once.
//
//     viewer -> follow -> call 0 ... call 99 -> vm -> filter -> sort
//
// follow and the calls are coroutines on the loop, here with a timer for the remote end; vm, filter and sort run in the pool.
#include <coop.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int CALLS = 100, REQUESTS = 100;
using posts = std::vector<long>;

long post_of(long user) { return user * 7919 % 1009; }

posts expected(long viewer) {
    posts all;
    for (long i = 0; i < CALLS; i++)
        if (const long post = post_of(viewer * 1000 + i); post % 2 == 0) all.push_back(post);
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

int main() {
    auto runtime = coop::runtime::create().value();
    runtime.start().value();
    const auto loop = runtime.event_loop();

    auto builder = coop::dag_builder::create().value();
    const auto viewer = builder.input<long>("viewer");
    const auto follow = builder.io("follow", [loop](long who) -> coop::task<posts> {
        co_await coop::sleep_for(loop, 1ms);
        posts followed;
        for (long i = 0; i < CALLS; i++) followed.push_back(who * 1000 + i);
        co_return followed;
    }, viewer);
    std::vector<coop::dag_node<long>> calls;
    for (std::size_t i = 0; i < CALLS; i++)
        calls.push_back(builder.io("call " + std::to_string(i), [loop, i](const posts &followed) -> coop::task<long> {
            co_await coop::sleep_for(loop, 1ms);
            co_return post_of(followed[i]);
        }, follow));
    const auto vm = builder.cpu("vm", [](const coop::dag_values<long> &answers) {
        posts all;
        for (long post : answers) all.push_back(post);
        return all;
    }, calls);
    // Each has one reader, so the list itself goes from one to the next.
    const auto filter = builder.cpu("filter", [](posts &&all) {
        std::erase_if(all, [](long post) { return post % 2 != 0; });
        return std::move(all);
    }, vm);
    const auto sort = builder.cpu("sort", [](posts &&all) {
        std::sort(all.begin(), all.end());
        return std::move(all);
    }, filter);
    const coop::dag graph = builder.build().value();

    std::size_t total = 0;
    auto serve = [&]() -> coop::task<bool> {
        std::vector<coop::dag_run> runs;
        for (long i = 0; i < REQUESTS; i++) runs.push_back(graph.run(runtime, coop::dag_inputs().with(viewer, i)));
        for (long i = 0; i < REQUESTS; i++) {
            const coop::dag_outcome outcome = (co_await runs[static_cast<std::size_t>(i)]).value();
            outcome.result().value();
            const posts timeline = outcome.take(sort).value();
            if (timeline != expected(i)) co_return false;
            total += timeline.size();
        }
        co_return true;
    };
    if (!coop::sync_wait(serve())) {
        std::fputs("a timeline is wrong\n", stderr);
        return 1;
    }
    std::printf("%d timelines of %zu posts\n", REQUESTS, total);
}
