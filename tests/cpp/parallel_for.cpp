/* coop::pool::parallel_for: each number once, and where exceptions go. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

using numbers = std::vector<std::atomic<int>>;

static bool once(const numbers &times) {
    for (const std::atomic<int> &each : times)
        if (each != 1) return false;
    return true;
}

static void each_number_once() {
    coop::pool pool = MUST(coop::pool::create({.workers = 2}));
    numbers times(1000);
    const auto count = [&](std::size_t begin, std::size_t end) {
        CHECK(begin < end);
        for (std::size_t i = begin; i < end; i++) times[i]++;
    };
    MUST(pool.parallel_for(0, 300, count));
    MUST(pool.parallel_for(300, 600, 7, [&](std::size_t begin, std::size_t end) {
        CHECK(end - begin <= 7);
        count(begin, end);
    }));
    const auto cpu = static_cast<std::size_t>(MUST(pool.worker_cpu(0)));
    MUST(pool.parallel_for({.priority = coop::priority::low, .cpus = coop::cpu_set{cpu}}, 600, 999, 0, count));
    MUST(pool.parallel_for(999, 999, count));
    MUST(pool.submit([&] { MUST(pool.parallel_for(999, 1000, std::function<void(std::size_t, std::size_t)>(count))); }));
    MUST(pool.shutdown());
    CHECK(once(times));

    REFUSED(coop::errc::closed, pool.parallel_for(0, 10, count));
    REFUSED(coop::errc::null, coop::pool().parallel_for(0, 10, count));
    coop::pool other = MUST(coop::pool::create({.workers = 1}));
    REFUSED(coop::errc::invalid, other.parallel_for(2, 1, count));
    REFUSED(coop::errc::affinity, other.parallel_for({.cpus = coop::cpu_set{1000}}, 0, 1, 0, count));
    REFUSED(coop::errc::null, other.parallel_for(0, 1, std::function<void(std::size_t, std::size_t)>()));
    CHECK(once(times));
}

#if defined(__cpp_exceptions)
static std::atomic<int> hooked{0};
static void hook(std::exception_ptr) noexcept { hooked++; }

/* One comes back, whatever number of pieces throws, and the hook has the others. */
static void the_first_exception_comes_back() {
    CHECK(coop::set_exception_hook(hook) == coop::print_exception);
    coop::pool pool = MUST(coop::pool::create({.workers = 2}));
    std::atomic<int> thrown{0};
    std::string caught;
    try {
        static_cast<void>(pool.parallel_for(0, 1000, 1, [&](std::size_t begin, std::size_t) {
            thrown++;
            throw std::runtime_error("piece " + std::to_string(begin));
        }));
    } catch (const std::runtime_error &error) {
        caught = error.what();
    }
    CHECK(caught.starts_with("piece "));
    CHECK(thrown >= 1 && hooked == thrown - 1);

    /* Only one throws: the others that had begun have ended, and the pool goes on. */
    std::atomic<int> begun{0}, ended{0};
    int number = 0;
    try {
        static_cast<void>(pool.parallel_for(0, 100, 1, [&](std::size_t begin, std::size_t) {
            begun++;
            if (begin == 50) {
                ended++;
                throw 50;
            }
            ended++;
        }));
    } catch (int what) {
        number = what;
    }
    CHECK(number == 50 && begun == ended && begun >= 1);
    numbers times(10);
    MUST(pool.parallel_for(0, 10, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; i++) times[i]++;
    }));
    CHECK(once(times));
    coop::set_exception_hook(nullptr);
}
#endif

int main() {
    each_number_once();
#if defined(__cpp_exceptions)
    the_first_exception_comes_back();
#endif
}
