// A coroutine that waits for a file descriptor, once.
//
// The descriptor is duplicated: a loop takes one watch for each, and so any number of coroutines may wait for one socket or
// event. The loop owns the record; whoever frees the loop destroys the coroutine with it.
#ifndef COOP_DETAIL_WATCH_HPP
#define COOP_DETAIL_WATCH_HPP

#include <coroutine>
#include <cstdint>
#include <fcntl.h>
#include <mutex>
#include <unistd.h>
#include <utility>

#include <coop/detail/run.hpp>

namespace coop::coro {

class watch {
public:
    watch(coop_event_loop *loop, int fd, void *frame) noexcept
        : loop_(loop), fd_(::fcntl(fd, F_DUPFD_CLOEXEC, 0)), frame_(frame) {}
    watch(watch const &) = delete;
    watch &operator=(watch const &) = delete;

    // From a success on the record is the loop's, and may be gone; after a refusal it is still the caller's.
    coop_status start(std::uint32_t interest) {
        if (fd_ < 0) return COOP_E_OS;
        coop_io_watch_options options{};
        options.size = sizeof options;
        options.interest = interest;
        options.on = COOP_ON_LOOP;
        hand_off(this);
        std::lock_guard<std::mutex> until_id_is_known(lock_);
        return coop_event_loop_watch(loop_, fd_, &options, {ready, this, drop}, &id_);
    }

    virtual ~watch() {
        if (fd_ >= 0) ::close(fd_);
    }

protected:
    int fd() const noexcept { return fd_; }

private:
    // Whether the wait is over; if not, it goes on.
    virtual bool over(std::uint32_t ready) noexcept = 0;
    virtual void resume(void *frame) noexcept = 0;

    static void ready(void *arg, std::uint32_t bits) noexcept {
        take_over(arg);
        auto *self = static_cast<watch *>(arg);
        if (!self->frame_ || !self->over(bits)) return;
        void *frame = std::exchange(self->frame_, nullptr);
        coop_io_watch_id id;
        {
            std::lock_guard<std::mutex> guard(self->lock_);
            id = self->id_;
        }
        coop_io_watch_cancel(self->loop_, id);  // `drop` follows when this has returned.
        hand_off(arg);
        self->resume(frame);
    }
    static void drop(void *arg) noexcept {
        take_over(arg);
        auto *self = static_cast<watch *>(arg);
        // A loop that ends drops what it has just been given, perhaps while `start` is on its way out.
        { std::lock_guard<std::mutex> until_it_has_begun(self->lock_); }
        void *frame = self->frame_;
        delete self;
        if (frame) std::coroutine_handle<>::from_address(frame).destroy();
    }

    coop_event_loop *loop_;
    int fd_;
    void *frame_;  // nullptr once it goes on.
    std::mutex lock_;
    coop_io_watch_id id_ = 0;
};

}  // namespace coop::coro

#endif
