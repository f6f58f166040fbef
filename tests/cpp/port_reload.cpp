/* A worker that takes over from another one, which tells it what it must know. */
#include "expect.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace {

/* Answers each byte with the number of those that have come. */
struct tally {
    unsigned char number = 0;

    void on_start(coop::port_context context) {
        const auto saved = MUST(context.saved());
        if (!saved.empty()) number = std::to_integer<unsigned char>(saved.front());
    }

    coop::result<void> on_data(coop::port_context context, coop_connection_id connection, std::span<const std::byte> bytes) {
        std::string answer;
        for (std::size_t at = 0; at < bytes.size(); at++) answer.push_back(static_cast<char>(++number));
        return context.write(connection, answer);
    }

    void on_hand_over(coop::port_context context) {
        const std::byte one{number};
        MUST(context.save(std::span(&one, 1)));
    }
};

int client_of(const coop::port_set &set) {
    const coop::address address = MUST(set.address("WEB"));
    sockaddr_storage where{};
    std::memcpy(&where, address.c().bytes, address.c().length);
    const int fd = socket(where.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0 && connect(fd, reinterpret_cast<const sockaddr *>(&where), static_cast<socklen_t>(address.c().length)) == 0);
    return fd;
}

int ask(int fd) {
    char byte = 'x';
    CHECK(send(fd, &byte, 1, MSG_NOSIGNAL) == 1);
    ssize_t got = 0;
    do got = recv(fd, &byte, 1, 0);
    while (got < 0 && errno == EINTR);
    CHECK(got == 1);
    return byte;
}

}  // namespace

int main() {
    coop::port_handlers handlers;
    handlers.handler<tally>("tally");
    if (const auto status = MUST(handlers.run())) return *status;

    coop::port_set_options options;
    options.mode = coop::port_mode::process;
    options.handlers = &handlers;
    const coop::port_options web{.kind = coop::port_kind::tcp};
    auto set = MUST(coop::port_set::create(options, coop::port::named("WEB", "tally", {}, web)));
    MUST(set.start());
    const int old = client_of(set);
    CHECK(ask(old) == 1 && ask(old) == 2);
    MUST(set.reload("WEB"));
    const int fresh = client_of(set);
    CHECK(ask(fresh) == 3 && ask(old) == 3 && ask(fresh) == 4);
    /* Each of them, and what is open is closed. */
    MUST(set.reload({}, 0ns));
    char byte = 0;
    ssize_t got = 0;
    do got = recv(fresh, &byte, 1, 0);
    while (got < 0 && errno == EINTR);
    CHECK(got == 0);
    REFUSED(coop::errc::invalid, set.reload("NONE"));
    REFUSED(coop::errc::invalid, set.reload(""));
    REFUSED(coop::errc::invalid, set.reload(std::string()));
    MUST(set.stop());
    REFUSED(coop::errc::closed, set.reload());
    close(old);
    close(fresh);

    options.mode = coop::port_mode::thread;
    auto threads = MUST(coop::port_set::create(options, coop::port::named("WEB", "tally", {}, web)));
    MUST(threads.start());
    REFUSED(coop::errc::unsupported, threads.reload("WEB"));
    return 0;
}
