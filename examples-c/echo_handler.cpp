/* A port set in C++: the handler is an object, a thread receives for it, and another one runs it.
 *
 *     c++ -std=c++20 echo_handler.cpp $(pkg-config --cflags --libs coop) -o echo_handler */
#include <coop.hpp>
#include <array>
#include <cstdio>
#include <poll.h>

/* What it needs, it has as members. It runs on one thread, and is destroyed by the set. */
class echo {
public:
    void on_batch(coop::port_context context, std::span<const coop::datagram> batch) {
        count_ += batch.size();
        context.send(batch).value();
    }
    void on_stop(coop::port_context) { std::printf("echoed %zu\n", count_); }

private:
    std::size_t count_ = 0;
};

int main() {
    auto ports = coop::port_set::create({.mode = coop::port_mode::thread}, coop::port("ECHO", echo())).value();
    ports.start().value();

    auto client = coop::udp::create().value();
    client.connect(ports.address("ECHO").value()).value();
    client.send(coop::datagram("ping")).value();

    pollfd readable{client.fd().value(), POLLIN, 0};
    if (poll(&readable, 1, 10000) != 1) return 1;
    std::array<coop::datagram, 8> room;
    for (const coop::datagram &answer : client.receive(room).value())
        std::printf("answer: %.*s\n", static_cast<int>(answer.length), answer.text().data());
    ports.stop(std::chrono::seconds(1)).value();
}
