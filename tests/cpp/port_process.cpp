/* Handlers by their names, in every mode; what they save and send each other in processes of their own. */
#include "expect.hpp"

#include <poll.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace {

std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span<const char>(text)); }

std::string text(std::span<const std::byte> bytes) {
    return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

struct echo {
    explicit echo(std::span<const std::byte> args) : greeting(text(args)) {}

    void on_batch(coop::port_context context, std::span<const coop::datagram> batch) {
        for (const coop::datagram &one : batch) {
            const std::string_view word = one.text();
            if (word == "exit") _exit(0);
            if (word == "stop") MUST(context.stop());
            if (word == "tell") MUST(context.send_message("B", bytes("from A")));
            const std::string answer = greeting + ":" + text(MUST(context.saved())) + ":" + std::to_string(MUST(context.run()));
            MUST(context.send(coop::datagram(bytes(answer), one.peer())));
        }
    }

    void on_message(coop::port_context context, std::string_view sender, std::span<const std::byte> message) {
        const std::string heard = std::string(sender) + "/" + text(message);
        MUST(context.save(bytes(heard)));
    }

    std::string greeting;
};

struct refuses {
    refuses() { throw std::runtime_error("on purpose"); }
    void on_batch(coop::port_context, std::span<const coop::datagram>) {}
};

coop::udp client_of(const coop::port_set &set, std::string_view port) {
    coop::udp client = MUST(coop::udp::create());
    MUST(client.connect(MUST(set.address(port))));
    return client;
}

void tell(const coop::port_set &set, std::string_view port, std::string_view word) {
    const coop::datagram one(bytes(word));
    MUST(client_of(set, port).send(std::span(&one, 1)));
}

/* Asks, and asks again: what a worker that ends has in hand is lost with it. */
void ask(const coop::port_set &set, std::string_view port, std::string_view word, std::string_view expected) {
    coop::udp client = client_of(set, port);
    const coop::datagram question(bytes(word));
    for (int tries = 0; tries < 300; tries++) {
        MUST(client.send(std::span(&question, 1)));
        pollfd readable{MUST(client.fd()), POLLIN, 0};
        while (poll(&readable, 1, 100) == 1) {
            coop::datagram answer;
            if (MUST(client.receive(std::span(&answer, 1))).size() == 1 && answer.text() == expected) return;
        }
    }
    CHECK(!"an answer");
}

}  // namespace

int main() {
    coop::port_handlers handlers;
    handlers.handler<echo>("echo").handler<refuses>("refuses");
    if (const auto status = MUST(handlers.run())) return *status;

    for (const coop::port_mode mode : {coop::port_mode::thread, coop::port_mode::process}) {
        coop::port_set_options options;
        options.mode = mode;
        options.handlers = &handlers;
        auto set = MUST(coop::port_set::create(options, coop::port::named("A", "echo", bytes("hi")), coop::port::named("B", "echo")));
        MUST(set.start());
        ask(set, "A", "x", "hi::1");
        tell(set, "A", "tell");
        ask(set, "B", "x", ":A/from A:1");
        MUST(set.send_message("B", bytes("outside")));
        ask(set, "B", "x", ":/outside:1");
        if (mode == coop::port_mode::process) {
            tell(set, "B", "exit");
            ask(set, "B", "x", ":/outside:2");
            CHECK(MUST(set.stats("B")).restarts == 1);
        }
        tell(set, "A", "stop");
        MUST(set.join());

        auto bad = MUST(coop::port_set::create(options, coop::port::named("BAD", "refuses")));
        REFUSED(coop::errc::failed, bad.start());
    }
    coop::port_set_options options;
    options.mode = coop::port_mode::process;
    coop::port closure("C", echo({}));
    REFUSED(coop::errc::invalid, coop::port_set::create(options, std::span(&closure, 1)));
    CHECK(closure);
    return 0;
}
