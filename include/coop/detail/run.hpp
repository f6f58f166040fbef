// How a coroutine gets to a thread and goes on there.
//
// What holds:
//  * A coroutine never resumes another one by a call inside it. It leaves word with the loop (run_loop) that resumed it,
//    and the loop goes on with that one. So chains of any length take no stack, with every compiler and without optimisation.
//  * A hop gives the pool a record with the coroutine's address. After a submit that was taken, nothing of the coroutine is
//    touched: another thread may have ended it.
//  * A record that the pool drops without running it destroys its coroutine.
//  * Nothing that is thrown leaves a callback: all are noexcept.
#ifndef COOP_DETAIL_RUN_HPP
#define COOP_DETAIL_RUN_HPP

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <new>
#include <system_error>
#include <utility>

#include <coop.h>
#include <coop/detail/frame_cache.hpp>
#include <coop/detail/platform.hpp>
#include <coop/errc.hpp>

namespace coop {

// Thrown where a coroutine could not be queued or will never end: by co_await and join(), in programs with exceptions.
// code() is a coop::errc, as of all that these headers throw; status() is its number in coop.h: COOP_E_CLOSED, ...
class coroutine_error : public std::system_error {
public:
    explicit coroutine_error(coop_status status, char const *what)
        : std::system_error(make_error_code(static_cast<errc>(status)), what) {}
    coop_status status() const noexcept { return static_cast<coop_status>(code().value()); }
};

namespace coro {

// Without exceptions the caller goes on, and `fatal` says that it cannot: there is no value to go on with.
inline void report(coop_status status, [[maybe_unused]] char const *what, [[maybe_unused]] bool fatal) {
    if (status == COOP_OK) return;
#if COOP_CORO_EXCEPTIONS
    throw coroutine_error(status, what);
#else
    if (fatal) __builtin_trap();
#endif
}

// --- The loop that resumes coroutines on a thread.

struct run_loop {
    void *current;
    void *next;
    run_loop *outer;
    // How many coroutines may still go on here that could be queued: a chain must not hold a worker for ever.
    std::uint32_t budget;
};

inline constexpr std::uint32_t RESUMES_IN_PLACE = 128;
inline constinit thread_local run_loop *innermost = nullptr;

// Resumes the coroutine, and after it whatever it leaves word of.
COOP_CORO_NOINLINE inline void run(void *frame) {
    run_loop loop{frame, nullptr, innermost, RESUMES_IN_PLACE};
    innermost = &loop;
    while (frame) {
        loop.current = frame;
        loop.next = nullptr;
        std::coroutine_handle<>::from_address(frame).resume();
        frame = loop.next;
    }
    innermost = loop.outer;
}

// `next` goes on on this thread: after `leaving`, if the loop resumed that one; else now. `leaving` is suspended or gone.
COOP_CORO_NOINLINE inline void run_after(void *leaving, void *next) {
    run_loop *loop = innermost;
    if (loop && loop->current == leaving && !loop->next)
        loop->next = next;
    else
        run(next);
}

// Whether the thread's loop may resume one more that could be queued instead.
COOP_CORO_NOINLINE inline bool spend() noexcept {
    run_loop *loop = innermost;
    if (!loop) return true;
    if (loop->budget == 0) return false;
    --loop->budget;
    return true;
}

// --- Where a coroutine belongs.

// CPUs, copied: one word lies inside, which is all that most machines need.
class cpu_words {
public:
    cpu_words() noexcept = default;
    explicit cpu_words(std::uint64_t word) noexcept : word_(word), count_(word != 0) {}
    explicit cpu_words(coop_cpu_set set) {
        if (!set.words || !set.count) return;
        word_ = set.words[0];
        if (set.count > 1) {
            more_ = new std::uint64_t[set.count];
            for (std::size_t i = 0; i < set.count; ++i) more_[i] = set.words[i];
        }
        count_ = set.count;
    }
    cpu_words(cpu_words &&other) noexcept { swap(other); }
    cpu_words &operator=(cpu_words &&other) noexcept {
        swap(other);
        return *this;
    }
    ~cpu_words() { delete[] more_; }

    coop_cpu_set set() const noexcept { return {count_ ? (more_ ? more_ : &word_) : nullptr, count_}; }
    bool any() const noexcept { return count_ == 0; }
    bool has(int cpu) const noexcept {
        const std::size_t word = static_cast<std::size_t>(cpu) / 64;
        return cpu >= 0 && word < count_ && (set().words[word] >> (static_cast<unsigned>(cpu) % 64) & 1);
    }

private:
    void swap(cpu_words &other) noexcept {
        std::swap(word_, other.word_);
        std::swap(more_, other.more_);
        std::swap(count_, other.count_);
    }
    std::uint64_t word_ = 0;
    std::uint64_t *more_ = nullptr;
    std::size_t count_ = 0;
};

// Where a coroutine goes on when what it waits for has ended. Neither pool nor loop: wherever that was.
struct place {
    coop_pool *pool = nullptr;
    coop_event_loop *loop = nullptr;
    std::int32_t priority = COOP_PRIORITY_NORMAL;
    cpu_words cpus;

    // What the pool is told of it. It refers to the CPUs here.
    coop_submit_options options() const noexcept {
        coop_submit_options told{};
        told.size = sizeof told;
        told.priority = priority;
        told.cpus = cpus.set();
        return told;
    }
};

// Whether a coroutine of this place may go on at once on this thread.
inline bool may_run_here(place const &where) noexcept {
    const coop_submit_options options = where.options();
    return coop_pool_may_run_here(where.pool, &options);
}

// --- Hops: a coroutine in a queue.

struct hop;

// A coroutine that a blocked joiner may take out of the queue: see joining.hpp.
struct hop_owner {
    // The pool took the hop, or the hop runs or is dropped: whoever claims it first has the coroutine.
    virtual void left_queue(hop *) noexcept = 0;

protected:
    ~hop_owner() = default;
};

struct hop {
    void *frame;
    hop_owner *owner;  // Valid while the coroutine has not been claimed.
    std::atomic<std::uint32_t> uses;
    std::atomic<bool> claimed;

    static hop *make(void *frame, hop_owner *owner) {
        void *block = allocate_frame(sizeof(hop));
        return ::new (block) hop{frame, owner, {owner ? 2u : 1u}, {false}};
    }
    // True for one caller: the coroutine is the caller's.
    bool claim() noexcept { return !owner || !claimed.exchange(true, std::memory_order_acq_rel); }
    // The pool's own claim, which its drop must not make once more.
    bool claim_queued() noexcept {
        if (!owner) return !claimed.load(std::memory_order_relaxed);
        if (!claim()) return false;
        owner->left_queue(this);
        return true;
    }
    void release() noexcept {
        if (owner && uses.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
        this->~hop();
        deallocate_frame(this, sizeof(hop));
    }
};

inline void run_hop(void *arg) noexcept {
    take_over(arg);
    hop *h = static_cast<hop *>(arg);
    if (!h->claim_queued()) return;
    h->claimed.store(true, std::memory_order_relaxed);
    void *frame = h->frame;
    hand_off(arg);
    run(frame);
}

inline void drop_hop(void *arg) noexcept {
    take_over(arg);
    hop *h = static_cast<hop *>(arg);
    // With an owner a claim is final; without one the flag says whether it ran.
    if (h->claim_queued()) std::coroutine_handle<>::from_address(h->frame).destroy();
    h->release();
}

// A loop's callbacks have no owner.
inline coop_status post_hop(coop_event_loop *loop, void *frame) {
    hop *h = hop::make(frame, nullptr);
    hand_off(h);
    const coop_status status = coop_event_loop_post(loop, {run_hop, h, drop_hop});
    if (status != COOP_OK) h->release();
    return status;
}

inline coop_status submit_hop(coop_pool *pool, coop_submit_options const &options, hop *h) {
    hand_off(h);
    return coop_pool_submit(pool, &options, {run_hop, h, drop_hop});
}

// continues: it has begun, and a pool that is full takes it all the same.
inline coop_status submit_frame(place const &where, void *frame, bool continues = false) {
    hop *h = hop::make(frame, nullptr);
    coop_submit_options options = where.options();
    options.continues = continues;
    const coop_status status = submit_hop(where.pool, options, h);
    if (status != COOP_OK) h->release();
    return status;
}

// What `frame` waited for has ended on this thread, with `leaving`: it goes on here if it belongs here, else it is
// queued where it does. If that place takes nothing any more it goes on here.
inline void go_on(void *leaving, place const *where, void *frame) {
    if (where && where->pool) {
        if (!(may_run_here(*where) && spend()) && submit_frame(*where, frame, true) == COOP_OK) return;
    } else if (where && where->loop) {
        if (!coop_event_loop_is_loop_thread(where->loop) && post_hop(where->loop, frame) == COOP_OK) return;
    }
    run_after(leaving, frame);
}

}  // namespace coro
}  // namespace coop

#endif
