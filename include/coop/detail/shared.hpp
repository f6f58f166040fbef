// What a task object and its coroutine share: who waits, whether it has ended, and with what.
//
// It lies in front of the coroutine's frame, in the same block of memory, and outlives the frame: the frame is destroyed
// when the coroutine ends (or is dropped from a queue), the block when the task object has gone too. Whoever lets go last
// frees it, so a task may be dropped while it runs, and a coroutine destroyed while its task is held.
//
// One word says everything: ENDED, or the list of those who wait; the lowest bit is set when the task object has gone. Each
// side changes it once when it lets go, and nothing else is counted.
#ifndef COOP_DETAIL_SHARED_HPP
#define COOP_DETAIL_SHARED_HPP

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>
#include <utility>

#include <coop/detail/run.hpp>

namespace coop::coro {

// Somebody who waits for the end of a coroutine. It must stay where it is until `ended` is called.
struct waiter {
    waiter *next = nullptr;
    // frame: the coroutine that has just ended, for run_after. abandoned: it was destroyed before its end.
    void (*ended)(waiter *self, void *frame, bool abandoned) noexcept = nullptr;
};

// A coroutine that waits.
struct waiting_coroutine : waiter {
    void *frame = nullptr;
    place const *where = nullptr;

    static void on_end(waiter *self, void *leaving, bool abandoned) noexcept {
        auto *me = static_cast<waiting_coroutine *>(self);
        // What waits for something that never ends never goes on: it goes the same way.
        if (abandoned) return abandon(me);
        go_on(leaving, me->where, me->frame);
    }

private:
    // Destroys it, and those that wait for it in turn, one after another: a chain of any length takes no stack.
    COOP_CORO_NOINLINE static void abandon(waiting_coroutine *me) noexcept {
        me->next = nullptr;
        (doomed.first ? doomed.last->next : doomed.first) = me;
        doomed.last = me;
        if (doomed.busy) return;
        doomed.busy = true;
        while (waiter *one = doomed.first) {
            doomed.first = one->next;
            std::coroutine_handle<>::from_address(static_cast<waiting_coroutine *>(one)->frame).destroy();
        }
        doomed.busy = false;
    }

    struct queue {
        waiter *first = nullptr;
        waiter *last = nullptr;
        bool busy = false;
    };
    static thread_local queue doomed;
};

inline constinit thread_local waiting_coroutine::queue waiting_coroutine::doomed{};

// How a coroutine ended.
template <class T>
class outcome {
public:
    outcome() noexcept {}
    outcome(outcome const &) = delete;
    outcome &operator=(outcome const &) = delete;
    ~outcome() {
        if (kind_ == kind::value) std::destroy_at(std::addressof(value_));
    }

    template <class... U>
    void set_value(U &&...value) {
        std::construct_at(std::addressof(value_), std::forward<U>(value)...);
        kind_ = kind::value;
    }
#if COOP_CORO_EXCEPTIONS
    void set_exception(std::exception_ptr exception) noexcept {
        // A local variable's destructor may throw when the value is there already.
        if (kind_ == kind::value) std::destroy_at(std::addressof(value_));
        exception_ = std::move(exception);
        kind_ = kind::exception;
    }
#endif
    bool empty() const noexcept { return kind_ == kind::none; }

    // The value, or the exception thrown once more, or the news that there is neither.
    T &get() {
        check();
        return value_;
    }
    void check() const {
#if COOP_CORO_EXCEPTIONS
        if (kind_ == kind::exception) std::rethrow_exception(exception_);
#endif
        if (kind_ == kind::none) report(COOP_E_CLOSED, "the coroutine was destroyed before its end", true);
    }
    // The value without the look: for who knows that there is one.
    T &value() noexcept { return value_; }

private:
    enum class kind : unsigned char { none, value, exception };
    union {
        T value_;
    };
#if COOP_CORO_EXCEPTIONS
    std::exception_ptr exception_;
#endif
    kind kind_ = kind::none;
};

struct nothing {};

// A value that is a reference is kept as a pointer.
template <class T>
using stored = std::conditional_t<std::is_void_v<T>, nothing,
                                  std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T> *, T>>;

class shared_base {
public:
    // The task object exists: until then nobody but the coroutine holds the block.
    void hold() noexcept { word_.store(0, std::memory_order_relaxed); }

    bool ended() const noexcept { return (word_.load(std::memory_order_acquire) & ~GONE) == ENDED; }

    // False: it has ended already, and `one` is not told.
    bool add(waiter *one) noexcept {
        std::uintptr_t word = word_.load(std::memory_order_acquire);
        do {
            if ((word & ~GONE) == ENDED) return false;
            one->next = reinterpret_cast<waiter *>(word & ~GONE);
        } while (!word_.compare_exchange_weak(word, reinterpret_cast<std::uintptr_t>(one) | (word & GONE),
                                              std::memory_order_acq_rel, std::memory_order_acquire));
        return true;
    }

protected:
    static constexpr std::uintptr_t GONE = 1;
    static constexpr std::uintptr_t ENDED = 2;

    // The word as it was before the end.
    std::uintptr_t end() noexcept { return word_.exchange(ENDED, std::memory_order_acq_rel); }
    // True: the coroutine had ended, so nobody needs the block any more.
    bool let_go() noexcept { return (word_.fetch_or(GONE, std::memory_order_acq_rel) & ~GONE) == ENDED; }

    // Tells all, the first who came first. Nothing of the block is touched: who is told may free it.
    static void tell(std::uintptr_t word, void *frame, bool abandoned) noexcept {
        waiter *last = reinterpret_cast<waiter *>(word & ~GONE), *first = nullptr;
        while (last) {
            waiter *next = last->next;
            last->next = first;
            first = last;
            last = next;
        }
        while (first) {
            waiter *next = first->next;
            first->ended(first, frame, abandoned);
            first = next;
        }
    }

private:
    std::atomic<std::uintptr_t> word_{GONE};
};

template <class T, class Extra = nothing>
class shared : public shared_base {
public:
    outcome<stored<T>> result;
    [[no_unique_address]] Extra extra;

    static shared *of(void *frame) noexcept { return reinterpret_cast<shared *>(static_cast<char *>(frame) - offset()); }
    void *frame() noexcept { return reinterpret_cast<char *>(this) + offset(); }

    // Memory for a frame of so many bytes, with a block in front of it.
    static void *allocate(std::size_t bytes) {
        bytes += offset();
        void *memory;
        if constexpr (alignof(shared) > __STDCPP_DEFAULT_NEW_ALIGNMENT__)
            memory = ::operator new(bytes, std::align_val_t{alignof(shared)});
        else
            memory = allocate_frame(bytes);
        auto *block = ::new (memory) shared;
        block->bytes_ = bytes;
        return block->frame();
    }

    // The frame has been destroyed: at the coroutine's end, or before it.
    static void frame_gone(void *frame) noexcept {
        shared *block = of(frame);
        const bool abandoned = block->result.empty();
        const std::uintptr_t word = block->end();
        if (word & GONE) block->free();
        tell(word, frame, abandoned);
    }

    // The task object goes.
    void release() noexcept {
        if (let_go()) free();
    }

private:
    static constexpr std::size_t offset() noexcept {
        constexpr std::size_t align = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
        return (sizeof(shared) + align - 1) / align * align;
    }
    void free() noexcept {
        const std::size_t bytes = bytes_;
        this->~shared();
        if constexpr (alignof(shared) > __STDCPP_DEFAULT_NEW_ALIGNMENT__)
            ::operator delete(static_cast<void *>(this), std::align_val_t{alignof(shared)});
        else
            deallocate_frame(this, bytes);
    }

    std::size_t bytes_ = 0;
};

// A thread that waits.
class waiting_thread : public waiter {
public:
    waiting_thread() noexcept { ended = on_end; }
    void wait() {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return over_; });
    }

private:
    static void on_end(waiter *self, void *, bool) noexcept {
        auto *me = static_cast<waiting_thread *>(self);
        // Told with the lock held: the thread may be gone, with this, as soon as it is not.
        std::lock_guard<std::mutex> lock(me->mutex_);
        me->over_ = true;
        me->changed_.notify_one();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
};

}  // namespace coop::coro

#endif
