/* A line service over a Unix socket in C++: each line comes back in capitals, from a thread of the service's own.
 *
 *     c++ -std=c++20 port_lines.cpp $(pkg-config --cflags --libs coop) -o port_lines */
#include <coop.hpp>
#include <cctype>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* What it needs, it has as members: its functions run one at a time. */
class lines {
public:
    /* Bytes come as the network cuts them. A failure, of a peer that reads nothing for instance, closes the connection. */
    coop::result<void> on_data(coop::port_context context, coop_connection_id connection, std::span<const std::byte> bytes) {
        std::string &begun = begun_[connection];
        for (const std::byte one : bytes) {
            begun += static_cast<char>(std::toupper(std::to_integer<int>(one)));
            if (begun.back() != '\n') continue;
            if (const auto written = context.write(connection, begun); !written) return written;
            begun.clear();
        }
        return {};
    }

    void on_close(coop::port_context, coop_connection_id connection, const coop::closed_connection &closed) {
        if (closed.error) std::printf("lost: %s\n", closed.error->message().c_str());
        begun_.erase(connection);
    }

private:
    std::map<coop_connection_id, std::string> begun_;
};

int main() {
    const std::string path = "/tmp/coop-port-lines-" + std::to_string(getpid());
    auto ports = coop::port_set::create({.mode = coop::port_mode::thread, .connections = 100},
                                        coop::port("LINES", lines(), {.kind = coop::port_kind::unix_socket, .path = path}))
                     .value();
    ports.start().value();

    sockaddr_un server{};
    server.sun_family = AF_UNIX;
    std::memcpy(server.sun_path, path.data(), path.size());
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(client, reinterpret_cast<const sockaddr *>(&server), sizeof server) != 0) return 1;
    if (send(client, "one\ntwo\n", 8, 0) != 8 || shutdown(client, SHUT_WR) != 0) return 1;
    char answer[64];
    for (ssize_t length; (length = recv(client, answer, sizeof answer, 0)) > 0;)
        std::printf("%.*s", static_cast<int>(length), answer);
    close(client);

    ports.stop(std::chrono::seconds(10)).value();
    std::printf("%llu connection\n", static_cast<unsigned long long>(ports.stats("LINES").value().accepted));
}
