/* No library: what a program that does only this would write. Level-triggered epoll; recvmmsg into slots made once. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "side.h"

enum { EVENTS = 1024, READ = 4096, BATCH = 64, SLOT = 2048 };

static void accept_all(int epoll, int listener) {
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        must(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "TCP_NODELAY");
        struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
        must(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    }
    must(errno == EAGAIN, "accept4");
}

void bench_echo_epoll(ready_fn *ready) {
    struct epoll_event events[EVENTS];
    unsigned char data[READ];
    uint16_t port;
    int listener = bench_listen(&port), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    must(epoll >= 0, "epoll_create1");
    must(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0, "epoll_ctl");
    ready(port);
    for (;;) {
        int count = epoll_wait(epoll, events, EVENTS, -1);
        must(count >= 0 || errno == EINTR, "epoll_wait");
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                accept_all(epoll, listener);
                continue;
            }
            ssize_t n = recv(fd, data, sizeof data, 0);
            /* A message fits into the socket's buffer, as the one before it has been read. */
            if (n > 0 && send(fd, data, (size_t)n, MSG_NOSIGNAL) == n)
                continue;
            if (n < 0 && errno == EAGAIN)
                continue;
            close(fd);
        }
    }
}

void bench_udp_recvmmsg(ready_fn *ready, udp_count *published) {
    static unsigned char data[BATCH][SLOT];
    struct sockaddr_storage names[BATCH];
    struct iovec vectors[BATCH];
    struct mmsghdr messages[BATCH];
    udp_count count = {0, 0};
    uint16_t port;
    int fd = bench_bind_udp(&port);
    memset(messages, 0, sizeof messages);
    for (int i = 0; i < BATCH; i++) {
        vectors[i] = (struct iovec){data[i], SLOT};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    ready(port);
    for (;;) {
        for (int i = 0; i < BATCH; i++)
            messages[i].msg_hdr.msg_namelen = sizeof names[i];
        int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            udp_look(&count, data[i], messages[i].msg_len);
        udp_publish(published, &count);
        if (n < BATCH) {
            struct pollfd wait = {fd, POLLIN, 0};
            must(n > 0 || errno == EAGAIN, "recvmmsg");
            must(poll(&wait, 1, -1) > 0 || errno == EINTR, "poll");
        }
    }
}
