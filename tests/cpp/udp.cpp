/* coop::udp, addresses and datagrams. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <array>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

static coop::udp on_loopback() { return MUST(coop::udp::create({.address = "127.0.0.1:0"})); }

static void readable(const coop::udp &socket) {
    pollfd one{MUST(socket.fd()), POLLIN, 0};
    CHECK(poll(&one, 1, static_cast<int>(std::chrono::milliseconds(LONG).count())) == 1);
}

static void addresses() {
    const coop::address v4 = MUST(coop::address::parse("127.0.0.1:7000"));
    CHECK(MUST(v4.text()) == "127.0.0.1:7000" && v4);
    const coop::address v6 = MUST(coop::address::parse("[::1]:7000"));
    CHECK(MUST(v6.text()) == "[::1]:7000" && v6);
    CHECK(v4 != v6 && v4 == MUST(coop::address::parse(std::string("127.0.0.1:7000 ").substr(0, 14))));
    CHECK(v4 != MUST(coop::address::parse("127.0.0.1:7001")));
    sockaddr_in system{};
    CHECK(v4.c().length == sizeof system);
    std::memcpy(&system, v4.c().bytes, sizeof system);
    CHECK(system.sin_family == AF_INET && ntohs(system.sin_port) == 7000);

    const coop::address none;
    CHECK(!none && none == coop::address() && none != v4);
    REFUSED(coop::errc::invalid, none.text());
    for (const char *wrong : {"127.0.0.1", "localhost:1", "127.0.0.1:70000", "[::1:7000"})
        REFUSED(coop::errc::invalid, coop::address::parse(wrong));
    REFUSED(coop::errc::null, coop::address::parse(""));
    REFUSED(coop::errc::null, coop::address::parse({}));
}

static void to_and_fro() {
    const coop::udp server = on_loopback(), client = on_loopback();
    const coop::address at = MUST(server.local_address());
    std::array<coop::datagram, 8> room;

    CHECK(MUST(server.receive(room)).empty()); /* nothing has come, and it does not wait */
    const std::array<coop::datagram, 3> three{coop::datagram("one", at), coop::datagram("two", at), coop::datagram("", at)};
    const coop::udp_sent sent = MUST(client.send(three));
    CHECK(sent.sent == 3 && sent.refused == 0);

    std::vector<std::string> got;
    while (got.size() < 3) {
        readable(server);
        for (;;) {
            const std::span<coop::datagram> came = MUST(server.receive(room));
            if (came.empty()) break;
            for (const coop::datagram &one : came) {
                CHECK(one.peer() == MUST(client.local_address()) && !one.truncated());
                CHECK(one.bytes().size() == one.text().size());
                got.emplace_back(one.text());
            }
        }
    }
    CHECK(got == std::vector<std::string>({"one", "two", ""}));

    MUST(client.connect(at));
    CHECK(MUST(client.send(coop::datagram("to the peer"))).sent == 1);
    readable(server);
    const std::span<coop::datagram> came = MUST(server.receive(room));
    CHECK(came.size() == 1 && came[0].text() == "to the peer");
    CHECK(MUST(server.send(came)).sent == 1); /* what came may be sent as it is */
    readable(client);
    CHECK(MUST(client.receive(std::span(room).first(1)))[0].text() == "to the peer");
    CHECK(MUST(client.send(std::span<const coop::datagram>())).sent == 0);
}

static void in_segments() {
    const coop::udp server = on_loopback(), client = on_loopback();
    const std::string bytes(2500, 'x');
    const coop::datagram segmented(std::as_bytes(std::span(bytes)), MUST(server.local_address()), 1000);
    CHECK(MUST(client.send(segmented)).sent == 1);
    std::vector<std::size_t> sizes;
    std::array<coop::datagram, 2> room;
    while (sizes.size() < 3) {
        readable(server);
        /* What had no room is kept, and the descriptor does not show it. */
        for (std::span<coop::datagram> came; !(came = MUST(server.receive(room))).empty();)
            for (const coop::datagram &one : came) sizes.push_back(one.length);
    }
    CHECK(sizes == std::vector<std::size_t>({1000, 1000, 500}));
}

static void refused() {
    const coop::udp socket = on_loopback();
    REFUSED(coop::errc::invalid, coop::udp::create({.address = "nowhere"}));
    const std::string taken = MUST(MUST(socket.local_address()).text());
    CHECK(coop::udp::create({.address = taken}).os_error() == std::errc::address_in_use);
    REFUSED(coop::errc::invalid, socket.connect({}));
    REFUSED(coop::errc::invalid, socket.receive({}));
    coop::datagram flagged("flags are for what came", MUST(socket.local_address()));
    flagged.flags = COOP_DATAGRAM_TRUNCATED;
    CHECK(flagged.truncated());
    REFUSED(coop::errc::unsupported, socket.send(flagged));
    const coop::udp shared = MUST(coop::udp::create({.address = "127.0.0.1:0", .reuse_port = true}));
    const std::string again = MUST(MUST(shared.local_address()).text());
    CHECK(MUST(coop::udp::create({.address = again, .recv_buffer = 65536, .send_buffer = 65536, .reuse_port = true,
                                  .no_gro = true, .no_gso = true})));
}

static void watched() {
    const coop::udp server = on_loopback(), client = on_loopback();
    coop::event_loop loop = MUST(coop::event_loop::create());
    std::string got;
    const coop::scoped watch = MUST(loop.watch(MUST(server.fd()), [&] {
        std::array<coop::datagram, 4> room;
        for (const coop::datagram &one : MUST(server.receive(room))) got += one.text();
        if (got.size() == 10) MUST(loop.stop());
    }));
    MUST(client.connect(MUST(server.local_address())));
    MUST(loop.timer({.every = 1ms}, [&, left = 10]() mutable {
        if (left-- > 0) MUST(client.send(coop::datagram("x")));
    }));
    MUST(loop.run());
    CHECK(got == "xxxxxxxxxx");
}

int main() {
    addresses();
    to_and_fro();
    in_segments();
    refused();
    watched();
}
