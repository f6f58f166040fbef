/* What the tests of ports that take connections share: a service that obeys words, in each mode, and clients that send them. */
#ifndef COOP_TEST_PORT_STREAM_H
#define COOP_TEST_PORT_STREAM_H

#include "check.h"

#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

/* What a worker makes. It lives in a process of its own perhaps, so it tells of itself by words only. */
typedef struct {
    /* Why the one that was closed last is no more. */
    int closed;
    int deny, stays;
    size_t flooded, drained;
    coop_connection_id paused, last;
} service;

static int is(const void *data, size_t length, const char *word) {
    return length == strlen(word) && memcmp(data, word, length) == 0;
}

static void answer(coop_port_context *context, coop_connection_id to, const char *text) {
    CHECK_OK(coop_port_context_write(context, to, text, strlen(text)));
}

static void answer_number(coop_port_context *context, coop_connection_id to, const char *what, long long number) {
    char text[64];
    snprintf(text, sizeof text, "%s %lld", what, number);
    answer(context, to, text);
}

static coop_status service_connect(void *arg, coop_port_context *context, coop_connection_id connection) {
    service *s = arg;
    size_t open = 0;
    CHECK(connection != 0);
    CHECK_OK(coop_port_context_connections(context, &open));
    CHECK(open > 0);
    if (s->deny) {
        s->deny = 0;
        return COOP_E_FAILED;
    }
    s->last = connection;
    return COOP_OK;
}

/* Writes from another thread than the handler's. */
typedef struct {
    coop_port_context *context;
    coop_connection_id connection;
} elsewhere;

static void *write_elsewhere(void *arg) {
    elsewhere *e = arg;
    answer(e->context, e->connection, "from a thread");
    return NULL;
}

static void stale(coop_port_context *context, coop_connection_id gone) {
    coop_address peer;
    size_t count = 0;
    CHECK_STATUS(coop_port_context_write(context, gone, "x", 1), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_backlog_of(context, gone, &count), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_close(context, gone), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_abort(context, gone), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_shutdown_write(context, gone), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_pause(context, gone), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_resume(context, gone), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_peer(context, gone, &peer), COOP_E_STALE);
}

/* Where the port and the connection's other end are. */
static void where(coop_port_context *context, coop_connection_id connection) {
    coop_address address = {0, {0}}, peer = {0, {0}};
    char text[2 * COOP_ADDRESS_TEXT] = "";
    size_t length = 0;
    CHECK_OK(coop_port_context_peer(context, connection, &peer));
    if (coop_port_context_address(context, &address) == COOP_OK) {
        CHECK_STATUS(coop_port_context_path(context, text, sizeof text, &length), COOP_E_UNSUPPORTED);
        CHECK_OK(coop_address_text(&peer, text, sizeof text));
    } else {
        CHECK_SAYS(coop_port_context_address(context, &address), COOP_E_UNSUPPORTED, "Unix");
        CHECK_EQ(peer.length, 0);
        CHECK_OK(coop_port_context_path(context, text, sizeof text - 1, &length));
        if (text[0] == '\0') text[0] = '@';
        text[length] = '\0';
    }
    answer(context, connection, text);
}

static coop_status service_data(void *arg, coop_port_context *context, coop_connection_id connection, const void *data,
                                size_t length) {
    static const char block[1024];
    service *s = arg;
    coop_timer_id timer = 0;
    coop_datagram datagram = {"x", 1, {0, {0}}, 0, 0};
    size_t count = 0;
    uint64_t run = 0;
    if (is(data, length, "run")) {
        CHECK_OK(coop_port_context_run(context, &run));
        answer_number(context, connection, "run", (long long)run);
    } else if (is(data, length, "pid")) {
        answer_number(context, connection, "pid", getpid());
    } else if (is(data, length, "closed")) {
        answer_number(context, connection, "closed", s->closed);
    } else if (is(data, length, "count")) {
        CHECK_OK(coop_port_context_connections(context, &count));
        answer_number(context, connection, "count", (long long)count);
    } else if (is(data, length, "flooded")) {
        answer_number(context, connection, "flooded", (long long)s->flooded);
    } else if (is(data, length, "drained")) {
        answer_number(context, connection, "drained", (long long)s->drained);
    } else if (is(data, length, "fill")) {
        while (coop_port_context_write(context, connection, block, sizeof block) == COOP_OK) {}
        CHECK_STATUS(coop_port_context_write(context, connection, block, sizeof block), COOP_E_QUEUE_FULL);
    } else if (is(data, length, "where")) {
        where(context, connection);
    } else if (is(data, length, "close")) {
        answer(context, connection, "bye");
        CHECK_OK(coop_port_context_close(context, connection));
        CHECK_OK(coop_port_context_close(context, connection));
        CHECK_STATUS(coop_port_context_write(context, connection, "x", 1), COOP_E_CLOSED);
    } else if (is(data, length, "abort")) {
        CHECK_OK(coop_port_context_abort(context, connection));
    } else if (is(data, length, "fault")) {
        return COOP_E_INVALID;
    } else if (is(data, length, "deny")) {
        s->deny = 1;
    } else if (is(data, length, "denies")) {
        answer_number(context, connection, "denies", s->deny);
    } else if (is(data, length, "stay")) {
        s->stays = 1;
        answer(context, connection, "stays");
    } else if (is(data, length, "half")) {
        answer(context, connection, "half");
        CHECK_OK(coop_port_context_shutdown_write(context, connection));
        CHECK_STATUS(coop_port_context_write(context, connection, "x", 1), COOP_E_CLOSED);
    } else if (is(data, length, "pause")) {
        s->paused = connection;
        CHECK_OK(coop_port_context_pause(context, connection));
        answer(context, connection, "paused");
        CHECK_OK(coop_port_context_set_timer(context, 20000000, 0, &timer));
    } else if (is(data, length, "flood")) {
        /* More than this connection may have waiting; what was taken is sent all the same. */
        for (s->flooded = 0; coop_port_context_write(context, connection, block, sizeof block) == COOP_OK;)
            s->flooded += sizeof block;
        CHECK_SAYS(coop_port_context_write(context, connection, block, sizeof block), COOP_E_QUEUE_FULL, "one connection");
        CHECK_OK(coop_port_context_backlog_of(context, connection, &count));
        CHECK(count > 0 && count <= s->flooded);
        CHECK_OK(coop_port_context_close(context, connection));
    } else if (is(data, length, "misuse")) {
        stale(context, 0);
        stale(context, connection + 1000);
        CHECK_SAYS(coop_port_context_send(context, &datagram, 1, &count), COOP_E_INVALID, "takes connections");
        CHECK_EQ(count, 0);
        CHECK_STATUS(coop_port_context_write(context, connection, NULL, 1), COOP_E_NULL);
        CHECK_STATUS(coop_port_context_backlog_of(context, connection, NULL), COOP_E_NULL);
        CHECK_STATUS(coop_port_context_peer(context, connection, NULL), COOP_E_NULL);
        CHECK_STATUS(coop_port_context_connections(context, NULL), COOP_E_NULL);
        CHECK_STATUS(coop_port_context_path(context, NULL, 1, NULL), COOP_E_NULL);
        CHECK_OK(coop_port_context_write(context, connection, NULL, 0));
        answer(context, connection, "refused");
    } else if (is(data, length, "thread")) {
        elsewhere e = {context, connection};
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, write_elsewhere, &e) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    } else if (is(data, length, "stop")) {
        CHECK_OK(coop_port_context_stop(context));
    } else {
        CHECK_OK(coop_port_context_write(context, connection, data, length));
    }
    return COOP_OK;
}

/* After "stay" the next connection whose peer ends is not done yet. */
static coop_status service_end(void *arg, coop_port_context *context, coop_connection_id connection) {
    service *s = arg;
    if (s->stays) answer(context, connection, "later");
    s->stays = 0;
    return coop_port_context_close(context, connection);
}

/* It may write again: after "fill" it does. */
static coop_status service_drained(void *arg, coop_port_context *context, coop_connection_id connection) {
    size_t waits = 0;
    ((service *)arg)->drained++;
    CHECK_OK(coop_port_context_backlog_of(context, connection, &waits));
    CHECK(waits <= (128 << 10) / 4);
    return coop_port_context_write(context, connection, "room", 4);
}

static void service_close(void *arg, coop_port_context *context, coop_connection_id connection, int32_t why,
                          const coop_error *error) {
    service *s = arg;
    CHECK((error != NULL) == (why == COOP_CLOSED_LOST));
    CHECK(error == NULL || (error->status != COOP_OK && error->message[0] != '\0'));
    if (why == COOP_CLOSED_STOPPED)
        answer(context, connection, "stopped");
    else
        CHECK_STATUS(coop_port_context_write(context, connection, "x", 1), COOP_E_CLOSED);
    s->closed = why;
}

static void service_timer(void *arg, coop_port_context *context, coop_timer_id timer) {
    service *s = arg;
    (void)timer;
    answer(context, s->paused, "resumed ");
    CHECK_OK(coop_port_context_resume(context, s->paused));
}

/* From outside the set, for the connection that came last. */
static void service_message(void *arg, coop_port_context *context, const char *sender, size_t sender_length, const void *data,
                            size_t length) {
    (void)sender;
    CHECK_EQ(sender_length, 0);
    CHECK_OK(coop_port_context_write(context, ((service *)arg)->last, data, length));
}

static UNUSED coop_status make_service(const void *args, size_t length, coop_port_handler *out) {
    (void)args, (void)length;
    out->size = sizeof *out;
    out->arg = calloc(1, sizeof(service));
    CHECK(out->arg != NULL);
    out->drop = free;
    out->on_connect = service_connect;
    out->on_data = service_data;
    out->on_end = service_end;
    out->on_drained = service_drained;
    out->on_close = service_close;
    out->on_timer = service_timer;
    out->on_message = service_message;
    return COOP_OK;
}

/* The client's side. */

static int connected(const void *address, socklen_t length) {
    const struct sockaddr *to = address;
    const struct timeval patience = {2 * LONG_NS / 1000000000, 0};
    int fd = socket(to->sa_family, SOCK_STREAM, 0);
    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
    if (connect(fd, to, length) != 0) FAIL("connect: %s", strerror(errno));
    return fd;
}

static UNUSED int client_of(coop_port_set *set, const char *port) {
    coop_address address;
    CHECK_OK(coop_port_set_address(set, port, strlen(port), &address));
    return connected(address.bytes, address.length);
}

/* Of a Unix socket, whose path the set knows. */
static UNUSED int unix_client_of(coop_port_set *set, const char *port) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = 0;
    CHECK_OK(coop_port_set_path(set, port, strlen(port), address.sun_path, sizeof address.sun_path, &length));
    return connected(&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

/* Of a socket with a timeout the system does not go on after a signal, of a child that has ended for instance. */
static ssize_t received(int fd, void *buffer, size_t room) {
    ssize_t have;
    do have = recv(fd, buffer, room, 0);
    while (have < 0 && errno == EINTR);
    return have;
}

static void say(int fd, const char *word) { CHECK_EQ(send(fd, word, strlen(word), MSG_NOSIGNAL), (ssize_t)strlen(word)); }

/* What comes next is this. */
static void hear(int fd, const char *expected) {
    char text[512];
    size_t have = 0;
    while (have < strlen(expected)) {
        const ssize_t more = received(fd, text + have, strlen(expected) - have);
        if (more <= 0) FAIL("not \"%s\" but %s", expected, more == 0 ? "the end" : strerror(errno));
        have += (size_t)more;
    }
    if (memcmp(text, expected, have) != 0) FAIL("not \"%s\" but \"%.*s\"", expected, (int)have, text);
}

static UNUSED void ask(int fd, const char *word, const char *expected) {
    say(fd, word);
    hear(fd, expected);
}

/* The number behind a word. */
static long long ask_number(int fd, const char *word) {
    char text[64] = "";
    say(fd, word);
    const ssize_t have = received(fd, text, sizeof text - 1);
    if (have <= (ssize_t)strlen(word)) FAIL("\"%s\" is answered with %zd bytes: %s", word, have, have < 0 ? strerror(errno) : text);
    CHECK(strncmp(text, word, strlen(word)) == 0);
    return atoll(text + strlen(word));
}

/* So many bytes of zero come next. */
static UNUSED void skip(int fd, size_t length) {
    char text[4096];
    while (length > 0) {
        const ssize_t more = received(fd, text, length < sizeof text ? length : sizeof text);
        if (more <= 0) FAIL("%zu bytes are missing: %s", length, more == 0 ? "the end" : strerror(errno));
        for (ssize_t at = 0; at < more; at++) CHECK_EQ(text[at], 0);
        length -= (size_t)more;
    }
}

/* Nothing more comes: the connection has ended, or, if it may be, was reset. Closes it; answers how many bytes came before. */
static UNUSED size_t ended(int fd, int may_be_reset) {
    char text[4096];
    size_t have = 0;
    for (;;) {
        const ssize_t more = received(fd, text, sizeof text);
        if (more < 0 && !(may_be_reset && errno == ECONNRESET)) FAIL("recv: %s", strerror(errno));
        if (more <= 0) break;
        have += (size_t)more;
    }
    close(fd);
    return have;
}

/* A word is answered so at last: what was closed is told of in another turn of the loop. */
static UNUSED void ask_until(int fd, const char *word, long long expected) {
    int tries;
    for (tries = 0; ask_number(fd, word) != expected; tries++) {
        if (tries == 6000) FAIL("\"%s\" is not answered with %lld", word, expected);
        usleep(5000);
    }
}

#endif
