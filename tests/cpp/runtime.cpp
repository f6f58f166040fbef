/* coop::runtime, the log and the versions. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <string>
#include <thread>
#include <vector>

static coop::runtime new_runtime() { return MUST(coop::runtime::create({.pool = {.workers = 2}})); }

static void loop_and_pool() {
    coop::runtime runtime = new_runtime();
    CHECK(MUST(runtime.pool().workers()) == 2);
    MUST(runtime.start());
    REFUSED(coop::errc::exists, runtime.start(coop::start_mode::wait));
    const coop::event_loop_ref loop = runtime.event_loop();
    const coop::pool_ref pool = runtime.pool();

    latch posted, timed, on_loop, submitted;
    MUST(loop.post([&] {
        CHECK(loop.is_loop_thread() && !pool.is_worker_thread());
        posted.open();
    }));
    MUST(loop.timer({}, [&] {
        CHECK(pool.is_worker_thread() && !loop.is_loop_thread());
        timed.open();
    }));
    MUST(loop.timer({.on = coop::on::loop}, [&] {
        CHECK(loop.is_loop_thread());
        on_loop.open();
    }));
    MUST(loop.timer({.on = coop::on::pool, .priority = coop::priority::high}, [&] { CHECK(pool.is_worker_thread()); }));
    MUST(pool.submit([&] { submitted.open(); }));
    for (latch *one : {&posted, &timed, &on_loop, &submitted}) one->wait();

    const coop::cpu_set nowhere{1023};
    REFUSED(coop::errc::affinity, loop.timer({.on = coop::on::pool, .cpus = nowhere}, [] {}));
    REFUSED(coop::errc::affinity, loop.watch(0, {.on = coop::on::pool, .cpus = nowhere}, [](coop::io) {}));
    REFUSED(coop::errc::invalid, loop.timer({.cpus = nowhere}, [] {}));

    MUST(runtime.stop(LONG));
    REFUSED(coop::errc::closed, runtime.start());
    REFUSED(coop::errc::closed, pool.submit([] {}));
    REFUSED(coop::errc::closed, loop.post([] {}));
}

/* A pool that is not told how many workers has at least 4; what holds up the loop is told by its hook and its statistics. */
static void not_told_and_slow() {
    coop::runtime runtime = MUST(coop::runtime::create());
    CHECK(MUST(runtime.pool().workers()) >= 4);
    latch told;
    MUST(runtime.event_loop().set_slow_hook(20ms, [&](coop::callback_kind what, std::chrono::nanoseconds) {
        CHECK(what == coop::callback_kind::post);
        told.open();
    }));
    MUST(runtime.event_loop().post([] { std::this_thread::sleep_for(20ms); }));
    MUST(runtime.start());
    told.wait();
    MUST(runtime.stop(LONG));
    CHECK(MUST(runtime.event_loop().stats()).longest_callback_ns >= 20'000'000);
}

static void in_the_calling_thread() {
    coop::runtime runtime = new_runtime();
    counts c;
    MUST(runtime.event_loop().post([&, probe = counted(c)] {
        REFUSED(coop::errc::would_deadlock, runtime.start());
        MUST(runtime.pool().submit([&] { MUST(runtime.event_loop().stop()); }));
    }));
    MUST(runtime.start(coop::start_mode::wait));
    REFUSED(coop::errc::invalid, runtime.start(static_cast<coop::start_mode>(5)));
    MUST(runtime.stop());
    CHECK(c.drops == 1);
}

/* What was queued and never ran is dropped by the end of the runtime. */
static void dropped_at_its_end() {
    counts c;
    {
        coop::runtime runtime = new_runtime();
        MUST(runtime.event_loop().post(counted(c)));
        MUST(runtime.event_loop().timer({.after = 1h}, counted(c)));
        CHECK(c.drops == 0);
    }
    CHECK(c.runs == 0 && c.drops == 2);
}

static void made_with_names() {
    coop::runtime runtime =
        MUST(coop::runtime::create({.pool = {.workers = 1, .no_pin = true, .name = "p"}, .event_loop = {.name = "l"}}));
    CHECK(MUST(runtime.pool().worker_cpu(0)) == COOP_NONE);
    REFUSED(coop::errc::invalid, coop::runtime::create({.pool = {.workers = 5000}}));
    CHECK(MUST(coop::runtime::create()));
}

/* A pool that is not its owner's to free is left alone, and the library says so in its log. */
static void the_log() {
    counts c;
    std::mutex lock;
    std::vector<std::string> told;
    MUST(coop::set_log(coop::log_level::warn, [&, probe = counted(c)](coop::log_level level, std::string_view text) {
        const std::lock_guard<std::mutex> guard(lock);
        CHECK(level == coop::log_level::warn || level == coop::log_level::error);
        told.emplace_back(text);
    }));
    coop::runtime runtime = new_runtime();
    coop::pool(runtime.pool().get()).free();
    {
        const std::lock_guard<std::mutex> guard(lock);
        CHECK(told.size() == 1 && told[0].find("runtime") != std::string::npos);
    }
    CHECK(MUST(runtime.pool().workers()) == 2);

    CHECK(c.drops == 0);
    REFUSED(coop::errc::invalid, coop::set_log(coop::log_level::off, [](coop::log_level, std::string_view) {}));
    REFUSED(coop::errc::null, coop::set_log(coop::log_level::warn));
    REFUSED(coop::errc::invalid, coop::set_log(static_cast<coop::log_level>(17), [] {}));
    CHECK(c.drops == 0);
    MUST(coop::set_log(coop::log_level::error, [] {}));
    CHECK(c.drops == 1);
    MUST(coop::set_log(coop::log_level::off));
    coop::pool(runtime.pool().get()).free();
    CHECK(told.size() == 1);
}

static void the_version() {
    CHECK(coop::version() == coop::version_string);
    CHECK(coop::version() == std::to_string(coop::version_major) + "." + std::to_string(coop::version_minor) + "." +
                                 std::to_string(coop::version_patch));
}

/* What many threads call at once is called as const. */
static_assert(!coop::detail::callable_with<coop::detail::called_as<decltype([n = 0]() mutable { n++; }),
                                                                   coop::detail::runs::concurrently>>);

int main() {
    not_told_and_slow();
    loop_and_pool();
    in_the_calling_thread();
    dropped_at_its_end();
    made_with_names();
    the_log();
    the_version();
}
