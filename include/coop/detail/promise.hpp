// What the promises of coop::task and coop::task_t have in common, and how one coroutine waits for another.
#ifndef COOP_DETAIL_PROMISE_HPP
#define COOP_DETAIL_PROMISE_HPP

#include <concepts>

#include <coop/detail/shared.hpp>

namespace coop::coro {

// Every promise of this library: it knows where its coroutine belongs.
struct promise_root {
    place where;
};

template <class P>
place *place_of(std::coroutine_handle<P> handle) noexcept {
    if constexpr (std::derived_from<P, promise_root>)
        return &handle.promise().where;
    else
        return nullptr;
}

template <class Promise, class T, class Extra>
struct promise_base : promise_root {
    using block = shared<T, Extra>;

    static void *operator new(std::size_t bytes) { return block::allocate(bytes); }
    static void operator delete(void *frame) noexcept { block::frame_gone(frame); }

    std::coroutine_handle<Promise> handle() noexcept {
        return std::coroutine_handle<Promise>::from_promise(static_cast<Promise &>(*this));
    }
    block *shared_block() noexcept { return block::of(handle().address()); }

    // The frame ends by itself; what is left to do is done when its memory is given back.
    std::suspend_never final_suspend() const noexcept { return {}; }

#if COOP_CORO_EXCEPTIONS
    void unhandled_exception() noexcept { shared_block()->result.set_exception(std::current_exception()); }
#else
    void unhandled_exception() noexcept { __builtin_trap(); }
#endif
};

template <class Promise, class T, class Extra = nothing>
struct promise_for : promise_base<Promise, T, Extra> {
    template <class U = T>
        requires std::is_constructible_v<T, U>
    void return_value(U &&value) {
        if constexpr (std::is_reference_v<T>)
            this->shared_block()->result.set_value(std::addressof(value));
        else
            this->shared_block()->result.set_value(std::forward<U>(value));
    }
};

template <class Promise, class Extra>
struct promise_for<Promise, void, Extra> : promise_base<Promise, void, Extra> {
    void return_void() noexcept { this->shared_block()->result.set_value(); }
};

// Takes the result out of an ended coroutine's block; an exception is thrown again.
template <class T, class Block>
T take_result(Block *block) {
    if constexpr (std::is_void_v<T>)
        block->result.check();
    else if constexpr (std::is_reference_v<T>)
        return static_cast<T>(*block->result.get());
    else
        return std::move(block->result.get());
}

// Waits for a coroutine that runs, or starts one that does not yet.
template <class T, class Block>
class task_awaiter {
public:
    // start: the frame of a coroutine that has not been started, or nullptr.
    task_awaiter(Block *block, void *start) noexcept : block_(block), start_(start) {}

    bool await_ready() const noexcept { return !block_ || (!start_ && block_->ended()); }

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> caller) {
        void *const me = caller.address();
        void *const start = start_;
        waiter_.ended = waiting_coroutine::on_end;
        waiter_.frame = me;
        waiter_.where = place_of(caller);
        if (!block_->add(&waiter_)) return false;
        // From here on nothing of this awaiter: the other one may end on another thread.
        if (start) run_after(me, start);
        return true;
    }

    T await_resume() {
        if (!block_) report(COOP_E_NULL, "an empty task was awaited", !std::is_void_v<T>);
        if constexpr (std::is_void_v<T>) {
            if (block_) take_result<T>(block_);
        } else {
            return take_result<T>(block_);
        }
    }

private:
    Block *block_;
    void *start_;
    waiting_coroutine waiter_;
};

}  // namespace coop::coro

#endif
