/* TCP echo through the C ABI. A read waits with a callback; what came is written at once, and what does not go is left to a write
 * with a callback of its own. The next read is asked for last: it is tried in the call only if something is known to be there. */
#include <coop.h>
#include <netinet/in.h>
#include <string.h>

#include "side.h"

enum { READ = 4096 };

typedef struct {
    coop_stream *stream;
    unsigned char data[READ];
} connection;

static void on_read(void *arg, const coop_error *error, size_t count);

static void on_end(connection *self) {
    coop_stream_free(self->stream);
    free(self);
}

static void read_next(connection *self) {
    if (coop_stream_read(self->stream, self->data, READ, (coop_io_callback){on_read, self, NULL}) != COOP_OK)
        on_end(self);
}

static void on_written(void *arg, const coop_error *error, size_t count) {
    (void)count;
    if (error != NULL)
        on_end(arg);
    else
        read_next(arg);
}

static void on_read(void *arg, const coop_error *error, size_t count) {
    connection *self = arg;
    size_t written = 0;
    if (error != NULL || count == 0) {
        on_end(self);
        return;
    }
    coop_status status = coop_stream_try_write(self->stream, self->data, count, &written);
    if (status == COOP_OK && written == count)
        read_next(self);
    else if (status != COOP_OK && status != COOP_E_WOULD_BLOCK)
        on_end(self);
    else if (coop_stream_write(self->stream, self->data + written, count - written,
                               (coop_io_callback){on_written, self, NULL}) != COOP_OK)
        on_end(self);
}

static void on_connection(void *arg, const coop_error *error, coop_stream *stream) {
    (void)arg;
    must(error == NULL, "accepting");
    connection *self = malloc(sizeof *self);
    must(self != NULL, "malloc");
    self->stream = stream;
    read_next(self);
}

void bench_echo_coop(ready_fn *ready) {
    static const char address[] = "127.0.0.1:0";
    coop_stream_options stream = {.size = sizeof stream, .nodelay = 1};
    coop_listener_options options = {.size = sizeof options, .address = address, .address_length = sizeof address - 1,
                                     .backlog = 4096, .stream = &stream};
    coop_event_loop *loop;
    coop_listener *listener;
    coop_address local;
    struct sockaddr_in name;
    must(coop_event_loop_new(NULL, &loop) == COOP_OK, "coop_event_loop_new");
    must(coop_listener_new(loop, &options, (coop_stream_callback){on_connection, NULL, NULL}, &listener) == COOP_OK,
         "coop_listener_new");
    must(coop_listener_address(listener, &local) == COOP_OK, "coop_listener_address");
    memcpy(&name, local.bytes, sizeof name);
    ready(ntohs(name.sin_port));
    must(coop_event_loop_run(loop, COOP_RUN_DEFAULT) == COOP_OK, "coop_event_loop_run");
}
