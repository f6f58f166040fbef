/* Callables as callbacks: moved in, and destroyed once, however they end. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <vector>

static coop::pool one_worker() { return MUST(coop::pool::create({.workers = 1})); }

/* Keeps the only worker busy until it is opened, so that what is submitted meanwhile is queued. */
struct busy {
    explicit busy(coop::pool_ref pool) {
        MUST(pool.submit([this] {
            entered.open();
            leave.wait();
        }));
        entered.wait();
    }
    latch entered, leave;
};

static void run_then_dropped() {
    counts c;
    coop::pool pool = one_worker();
    MUST(pool.submit(counted(c)));
    MUST(pool.submit({.priority = coop::priority::high}, counted(c)));
    MUST(pool.shutdown());
    CHECK(c.runs == 2 && c.drops == 2);
}

static void refused_and_dropped() {
    counts c;
    coop::pool pool = one_worker();
    REFUSED(coop::errc::null, coop::pool_ref().submit(counted(c)));
    CHECK(c.drops == 1);
    REFUSED(coop::errc::invalid, pool.submit({.priority = static_cast<coop::priority>(9)}, counted(c)));
    REFUSED(coop::errc::invalid, pool.submit({.cpus = coop::cpu_set{}}, counted(c)));
    CHECK(c.drops == 3);
    MUST(pool.shutdown());
    REFUSED(coop::errc::closed, pool.submit(counted(c)));
    CHECK(c.runs == 0 && c.drops == 4);

    coop::event_loop loop = MUST(coop::event_loop::create());
    REFUSED(coop::errc::invalid, loop.timer({.every = -1ns}, counted(c)));
    REFUSED(coop::errc::invalid, loop.watch(-1, counted(c)));
    MUST(loop.stop());
    REFUSED(coop::errc::closed, loop.post(counted(c)));
    REFUSED(coop::errc::closed, loop.timer({}, counted(c)));
    CHECK(c.runs == 0 && c.drops == 8);
}

/* The words of a refusal are of the refusal, whatever the callable does at its end. */
static void a_refusals_words_come_before_the_drop() {
    struct fails_at_its_end {
        bool armed = true;
        fails_at_its_end() = default;
        fails_at_its_end(fails_at_its_end &&other) noexcept : armed(std::exchange(other.armed, false)) {}
        ~fails_at_its_end() {
            if (armed) REFUSED(coop::errc::null, coop::runtime().stop());
        }
        void operator()() const {}
    };
    const coop::result<void> refused = coop::event_loop_ref().post(fails_at_its_end());
    CHECK(refused.error() == coop::errc::null);
    CHECK(refused.message().find("event_loop") != std::string::npos);
    CHECK(std::string(coop_last_error()).find("runtime") != std::string::npos);
}

static void shut_down_and_dropped() {
    counts c;
    coop::pool pool = one_worker();
    busy hold(pool);
    for (int i = 0; i < 10; i++) MUST(pool.submit(counted(c)));
    CHECK(c.drops == 0);
    REFUSED(coop::errc::timeout, pool.shutdown(coop::shutdown_mode::discard, 0ns));
    CHECK(c.runs == 0 && c.drops == 10);
    hold.leave.open();
    MUST(pool.shutdown(coop::shutdown_mode::discard, LONG));
    CHECK(c.runs == 0 && c.drops == 10);
}

static void freed_and_dropped() {
    counts c;
    {
        coop::pool pool = one_worker();
        busy hold(pool);
        for (int i = 0; i < 10; i++) MUST(pool.submit(counted(c)));
        hold.leave.open();
        pool.free();
        CHECK(c.drops == 10);
    }
    CHECK(c.drops == 10);

    counts in_loop;
    {
        coop::event_loop loop = MUST(coop::event_loop::create());
        MUST(loop.post(counted(in_loop)));
        MUST(loop.timer({.after = 1h}, counted(in_loop)));
        int ends[2];
        CHECK(pipe(ends) == 0);
        MUST(loop.watch(ends[0], counted(in_loop)));
        CHECK(in_loop.drops == 0);
        loop.free();
        CHECK(in_loop.runs == 0 && in_loop.drops == 3);
        close(ends[0]);
        close(ends[1]);
    }
    CHECK(in_loop.drops == 3);
}

/* The last owner of a pool may be one of its tasks. */
static void freed_inside_a_task() {
    counts c;
    latch dropped;
    struct opens_at_its_end {
        latch *l;
        explicit opens_at_its_end(latch &one) : l(&one) {}
        opens_at_its_end(opens_at_its_end &&other) noexcept : l(std::exchange(other.l, nullptr)) {}
        ~opens_at_its_end() {
            if (l) l->open();
        }
    };
    coop::pool pool = one_worker();
    latch owned;
    coop::pool *owner = nullptr;
    MUST(pool.submit([&, sign = opens_at_its_end(dropped)] {
        owned.wait();
        for (int i = 0; i < 3; i++) MUST(owner->submit(counted(c)));
        delete owner;
        CHECK(c.runs == 0 && c.drops == 3);
    }));
    owner = new coop::pool(std::move(pool));
    owned.open();
    dropped.wait();
    CHECK(!pool && c.drops == 3);
}

static void cancelled_and_dropped() {
    counts c;
    coop::event_loop loop = MUST(coop::event_loop::create());
    const coop::timer timer = MUST(loop.timer({.after = 1h, .every = 1h}, counted(c)));
    MUST(timer.cancel());
    CHECK(c.runs == 0 && c.drops == 1);
    REFUSED(coop::errc::stale, timer.cancel());
    CHECK(c.drops == 1);
    {
        const coop::scoped scope = MUST(loop.timer({.after = 1h}, counted(c)));
        CHECK(c.drops == 1);
    }
    CHECK(c.runs == 0 && c.drops == 2);
}

static void repeated_with_the_state_that_it_left() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    counts c;
    std::vector<int> seen;
    MUST(loop.timer({.every = 1ms}, [&, count = 0, probe = counted(c)]() mutable {
        seen.push_back(count++);
        if (count == 4) MUST(loop.stop());
    }));
    /* A pointer's size, but changing: not in arg. */
    int last = 0;
    static int *place;
    place = &last;
    MUST(loop.timer({.every = 1ms}, [count = 0]() mutable { *place = ++count; }));
    MUST(loop.run());
    CHECK(seen == std::vector<int>({0, 1, 2, 3}));
    CHECK(last >= 2);
    /* A loop that was stopped drops its timers when its run ends. */
    CHECK(c.drops == 1);
    loop.free();
    CHECK(c.drops == 1);
}

static std::atomic<int> function_runs{0};
static void function() { function_runs++; }

static void callables_of_every_kind() {
    coop::pool pool = one_worker();
    std::atomic<int> runs{0};

    MUST(pool.submit(function));
    MUST(pool.submit(&function));

    const auto by_reference = [&runs] { runs++; };
    MUST(pool.submit(by_reference)); /* an lvalue is copied, and may be submitted again */
    MUST(pool.submit(by_reference));
    MUST(pool.submit(std::function<void()>(by_reference)));
    MUST(pool.submit(std::ref(by_reference)));
    MUST(pool.submit([&runs, keep = std::make_unique<int>(1)] { runs += *keep; }));
    MUST(pool.submit([&runs, keep = std::make_unique<int>(1)]() mutable { runs += *std::exchange(keep, nullptr); }));

    struct once {
        std::atomic<int> *runs;
        void operator()() && { (*runs)++; }
    };
    MUST(pool.submit(once{&runs}));
    struct with_an_answer {
        std::atomic<int> *runs;
        [[nodiscard]] int operator()() const { return (*runs)++; }
    };
    MUST(pool.submit(with_an_answer{&runs}));

    std::packaged_task<int()> task([] { return 42; });
    std::future<int> answer = task.get_future();
    MUST(pool.submit(std::move(task)));
    CHECK(answer.get() == 42);

    struct alignas(64) aligned {
        std::atomic<int> *runs;
        void operator()() const { *runs += reinterpret_cast<std::uintptr_t>(this) % 64 == 0; }
    };
    MUST(pool.submit(aligned{&runs}));
    struct large {
        char bytes[4096] = {};
        std::atomic<int> *runs = nullptr;
        void operator()() const { *runs += 1 + bytes[4095]; }
    };
    large big;
    big.runs = &runs;
    MUST(pool.submit(big));

    MUST(pool.shutdown());
    CHECK(function_runs == 2);
    CHECK(runs == 10);
}

static void nothing_to_call_is_refused() {
    coop::pool pool = one_worker();
    coop::event_loop loop = MUST(coop::event_loop::create());
    void (*no_function)() = nullptr;
    REFUSED(coop::errc::null, pool.submit(no_function));
    REFUSED(coop::errc::null, pool.submit(std::function<void()>()));
    REFUSED(coop::errc::null, loop.post(no_function));
    REFUSED(coop::errc::null, loop.timer({}, std::function<void(std::uint64_t)>()));
    REFUSED(coop::errc::null, loop.watch(0, no_function));
    REFUSED(coop::errc::null, coop::set_log(coop::log_level::warn, no_function));
}

/* A callable with Held in it, which counts those that were put on the heap. */
template <class Held>
struct on_heap {
    Held held;
    static inline int allocations = 0;

    void operator()() const { held(); }
    static void *operator new(std::size_t size) {
        allocations++;
        return ::operator new(size);
    }
    static void operator delete(void *place) { ::operator delete(place); }
};

template <class Held>
static int allocations_of(coop::pool_ref pool, Held held) {
    on_heap<Held>::allocations = 0;
    MUST(pool.submit(on_heap<Held>{std::move(held)}));
    return on_heap<Held>::allocations;
}

static void small_ones_need_no_memory() {
    coop::pool pool = one_worker();
    std::atomic<int> runs{0};
    int other = 0;
    CHECK(allocations_of(pool, [] {}) == 0);
    CHECK(allocations_of(pool, &function) == 0);
    CHECK(allocations_of(pool, [&runs] { runs++; }) == 0);
    CHECK(allocations_of(pool, [low = 'a', high = 'b'] { CHECK(low == 'a' && high == 'b'); }) == 0);
    CHECK(allocations_of(pool, [&runs, &other] {
              runs++;
              other++;
          }) == 1);
    CHECK(allocations_of(pool, [&runs, keep = std::unique_ptr<int>()] { runs += !keep; }) == 1);
    MUST(pool.shutdown());
    CHECK(runs == 3 && other == 1);
}

/* One that is refused by the compiler rather than by a test. */
struct needs_an_argument {
    void operator()(std::string) const {}
};
using submitted = coop::detail::runs;
static_assert(!coop::detail::callable_with<needs_an_argument, std::uint64_t>);
static_assert(coop::detail::callable_with<needs_an_argument, const char *>);
static_assert(coop::detail::fits_in_arg<void (*)(), submitted::repeatedly>);
static_assert(!coop::detail::fits_in_arg<counted, submitted::once>);

int main() {
    run_then_dropped();
    refused_and_dropped();
    a_refusals_words_come_before_the_drop();
    shut_down_and_dropped();
    freed_and_dropped();
    freed_inside_a_task();
    cancelled_and_dropped();
    repeated_with_the_state_that_it_left();
    callables_of_every_kind();
    nothing_to_call_is_refused();
    small_ones_need_no_memory();
}
