// Graphs and coroutines: I/O nodes that are coroutines, runs that are awaited, and what becomes of both when a run ends early.
#include "expect.hpp"

#include <memory>
#include <stdexcept>

// The call was done.
#define MUST_DONE(...) CHECK(static_cast<bool>(__VA_ARGS__))

namespace {

void values(coop::runtime &runtime) {
    auto loop = runtime.event_loop();
    coop::dag_builder builder = MUST(coop::dag_builder::create());
    auto x = builder.input<int>("x");
    auto slow = builder.io("slow", [loop](const int &n) -> coop::task<int> {
        CHECK(loop.is_loop_thread());
        co_await coop::sleep_for(loop, 1ms);
        CHECK(loop.is_loop_thread());
        co_return n + 1;  // n is there until the node ends
    }, x);
    auto owned = builder.io("owned", [loop](std::string text) -> coop::task<std::unique_ptr<std::string>> {
        co_await coop::sleep_for(loop, 1ms);
        co_return std::make_unique<std::string>(std::move(text));
    }, builder.cpu("text", [](int n) { return std::to_string(n); }, slow));
    auto done = builder.io("done", [](const coop::dag_completer &completer) -> coop::task<> {
        CHECK(!completer.is_ended());
        co_return;
    });
    auto both = builder.cpu("both", [](std::unique_ptr<std::string> text) { return *text + "!"; }, owned, done);
    coop::dag graph = MUST(builder.build());

    // One coroutine awaits many runs, of which each has its own values.
    auto many = [&]() -> coop::task<int> {
        std::vector<coop::dag_run> runs;
        for (int i = 0; i < 100; i++) runs.push_back(graph.run(runtime, coop::dag_inputs().with(x, i)));
        int good = 0;
        for (int i = 0; i < 100; i++) {
            coop::result<coop::dag_outcome> outcome = co_await runs[static_cast<std::size_t>(i)];
            if (outcome && MUST(outcome->take(both)) == std::to_string(i + 1) + "!") good++;
        }
        coop::result<coop::dag_outcome> refused = co_await graph.run(runtime);
        CHECK(refused.error() == coop::errc::invalid);
        co_return good;
    };
    CHECK(coop::sync_wait(many()) == 100);
}

void failures(coop::runtime &runtime) {
    auto loop = runtime.event_loop();
    coop::dag_builder builder = MUST(coop::dag_builder::create());
    auto thrown = builder.io("throws", [loop]() -> coop::task<int> {
        co_await coop::sleep_for(loop, 1ms);
        throw std::runtime_error("late");
    });
    auto answered = builder.io("answers", []() -> coop::task<coop::result<int>> {
        co_return coop::error(coop::errc::resolve, "no such host");
    });
    auto retried = builder.io("retried", {.retries = 3, .backoff = 1ms}, [tries = std::make_shared<int>(0)]() -> coop::task<int> {
        if (++*tries < 3) throw std::runtime_error("again");
        co_return *tries;
    });
    coop::dag graph = MUST(builder.build());
    coop::dag_outcome outcome = MUST(graph.run(runtime).join(LONG));
    CHECK(!outcome.result() && outcome.failure(thrown).message() == "late");
    CHECK(outcome.cause(thrown) != nullptr);
    REFUSED(coop::errc::resolve, outcome.failure(answered));
    CHECK(MUST(outcome.take(retried)) == 3);
}

// A coroutine goes on when its run has ended, and its callable is there as long: what it makes is dropped.
void ends_early(coop::runtime &runtime) {
    auto loop = runtime.event_loop();
    latch begun, go, gone;
    auto alive = std::shared_ptr<int>(new int(1), [&](int *p) {
        delete p;
        gone.open();
    });
    {
        coop::dag_builder builder = MUST(coop::dag_builder::create());
        auto slow = builder.io("slow", [loop, alive = std::move(alive), &begun](const coop::dag_completer &completer) -> coop::task<int> {
            begun.open();
            while (!completer.is_ended()) co_await coop::sleep_for(loop, 1ms);
            co_return *alive;
        });
        coop::dag graph = MUST(builder.build());
        coop::dag_run run = graph.run(runtime);
        begun.wait();
        MUST_DONE(run.cancel());
        coop::dag_outcome outcome = MUST(run.join(LONG));
        REFUSED(coop::errc::cancelled, outcome.result());
        REFUSED(coop::errc::cancelled, outcome.take(slow));
        coop::dag_run late = graph.run(runtime, {}, {.timeout = 2ms});
        REFUSED(coop::errc::timeout, late.get(LONG));
    }
    gone.wait();
}

// A runtime that ends under a run ends the run, once.
void runtime_ends() {
    latch begun, told;
    coop::dag_builder builder = MUST(coop::dag_builder::create());
    coop::dag graph;
    {
        coop::runtime runtime = MUST(coop::runtime::create());
        runtime.start().value();
        auto loop = runtime.event_loop();
        builder.io("never", [loop, &begun]() -> coop::task<int> {
            begun.open();
            // The sleep is told that the loop goes, perhaps before the run is: that is the node's failure, and the run's end.
            const coop_status slept = co_await coop::sleep_for(loop, 24h);
            if (slept != COOP_OK) throw std::system_error(coop::make_error_code(static_cast<coop::errc>(slept)));
            co_return 1;
        });
        graph = MUST(builder.build());
        coop::dag_run run = graph.run(runtime);
        MUST_DONE(run.then([&](coop::result<void> ended, coop::dag_outcome outcome) {
            CHECK(ended.error() == coop::errc::closed && outcome.result().error() == coop::errc::closed);
            told.open();
        }));
        begun.wait();
    }
    told.wait();
}

}  // namespace

int main() {
    coop::runtime runtime = MUST(coop::runtime::create({.pool = {.workers = 2}}));
    runtime.start().value();
    values(runtime);
    failures(runtime);
    ends_early(runtime);
    runtime_ends();
    return 0;
}
