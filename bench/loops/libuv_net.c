/* libuv's servers, as its users write them: one buffer for the loop's reads (the callback is done with it when it returns), a write
 * tried at once and queued only if it does not go, and UV_UDP_RECVMMSG with room for a batch. */
#include <netinet/in.h>
#include <string.h>
#include <uv.h>

#include "side.h"

enum { READ = 65536, UDP_SLOTS = 20 };

static char shared[READ];
/* libuv cuts the buffer into slots of 64 KiB, and takes at most 20 in one call. */
static char slots[UDP_SLOTS][READ];

static void on_closed(uv_handle_t *handle) {
    free(handle);
}

typedef struct {
    uv_write_t request;
    char data[];
} pending;

static void on_written(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

static void give_read_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(shared, sizeof shared);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
    if (n < 0) {
        uv_close((uv_handle_t *)stream, on_closed);
        return;
    }
    uv_buf_t data = uv_buf_init(buffer->base, (unsigned)n);
    int written = uv_try_write(stream, &data, 1);
    written = written < 0 ? 0 : written;
    if (written < n) {
        size_t left = (size_t)(n - written);
        pending *rest = malloc(sizeof *rest + left);
        must(rest != NULL, "malloc");
        memcpy(rest->data, buffer->base + written, left);
        uv_buf_t rest_data = uv_buf_init(rest->data, (unsigned)left);
        if (uv_write(&rest->request, stream, &rest_data, 1, on_written) != 0)
            free(rest);
    }
}

static void on_connection(uv_stream_t *listener, int status) {
    must(status == 0, "accepting");
    uv_tcp_t *client = malloc(sizeof *client);
    must(client != NULL, "malloc");
    must(uv_tcp_init(listener->loop, client) == 0, "uv_tcp_init");
    must(uv_accept(listener, (uv_stream_t *)client) == 0, "uv_accept");
    uv_tcp_nodelay(client, 1);
    must(uv_read_start((uv_stream_t *)client, give_read_buffer, on_read) == 0, "uv_read_start");
}

void bench_echo_libuv(ready_fn *ready) {
    uv_loop_t loop;
    uv_tcp_t listener;
    uint16_t port;
    must(uv_loop_init(&loop) == 0, "uv_loop_init");
    must(uv_tcp_init(&loop, &listener) == 0, "uv_tcp_init");
    must(uv_tcp_open(&listener, bench_listen(&port)) == 0, "uv_tcp_open");
    must(uv_listen((uv_stream_t *)&listener, 4096, on_connection) == 0, "uv_listen");
    ready(port);
    uv_run(&loop, UV_RUN_DEFAULT);
}

typedef struct {
    udp_count count;
    udp_count *published;
} udp_side;

static void give_slots(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(slots[0], sizeof slots);
}

static void on_datagram(uv_udp_t *socket, ssize_t n, const uv_buf_t *buffer, const struct sockaddr *from, unsigned flags) {
    udp_side *self = socket->data;
    must(n >= 0, "receiving");
    if (from != NULL)
        udp_look(&self->count, (const unsigned char *)buffer->base, (size_t)n);
    /* The end of a batch is told in a call without a sender. */
    if (from == NULL || !(flags & UV_UDP_MMSG_CHUNK))
        udp_publish(self->published, &self->count);
}

void bench_udp_libuv(ready_fn *ready, udp_count *published) {
    uv_loop_t loop;
    uv_udp_t socket;
    udp_side self = {{0, 0}, published};
    uint16_t port;
    must(uv_loop_init(&loop) == 0, "uv_loop_init");
    must(uv_udp_init_ex(&loop, &socket, AF_UNSPEC | UV_UDP_RECVMMSG) == 0, "uv_udp_init_ex");
    must(uv_udp_open(&socket, bench_bind_udp(&port)) == 0, "uv_udp_open");
    socket.data = &self;
    must(uv_udp_recv_start(&socket, give_slots, on_datagram) == 0, "uv_udp_recv_start");
    ready(port);
    uv_run(&loop, UV_RUN_DEFAULT);
}
