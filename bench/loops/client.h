/* The clients that load every side alike. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdint.h>

/* TCP: `connections` to a port of loopback, each with one message of ECHO_BYTES under way. */
enum { ECHO_BYTES = 64 };
typedef struct echo_client echo_client;
echo_client *bench_echo_open(uint16_t port, int connections);
/* Messages that came back whole in so long; *took is what it took. One thread, one epoll set, no pause. */
uint64_t bench_echo_run(echo_client *client, int64_t duration_ns, int64_t *took_ns);
void bench_echo_close(echo_client *client);

/* UDP: sends `most` datagrams of UDP_BYTES to a port of loopback, or for so long, as fast as the kernel takes them; answers how many.
 * It gives the kernel runs of 64 to cut, which costs the sender a fraction; they come as single datagrams. */
enum { UDP_BYTES = 200 };
uint64_t bench_udp_send(uint16_t port, uint64_t most, int64_t duration_ns);

#endif
