/* What the tests of streams share: a loop in a thread of its own, both ends of a connection, and operations that are waited for. */
#ifndef COOP_TEST_STREAM_H
#define COOP_TEST_STREAM_H

#include "check.h"

#include <errno.h>
#include <sys/socket.h>

/* How one operation ended. */
typedef struct {
    latch over;
    int told, dropped;
    coop_status status;
    int os_errno;
    size_t count;
    char message[160];
} ending;
#define ENDING {LATCH, 0, 0, 1, 0, 0, ""}

static UNUSED void ending_told(void *arg, const coop_error *error, size_t count) {
    ending *e = arg;
    CHECK_EQ(__atomic_add_fetch(&e->told, 1, __ATOMIC_SEQ_CST), 1);
    e->status = error ? error->status : COOP_OK;
    e->os_errno = error ? error->os_errno : 0;
    e->count = count;
    snprintf(e->message, sizeof e->message, "%s", error ? error->message : "");
}
static UNUSED void ending_dropped(void *arg) {
    ending *e = arg;
    CHECK_EQ(__atomic_add_fetch(&e->dropped, 1, __ATOMIC_SEQ_CST), 1);
    latch_open(&e->over);
}
static UNUSED coop_io_callback ends(ending *e) {
    static const ending fresh = ENDING;
    *e = fresh;
    coop_io_callback callback = {ending_told, e, ending_dropped};
    return callback;
}
/* Waits for it; it was told once. */
static UNUSED coop_status ended(ending *e) {
    latch_wait(&e->over);
    CHECK_EQ(e->told, 1);
    return e->status;
}
#define ENDED_OK(e, bytes)                                                                                 \
    do {                                                                                                   \
        if (ended(e) != COOP_OK) FAIL("ended with %s: %s", coop_status_str((e)->status), (e)->message);    \
        CHECK_EQ((e)->count, bytes);                                                                       \
    } while (0)
#define ENDED(e, expected)                                                                                              \
    do {                                                                                                                \
        if (ended(e) != (expected))                                                                                     \
            FAIL("ended with %s (%s), not %s", coop_status_str((e)->status), (e)->message, coop_status_str(expected));  \
        CHECK((e)->message[0] != '\0');                                                                                 \
    } while (0)

/* A stream that was handed over. */
typedef struct {
    latch over;
    coop_stream *stream;
    coop_status status;
    int os_errno, told, dropped;
} opening_stream;
#define OPENING_STREAM {LATCH, NULL, 1, 0, 0, 0}

static UNUSED void stream_opened(void *arg, const coop_error *error, coop_stream *stream) {
    opening_stream *o = arg;
    CHECK((error == NULL) == (stream != NULL));
    CHECK(error == NULL || error->message[0] != '\0');
    o->told++;
    o->stream = stream;
    o->status = error ? error->status : COOP_OK;
    o->os_errno = error ? error->os_errno : 0;
}
/* The last that is done with it: who waits may let go of it then. */
static UNUSED void opening_dropped(void *arg) {
    opening_stream *o = arg;
    __atomic_add_fetch(&o->dropped, 1, __ATOMIC_SEQ_CST);
    latch_open(&o->over);
}
static UNUSED coop_stream_callback opens(opening_stream *o) {
    coop_stream_callback callback = {stream_opened, o, opening_dropped};
    return callback;
}
static UNUSED coop_stream *opened(opening_stream *o) {
    latch_wait(&o->over);
    if (o->stream == NULL) FAIL("no stream: %s (errno %d)", coop_status_str(o->status), o->os_errno);
    return o->stream;
}

static UNUSED coop_event_loop *started_loop(void) {
    coop_event_loop *loop;
    CHECK_OK(coop_event_loop_new(NULL, &loop));
    CHECK_OK(coop_event_loop_start(loop));
    return loop;
}

/* Both ends of a Unix connection, on a loop. */
static UNUSED void stream_pair(coop_event_loop *loop, const coop_stream_options *options, coop_stream *ends_of[2]) {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    for (int i = 0; i < 2; i++) CHECK_OK(coop_stream_new(loop, options, fds[i], &ends_of[i]));
}

/* Both ends of a TCP connection: ends_of[0] has connected, ends_of[1] was accepted. */
static UNUSED void tcp_pair(coop_event_loop *loop, const char *host, const coop_stream_options *options,
                            coop_stream *ends_of[2]) {
    char where[COOP_ADDRESS_TEXT];
    snprintf(where, sizeof where, strchr(host, ':') ? "[%s]:0" : "%s:0", host);
    coop_listener_options listening = {.size = sizeof listening, .address = where, .address_length = strlen(where),
                                       .stream = options};
    opening_stream accepted = OPENING_STREAM, connected = OPENING_STREAM;
    coop_listener *listener;
    coop_stream_callback asked_for_each = {NULL, NULL, NULL};
    CHECK_OK(coop_listener_new(loop, &listening, asked_for_each, &listener));
    CHECK_OK(coop_listener_accept(listener, opens(&accepted)));
    coop_address at;
    CHECK_OK(coop_listener_address(listener, &at));
    uint16_t port = (uint16_t)(at.bytes[2] << 8 | at.bytes[3]); /* in both kinds of sockaddr */
    coop_connect_options connecting = {.size = sizeof connecting, .timeout_ns = LONG_NS, .stream = options};
    CHECK_OK(coop_event_loop_connect(loop, &connecting, host, strlen(host), port, opens(&connected)));
    ends_of[0] = opened(&connected);
    ends_of[1] = opened(&accepted);
    coop_listener_free(listener);
}

#endif
