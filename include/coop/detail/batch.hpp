/* Callables that are handed to a pool together: those that it takes are moved into it, the others stay where they are. */
#ifndef COOP_DETAIL_BATCH_HPP
#define COOP_DETAIL_BATCH_HPP

#include <coop/callback.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace coop::detail {

/* Tasks may run before a call has returned, so all are moved out beforehand, and those that were not taken back in. */
template <class F>
class batch {
    static_assert(!std::is_const_v<F>, "what a pool takes is moved out of the range, which must not be const");
    static_assert(std::is_invocable_v<F &&>, "a task takes no arguments");
    static_assert(std::is_nothrow_move_constructible_v<F> && std::is_nothrow_destructible_v<F>,
                  "what a pool does not take is moved back, which must not throw");
    using functions = trampoline<void (*)(void *), F, runs::once>;

public:
    explicit batch(std::span<F> tasks) noexcept : tasks_(tasks) {}
    batch(const batch &) = delete;
    batch &operator=(const batch &) = delete;
    ~batch() {
        if constexpr (!functions::in_arg) {
            for (std::size_t i = taken_; i < callbacks_.size(); i++) {
                F *const moved = static_cast<F *>(callbacks_[i].arg);
                std::destroy_at(&tasks_[i]);
                std::construct_at(&tasks_[i], std::move(*moved));
                delete moved;
            }
        }
    }

    /* Has take(callbacks, count, accepted) hand them to the library; how many it took. */
    template <class Take>
    result<std::size_t> give(Take &&take) {
        callbacks_.reserve(tasks_.size());
        for (F &task : tasks_) callbacks_.push_back(moved(task));
        std::size_t accepted = 0;
        const coop_status status = std::forward<Take>(take)(callbacks_.data(), callbacks_.size(), &accepted);
        if (status == COOP_OK) taken_ = accepted;
        /* The words of a failure are taken before anything else is called, as in callback::give. */
        return answer<std::size_t>(status, accepted);
    }

private:
    static coop_callback moved(F &task) {
        coop_callback c{};
        /* Null pointers to functions and empty std::functions stay NULL, which the library refuses in words. */
        if constexpr (may_be_null<F>) {
            if (task != nullptr) c.fn = &functions::run;
        } else {
            c.fn = &functions::run;
        }
        c.arg = functions::wrap(std::move(task));
        if constexpr (!functions::in_arg) c.drop = &functions::drop;
        return c;
    }

    std::span<F> tasks_;
    std::vector<coop_callback> callbacks_;
    std::size_t taken_ = 0;
};

}  // namespace coop::detail

#endif  // COOP_DETAIL_BATCH_HPP
