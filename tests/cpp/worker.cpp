// coop::workers, coop::worker, coop::parent_observer and coop::systemd: a program that is its own services.
#include "expect.hpp"

#include <coop.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <unistd.h>

namespace {

// An object on the worker's main loop.
struct echo {
    std::shared_ptr<int> held;

    void start(coop::service_context context) {
        std::string text = "run " + std::to_string(context.run());
        for (std::string_view one : context.argv()) text += ", " + std::string(one);
        context.status(text).value();
        CHECK(context.event_loop().is_loop_thread());
        context.event_loop().post([context] { context.ready().value(); }).value();
    }
    void stop(coop::service_context context) {
        context.event_loop().post([context] { context.end().value(); }).value();
    }
};

void watch(coop::service_context context) {
    auto seen = std::make_shared<std::atomic<int>>(0);
    auto told = coop::parent_observer::create({.path = "root/echo", .replay = 100},
                                              [seen](const coop::service_event &) { ++*seen; })
                    .value();
    auto asked = coop::parent_observer::create({.path = "root/echo", .replay = 100}).value();
    for (;;) {
        const coop::service_event event = asked.next(60s).value();
        if (event.change == coop::service_change::ready && event.run == 2) break;
    }
    CHECK(asked.next(0s).error() == coop::errc::timeout);
    told.free();
    CHECK(!told && told.next().error() == coop::errc::null);
    while (seen.use_count() > 1) usleep(1000);
    context.status(*seen > 0 ? "seen" : "not seen").value();
    context.wait_stopping();
}

std::optional<int> as_worker() {
    auto held = std::make_shared<int>(0);
    std::optional<int> status;
    {
        coop::workers workers;
        workers.service("echo", echo{held}).service("watch", watch).service("throws", [held] { throw 1; });
        coop::workers moved = std::move(workers);
        CHECK(held.use_count() == 3);
        status = moved.run().value();
        CHECK(held.use_count() == 1);
    }
    {
        coop::workers twice;
        twice.service("a", [held] {}).service("a", [held] {});
        CHECK(twice.run().error() == coop::errc::invalid && held.use_count() == 3);
    }
    CHECK(held.use_count() == 1);
    coop::workers null;
    CHECK(null.service("n", static_cast<void (*)()>(nullptr)).run().error() == coop::errc::null);
    CHECK(coop::workers().run().error() == coop::errc::null);
    return status;
}

coop::service_event next_of(coop::observer observer, coop::service_change change, std::string_view path) {
    for (;;) {
        coop::service_event event = observer.next(60s).value();
        if (event.change == change && event.path == path) return event;
    }
}

void hosts() {
    auto host = coop::host::create({.root = {.intensity = coop::unlimited}}).value();
    auto observer = host.observe().value();
    host.root()
        .add(coop::service("echo", coop::worker{"echo", {.argv = {}, .env = {"A=B"}, .output = coop::output::null}},
                           {.liveness = 60s}))
        .value();
    host.root().add(coop::service("watch", coop::worker{"watch"})).value();
    host.start().value();
    const int pid = next_of(observer, coop::service_change::spawned, "root/echo").pid;
    CHECK(next_of(observer, coop::service_change::status, "root/echo").text == "run 1");
    CHECK(::kill(pid, SIGKILL) == 0);
    CHECK(next_of(observer, coop::service_change::status, "root/watch").text == "seen");

    // It may be ready before it throws, or not.
    const auto thrown =
        host.root().start_child(coop::service("throws", coop::worker{"throws"}, {.restart = coop::restart::temporary}));
    CHECK(thrown || thrown.error() == coop::errc::failed);
    CHECK(next_of(observer, coop::service_change::status, "root/throws").text == "the function has thrown");
    CHECK(host.root().add(coop::service("n", coop::worker{""})).error() == coop::errc::invalid);
    CHECK(host.root().add(coop::service("n", [] {}, {.liveness = 1s})).error() == coop::errc::invalid);
    host.shutdown().value();
    const coop::service_event ended = next_of(observer, coop::service_change::ended, "root/echo");
    CHECK(ended.exit == coop::service_exit::exited && ended.code == 0 && ended.normal);
}

// Nobody has started this process as a service.
void alone() {
    CHECK(coop::parent_observer::create().error() == coop::errc::unsupported);
    CHECK(coop::parent_observer::create({}, [](const coop::service_event &) {}).error() == coop::errc::unsupported);
    coop::systemd::ready().value();
    coop::systemd::status("fine").value();
    coop::systemd::beat().value();
    coop::systemd::extend(1s).value();
    coop::systemd::stopping().value();
    CHECK(coop::systemd::watchdog().value() == 0ns && coop::systemd::listen_fds().value().empty());
}

}  // namespace

int main() {
    if (const auto status = as_worker()) return *status;
    alone();
    hosts();
    return 0;
}
