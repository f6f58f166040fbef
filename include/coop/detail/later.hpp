// A coroutine that waits to be told by a callback of C: for bytes, a stream, addresses.
//
// What holds:
//  * The record is the callback's; the awaiter lies in the coroutine's frame. Whoever of the two ends first tells the other one, so a
//    coroutine that is destroyed while it waits is not resumed, and what comes for it is dropped.
//  * After a start that was taken nothing of the awaiter is touched: the coroutine may go on on another thread.
//  * The callback is told once for every start that was taken, so the record needs no drop.
#ifndef COOP_DETAIL_LATER_HPP
#define COOP_DETAIL_LATER_HPP

#include <coroutine>
#include <utility>

#include <coop/detail/promise.hpp>
#include <coop/result.hpp>

namespace coop::coro {

template <class T>
class later {
public:
    later(later const &) = delete;
    later &operator=(later const &) = delete;

    bool await_ready() const noexcept { return false; }
    result<T> await_resume() { return std::move(result_); }

protected:
    struct record {
        void *frame;
        place const *where;
        later *awaiter;  // nullptr once the frame is gone.
    };

    later() : result_(coop::error(errc::closed)) {}
    // Of a frame that is destroyed: what was begun is given up by the derived one, and told to nobody.
    ~later() {
        if (record_) record_->awaiter = nullptr;
    }

    // Whether it waits.
    bool waits() const noexcept { return record_ != nullptr; }

    // start(record) asks C.
    template <class P, class Start>
    COOP_CORO_NOINLINE bool suspend(std::coroutine_handle<P> coroutine, Start &&start) {
        record *const mine = new record{coroutine.address(), place_of(coroutine), this};
        record_ = mine;
        hand_off(mine);
        const coop_status refused = start(mine);
        if (refused == COOP_OK) return true;
        record_ = nullptr;
        delete mine;
        result_ = coop::error::last(refused);
        return false;
    }

    // In the callback. read(awaiter) makes the result; not called if nobody waits any more: then false.
    template <class Read>
    static bool tell(void *arg, Read &&read) noexcept {
        take_over(arg);
        auto *told = static_cast<record *>(arg);
        const record mine = *told;
        delete told;
        if (!mine.awaiter) return false;
        mine.awaiter->record_ = nullptr;
        mine.awaiter->result_ = read(*mine.awaiter);
        go_on(nullptr, mine.where, mine.frame);
        return true;
    }

    result<T> result_;

private:
    record *record_ = nullptr;
};

}  // namespace coop::coro

#endif
