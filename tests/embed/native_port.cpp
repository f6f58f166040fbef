/* coop::port::load: a set of C++ with a handler of a shared library; argument: native_handler.so. */
#include "expect.hpp"

#include <array>
#include <poll.h>
#include <span>
#include <string>
#include <string_view>

static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

int main(int, char **arguments) {
    const std::string library = arguments[1];
    REFUSED(coop::errc::failed, coop::port::load("ECHO", library + ":no_such_thing"));

    /* A port that no set has taken drops its handler; the sanitizers look for that. */
    { coop::port dropped = MUST(coop::port::load("ECHO", library + ":echo_handler", bytes("never: "))); }

    coop::port port = MUST(coop::port::load("ECHO", library + ":echo_handler", bytes("> ")));
    CHECK(port && port.name() == "ECHO");
    coop::port_set set = MUST(coop::port_set::create({.mode = coop::port_mode::thread}, std::move(port)));
    MUST(set.start());

    coop::udp client = MUST(coop::udp::create());
    MUST(client.connect(MUST(set.address("ECHO"))));
    MUST(client.send(coop::datagram("ping")));
    pollfd readable{MUST(client.fd()), POLLIN, 0};
    CHECK(poll(&readable, 1, static_cast<int>(std::chrono::milliseconds(LONG).count())) == 1);
    std::array<coop::datagram, 1> room;
    CHECK(MUST(client.receive(room)).front().text() == "> ping");
    MUST(set.stop(LONG));
}
