// fib [ROUNDS]: fib(25) by C++20 coroutines on two pinned workers, beside TBB's task_group on two workers. Milliseconds.
//
//   spawn    coop::task: one half is spawned, the other awaited in place, as TBB's program does it; 121,392 spawns
//   suspend  task_t, as code for jeremyong/coop has it: each call queues itself in the pool, 121,392 hops
//
// Each round runs all of them, each time another one first, and ratios are taken within a round.
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <coop/coroutine.hpp>
#include <coop/task.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

namespace {

constexpr unsigned n = 25, answer = 75025;
constexpr int workers = 2;

coop::task<unsigned> by_spawn(coop_pool *pool, unsigned i) {
    if (i < 2) co_return i;
    auto left = by_spawn(pool, i - 1);
    if (left.spawn(pool) != COOP_OK) std::abort();
    const unsigned right = co_await by_spawn(pool, i - 2);
    co_return co_await left + right;
}

coop::task<unsigned> spawned(coop_pool *pool) {
    const coop_status hop = co_await coop::suspend_on(pool);
    if (hop != COOP_OK) std::abort();
    co_return co_await by_spawn(pool, n);
}

coop::task_t<unsigned, true> by_suspend(coop::scheduler_t &scheduler, unsigned i) {
    if (i < 2) co_return i;
    co_await coop::suspend(scheduler);
    auto left = by_suspend(scheduler, i - 1);
    auto right = by_suspend(scheduler, i - 2);
    co_return co_await left + co_await right;
}

unsigned by_tbb(unsigned i) {
    if (i < 2) return i;
    unsigned left = 0;
    tbb::task_group group;
    group.run([&left, i] { left = by_tbb(i - 1); });
    const unsigned right = by_tbb(i - 2);
    group.wait();
    return left + right;
}

double milliseconds(const std::function<unsigned()> &f) {
    const auto begin = std::chrono::steady_clock::now();
    if (f() != answer) {
        std::fputs("fib: a wrong answer\n", stderr);
        std::exit(EXIT_FAILURE);
    }
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

struct spread {
    double median, min, max;
};
spread spread_of(std::vector<double> figures) {
    std::sort(figures.begin(), figures.end());
    return {figures[figures.size() / 2], figures.front(), figures.back()};
}

}  // namespace

int main(int count, char **arguments) {
    const int rounds = count > 1 ? std::atoi(arguments[1]) : 21;
    if (rounds < 1) {
        std::fprintf(stderr, "fib %s: allowed is a number of rounds from 1\n", arguments[1]);
        return EXIT_FAILURE;
    }
    coop_pool_options options{};
    options.workers = workers;
    coop::scheduler_t scheduler(options);
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, workers + 1);
    tbb::task_arena arena(workers, 0);

    struct contestant {
        const char *name;
        std::function<unsigned()> run;
        std::vector<double> figures{}, ratios{};
    };
    // The last one is what the others are compared with.
    std::array<contestant, 3> all{{
        {"coop, spawn", [&] { return coop::sync_wait(spawned(scheduler.pool())); }},
        {"coop, suspend",
         [&] {
             auto task = by_suspend(scheduler, n);
             task.join();
             return *task;
         }},
        {"TBB",
         [&] {
             unsigned found = 0;
             arena.execute([&] { found = by_tbb(n); });
             return found;
         }},
    }};
    for (int round = -1; round < rounds; round++) {
        std::array<double, all.size()> taken{};
        for (std::size_t turn = 0; turn < all.size(); turn++) {
            const std::size_t which = (static_cast<std::size_t>(round + 1) + turn) % all.size();
            taken[which] = milliseconds(all[which].run);
        }
        if (round < 0) continue;  // The first one warms up.
        for (std::size_t which = 0; which < all.size(); which++) {
            all[which].figures.push_back(taken[which]);
            all[which].ratios.push_back(taken[which] / taken.back());
        }
    }
    for (const contestant &one : all) {
        const spread figures = spread_of(one.figures), ratios = spread_of(one.ratios);
        std::printf("%-16s %8.2f (%.2f..%.2f) ms   x %.2f (%.2f..%.2f) of TBB's\n", one.name, figures.median, figures.min,
                    figures.max, ratios.median, ratios.min, ratios.max);
    }
}
