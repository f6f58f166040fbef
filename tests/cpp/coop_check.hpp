// What the tests of the coroutine headers share: checks that stay in under NDEBUG, and things to wait for.
#ifndef COOP_TEST_COOP_CHECK_HPP
#define COOP_TEST_COOP_CHECK_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <unistd.h>

// The process ends at once: threads of a failed test are in no state to be joined.
#define CHECK(what)                                                            \
    do {                                                                       \
        if (!(what)) {                                                         \
            std::fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #what); \
            std::fflush(stderr);                                               \
            _exit(1);                                                          \
        }                                                                      \
    } while (0)

// Far beyond what anything here takes.
inline constexpr std::chrono::seconds LONG{60};

// Closed until it was counted down to 0.
class gate {
public:
    explicit gate(int count = 1) : count_(count) {}
    void open() {
        std::lock_guard<std::mutex> guard(lock_);
        if (count_ > 0 && --count_ == 0) changed_.notify_all();
    }
    bool is_open() {
        std::lock_guard<std::mutex> guard(lock_);
        return count_ == 0;
    }
    void wait() {
        std::unique_lock<std::mutex> guard(lock_);
        CHECK(changed_.wait_for(guard, LONG, [this] { return count_ == 0; }));
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    int count_;
};

// Counts how many there are: a local of a coroutine tells whether its frame still exists.
struct live {
    static inline std::atomic<int> count{0};
    live() { ++count; }
    live(live const &) { ++count; }
    ~live() { --count; }

    static void wait_for(int wanted) {
        const auto until = std::chrono::steady_clock::now() + LONG;
        while (count != wanted) {
            CHECK(std::chrono::steady_clock::now() < until);
            usleep(100);
        }
    }
};

#if defined(__SANITIZE_THREAD__)
#define COOP_TEST_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COOP_TEST_TSAN 1
#endif
#endif
#ifdef COOP_TEST_TSAN
// What the library does with its own memory and locks is not watched: its atomics are not instrumented.
extern "C" const char *__tsan_default_suppressions() { return "called_from_lib:libcoop.so\n"; }
#endif

#endif
