/* Ports that take connections: handlers as objects, in each mode; what they answer, and what they throw. */
#include "expect.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

/* Echoes; some words are orders, when they come alone. */
struct words {
    coop::result<void> on_connect(coop::port_context context, coop_connection_id connection) {
        if (deny) return coop::error(coop::errc::queue_full, "not today");
        last = connection;
        CHECK(MUST(context.connections()) > 0);
        return {};
    }

    coop::result<void> on_data(coop::port_context context, coop_connection_id connection, std::span<const std::byte> bytes) {
        const std::string_view word(reinterpret_cast<const char *>(bytes.data()), bytes.size());
        if (word == "fail") return coop::error(coop::errc::failed, "on purpose");
        if (word == "throw") throw std::runtime_error("on purpose");
        if (word == "abort") return context.abort(connection);
        if (word == "exit") _exit(0);
        if (word == "run") return context.write(connection, std::to_string(MUST(context.run())));
        if (word == "why") return context.write(connection, why);
        if (word == "stop") return context.stop();
        if (word == "deny") deny = true;
        if (word == "close") {
            MUST(context.write(connection, "bye"));
            MUST(context.close(connection));
            REFUSED(coop::errc::closed, context.write(connection, "x"));
            return {};
        }
        if (word == "half") {
            MUST(context.write(connection, "half"));
            return context.shutdown_write(connection);
        }
        if (word == "pause") {
            MUST(context.pause(connection));
            MUST(context.set_timer(20ms));
            return context.write(connection, "paused ");
        }
        if (word == "flood") {
            const std::string block(1024, 'x');
            while (context.write(connection, block)) {}
            REFUSED(coop::errc::queue_full, context.write(connection, block));
            CHECK(MUST(context.backlog_of(connection)) > 0);
            return context.close(connection);
        }
        if (word == "fill") {
            const std::string block(1024, 'x');
            while (context.write(connection, block)) {}
            return {};
        }
        if (word == "where") {
            if (const auto path = context.path()) return context.write(connection, *path);
            CHECK(MUST(context.address()));
            return context.write(connection, MUST(MUST(context.peer(connection)).text()));
        }
        if (word == "misuse") {
            REFUSED(coop::errc::stale, context.write(connection + 1000, "x"));
            REFUSED(coop::errc::stale, context.backlog_of(0));
            REFUSED(coop::errc::stale, context.peer(0));
            REFUSED(coop::errc::invalid, context.send(coop::datagram("x")));
        }
        return context.write(connection, bytes);
    }

    coop::result<void> on_drained(coop::port_context context, coop_connection_id connection) {
        return context.write(connection, "room");
    }

    void on_timer(coop::port_context context, coop_timer_id) {
        MUST(context.write(last, "resumed "));
        MUST(context.resume(last));
    }

    void on_message(coop::port_context context, std::string_view, std::span<const std::byte> bytes) {
        MUST(context.write(last, bytes));
    }

    void on_close(coop::port_context context, coop_connection_id connection, const coop::closed_connection &closed) {
        CHECK(closed.error.has_value() == (closed.why == coop::closed_by::lost));
        if (closed.why == coop::closed_by::stopped) MUST(context.write(connection, "stopped"));
        why += std::to_string(static_cast<int>(closed.why));
    }

    std::string why = "why ";
    coop_connection_id last = 0;
    bool deny = false;
};

/* The least that one is; with every function that says when a connection is over. */
struct brief {
    void on_data(coop::port_context context, coop_connection_id connection, std::span<const std::byte> bytes) const {
        MUST(context.write(connection, bytes));
    }
    void on_end(coop::port_context context, coop_connection_id connection) {
        MUST(context.write(connection, " and no more"));
        MUST(context.close(connection));
    }
};

class client {
public:
    client(const void *address, socklen_t length) {
        const auto *to = static_cast<const sockaddr *>(address);
        const timeval patience{60, 0};
        fd_ = socket(to->sa_family, SOCK_STREAM, 0);
        CHECK(setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
        CHECK(connect(fd_, to, length) == 0);
    }
    explicit client(const coop::address &to) : client(to.c().bytes, to.c().length) {}
    client(const client &) = delete;
    ~client() { close(fd_); }

    client &say(std::string_view word) {
        CHECK(send(fd_, word.data(), word.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(word.size()));
        return *this;
    }
    /* What comes next is this. */
    client &hear(std::string_view expected) {
        std::string text;
        while (text.size() < expected.size()) {
            CHECK(receive(expected.size() - text.size()) > 0);
            text += came_;
        }
        CHECK(text == expected);
        return *this;
    }
    /* What comes before the end; a reset is one too. */
    std::string rest() {
        std::string text;
        while (receive(4096) > 0) text += came_;
        return text;
    }
    client &finish() {
        CHECK(shutdown(fd_, SHUT_WR) == 0);
        return *this;
    }

private:
    ssize_t receive(std::size_t most) {
        came_.resize(most);
        ssize_t have;
        do have = recv(fd_, came_.data(), most, 0);
        while (have < 0 && errno == EINTR);
        CHECK(have >= 0 || errno == ECONNRESET);
        came_.resize(have > 0 ? static_cast<std::size_t>(have) : 0);
        return have;
    }

    int fd_ = -1;
    std::string came_;
};

/* What was closed is told of in another turn of the loop, so it is asked again. */
void reasons(const coop::address &at, std::string_view expected) {
    for (int tries = 0; tries < 6000; tries++) {
        client asks(at);
        std::string why = asks.say("why").finish().rest();
        /* Those that asked before ended one by one. */
        std::string others;
        for (const char one : why)
            if (one != '1') others += one;
        if (others == expected) return;
        usleep(5000);
    }
    CHECK(!"the reasons");
}

void every_way(const coop::port_set_options &options) {
    auto set = MUST(coop::port_set::create(options, coop::port::named("WORDS", "words", {}, {.kind = coop::port_kind::tcp})));
    MUST(set.start());
    const coop::address at = MUST(set.address("WORDS"));
    REFUSED(coop::errc::unsupported, set.path("WORDS"));
    client(at).say("hello").hear("hello").say("misuse").hear("misuse").say("run").hear("1");
    CHECK(client(at).say("where").finish().rest().starts_with("127.0.0.1:"));
    CHECK(client(at).say("close").rest() == "bye");
    CHECK(client(at).say("half").rest() == "half");
    CHECK(client(at).say("fail").rest().empty());
    CHECK(client(at).say("throw").rest().empty());
    CHECK(client(at).say("abort").rest().empty());
    client(at).say("fill").hear(std::string(128 << 10, 'x') + "room");
    CHECK(client(at).say("flood").rest() == std::string(128 << 10, 'x'));
    client paused(at);
    paused.say("pause").hear("paused ").say("meanwhile").hear("resumed meanwhile");
    MUST(set.send_message("WORDS", std::as_bytes(std::span("pushed", 6))));
    paused.hear("pushed");
    if (options.mode == coop::port_mode::process) {
        CHECK(client(at).say("exit").rest().empty());
        client(at).say("run").hear("2");
        while (MUST(set.stats("WORDS")).restarts != 1) usleep(1000);
    } else {
        reasons(at, "why 03320");
        CHECK(MUST(set.stats("WORDS")).errors == 2);
    }
    client stays(at), stops(at);
    stops.say("misuse").hear("misuse");
    stays.say("deny").hear("deny");
    CHECK(client(at).rest().empty());
    stops.say("stop");
    CHECK(stays.rest() == "stopped");
    MUST(set.join());
    CHECK(MUST(set.stats("WORDS")).refused == 1);
    CHECK(MUST(set.stats("WORDS")).open == 0);
}

void at_a_path() {
    const std::string path = "/tmp/coop-test-" + std::to_string(getpid());
    coop::port_options at{.kind = coop::port_kind::unix_socket, .path = path};
    coop::port first("BRIEF", brief(), at);
    coop::port moved(std::move(first));
    CHECK(!first && moved && moved.c().path_length == path.size());
    auto set = MUST(coop::port_set::create({.mode = coop::port_mode::thread}, std::move(moved)));
    MUST(set.start());
    CHECK(MUST(set.path("BRIEF")) == path);
    REFUSED(coop::errc::unsupported, set.address("BRIEF"));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, path.data(), path.size());
    CHECK(client(&to, sizeof to).say("this").finish().rest() == "this and no more");
    MUST(set.stop());
    CHECK(access(path.c_str(), F_OK) != 0);
}

void refused() {
    const coop::port_set_options in_threads{.mode = coop::port_mode::thread};
    coop::port datagrams("A", brief());
    REFUSED(coop::errc::null, coop::port_set::create(in_threads, std::span(&datagrams, 1)));
    CHECK(datagrams);
    REFUSED(coop::errc::invalid, coop::port_set::create(in_threads, coop::port("A", brief(), {.kind = static_cast<coop::port_kind>(9)})));
    REFUSED(coop::errc::invalid, coop::port_set::create(in_threads, coop::port("A", brief(), {.kind = coop::port_kind::unix_socket})));
    REFUSED(coop::errc::invalid,
            coop::port_set::create(in_threads, coop::port("A", brief(), {.kind = coop::port_kind::listening, .fd = -1})));
    auto passed = MUST(coop::port_set::create(in_threads, coop::port("A", brief(), {.kind = coop::port_kind::passed, .path = "web"})));
    REFUSED(coop::errc::invalid, passed.start());
}

}  // namespace

int main() {
    coop::port_handlers handlers;
    handlers.handler<words>("words");
    if (const auto status = MUST(handlers.run())) return *status;
    coop::set_exception_hook([](std::exception_ptr) noexcept {});

    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.start());
    for (const coop::port_mode mode : {coop::port_mode::single, coop::port_mode::thread, coop::port_mode::process}) {
        coop::port_set_options options;
        options.mode = mode;
        options.handlers = &handlers;
        options.buffer_bytes = 1 << 20;
        options.liveness_ns = COOP_NONE;
        if (mode == coop::port_mode::single) options.event_loop = loop;
        every_way(options);
    }
    at_a_path();
    refused();
    return 0;
}
