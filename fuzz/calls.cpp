// Calls every function of coop.h in random order with random arguments - right, wrong, NULL, stale, of the wrong size - from several
// threads and from inside callbacks, and holds what happens against what coop.h promises of every call:
//
//   * nothing crashes, hangs or answers COOP_E_PANIC; an error has words, and leaves outputs alone
//   * an accepted callback's argument is dropped once, and nothing of it runs after that; a refused one is left alone
//   * at the end of a case all threads and descriptors are gone (and all memory, if built with AddressSanitizer)
//
// fuzz_calls [--seed FIRST] [--cases N | --seconds N] [--plant 1]. A failure names its seed, which gives the same calls again; what the threads
// make of it may differ, so: --seed S --cases 1 a few times. --plant 1 drops what the library drops twice, which must fail.
#include <dirent.h>
#include <fcntl.h>

#include <chrono>
#include <thread>

#include "calls.hpp"

namespace fuzz {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// Far beyond what a case takes, also on a machine that does other things.
constexpr auto HANG = 120s;

// For whoever looks for what was left.
std::string open_descriptors() {
    std::string all;
    for (int fd = 0; fd < 200; fd++) {
        char name[200];
        std::string link = "/proc/self/fd/" + std::to_string(fd);
        if (ssize_t length = readlink(link.c_str(), name, sizeof name); length > 0)
            all += " " + std::to_string(fd) + "=" + std::string(name, static_cast<std::size_t>(length));
    }
    return all;
}

std::size_t entries(const char *folder) {
    DIR *dir = opendir(folder);
    if (dir == nullptr) fail("cannot read %s", folder);
    std::size_t count = 0;
    while (readdir(dir) != nullptr) count++;
    closedir(dir);
    return count;
}

// This one, the watchdog, and what a sanitizer has.
std::size_t own_threads = 0;

template <class What, class F>
void wait_until(What what, F f) {
    for (auto start = clock::now(); !f();) {
        if (clock::now() - start > HANG / 2) fail("%s", what().c_str());
        std::this_thread::sleep_for(200us);
    }
}

// Wakes whoever runs a loop, until all threads are done.
void chaperon(world &in, source &from, std::atomic<int> &working) {
    while (working > 0) {
        std::this_thread::sleep_for(2ms);
        in.for_each_place([&](place &p) {
            hold h;
            if ((p.what != place::event_loop && p.what != place::runtime) || !h.take(p)) return;
            if (from.one_in(30)) coop_event_loop_stop(h.event_loop());
            else coop_event_loop_interrupt(h.event_loop());
        });
    }
}

void one_case(std::uint64_t seed) {
    source from(seed);
    world in;
    for (int i = 0; i < 8; i += 2)
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, in.fds + i) != 0) fail("no sockets left");
    for (int i = 0; i < 3; i++)
        for (action make : {action([](call &c) { by_type(c, coop_pool_new); }), action([](call &c) { by_type(c, coop_event_loop_new); }),
                            action([](call &c) { by_type(c, coop_runtime_new); }), action([](call &c) { by_type(c, coop_udp_new); }),
                            action([](call &c) { by_type(c, coop_event_new); }), action([](call &c) { by_type(c, coop_async_new); }), action(stream_new), action(listener_new)}) {
            call c(in, from);
            c.name = "a first object";
            make(c);
        }
    std::atomic<int> working{static_cast<int>(1 + from.below(4))};
    std::vector<std::thread> threads;
    for (int i = working; i > 0; i--)
        threads.emplace_back([&in, &working, seed = from.next(), calls = 20 + from.below(200)] {
            source from(seed);
            for (std::size_t n = 0; n < calls; n++) {
                call c(in, from);
                act(c);
            }
            working--;
        });
    chaperon(in, from, working);
    for (std::thread &thread : threads) thread.join();

    // Callbacks that still run make new objects and set new logs, but in the end they do not.
    in.budget = 0;
    const char *missing = "";
    wait_until([&] { return "an argument was never dropped, of " + std::string(missing); }, [&] {
        in.for_each_place([](place &p) { free_there(p); });
        coop_set_log(COOP_LOG_OFF, coop_log_callback{});
        std::lock_guard guard(in.lock);
        for (argument &a : in.ledger)
            if (missing = a.to; a.fate != argument::refused && a.drops == 0) return false;
        return true;
    });
    in.for_each_place([](place &p) { free_there(p); });
    for (int fd : in.fds) close(fd);
    wait_until([] { return std::string("threads are left"); }, [] { return entries("/proc/self/task") <= own_threads; });
    for (argument &a : in.ledger)
        if (a.fate == argument::offered || a.drops != (a.fate == argument::accepted) || a.inside != 0) fail("an argument was dropped %d times", a.drops.load());
}

std::atomic<clock::time_point> began{clock::now()};

[[noreturn]] void watchdog() {
    for (;;) {
        std::this_thread::sleep_for(1s);
        if (clock::now() - began.load() > HANG) fail("hangs");
    }
}

}  // namespace fuzz

int main(int argc, char **argv) {
    std::uint64_t seed = 1, cases = 0, seconds = 0;
    for (int i = 1; i + 1 < argc; i += 2) {
        std::uint64_t value = std::strtoull(argv[i + 1], nullptr, 10);
        std::string_view option = argv[i];
        if (option == "--seed") seed = value;
        else if (option == "--cases") cases = value;
        else if (option == "--seconds") seconds = value;
        else if (option == "--plant") fuzz::drops_twice = value != 0;
        else return std::fprintf(stderr, "unknown option %s; allowed: --seed, --cases, --seconds, --plant\n", argv[i]), 2;
    }
    std::thread(fuzz::watchdog).detach();
    fuzz::own_threads = fuzz::entries("/proc/self/task");
    fuzz::current_seed = seed;
    // A signal that was watched once has a descriptor for the rest of the process.
    coop_event_loop *event_loop = nullptr;
    if (coop_event_loop_new(nullptr, &event_loop) != COOP_OK) fuzz::fail("no loop: %s", coop_last_error());
    for (int signum : {1, 2, 3, 6}) coop_event_loop_signal(event_loop, signum, nullptr, {[](void *, std::int32_t, std::uint64_t) {}, nullptr, nullptr}, nullptr);
    coop_event_loop_free(event_loop);
    fuzz::one_case(seed);  // what is made once for a process is made now
    std::size_t descriptors = fuzz::entries("/proc/self/fd");
    auto start = fuzz::clock::now();
    std::uint64_t done = 0;
    while (seconds > 0 ? fuzz::clock::now() - start < std::chrono::seconds(seconds) : done < std::max<std::uint64_t>(cases, 1)) {
        fuzz::current_seed = seed + done;
        fuzz::began = fuzz::clock::now();
        fuzz::one_case(seed + done);
        done++;
        fuzz::wait_until([] { return "descriptors are left:" + fuzz::open_descriptors(); }, [&] { return fuzz::entries("/proc/self/fd") == descriptors; });
    }
    std::printf("%llu cases from seed %llu\n", static_cast<unsigned long long>(done), static_cast<unsigned long long>(seed));
    return 0;
}
