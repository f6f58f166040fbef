#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "side.h"

enum { EVENTS = 256, UDP_RUN = 64 };

typedef struct {
    int fd;
    int came; /* bytes of the message under way */
    uint64_t number;
} connection;

struct echo_client {
    int epoll, count;
    connection connections[];
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct sockaddr_in loopback(uint16_t port) {
    return (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void ask(connection *c) {
    unsigned char message[ECHO_BYTES] = {0};
    memcpy(message, &c->number, sizeof c->number);
    c->came = 0;
    must(send(c->fd, message, sizeof message, MSG_NOSIGNAL) == ECHO_BYTES, "send");
}

/* True when the whole answer has come. */
static int answered(connection *c) {
    unsigned char message[ECHO_BYTES];
    ssize_t n = recv(c->fd, message, sizeof message - (size_t)c->came, MSG_DONTWAIT);
    must(n > 0, "recv");
    if (c->came == 0 && n >= (ssize_t)sizeof c->number)
        must(memcmp(message, &c->number, sizeof c->number) == 0, "the echo of what was sent");
    c->came += (int)n;
    c->number += c->came == ECHO_BYTES;
    return c->came == ECHO_BYTES;
}

echo_client *bench_echo_open(uint16_t port, int connections) {
    echo_client *client = calloc(1, sizeof *client + (size_t)connections * sizeof(connection));
    must(client != NULL, "calloc");
    client->epoll = epoll_create1(EPOLL_CLOEXEC);
    must(client->epoll >= 0, "epoll_create1");
    client->count = connections;
    struct sockaddr_in to = loopback(port);
    for (int i = 0; i < connections; i++) {
        connection *c = &client->connections[i];
        int on = 1;
        /* A reset at the end leaves no port in TIME_WAIT. */
        struct linger reset = {1, 0};
        c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        must(c->fd >= 0, "socket (see ulimit -n)");
        must(setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0, "SO_LINGER");
        must(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
        must(connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        must(epoll_ctl(client->epoll, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll_ctl");
    }
    for (int i = 0; i < connections; i++)
        ask(&client->connections[i]);
    return client;
}

uint64_t bench_echo_run(echo_client *client, int64_t duration_ns, int64_t *took_ns) {
    struct epoll_event events[EVENTS];
    uint64_t requests = 0;
    int64_t begin = now_ns(), now;
    do {
        int ready = epoll_wait(client->epoll, events, EVENTS, 10 * 1000);
        must(ready > 0 || (ready < 0 && errno == EINTR), "an answer within 10 s");
        for (int i = 0; i < ready; i++) {
            connection *c = events[i].data.ptr;
            if (answered(c)) {
                requests++;
                ask(c);
            }
        }
        now = now_ns();
    } while (now - begin < duration_ns);
    *took_ns = now - begin;
    return requests;
}

void bench_echo_close(echo_client *client) {
    for (int i = 0; i < client->count; i++)
        close(client->connections[i].fd);
    close(client->epoll);
    free(client);
}

uint64_t bench_udp_send(uint16_t port, uint64_t most, int64_t duration_ns) {
    static const unsigned char data[UDP_RUN * UDP_BYTES];
    struct sockaddr_in to = loopback(port);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), segment = UDP_BYTES, bytes = UDP_BUFFER;
    must(fd >= 0, "socket");
    must(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0, "SO_SNDBUF");
    must(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    must(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) == 0, "UDP_SEGMENT");
    uint64_t sent = 0;
    int64_t begin = now_ns();
    while (sent < most && now_ns() - begin < duration_ns) {
        ssize_t taken = send(fd, data, sizeof data, MSG_NOSIGNAL);
        must(taken == sizeof data || errno == ECONNREFUSED || errno == ENOBUFS, "send");
        sent += taken > 0 ? UDP_RUN : 0;
    }
    close(fd);
    return sent;
}
