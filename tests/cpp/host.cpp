// coop::host: programs, callables and objects as services; verbs; observers; who owns what was refused.
#include "expect.hpp"

#include <coop.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>

namespace {

// Waits for what other threads do; a minute is far beyond what anything here takes.
template <class F>
void until(F &&f) {
    for (int turns = 0; turns < 60000; turns++) {
        if (f()) return;
        std::this_thread::sleep_for(1ms);
    }
    CHECK(!"it has happened in a minute");
}

// The next event of this kind and path.
coop::service_event next_of(coop::observer observer, coop::service_change change, std::string_view path) {
    for (;;) {
        coop::service_event event = observer.next(60s).value();
        if (event.change == change && event.path == path) return event;
    }
}

void programs() {
    auto host = coop::host::create({.name = "top", .root = {.intensity = coop::unlimited}}).value();
    auto observer = host.observe({.json = true}).value();
    std::atomic<int> starts = 0;
    host.observe({.path = "top/sl*", .changes = coop::service_change::starting | coop::service_change::ready},
                 [&](const coop::service_event &event) { starts += event.path == "top/sleeper"; })
        .value();
    coop::service sleeper("sleeper", coop::command{.argv = {"/bin/sh", "-c", "echo $A; exec sleep 1000"}, .env = {"A=hello"}},
                          {.shutdown = 30s});
    const coop::service_id id = host.root().add(sleeper).value();
    host.start().value();
    CHECK(host.start().error() == coop::errc::exists);
    const coop::service_event spawned = next_of(observer, coop::service_change::spawned, "top/sleeper");
    CHECK(spawned.id == id && spawned.run == 1 && spawned.pid > 0 && spawned.json.starts_with('{'));
    const int pid = spawned.pid;
    next_of(observer, coop::service_change::ready, "top/sleeper");
    CHECK(::kill(pid, SIGKILL) == 0);
    const coop::service_event ended = next_of(observer, coop::service_change::ended, "top/sleeper");
    CHECK(ended.exit == coop::service_exit::signaled && ended.signal == SIGKILL && !ended.normal);
    next_of(observer, coop::service_change::ready, "top/sleeper");
    const auto spec = host.root().get_childspec(id).value();
    CHECK(spec.name == "sleeper" && spec.executor == "process" && spec.shutdown_ns == 30000000000);
    const auto children = host.root().which_children().value();
    CHECK(children.size() == 1 && children[0].state == coop::child_state::running && children[0].run == 2);
    host.shutdown().value();
    host.join().value();
    host.free();
    CHECK(host.join().error() == coop::errc::null);
    until([&] { return starts == 4; });
}

void callables() {
    auto host = coop::host::create({.root = {.intensity = coop::unlimited}}).value();
    auto observer = host.observe().value();
    auto held = std::make_shared<int>(0);
    std::weak_ptr<int> watch = held;
    std::atomic<int> runs = 0;
    auto root = host.root();
    auto below = root.supervisor_("below", {.strategy = coop::strategy::rest_for_one, .intensity = 3}).value();
    coop::service work("work",
                       [held, &runs](coop::service_context context) {
                           runs++;
                           // Nobody asks the second run to stop before it is ready.
                           CHECK(context.run() != 2 || (!context.wait_stopping(1ns) && !context.is_stopping()));
                           context.status("run " + std::to_string(context.run())).value();
                           context.ready().value();
                           if (context.run() == 1) return context.fail("on purpose\nand in detail").value();
                           CHECK(context.wait_stopping());
                       },
                       {.ready_within = 60s, .backoff = {.delay = 1ms, .growth = coop::growth::exponential}});
    held.reset();
    const coop::service_id id = below.add(work).value();
    host.start().value();
    const coop::service_event ended = next_of(observer, coop::service_change::ended, "root/below/work");
    CHECK(ended.exit == coop::service_exit::failed && ended.text == "failed: on purpose" && ended.details == "and in detail");
    next_of(observer, coop::service_change::ready, "root/below/work");
    CHECK(below.find("work").value() == id && below.find("none").value() == 0);
    below.replace_child(id).value();
    below.terminate_child(id).value();
    below.restart_child(id).value();
    below.terminate_child(id).value();
    CHECK(runs == 4 && !watch.expired());
    below.delete_child(id).value();
    until([&] { return watch.expired(); });
    CHECK(below.terminate_child(id).error() == coop::errc::stale);

    // What throws has failed, and is told to the hook.
    static std::atomic<int> thrown = 0;
    coop::set_exception_hook([](std::exception_ptr) noexcept { thrown++; });
    root.start_child(coop::service("throws", [] { throw 1; }, {.restart = coop::restart::temporary})).value();
    CHECK(next_of(observer, coop::service_change::ended, "root/throws").exit == coop::service_exit::failed);
    CHECK(thrown == 1);
    coop::set_exception_hook(nullptr);
}

void refusals() {
    auto host = coop::host::create().value();
    auto held = std::make_shared<int>(0);
    coop::service first("one", [held](coop::service_context context) { context.wait_stopping(); });
    coop::service second("one", [held](coop::service_context context) { context.wait_stopping(); });
    host.root().add(first).value();
    CHECK(host.root().add(second).error() == coop::errc::exists && held.use_count() == 3);
    CHECK(host.root().add(coop::service("two", [held] {}, {.significant = true})).error() == coop::errc::invalid);
    CHECK(held.use_count() == 3);
    CHECK(host.root().add(coop::service("", [held] {})).error() == coop::errc::invalid);
    CHECK(host.root().add(coop::service("n", static_cast<void (*)()>(nullptr))).error() == coop::errc::null);
    CHECK(coop::host::create({.root = {.intensity = -2}}).error() == coop::errc::invalid);
    CHECK(coop::host::create({.root = {.intensity = 0}}).has_value());
    host.free();
    until([&] { return held.use_count() == 2; });
}

// An object on the main loop.
struct ticker {
    coop::event_loop_ref loop;
    std::shared_ptr<std::atomic<int>> state;

    void start(coop::service_context context) {
        *state = 1;
        if (context.run() == 1) context.fail("the first").value();
    }
    void stop(coop::service_context context) {
        *state = 2;
        loop.post([context] { context.end().value(); }).value();
    }
};

void objects() {
    auto loop = coop::event_loop::create().value();
    loop.start().value();
    auto state = std::make_shared<std::atomic<int>>(0);
    {
        auto host = coop::host::create({.root = {.intensity = coop::unlimited}, .event_loop = loop}).value();
        auto observer = host.observe().value();
        host.root().add(coop::service("tick", ticker{loop, state})).value();
        host.start().value();
        next_of(observer, coop::service_change::ended, "root/tick");
        next_of(observer, coop::service_change::ready, "root/tick");
        host.shutdown().value();
        CHECK(next_of(observer, coop::service_change::ended, "root/tick").exit == coop::service_exit::returned);
        CHECK(*state == 2);
    }
    until([&] { return state.use_count() == 1; });
}

void templates() {
    auto host = coop::host::create().value();
    auto simple = host.root().supervisor_("simple", {.strategy = coop::strategy::simple_one_for_one}).value();
    host.start().value();
    std::atomic<int> sum = 0;
    simple
        .template_(coop::service("child",
                                 [&](coop::service_context context) {
                                     sum += **static_cast<std::shared_ptr<int> *>(context.value());
                                     context.wait_stopping();
                                 }))
        .value();
    auto value = std::make_shared<int>(20);
    simple.start_child_with(value).value();
    const coop::service_id second = simple.start_child_with(value).value();
    until([&] { return sum == 40; });
    CHECK(value.use_count() == 3 && simple.count_children().value().active == 2);
    simple.terminate_child(second).value();
    until([&] { return value.use_count() == 2; });
    CHECK(host.root().start_child_with(value).error() == coop::errc::invalid && value.use_count() == 2);
    host.free();
    until([&] { return value.use_count() == 1; });
}

}  // namespace

int main() {
    programs();
    callables();
    refusals();
    objects();
    templates();
    return 0;
}
