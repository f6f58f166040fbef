// An echo server as coroutines: one for each connection, and one that accepts them. A hundred clients talk to it at once.
#include <coop.hpp>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

using namespace std::chrono_literals;

// What comes goes back, until the client has said all. One that reads slowly is written to slowly.
coop::task<> echo(coop::stream stream) {
    std::array<std::byte, 4096> room;
    for (;;) {
        const std::size_t came = (co_await stream.read(room)).value();
        if (came == 0) co_return;
        (co_await stream.write(std::span<const std::byte>(room).first(came))).value();
    }
}

coop::task<> serve(const coop::listener &listener, const coop::pool &pool) {
    for (;;) {
        auto stream = co_await listener.accept();
        if (!stream) co_return;  // The listener was freed, or the loop has ended.
        auto session = echo(*std::move(stream));
        if (session.spawn(pool) != COOP_OK) co_return;
    }
}

coop::task<bool> talk(const coop::event_loop &loop, std::uint16_t port, int number) {
    coop::stream stream = (co_await coop::connect(loop, "127.0.0.1", port, {.timeout = 30s})).value();
    const std::string said = "client " + std::to_string(number);
    std::string heard(said.size(), ' ');
    for (int times = 0; times < 10; ++times) {
        (co_await stream.write(said)).value();
        (co_await stream.read_exactly(std::as_writable_bytes(std::span(heard)))).value();
        if (heard != said) co_return false;
    }
    co_return true;
}

int main() {
    auto pool = coop::pool::create({.workers = 2}).value();
    auto loop = coop::event_loop::create().value();
    loop.start().value();
    auto listener = coop::listener::create(loop, {.address = "127.0.0.1:0"}).value();
    const std::string where = listener.address().value().text().value();
    const auto port = static_cast<std::uint16_t>(std::atoi(where.c_str() + where.rfind(':') + 1));

    auto serving = serve(listener, pool);
    if (serving.spawn(pool) != COOP_OK) return 1;
    std::vector<coop::task<bool>> clients;
    for (int i = 0; i < 100; ++i) {
        clients.push_back(talk(loop, port, i));
        if (clients.back().spawn(pool) != COOP_OK) return 1;
    }
    int heard = 0;
    for (auto &client : clients) heard += coop::sync_wait(std::move(client));
    std::printf("%d clients heard what they said\n", heard);

    loop.stop().value();  // Those who still wait are told.
    coop::sync_wait(std::move(serving));
    return heard == 100 ? 0 : 1;
}
