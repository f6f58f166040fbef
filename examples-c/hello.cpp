/* A pool and an event loop: the pool computes, the loop hears of it and prints.
 *
 *     c++ -std=c++20 hello.cpp $(pkg-config --cflags --libs coop) -o hello */
#include <coop.hpp>
#include <cstdio>

using namespace std::chrono_literals;

int main() {
    auto loop = coop::event_loop::create().value();
    auto pool = coop::pool::create({.workers = 2}).value();

    /* The task runs on a worker, what it posts runs in loop.run(). value() throws std::system_error if a call fails. */
    pool.submit([&] {
        int sum = 0;
        for (int i = 1; i <= 100; i++) sum += i;
        loop.post([&loop, sum] {
            std::printf("the sum is %d\n", sum);
            loop.timer({.after = 10ms}, [&] { loop.stop().value(); }).value();
        }).value();
    }).value();

    /* Or ask. There is no worker on CPU 1000, and the pool says so. */
    if (coop::result<void> refused = pool.submit({.cpus = coop::cpu_set{1000}}, [] {}); !refused)
        std::printf("%s: %s\n", refused.error().message().c_str(), refused.message().c_str());

    loop.run().value();
}
