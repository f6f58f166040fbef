/* An echo server: what a client sends comes back. The client here says three things, and stops the loop when it has heard them.
 *
 * One connection has one read or one write under way, so a client that sends and never reads is not read from either. */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(coop_status status) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s\n", coop_status_str(status), coop_last_error());
    exit(1);
}

/* --- The server. */

typedef struct {
    coop_stream *stream;
    char buffer[4096];
} session;

static void was_read(void *arg, const coop_error *error, size_t count);

static void was_written(void *arg, const coop_error *error, size_t count) {
    session *s = arg;
    coop_io_callback next = {was_read, s, NULL};
    (void)count;
    if (error == NULL && coop_stream_read(s->stream, s->buffer, sizeof s->buffer, next) == COOP_OK) return;
    coop_stream_free(s->stream);
    free(s);
}

static void was_read(void *arg, const coop_error *error, size_t count) {
    session *s = arg;
    coop_io_callback next = {was_written, s, NULL};
    /* 0 bytes are the end of what the client says. */
    if (error == NULL && count > 0 && coop_stream_write(s->stream, s->buffer, count, next) == COOP_OK) return;
    coop_stream_free(s->stream);
    free(s);
}

static void accepted(void *arg, const coop_error *error, coop_stream *stream) {
    (void)arg;
    if (error) {
        fprintf(stderr, "accept: %s\n", error->message); /* no descriptors left, or the loop has ended */
        return;
    }
    session *s = calloc(1, sizeof *s);
    if (s == NULL) exit(1);
    s->stream = stream;
    was_written(s, NULL, 0);
}

/* --- The client. */

typedef struct {
    coop_event_loop *loop;
    coop_stream *stream;
    int said;
    char heard[5];
} client;

static void says(client *c);

static void heard(void *arg, const coop_error *error, size_t count) {
    client *c = arg;
    if (error || count != sizeof c->heard) exit(1);
    printf("heard %.5s\n", c->heard);
    if (++c->said < 3) {
        says(c);
        return;
    }
    coop_stream_free(c->stream);
    check(coop_event_loop_stop(c->loop));
}

static void said(void *arg, const coop_error *error, size_t count) {
    client *c = arg;
    coop_io_callback next = {heard, c, NULL};
    if (error || count != sizeof c->heard) exit(1);
    check(coop_stream_read_exactly(c->stream, c->heard, sizeof c->heard, next));
}

static void says(client *c) {
    static const char *const words[] = {"hello", "again", "adieu"};
    coop_io_callback next = {said, c, NULL};
    check(coop_stream_write(c->stream, words[c->said], 5, next));
}

static void connected(void *arg, const coop_error *error, coop_stream *stream) {
    client *c = arg;
    if (error) {
        fprintf(stderr, "connect: %s\n", error->message);
        exit(1);
    }
    c->stream = stream;
    says(c);
}

int main(void) {
    coop_event_loop *loop;
    check(coop_event_loop_new(NULL, &loop));

    static const char here[] = "127.0.0.1:0";
    coop_listener_options options = {.size = sizeof options, .address = here, .address_length = strlen(here)};
    coop_stream_callback on_accept = {accepted, NULL, NULL};
    coop_listener *listener;
    check(coop_listener_new(loop, &options, on_accept, &listener));

    coop_address address;
    char text[COOP_ADDRESS_TEXT];
    check(coop_listener_address(listener, &address));
    check(coop_address_text(&address, text, sizeof text));
    unsigned short port = (unsigned short)atoi(strrchr(text, ':') + 1);

    client c = {loop, NULL, 0, ""};
    coop_connect_options limit = {.size = sizeof limit, .timeout_ns = 10000000000};
    coop_stream_callback on_connect = {connected, &c, NULL};
    check(coop_event_loop_connect(loop, &limit, "127.0.0.1", 9, port, on_connect));

    check(coop_event_loop_run(loop, COOP_RUN_DEFAULT));
    coop_listener_free(listener);
    coop_event_loop_free(loop);
    return 0;
}
