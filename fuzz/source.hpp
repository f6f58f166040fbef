// Where decisions come from: numbers that follow from a seed, so that a run can be had again; and how a failure is told.
#pragma once
#include <atomic>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>

namespace fuzz {

inline std::atomic<std::uint64_t> current_seed{0};

// Ends the process at once: its threads are in no state to be joined. The seed is what is needed to see it again.
[[noreturn]] __attribute__((format(printf, 1, 2))) inline void fail(const char *format, ...) {
    std::va_list list;
    va_start(list, format);
    std::fprintf(stderr, "fuzz_calls --seed %llu: ", static_cast<unsigned long long>(current_seed.load()));
    std::vfprintf(stderr, format, list);
    std::fputc('\n', stderr);
    std::fflush(stderr);
    va_end(list);
    std::abort();
}

class source {
public:
    explicit source(std::uint64_t seed) : state_(seed) {}

    // splitmix64
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t end) { return static_cast<std::size_t>(next() % end); }
    bool one_in(std::size_t times) { return below(times) == 0; }

    template <class T>
    T of(std::initializer_list<T> list) {
        return list.begin()[below(list.size())];
    }

private:
    std::uint64_t state_;
};

}  // namespace fuzz
