/* The callable of a parallel_for, on its caller's stack: run by several threads, and its first exception kept. */
#ifndef COOP_DETAIL_PIECES_HPP
#define COOP_DETAIL_PIECES_HPP

#include <coop/callback.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace coop::detail {

template <class F>
class pieces {
    static_assert(std::is_invocable_v<const F &, std::size_t, std::size_t>,
                  "parallel_for calls run(std::size_t begin, std::size_t end), as const");

public:
    explicit pieces(const F &run) noexcept : run_(run) {}
    pieces(const pieces &) = delete;
    pieces &operator=(const pieces &) = delete;

    /* NULL of what is null, which the library refuses in words. */
    coop_range_fn function() const noexcept {
        if constexpr (may_be_null<std::remove_cvref_t<F>>) {
            if (run_ == nullptr) return nullptr;
        }
        return &run;
    }

    /* When all pieces have ended: throws what the first one to throw has thrown. */
    void rethrow() {
#if defined(__cpp_exceptions)
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
#endif
    }

private:
    static void run(void *arg, std::size_t begin, std::size_t end) noexcept {
        pieces &self = *static_cast<pieces *>(arg);
#if defined(__cpp_exceptions)
        if (self.failed_.load(std::memory_order_relaxed)) return;
        try {
            std::invoke(self.run_, begin, end);
        } catch (...) {
            /* The library's return orders this write before the caller's look. */
            if (!self.failed_.exchange(true, std::memory_order_relaxed))
                self.thrown_ = std::current_exception();
            else
                hook.load()(std::current_exception());
        }
#else
        std::invoke(self.run_, begin, end);
#endif
    }

    const F &run_;
#if defined(__cpp_exceptions)
    std::atomic<bool> failed_{false};
    std::exception_ptr thrown_;
#endif
};

}  // namespace coop::detail

#endif  // COOP_DETAIL_PIECES_HPP
