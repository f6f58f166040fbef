// What coroutines wait for with streams: bytes, connections, addresses. coop::stream and coop::listener make these awaiters.
//
//     coop::task<> echo(coop::stream stream) {
//         std::array<std::byte, 4096> room;
//         for (;;) {
//             auto came = co_await stream.read(room);
//             if (!came || *came == 0) co_return;
//             if (!co_await stream.write(std::span(room).first(*came))) co_return;
//         }
//     }
//
// What is there is taken at once, without a callback; a coroutine that always finds something leaves its thread to others now and then.
// It goes on where it belongs, like after sleep_for; one that never hopped, where the stream's callbacks run. A coroutine that is
// destroyed while it waits gives up what it waits for; its stream, or listener, must still be there then.
#ifndef COOP_STREAM_AWAITABLE_HPP
#define COOP_STREAM_AWAITABLE_HPP

#include <coop/address.hpp>
#include <coop/detail/later.hpp>

#include <cstddef>
#include <vector>

namespace coop::coro {

// Reads or writes of one stream. done_ bytes of all were moved before it had to wait.
class transfer : public later<std::size_t> {
public:
    enum class kind { read, read_exactly, write };

    transfer(coop_stream *stream, kind what, void *data, std::size_t length) noexcept
        : stream_(stream), what_(what), data_(static_cast<std::byte *>(data)), length_(length) {}
    ~transfer() {
        if (waits()) coop_stream_cancel(stream_, what_ == kind::write ? COOP_IO_WRITE : COOP_IO_READ);
    }

    bool await_ready() {
        // The end of a budget is a turn of the loop.
        if (!spend()) return false;
        std::size_t count = 0;
        const coop_status status = what_ == kind::write ? coop_stream_try_write(stream_, data_, length_, &count)
                                                        : coop_stream_try_read(stream_, data_, length_, &count);
        if (status == COOP_E_WOULD_BLOCK) return false;
        if (status != COOP_OK) {
            result_ = coop::error::last(status);
            return true;
        }
        done_ = count;
        result_ = count;
        return count == length_ || what_ == kind::read || (what_ == kind::read_exactly && count == 0);
    }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
        return suspend(coroutine, [this](record *mine) {
            const auto start = what_ == kind::read ? coop_stream_read : coop_stream_read_exactly;
            std::byte *const rest = data_ + done_;
            const std::size_t left = length_ - done_;
            const coop_io_callback callback{&told, mine, nullptr};
            return what_ == kind::write ? coop_stream_write(stream_, rest, left, callback)
                                        : start(stream_, rest, left, callback);
        });
    }

private:
    static void told(void *arg, const coop_error *failed, std::size_t count) noexcept {
        tell(arg, [&](later &awaiter) {
            const std::size_t before = static_cast<transfer &>(awaiter).done_;
            return failed ? result<std::size_t>(coop::error::of(*failed)) : result<std::size_t>(before + count);
        });
    }

    coop_stream *stream_;
    kind what_;
    std::byte *data_;
    std::size_t length_;
    std::size_t done_ = 0;
};

// A stream that is handed over: Stream is coop::stream.
template <class Stream>
class handed_over : public later<Stream> {
protected:
    using typename later<Stream>::record;

    static void told(void *arg, const coop_error *failed, coop_stream *made) noexcept {
        Stream stream(made);
        // Nobody waits any more: the stream is closed here.
        later<Stream>::tell(arg, [&](later<Stream> &) {
            return failed ? result<Stream>(coop::error::of(*failed)) : result<Stream>(std::move(stream));
        });
    }
};

template <class Stream, class Start>
class connecting : public handed_over<Stream> {
public:
    explicit connecting(Start start) : start_(std::move(start)) {}

    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
        return this->suspend(coroutine, [this](auto *mine) {
            return start_(coop_stream_callback{&connecting::told, mine, nullptr});
        });
    }

private:
    Start start_;
};

template <class Stream>
class accepting : public handed_over<Stream> {
public:
    explicit accepting(coop_listener *listener) noexcept : listener_(listener) {}
    ~accepting() {
        if (this->waits()) coop_listener_cancel(listener_);
    }

    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
        return this->suspend(coroutine, [this](auto *mine) {
            return coop_listener_accept(listener_, coop_stream_callback{&accepting::told, mine, nullptr});
        });
    }

private:
    coop_listener *listener_;
};

template <class Start>
class resolving : public later<std::vector<address>> {
public:
    explicit resolving(Start start) : start_(std::move(start)) {}

    template <class P>
    bool await_suspend(std::coroutine_handle<P> coroutine) {
        return suspend(coroutine,
                       [this](record *mine) { return start_(coop_resolve_callback{&told, mine, nullptr}); });
    }

private:
    static void told(void *arg, const coop_error *failed, const coop_address *addresses, std::size_t count) noexcept {
        tell(arg, [&](later &) {
            using found = std::vector<address>;
            return failed ? result<found>(coop::error::of(*failed)) : result<found>(found(addresses, addresses + count));
        });
    }

    Start start_;
};

}  // namespace coop::coro

#endif  // COOP_STREAM_AWAITABLE_HPP
