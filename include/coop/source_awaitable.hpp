// What a coroutine waits for on a loop beside times, descriptors and streams: an event, the end of a child, datagrams.
//
// A coroutine that waits goes on where it belongs, as after sleep_for. A loop that ends destroys it.
#ifndef COOP_SOURCE_AWAITABLE_HPP
#define COOP_SOURCE_AWAITABLE_HPP

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>

#include <coop.h>
#include <coop/child.hpp>
#include <coop/coroutine.hpp>
#include <coop/datagram.hpp>
#include <coop/event_object.hpp>
#include <coop/udp.hpp>

namespace coop {

namespace coro {

// A coroutine that waits for an event. The loop owns it.
class event_wait {
public:
    event_wait(coop_event_loop *loop, void *frame, place const *where) noexcept
        : loop_(loop), frame_(frame), where_(where) {}

    // From a success on this is the loop's, and may be gone; after a refusal it is still the caller's.
    coop_status start(coop_event *event) {
        coop_source_options options{};
        options.size = sizeof options;
        options.on = COOP_ON_LOOP;
        std::lock_guard<std::mutex> until_id_is_known(lock_);
        return coop_event_watch(event, loop_, &options, {signaled, this, drop}, &id_);
    }

private:
    static void signaled(void *arg) noexcept {
        take_over(arg);
        auto *self = static_cast<event_wait *>(arg);
        if (!self->frame_) return;
        void *frame = std::exchange(self->frame_, nullptr);
        place const *where = self->where_;
        coop_io_watch_id id;
        {
            std::lock_guard<std::mutex> guard(self->lock_);
            id = self->id_;
        }
        coop_io_watch_cancel(self->loop_, id);  // `drop` follows when this has returned.
        hand_off(arg);
        go_on(nullptr, where, frame);
    }
    static void drop(void *arg) noexcept {
        take_over(arg);
        auto *self = static_cast<event_wait *>(arg);
        // A loop that ends drops what it has just been given, perhaps while `start` is on its way out.
        { std::lock_guard<std::mutex> until_it_has_begun(self->lock_); }
        void *frame = self->frame_;
        delete self;
        if (frame) std::coroutine_handle<>::from_address(frame).destroy();
    }

    coop_event_loop *loop_;
    void *frame_;  // nullptr once it goes on.
    place const *where_;
    std::mutex lock_;
    coop_io_watch_id id_ = 0;
};

class event_object_awaiter : public answered {
public:
    event_object_awaiter(coop_event_loop *loop, coop_event *event) noexcept : loop_(loop), event_(event) {}

    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        auto *wait = new event_wait(loop_, coroutine.address(), place_of(coroutine));
        return given_away(wait, status, [wait, event = event_] { return wait->start(event); });
    }

private:
    coop_event_loop *loop_;
    coop_event *event_;
};

}  // namespace coro

// What `exited` answers.
struct exited_result {
    coop_status status = COOP_OK;
    exit_status exit;  // nothing beside an error
};

namespace coro {

// A coroutine that waits for a child. The loop owns it.
struct child_wait {
    void *frame;
    place const *where;
    exited_result *result;  // In the coroutine's frame.

    static void ended(void *arg, const coop_error *error, const coop_exit_status *exit) noexcept {
        take_over(arg);
        auto *self = static_cast<child_wait *>(arg);
        void *frame = std::exchange(self->frame, nullptr);
        if (error) self->result->status = error->status;
        else self->result->exit = exit_status(*exit);
        place const *where = self->where;
        hand_off(arg);
        go_on(nullptr, where, frame);
    }
    static void drop(void *arg) noexcept {
        take_over(arg);
        auto *self = static_cast<child_wait *>(arg);
        void *frame = self->frame;
        delete self;
        if (frame) std::coroutine_handle<>::from_address(frame).destroy();
    }
};

class child_awaiter {
public:
    child_awaiter(coop_event_loop *loop, int pid) noexcept : loop_(loop), pid_(pid) {}

    bool await_ready() const noexcept { return false; }
    template <class P>
    COOP_CORO_NOINLINE bool await_suspend(std::coroutine_handle<P> coroutine) {
        auto *wait = new child_wait{coroutine.address(), place_of(coroutine), &result_};
        coop_source_options options{};
        options.size = sizeof options;
        options.on = COOP_ON_LOOP;
        return given_away(wait, result_.status, [loop = loop_, pid = pid_, &options, wait] {
            return coop_event_loop_child(loop, pid, &options, {child_wait::ended, wait, child_wait::drop}, nullptr);
        });
    }
    exited_result await_resume() const noexcept { return result_; }

private:
    coop_event_loop *loop_;
    int pid_;
    exited_result result_;
};

}  // namespace coro

// co_await signaled(loop, event): waits until the event is signalled, and takes the signal of one that resets itself. The
// errors of coop_event_watch.
template <class Loop>
[[nodiscard]] auto signaled(Loop &&loop, event const &waited_for) {
    return coro::event_object_awaiter(coro::loop_of(loop), waited_for.get());
}

// co_await exited(loop, pid): waits until the child ends, reaps it and answers how it ended. The errors of
// coop_event_loop_child, and of its callback.
template <class Loop>
[[nodiscard]] auto exited(Loop &&loop, int pid) {
    return coro::child_awaiter(coro::loop_of(loop), pid);
}

// co_await receive(loop, socket, room): udp::receive once something has come, never an empty answer. The room, and the
// socket, are there until then. Errors of the wait are those of `readiness`.
template <class Loop>
[[nodiscard]] task<result<std::span<datagram>>> receive(Loop &loop, udp &socket, std::span<datagram> room) {
    for (;;) {
        result<std::span<datagram>> came = socket.receive(room);
        if (!came || !came->empty()) co_return came;
        const ready_result ready = co_await readiness(loop, coop_udp_fd(socket.get()), COOP_IO_READ);
        if (ready.status != COOP_OK) co_return error::last(ready.status);
    }
}

// co_await send(loop, socket, datagrams): udp::send of all of them. How many of them the network refused; the errors of
// udp::send and of `readiness`.
template <class Loop>
[[nodiscard]] task<result<std::size_t>> send(Loop &loop, udp &socket, std::span<const datagram> datagrams) {
    std::size_t refused = 0;
    for (;;) {
        result<udp_sent> sent = socket.send(datagrams);
        if (!sent) co_return std::move(sent).failure();
        refused += sent->refused;
        datagrams = datagrams.subspan(sent->sent);
        if (datagrams.empty()) co_return refused;
        const ready_result ready = co_await readiness(loop, coop_udp_fd(socket.get()), COOP_IO_WRITE);
        if (ready.status != COOP_OK) co_return error::last(ready.status);
    }
}

}  // namespace coop

#endif
