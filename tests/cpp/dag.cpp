// Graphs of callables: typed results, arguments that are moved, and failures.  Also built with: -fno-rtti
#include "expect.hpp"

#include <memory>
#include <stdexcept>
#include <vector>

// The call was done.
#define MUST_DONE(...) CHECK(static_cast<bool>(__VA_ARGS__))

namespace {

coop::pool pool;
coop::event_loop event_loop;

coop::pool_ref workers() { return coop::pool_ref(pool.get()); }
coop::event_loop_ref loop() { return coop::event_loop_ref(event_loop.get()); }
coop::dag_builder fresh() { return MUST(coop::dag_builder::create()); }

void values() {
    coop::dag_builder builder = fresh();
    auto x = builder.input<int>("x");
    auto twice = builder.cpu("twice", [](int n) { return 2 * n; }, x);
    auto text = builder.cpu("text", [](const int &n) { return std::to_string(n); }, twice);
    auto noted = builder.cpu("noted", [](coop::dag_call &call, const std::string &) { CHECK(call.name() == "noted" && call.reads() == 1); }, text);
    auto both = builder.cpu("both", [](int n, std::string s) { return s + "/" + std::to_string(n); }, x, text, noted);
    static_assert(std::is_same_v<decltype(both), coop::dag_node<std::string>>);
    static_assert(std::is_same_v<decltype(noted), coop::dag_node<void>>);
    coop::dag graph = MUST(builder.build());
    CHECK(graph.len() == 5 && MUST(graph.name(both)) == "both" && MUST(graph.index<std::string>("both")).id() == both.id());
    for (int i = 0; i < 50; i++) {
        coop::dag_run run = graph.run(workers(), {}, coop::dag_inputs().with(x, i));
        coop::dag_outcome outcome = MUST(run.get(LONG));
        CHECK(*MUST(outcome.value(both)) == std::to_string(2 * i) + "/" + std::to_string(i));
        CHECK(MUST(outcome.take(both)) == std::to_string(2 * i) + "/" + std::to_string(i));
        REFUSED(coop::errc::stale, outcome.take(both));
        REFUSED(coop::errc::stale, run.join());
    }
    REFUSED(coop::errc::invalid, graph.run(workers(), {}).join());
    CHECK(graph.run(workers(), {}).started().message().find("\"x\" is not given") != std::string::npos);
}

// What cannot be copied has one reader.
void move_only() {
    using owned = std::unique_ptr<int>;
    coop::dag_builder builder = fresh();
    auto made = builder.cpu("made", [] { return std::make_unique<int>(4); });
    auto changed = builder.cpu("changed", [](owned n) { return ++*n, std::move(n); }, made);
    auto looked = builder.cpu("looked", {.keep = true}, [](const owned &n) { return std::make_unique<int>(*n + 1); }, changed);
    auto wanted = builder.cpu("wanted", [](owned n) { return *n; }, looked);
    coop::dag graph = MUST(builder.build());
    coop::dag_outcome outcome = MUST(graph.run(workers(), {}).join(LONG));
    REFUSED(coop::errc::exists, outcome.failure(wanted));
    CHECK(*MUST(outcome.take(looked)) == 6);
}

void many_and_optional() {
    coop::dag_builder builder = fresh();
    std::vector<coop::dag_node<int>> ones;
    for (int i = 0; i < 100; i++) ones.push_back(builder.cpu("n" + std::to_string(i), [i] { return i; }));
    auto sum = builder.cpu("sum", [](const coop::dag_values<int> &all) {
        int total = 0;
        for (int n : all) total += n;
        return total;
    }, ones);
    auto skipped = builder.cpu("skipped", {.only_if = [](const coop::dag_call &call) { return *call.value<int>(0).value() < 0; }}, [](int n) { return n; }, sum);
    auto said = builder.cpu("said", [](coop::dag_call &call) { return call.skip(), 1; });
    auto all_the_same = builder.cpu("all the same", {.even_if_skipped = true},
                                    [](const int *a, const int *b, int c) { return a == nullptr && b == nullptr ? c : -1; },
                                    coop::dag_optional{skipped}, coop::dag_optional{said}, sum);
    coop::dag graph = MUST(builder.build());
    coop::dag_outcome outcome = MUST(graph.run(workers(), {}).get(LONG));
    CHECK(MUST(outcome.take(all_the_same)) == 4950);
    CHECK(MUST(outcome.state(skipped)) == coop::dag_state::skipped);
}

void failures() {
    coop::dag_builder builder = fresh();
    auto fails = builder.cpu("fails", []() -> int { throw std::runtime_error("on purpose"); });
    auto answers = builder.cpu("answers", []() -> coop::result<int> { return coop::error(coop::errc::timeout, "too late"); });
    auto says = builder.cpu("says", {.retries = 2}, [](coop::dag_call &call) {
        if (call.attempt() < 2) MUST_DONE(call.fail(coop::errc::unsupported, "not yet"));
        return call.attempt();
    });
    auto never = builder.cpu("never", [](int) { return 1; }, fails);
    coop::dag graph = MUST(builder.build());
    coop::dag_outcome outcome = MUST(graph.run(workers(), {}).join(LONG));
    CHECK(!outcome.result());
    CHECK(outcome.failure(fails).message() == "on purpose");
    bool caught = false;
    try {
        std::rethrow_exception(outcome.cause(fails));
    } catch (const std::runtime_error &error) {
        caught = std::string(error.what()) == "on purpose";
    }
    CHECK(caught);
    REFUSED(coop::errc::timeout, outcome.failure(answers));
    CHECK(outcome.cause(answers) == nullptr);
    CHECK(MUST(outcome.take(says)) == 2);
    CHECK(MUST(outcome.state(never)) == coop::dag_state::cancelled);
    REFUSED(coop::errc::cancelled, outcome.take(never));
    coop::dag_outcome fast = MUST(graph.run(workers(), loop(), {}, {.timeout = 60s, .on_failure = coop::on_failure::fail_fast}).join(LONG));
    CHECK(!fast.result());
}

// What is refused is answered by build, and its callable is destroyed at once.
void refusals() {
    counts c;
    {
        coop::dag_builder builder = fresh();
        builder.cpu("a", [] {});
        auto again = builder.cpu("a", counted(c));
        CHECK(!again && c.drops == 1);
        REFUSED(coop::errc::exists, builder.build());
    }
    coop::dag_builder builder = fresh();
    builder.cpu("a", {.after = {coop::dag_ref(std::string("b"))}}, counted(c));
    builder.cpu("b", [] {});
    builder.after("b", "a");
    const auto refused = builder.build();
    CHECK(refused.error() == coop::errc::invalid);
    CHECK(refused.message().find("a -> b -> a") != std::string::npos);
    builder.free();
    CHECK(c.drops == 2 && c.runs == 0);
    REFUSED(coop::errc::null, coop::dag_builder().build());
    REFUSED(coop::errc::null, coop::dag().run(workers(), {}).join());
    REFUSED(coop::errc::invalid, coop::dag_builder::create({.nodes = SIZE_MAX}));
}

// Somebody else completes a node, later and on another thread.
void callbacks_and_subgraphs() {
    coop::dag_builder inner = fresh();
    auto n = inner.input<int>("n");
    inner.callback<int>("later", {}, [](coop::dag_promise<int> promise, const int &read) {
        auto shared = std::make_shared<coop::dag_promise<int>>(std::move(promise));
        MUST_DONE(workers().submit([shared, &read] { MUST_DONE(shared->complete(read + 1)); }));
    }, n);
    coop::dag part = MUST(inner.build());
    coop::dag_builder builder = fresh();
    auto one = builder.cpu("one", [] { return 1; });
    builder.insert("p", part, {{"n", one}});
    builder.insert("q", part, {{"n", coop::dag_ref(std::string("p/later"))}});
    auto result = builder.cpu("result", [](int last) { return last; }, coop::dag_node<int>(std::string("q/later")));
    coop::dag graph = MUST(builder.build());
    part.free();
    latch told;
    coop::dag_run run = graph.run(workers(), loop());
    MUST_DONE(run.then([&, result](coop::result<void> ended, coop::dag_outcome outcome) {
        MUST_DONE(std::move(ended));
        CHECK(MUST(outcome.take(result)) == 3);
        told.open();
    }));
    told.wait();
}

// What nodes took, as texts and in numbers.
void traces() {
    coop::dag_builder builder = fresh();
    auto one = builder.cpu("one", [] { return 1; });
    auto bad = builder.cpu("bad", [](int) -> int { throw std::runtime_error("on purpose"); }, one);
    coop::dag graph = MUST(builder.build());
    coop::dag_outcome plain = MUST(graph.run(workers(), {}).join(LONG));
    REFUSED(coop::errc::invalid, plain.trace());
    for (int i = 0; i < 3; i++) {
        coop::dag_outcome outcome = MUST(graph.run(workers(), {}, {}, {.trace = true}).join(LONG));
        const std::string json = MUST(outcome.trace()), dot = MUST(outcome.trace(coop::dag_format::dot));
        CHECK(json.front() == '{' && json.find("\"name\":\"bad\"") != std::string::npos && json.find("\"state\":\"Failed\"") != std::string::npos);
        CHECK(dot.rfind("digraph", 0) == 0 && dot.find(" us, waited ") != std::string::npos);
    }
    CHECK(MUST(graph.dot()).find("n0 -> n1;") != std::string::npos);
    const coop::dag_statistics stats = MUST(graph.stats(bad));
    CHECK(stats.count == 3 && stats.failures == 3 && stats.ran_min_ns <= stats.ran_mean_ns && stats.ran_mean_ns <= stats.ran_max_ns);
    CHECK(MUST(graph.stats(one)).failures == 0);
    REFUSED(coop::errc::invalid, graph.stats(coop::dag_ref()));
    REFUSED(coop::errc::null, coop::dag().dot());
    REFUSED(coop::errc::null, coop::dag().stats(one));
    REFUSED(coop::errc::null, coop::dag_outcome().trace());
}

// A deadline that has passed is none that never comes.
void deadlines() {
    coop::dag_builder builder = fresh();
    builder.callback<int>("never", {}, [](coop::dag_promise<int> promise) {
        static coop::dag_promise<int> kept;
        kept = std::move(promise);
    });
    coop::dag graph = MUST(builder.build());
    REFUSED(coop::errc::timeout, graph.run(workers(), loop(), {}, {.timeout = 0s}).get(LONG));
    REFUSED(coop::errc::timeout, graph.run(workers(), loop(), {}, {.timeout = -1s}).get(LONG));
    coop::dag_run run = graph.run(workers(), loop(), {}, {.timeout = coop::forever});
    REFUSED(coop::errc::timeout, run.join(1ms));
    MUST_DONE(run.cancel());
    coop::dag_builder of_node = fresh();
    auto late = of_node.callback<int>("late", {.timeout = 0s}, [](coop::dag_promise<int> promise) {
        static coop::dag_promise<int> kept;
        kept = std::move(promise);
    });
    coop::dag with_deadline = MUST(of_node.build());
    coop::dag_outcome outcome = MUST(with_deadline.run(workers(), loop()).join(LONG));
    REFUSED(coop::errc::timeout, outcome.failure(late));
}

}  // namespace

int main() {
    pool = MUST(coop::pool::create({.workers = 2}));
    event_loop = MUST(coop::event_loop::create());
    event_loop.start().value();
    values();
    move_only();
    many_and_optional();
    failures();
    refusals();
    callbacks_and_subgraphs();
    traces();
    deadlines();
    return 0;
}
