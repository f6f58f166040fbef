/* Sockets on loopback, for those sides that take a descriptor. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "side.h"

static void bind_loopback(int fd, uint16_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)&address, &length) == 0, "getsockname");
    *port = ntohs(address.sin_port);
}

int bench_listen(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    bind_loopback(fd, port);
    must(listen(fd, 4096) == 0, "listen");
    return fd;
}

void bench_grow_buffer(int fd) {
    int bytes = UDP_BUFFER;
    /* Only root may go past the system's limit (net.core.rmem_max). */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        must(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0, "SO_RCVBUF");
}

int bench_bind_udp(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    must(fd >= 0, "socket");
    bench_grow_buffer(fd);
    bind_loopback(fd, port);
    return fd;
}
