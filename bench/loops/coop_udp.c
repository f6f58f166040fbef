/* UDP through the C ABI: a level-triggered watch, and receives until the socket is empty, but not for ever in one callback. */
#include <arpa/inet.h>
#include <coop.h>
#include <netinet/in.h>
#include <string.h>

#include "side.h"

enum { BATCH = 64, RECEIVES = 64 };

typedef struct {
    coop_udp *socket;
    udp_count count;
    udp_count *published;
} udp_side;

static void on_readable(void *arg, uint32_t ready) {
    udp_side *self = arg;
    coop_datagram datagrams[BATCH];
    (void)ready;
    for (int i = 0; i < RECEIVES; i++) {
        size_t count;
        must(coop_udp_receive(self->socket, datagrams, BATCH, &count) == COOP_OK, "coop_udp_receive");
        if (count == 0)
            return;
        for (size_t d = 0; d < count; d++)
            udp_look(&self->count, datagrams[d].data, datagrams[d].length);
        udp_publish(self->published, &self->count);
    }
}

void bench_udp_coop(ready_fn *ready, udp_count *published) {
    static const char address[] = "127.0.0.1:0";
    coop_udp_options options = {.size = sizeof options, .address = address, .address_length = sizeof address - 1,
                                .no_gro = 1};
    coop_io_watch_options watch = {.size = sizeof watch, .interest = COOP_IO_READ};
    udp_side self = {NULL, {0, 0}, published};
    coop_event_loop *loop;
    coop_address local;
    coop_io_watch_id id;
    must(coop_udp_new(&options, &self.socket) == COOP_OK, "coop_udp_new");
    bench_grow_buffer(coop_udp_fd(self.socket));
    must(coop_udp_local_address(self.socket, &local) == COOP_OK, "coop_udp_local_address");
    must(coop_event_loop_new(NULL, &loop) == COOP_OK, "coop_event_loop_new");
    must(coop_event_loop_watch(loop, coop_udp_fd(self.socket), &watch, (coop_io_watch_callback){on_readable, &self, NULL}, &id) ==
             COOP_OK,
         "coop_event_loop_watch");
    struct sockaddr_in name;
    memcpy(&name, local.bytes, sizeof name);
    ready(ntohs(name.sin_port));
    must(coop_event_loop_run(loop, COOP_RUN_DEFAULT) == COOP_OK, "coop_event_loop_run");
}
