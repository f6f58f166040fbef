// A coroutine that waits until an attempt on a descriptor succeeds.
#ifndef COOP_DETAIL_RETRIED_HPP
#define COOP_DETAIL_RETRIED_HPP

#include <coroutine>
#include <cstdint>
#include <utility>

#include <coop/detail/promise.hpp>
#include <coop/detail/watch.hpp>
#include <coop/result.hpp>

namespace coop::coro {

// attempt(result<T> &) says whether it is over. It is made at once, and then on the loop's thread when the descriptor is ready.
template <class T, class Attempt>
class retried {
public:
    retried(coop_event_loop *loop, int fd, std::uint32_t interest, Attempt attempt)
        : loop_(loop), fd_(fd), interest_(interest), attempt_(std::move(attempt)), result_(coop::error(errc::closed)) {}

    bool await_ready() { return spend() && attempt_(result_); }
    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        auto *wait = new waiting(loop_, fd_, coroutine.address(), place_of(coroutine), this);
        const coop_status refused = wait->start(interest_);
        if (refused == COOP_OK) return true;
        delete wait;
        result_ = coop::error::last(refused);
        return false;
    }
    result<T> await_resume() { return std::move(result_); }

private:
    struct waiting final : watch {
        waiting(coop_event_loop *loop, int fd, void *frame, place const *home, retried *awaiter) noexcept
            : watch(loop, fd, frame), where_(home), awaiter_(awaiter) {}

    private:
        bool over(std::uint32_t) noexcept override { return awaiter_->attempt_(awaiter_->result_); }
        void resume(void *frame) noexcept override { go_on(nullptr, where_, frame); }

        place const *where_;
        retried *awaiter_;  // In the coroutine's frame.
    };

    coop_event_loop *loop_;
    int fd_;
    std::uint32_t interest_;
    Attempt attempt_;
    result<T> result_;
};

}  // namespace coop::coro

#endif
