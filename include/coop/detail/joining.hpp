// How a thread waits for a coroutine that may be joined.
//
// A worker that joins would take itself away from the pool that is to run what it waits for. So a coroutine that is
// queued, and may run on that worker, is taken out of the queue and run there. What has begun is waited for.
#ifndef COOP_DETAIL_JOINING_HPP
#define COOP_DETAIL_JOINING_HPP

#include <condition_variable>
#include <mutex>

#include <coop/detail/promise.hpp>

namespace coop::coro {

// The part of a joinable coroutine's block that says whether it is queued.
class join_queue final : public hop_owner {
public:
    // Queues the coroutine. Between `queued_` and the pool's answer a joiner may take it: then it is as good as accepted.
    coop_status submit(place const &where, void *frame) {
        hop *h = hop::make(frame, this);
        // Copies: a joiner may take the coroutine, and end it with `where` and this, as soon as it is told.
        coop_pool *const pool = where.pool;
        const std::uint64_t word = where.cpus.any() ? 0 : *where.cpus.set().words;
        coop_submit_options options = where.options();
        options.cpus = one_word(word);
        {
            std::lock_guard<std::mutex> guard(lock_);
            queued_ = h;
            pool_ = pool;
            cpus_ = word;
            if (joiners_) changed_.notify_all();
        }
        const coop_status status = submit_hop(pool, options, h);
        if (status == COOP_OK) return status;
        const bool mine = h->claim();
        if (mine)
            left_queue(h);
        h->release();
        return mine ? status : COOP_OK;
    }

    void left_queue(hop *h) noexcept override {
        {
            std::lock_guard<std::mutex> guard(lock_);
            queued_ = nullptr;
        }
        h->release();
    }

    // Waits for the end of the coroutine whose block this is part of; the caller holds its task object.
    template <class Block>
    void join(Block *block) {
        for (run_loop *loop = innermost; loop; loop = loop->outer)
            if (loop->current == block->frame() && !block->ended())
                return report(COOP_E_WOULD_DEADLOCK, "a coroutine cannot join itself", true);
        joiner me{{}, this, false};
        me.ended = on_end;
        if (!block->add(&me)) return;
        std::unique_lock<std::mutex> guard(lock_);
        ++joiners_;
        while (!me.over) {
            if (hop *h = runnable_here()) {
                queued_ = nullptr;
                guard.unlock();
                void *frame = h->frame;
                h->release();
                run(frame);
                guard.lock();
            } else {
                changed_.wait(guard);
            }
        }
        --joiners_;
    }

private:
    struct joiner : waiter {
        join_queue *queue;
        bool over;
    };

    // Told with the lock held: the block may be gone, with this, as soon as it is not.
    static void on_end(waiter *self, void *, bool) noexcept {
        auto *me = static_cast<joiner *>(self);
        join_queue *queue = me->queue;
        std::lock_guard<std::mutex> guard(queue->lock_);
        me->over = true;
        queue->changed_.notify_all();
    }

    // The set that a mask names; 0 is any.
    static coop_cpu_set one_word(std::uint64_t const &word) noexcept {
        return {word ? &word : nullptr, word ? std::size_t{1} : 0};
    }

    hop *runnable_here() noexcept {
        // Whatever waits at a higher level: this worker does nothing else before the join is over.
        coop_submit_options options{};
        options.size = sizeof options;
        options.priority = COOP_PRIORITY_HIGH;
        options.cpus = one_word(cpus_);
        if (!queued_ || !coop_pool_may_run_here(pool_, &options)) return nullptr;
        return queued_->claim() ? queued_ : nullptr;
    }

    std::mutex lock_;
    std::condition_variable changed_;
    hop *queued_ = nullptr;
    coop_pool *pool_ = nullptr;
    std::uint64_t cpus_ = 0;
    unsigned joiners_ = 0;
};

template <class P>
join_queue *join_queue_of(std::coroutine_handle<P> coroutine) noexcept {
    if constexpr (requires { coroutine.promise().shared_block()->extra.left_queue(nullptr); })
        return &coroutine.promise().shared_block()->extra;
    else
        return nullptr;
}

}  // namespace coop::coro

#endif
