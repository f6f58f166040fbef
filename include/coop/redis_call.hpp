// coop::redis_call<T>: a call that was made, to be awaited. coop::redis makes them.
//
//     auto name = redis.get("name"), mail = redis.get("mail");   // both are on their way
//     std::cout << (co_await name).value().value_or("?") << (co_await mail).value().value_or("?");
//
// What holds:
//  * The record is shared by the call and C's callback, and freed by the last of them. Its state says who came first, the one who
//    waits or the reply: whoever comes second has the coroutine go on.
//  * A call that is destroyed before its end is cancelled, also with the frame of the coroutine that waits for it; nothing of either is
//    touched then.
//  * A coroutine goes on where it belongs, as after sleep_for; one that never hopped, on the loop's thread.
#ifndef COOP_REDIS_CALL_HPP
#define COOP_REDIS_CALL_HPP

#include <coop/detail/promise.hpp>
#include <coop/redis_reply.hpp>

#include <atomic>
#include <coroutine>
#include <utility>

namespace coop {
namespace coro {

class redis_record {
public:
    enum class state { begun, awaited, ended, left };

    redis_record() : told_(coop::error(errc::closed)) {}

    coop_redis_callback callback() noexcept { return {&told, this, nullptr}; }

    bool has_ended() const noexcept { return state_.load(std::memory_order_acquire) == state::ended; }

    // The frame waits; false if the reply was first.
    bool wait(void *frame, place const *where) noexcept {
        frame_ = frame;
        where_ = where;
        state before = state::begun;
        return state_.compare_exchange_strong(before, state::awaited, std::memory_order_acq_rel);
    }
    // The call is gone; true if it has not ended.
    bool leave() noexcept { return state_.exchange(state::left, std::memory_order_acq_rel) != state::ended; }
    void release() noexcept {
        if (holds_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }
    result<redis_reply> take() noexcept { return std::move(told_); }

private:
    static void told(void *arg, const coop_error *failed, coop_redis_reply *reply) noexcept {
        take_over(arg);
        auto *const self = static_cast<redis_record *>(arg);
        self->told_ = failed ? result<redis_reply>(coop::error::of(*failed)) : redis_reply::keep(reply);
        if (self->state_.exchange(state::ended, std::memory_order_acq_rel) == state::awaited) {
            // The frame is there until it is resumed; the record perhaps not after that.
            void *const frame = self->frame_;
            place const *const where = self->where_;
            self->release();
            go_on(nullptr, where, frame);
            return;
        }
        self->release();
    }

    std::atomic<state> state_{state::begun};
    std::atomic<int> holds_{2};
    void *frame_ = nullptr;
    place const *where_ = nullptr;
    result<redis_reply> told_;
};

}  // namespace coro

// Read makes a result<T> of the reply.
template <class T>
class [[nodiscard]] redis_call {
public:
    using read = result<T> (*)(redis_reply);

    // start(callback, id *) asks C; it is asked here and now. redis: whose call it is; NULL for one that cannot be cancelled.
    template <class Start>
    redis_call(coop_redis *redis, read how, Start &&start) : redis_(redis), how_(how), record_(new coro::redis_record) {
        coro::hand_off(record_);
        if (const coop_status refused = start(record_->callback(), &id_); refused != COOP_OK) {
            refused_ = coop::error::last(refused);
            delete std::exchange(record_, nullptr);
        }
    }
    redis_call(redis_call &&other) noexcept
        : redis_(other.redis_), id_(other.id_), how_(other.how_), record_(std::exchange(other.record_, nullptr)),
          refused_(std::move(other.refused_)) {}
    redis_call &operator=(redis_call &&other) noexcept {
        if (this != &other) {
            leave();
            redis_ = other.redis_;
            id_ = other.id_;
            how_ = other.how_;
            record_ = std::exchange(other.record_, nullptr);
            refused_ = std::move(other.refused_);
        }
        return *this;
    }
    ~redis_call() { leave(); }

    // Ends it with errc::cancelled; errc::stale if it has ended.
    result<void> cancel() const {
        if (!record_) return refused_;
        return detail::answer(coop_redis_cancel(redis_, id_));
    }
    // Whether its end is there: then it is awaited without a wait.
    bool has_ended() const noexcept { return !record_ || record_->has_ended(); }

    class awaiter {
    public:
        explicit awaiter(redis_call &call) noexcept : call_(&call) {}
        bool await_ready() const noexcept { return call_->has_ended(); }
        template <class P>
        COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
            return call_->record_->wait(coroutine.address(), coro::place_of(coroutine));
        }
        result<T> await_resume() { return call_->take(); }

    private:
        redis_call *call_;
    };
    // co_await call: a result<T>. Once.
    awaiter operator co_await() noexcept { return awaiter(*this); }

private:
    result<T> take() {
        if (!record_) return refused_;
        result<redis_reply> told = record_->take();
        std::exchange(record_, nullptr)->release();
        refused_ = coop::error(errc::invalid, "a redis call was awaited twice");
        if (!told) return std::move(told).failure();
        return how_(*std::move(told));
    }
    void leave() noexcept {
        coro::redis_record *const record = std::exchange(record_, nullptr);
        if (!record) return;
        if (record->leave() && redis_) static_cast<void>(coop_redis_cancel(redis_, id_));
        record->release();
    }

    coop_redis *redis_;
    coop_redis_call_id id_ = 0;
    read how_;
    coro::redis_record *record_;
    // Why there is no record.
    coop::error refused_{errc::invalid};
};

}  // namespace coop

#endif  // COOP_REDIS_CALL_HPP
