/* What each library's side of a comparison offers to the driver (bench/src/bin/event_loop), which is the same for all. */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Posts: a loop on a thread of its own, and callbacks posted to it from another. */
typedef struct side {
    /* Makes a loop and starts the thread that runs it, which calls `started` first. */
    void *(*start)(void (*started)(void));
    /* From the posting thread: fn(arg) runs once on the loop's thread. */
    void (*post)(void *loop, void (*fn)(void *arg), void *arg);
    /* From the posting thread, after the last post has run: ends the loop, joins its thread, releases both. */
    void (*finish)(void *loop);
} side;

extern const side bench_post_libuv;
extern const side bench_post_asio;
extern const side bench_post_coop;

/* TCP echo: each listens on loopback, says which port, and serves on this thread until the process is killed. What a
 * connection sends is sent back at once. */
typedef void ready_fn(uint16_t port);
void bench_echo_epoll(ready_fn *ready);
void bench_echo_libuv(ready_fn *ready);
void bench_echo_asio(ready_fn *ready);
void bench_echo_coop(ready_fn *ready);

/* UDP: each binds a port on loopback, with a receive buffer of UDP_BUFFER bytes, says which, and receives on this thread until the
 * process is killed. Each datagram is looked at (udp_look), and after each system call's worth the count is published. */
typedef struct udp_count {
    uint64_t datagrams, sum;
} udp_count;
enum { UDP_BUFFER = 16 << 20 };
void bench_udp_recvmmsg(ready_fn *ready, udp_count *published);
void bench_udp_libuv(ready_fn *ready, udp_count *published);
void bench_udp_asio(ready_fn *ready, udp_count *published);
void bench_udp_coop(ready_fn *ready, udp_count *published);

/* The least that a handler does with a datagram: its first byte and its length. */
static inline void udp_look(udp_count *count, const unsigned char *data, size_t length) {
    count->datagrams++;
    count->sum += data[0] + length;
}

static inline void udp_publish(udp_count *published, const udp_count *count) {
    __atomic_store_n(&published->sum, count->sum, __ATOMIC_RELAXED);
    __atomic_store_n(&published->datagrams, count->datagrams, __ATOMIC_RELEASE);
}

/* A benchmark that cannot do its work measures nothing. */
static inline void must(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(1);
    }
}

/* The sockets that everyone would make the same: on 127.0.0.1, any port; the port is written to *port. */
int bench_listen(uint16_t *port);
int bench_bind_udp(uint16_t *port);
/* Room for UDP_BUFFER bytes that have come. */
void bench_grow_buffer(int fd);

#ifdef __cplusplus
}
#endif
#endif
