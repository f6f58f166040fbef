/* Messages of C++ handlers, and handlers that are loaded. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <cstring>
#include <span>
#include <string>
#include <string_view>

static std::span<const std::byte> bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
static std::string text(std::span<const std::byte> bytes) {
    return std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size());
}

/* What B is told; it stops the set at "stop". */
struct listener {
    std::string &heard;
    counted probe;
    void on_batch(coop::port_context, std::span<const coop::datagram>) {}
    void on_message(coop::port_context context, std::string_view sender, std::span<const std::byte> message) {
        heard += "<" + std::string(sender) + ":" + text(message) + ">";
        if (text(message) == "stop") MUST(context.stop());
    }
};

/* A hands what it is told to B. */
struct relay {
    counted probe;
    void on_batch(coop::port_context, std::span<const coop::datagram>) {}
    void on_message(coop::port_context context, std::string_view sender, std::span<const std::byte> message) {
        CHECK(sender.empty() && MUST(context.name()) == "A");
        REFUSED(coop::errc::invalid, context.send_message("C", message));
        MUST(context.send_message("B", message));
    }
};

/* Drops messages, having no function for them. */
struct deaf {
    void on_batch(coop::port_context, std::span<const coop::datagram>) {}
};

static void from_outside_and_from_a_port(coop::port_mode mode) {
    counts c;
    std::string heard;
    coop::event_loop loop = MUST(coop::event_loop::create());
    {
        coop::port_set set = MUST(coop::port_set::create({.mode = mode, .event_loop = loop},
                                                         coop::port("A", relay{counted(c)}),
                                                         coop::port("B", listener{heard, counted(c)}),
                                                         coop::port("D", deaf())));
        REFUSED(coop::errc::invalid, set.send_message("A", bytes("early")));
        MUST(set.start());
        MUST(set.send_message("D", bytes("nobody listens")));
        MUST(set.send_message("A", bytes("hello")));
        MUST(set.send_message("A", {}));
        REFUSED(coop::errc::invalid, set.send_message("C", bytes("who?")));
        MUST(set.send_message("A", bytes("stop")));
        if (mode == coop::port_mode::single) MUST(loop.run(coop::run_mode::until_idle));
        MUST(set.join(LONG));
        CHECK(heard == "<A:hello><A:><A:stop>");
        CHECK(MUST(set.stats("B")).messages == 3);
    }
    CHECK(c.drops == 2);
}

static void what_cannot_be_loaded() {
    REFUSED(coop::errc::invalid, coop::port::load("A", ""));
    REFUSED(coop::errc::invalid, coop::port::load("A", "no symbol"));
    REFUSED(coop::errc::failed, coop::port::load("A", "./no/such/library.so:symbol", bytes("argument")));
}

static void the_table() {
    CHECK(&coop::api() == coop_api_get() && coop::api().size >= sizeof(coop_api));
    CHECK(coop::api().pool_submit == &coop_pool_submit);
    CHECK(std::string_view(coop::api().version()) == coop::version());
    MUST(coop::version_check());
    REFUSED(coop::errc::unsupported, coop::version_check(coop::version_major, coop::version_minor + 1));
}

int main() {
    from_outside_and_from_a_port(coop::port_mode::thread);
    from_outside_and_from_a_port(coop::port_mode::single);
    what_cannot_be_loaded();
    the_table();
}
