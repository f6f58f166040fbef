// Tasks that a worker spawns in its own pool: a double-ended queue for each worker, in front of the pool's queues.
//
// The worker that spawns puts tasks in at the bottom, and takes one out there when it comes to await it: then that runs in
// place, as if it had never been spawned. So recursion goes depth first, with few frames alive. Others steal from the top,
// where the largest pieces lie.
//
// While the deque holds something a token of it is in the pool: an ordinary task of normal priority, whoever runs it steals
// one. So the pool decides who helps and when, a higher level goes first, a pool that drains runs all, and one that
// discards drops the token, which destroys what is left. A bounded pool counts what is spawned in it, so there each goes to
// the pool itself.
#ifndef COOP_DETAIL_FORK_HPP
#define COOP_DETAIL_FORK_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <coop/detail/run.hpp>

namespace coop::coro {

class spawn_deque {
public:
    // This thread's, if it is a worker of the pool; made at first use.
    COOP_CORO_NOINLINE static spawn_deque *of_this_thread(coop_pool *pool) {
        if (mine && mine->pool_ == pool) return mine;
        if (mine || !coop_pool_is_worker_thread(pool)) return nullptr;
        // A worker works for one pool all its life.
        mine = new spawn_deque(pool);
        owner.deque = mine;
        return mine;
    }

    // Queues the coroutine. `full` says that there is no room, and it must go to the pool itself.
    coop_status push(void *frame, bool &full) {
        const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
        full = bottom - top_.load(std::memory_order_acquire) >= ROOM;
        if (full) return COOP_OK;
        hand_off(frame);
        items_[bottom % ROOM].store(frame, std::memory_order_relaxed);
        bottom_.store(bottom + 1, std::memory_order_seq_cst);
        if (offered_.load(std::memory_order_seq_cst) || offered_.exchange(true, std::memory_order_seq_cst)) return COOP_OK;
        const coop_status status = offer();
        if (status == COOP_OK) return status;
        offered_.store(false, std::memory_order_seq_cst);
        // If it is not there any more somebody has it.
        return pop(frame) ? status : COOP_OK;
    }

    // Takes this coroutine back out, if it is the one that was put in last and nobody has it. Only the owner's thread.
    bool pop(void *frame) noexcept {
        const std::int64_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
        if (bottom < top_.load(std::memory_order_relaxed)) return false;
        if (items_[bottom % ROOM].load(std::memory_order_relaxed) != frame) return false;
        bottom_.store(bottom, std::memory_order_seq_cst);
        std::int64_t top = top_.load(std::memory_order_seq_cst);
        if (top < bottom) return true;
        // The last one: a thief may be at it.
        const bool won = top == bottom && top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst);
        bottom_.store(bottom + 1, std::memory_order_seq_cst);
        return won;
    }

    // The pool counts what it holds, so that it must see each.
    bool of_bounded_pool() const noexcept { return bounded_; }

    COOP_CORO_NOINLINE static bool take_back(void *frame) noexcept { return mine && mine->pop(frame); }

private:
    static constexpr std::int64_t ROOM = 1024;

    struct token {
        spawn_deque *deque;
        bool ran;
    };
    struct ownership {
        spawn_deque *deque = nullptr;
        ~ownership() {
            if (!deque) return;
            mine = nullptr;
            deque->release();
        }
    };
    static inline constinit thread_local spawn_deque *mine = nullptr;
    static thread_local ownership owner;

    explicit spawn_deque(coop_pool *pool) noexcept : pool_(pool), bounded_(is_bounded(pool)) {}

    static bool is_bounded(coop_pool *pool) noexcept {
        coop_pool_statistics statistics{};
        statistics.size = sizeof statistics;
        return coop_pool_stats(pool, &statistics) == COOP_OK && statistics.capacity != 0;
    }

    void release() noexcept {
        if (uses_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

    bool empty() const noexcept {
        const std::int64_t top = top_.load(std::memory_order_seq_cst);
        return top >= bottom_.load(std::memory_order_seq_cst);
    }

    void *steal() noexcept {
        for (;;) {
            std::int64_t top = top_.load(std::memory_order_seq_cst);
            if (top >= bottom_.load(std::memory_order_seq_cst)) return nullptr;
            void *frame = items_[top % ROOM].load(std::memory_order_relaxed);
            if (top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst)) {
                take_over(frame);
                return frame;
            }
        }
    }

    // Puts a token into the pool.
    coop_status offer() {
        auto *t = ::new (allocate_frame(sizeof(token))) token{this, false};
        uses_.fetch_add(1, std::memory_order_relaxed);
        hand_off(t);
        const coop_status status = coop_pool_submit(pool_, nullptr, {help, t, drop});
        if (status != COOP_OK) {
            deallocate_frame(t, sizeof(token));
            uses_.fetch_sub(1, std::memory_order_relaxed);
        }
        return status;
    }

    // A token has been used: another one, if there is still something to steal. A pool that refuses it discards.
    void offer_again() {
        if (empty()) {
            offered_.store(false, std::memory_order_seq_cst);
            if (empty() || offered_.exchange(true, std::memory_order_seq_cst)) return;
        }
        if (offer() != COOP_OK) discard();
    }

    // What is put in meanwhile counts on this one, as on a token: so it is looked for after the flag is down.
    void discard() noexcept {
        do {
            while (void *frame = steal()) std::coroutine_handle<>::from_address(frame).destroy();
            offered_.store(false, std::memory_order_seq_cst);
        } while (!empty() && !offered_.exchange(true, std::memory_order_seq_cst));
    }

    static void help(void *arg) noexcept {
        take_over(arg);
        auto *t = static_cast<token *>(arg);
        t->ran = true;
        void *frame = t->deque->steal();
        t->deque->offer_again();
        hand_off(arg);
        if (frame) run(frame);
    }
    static void drop(void *arg) noexcept {
        take_over(arg);
        auto *t = static_cast<token *>(arg);
        if (!t->ran) t->deque->discard();
        t->deque->release();
        deallocate_frame(t, sizeof(token));
    }

    coop_pool *const pool_;
    const bool bounded_;
    std::atomic<std::uint32_t> uses_{1};
    std::atomic<bool> offered_{false};
    alignas(64) std::atomic<std::int64_t> top_{0};
    alignas(64) std::atomic<std::int64_t> bottom_{0};
    std::atomic<void *> items_[ROOM];
};

inline thread_local spawn_deque::ownership spawn_deque::owner;

// Queues a coroutine that belongs to `where`: in this worker's own deque if it may run on any worker, else in the pool.
inline coop_status spawn_frame(place const &where, void *frame) {
    if (where.priority == COOP_PRIORITY_NORMAL && where.cpus.any()) {
        spawn_deque *deque = spawn_deque::of_this_thread(where.pool);
        if (deque && !deque->of_bounded_pool()) {
            bool full = false;
            const coop_status status = deque->push(frame, full);
            if (!full) return status;
        }
    }
    return submit_frame(where, frame);
}

}  // namespace coop::coro

#endif
