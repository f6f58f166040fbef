/* What the C++ tests share: checks that stay in under NDEBUG, callables that count, and a latch to wait for. */
#ifndef COOP_TEST_EXPECT_HPP
#define COOP_TEST_EXPECT_HPP

#include <coop.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <string>
#include <unistd.h>
#include <utility>

using namespace std::chrono_literals;

/* Far beyond what anything here takes: a test that hangs says where. */
inline constexpr std::chrono::seconds LONG = 60s;

/* The process ends at once: threads of a failed test are in no state to be joined. */
[[noreturn]] inline void fail(const char *file, int line, const std::string &what) {
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
    std::fflush(stderr);
    _exit(1);
}

#define CHECK(...)                                                            \
    do {                                                                      \
        if (!(__VA_ARGS__)) fail(__FILE__, __LINE__, "not: " #__VA_ARGS__);     \
    } while (0)

/* The result is a value, and what it is. */
template <class T>
T must(coop::result<T> result, const char *file, int line) {
    if (!result) fail(file, line, result.error().message() + ": " + result.message());
    return std::move(result).value();
}
#define MUST(...) must((__VA_ARGS__), __FILE__, __LINE__)

/* The result is this error, with words. */
#define REFUSED(expected, ...)                                                                                        \
    do {                                                                                                            \
        const auto result_ = (__VA_ARGS__);                                                                           \
        if (result_) fail(__FILE__, __LINE__, #__VA_ARGS__ " is no error");                                           \
        if (result_.error() != (expected)) fail(__FILE__, __LINE__, #__VA_ARGS__ " is " + result_.error().message()); \
        if (result_.message().empty()) fail(__FILE__, __LINE__, #__VA_ARGS__ " does not say why");                    \
    } while (0)

/* What was done with a callable. */
struct counts {
    std::atomic<int> runs{0}, drops{0};
};

/* A move-only callable that counts its runs and its end; those that were moved from do not count. */
class counted {
public:
    explicit counted(counts &c) : counts_(&c) {}
    counted(counted &&other) noexcept : counts_(std::exchange(other.counts_, nullptr)) {}
    counted &operator=(counted &&) = delete;
    ~counted() {
        if (counts_) counts_->drops++;
    }
    void operator()() const { counts_->runs++; }

private:
    counts *counts_;
};

/* Closed until somebody opens it. */
class latch {
public:
    void open() {
        const std::lock_guard<std::mutex> guard(lock_);
        open_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock<std::mutex> guard(lock_);
        if (!changed_.wait_until(guard, std::chrono::system_clock::now() + LONG, [this] { return open_; }))
            fail(__FILE__, __LINE__, "a latch was not opened in time");
    }

private:
    std::mutex lock_;
    std::condition_variable changed_;
    bool open_ = false;
};

#endif  // COOP_TEST_EXPECT_HPP
