// Asio's sides: one io_context on one thread, made with concurrency hint 1 as its documentation advises for that.
#define ASIO_STANDALONE
#include <array>
#include <asio.hpp>
#include <memory>
#include <thread>

#include "side.h"

namespace {

using asio::ip::tcp;
using asio::ip::udp;

struct poster {
    asio::io_context context{1};
    asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
    std::thread thread;
};

void *start(void (*started)(void)) {
    auto *self = new poster;
    self->thread = std::thread([self, started] {
        started();
        self->context.run();
    });
    return self;
}

void post(void *loop, void (*fn)(void *), void *arg) {
    asio::post(static_cast<poster *>(loop)->context, [fn, arg] { fn(arg); });
}

void finish(void *loop) {
    auto *self = static_cast<poster *>(loop);
    self->work.reset();
    self->thread.join();
    delete self;
}

// One connection; it deletes itself when the peer has gone.
class session {
public:
    explicit session(tcp::socket socket) : socket_(std::move(socket)) {}

    void read() {
        socket_.async_read_some(asio::buffer(data_), [this](std::error_code error, std::size_t n) {
            if (error)
                delete this;
            else
                write(n);
        });
    }

private:
    void write(std::size_t n) {
        asio::async_write(socket_, asio::buffer(data_, n), [this](std::error_code error, std::size_t) {
            if (error)
                delete this;
            else
                read();
        });
    }

    tcp::socket socket_;
    std::array<unsigned char, 4096> data_;
};

void accept(tcp::acceptor &acceptor) {
    acceptor.async_accept([&acceptor](std::error_code error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true));
            (new session(std::move(socket)))->read();
        }
        accept(acceptor);
    });
}

struct receiver {
    udp::socket socket;
    udp_count *published;
    udp_count count{0, 0};
    udp::endpoint from;
    std::array<unsigned char, 2048> data;

    // What has come already is taken without asking the reactor again.
    void receive() {
        socket.async_receive_from(asio::buffer(data), from, [this](std::error_code error, std::size_t n) {
            for (int more = 64; !error; n = socket.receive_from(asio::buffer(data), from, 0, error)) {
                udp_look(&count, data.data(), n);
                if (--more == 0)
                    break;
            }
            udp_publish(published, &count);
            receive();
        });
    }
};

} // namespace

extern "C" const side bench_post_asio = {start, post, finish};

extern "C" void bench_echo_asio(ready_fn *ready) {
    asio::io_context context{1};
    std::uint16_t port;
    tcp::acceptor acceptor(context, tcp::v4(), bench_listen(&port));
    accept(acceptor);
    ready(port);
    context.run();
}

extern "C" void bench_udp_asio(ready_fn *ready, udp_count *published) {
    asio::io_context context{1};
    std::uint16_t port;
    receiver self{udp::socket(context, udp::v4(), bench_bind_udp(&port)), published, {0, 0}, {}, {}};
    self.socket.non_blocking(true);
    self.receive();
    ready(port);
    context.run();
}
