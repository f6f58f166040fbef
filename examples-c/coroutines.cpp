/* Coroutines: one hops to a pool, runs two halves beside each other, waits on a loop without holding a thread, and comes back to
 * the pool.
 *
 *     c++ -std=c++20 coroutines.cpp $(pkg-config --cflags --libs coop) -o coroutines */
#include <coop.hpp>
#include <cstdio>
#include <numeric>
#include <span>
#include <vector>

using namespace std::chrono_literals;

/* Lazy: nothing of it runs before it is awaited or spawned. */
static coop::task<long> add_up(std::span<const int> numbers) {
    co_return std::accumulate(numbers.begin(), numbers.end(), 0L);
}

static coop::task<long> work(coop::pool_ref pool, coop::event_loop_ref loop, std::span<const int> numbers) {
    /* From here on it runs on a worker. value() throws std::system_error if the pool refuses. */
    (co_await pool.suspend({.priority = coop::priority::high})).value();

    const std::span<const int> left = numbers.first(numbers.size() / 2), right = numbers.subspan(left.size());
    coop::task<long> beside = add_up(right);
    if (beside.spawn(pool) != COOP_OK) co_return -1; /* runs beside this one from now on */
    const long sum = co_await add_up(left);          /* starts in place */

    /* No thread is held meanwhile; then it goes on where it belongs, on a worker. */
    if (co_await coop::sleep_for(loop, 10ms) != COOP_OK || !pool.is_worker_thread()) co_return -1;
    co_return sum + co_await beside;
}

int main() {
    std::vector<int> numbers(1000);
    std::iota(numbers.begin(), numbers.end(), 1);

    auto pool = coop::pool::create({.workers = 2}).value();
    auto loop = coop::event_loop::create().value();
    loop.start().value();
    const long sum = coop::sync_wait(work(pool, loop, numbers));
    std::printf("the sum is %ld\n", sum);
    return sum == 500500 ? 0 : 1;
}
