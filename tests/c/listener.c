/* Listeners and connecting: many connections, names, Unix sockets, what is refused, no descriptors left, and ends in each state. */
#include "stream.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

static uint16_t port_of(coop_listener *listener) {
    coop_address at;
    CHECK_OK(coop_listener_address(listener, &at));
    return (uint16_t)(at.bytes[2] << 8 | at.bytes[3]);
}

/* A server that sends back what it reads, until the end. */
typedef struct {
    coop_stream *stream;
    char buffer[256];
} session;
static int sessions, errors;

static void session_read(void *arg, const coop_error *error, size_t count);
static void session_written(void *arg, const coop_error *error, size_t count) {
    session *s = arg;
    coop_io_callback read = {session_read, s, NULL};
    (void)count;
    if (error || coop_stream_read(s->stream, s->buffer, sizeof s->buffer, read) != COOP_OK) session_read(s, error, 0);
}
static void session_read(void *arg, const coop_error *error, size_t count) {
    session *s = arg;
    if (error == NULL && count > 0) {
        coop_io_callback written = {session_written, s, NULL};
        CHECK_OK(coop_stream_write(s->stream, s->buffer, count, written));
        return;
    }
    coop_stream_free(s->stream);
    free(s);
    __atomic_sub_fetch(&sessions, 1, __ATOMIC_SEQ_CST);
}
static void session_begins(void *arg, const coop_error *error, coop_stream *stream) {
    (void)arg;
    if (error) {
        __atomic_add_fetch(&errors, 1, __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_add_fetch(&sessions, 1, __ATOMIC_SEQ_CST);
    session *s = calloc(1, sizeof *s);
    s->stream = stream;
    session_written(s, NULL, 0);
}
static coop_listener *echo_server(coop_event_loop *loop, const coop_listener_options *options, probe *p) {
    coop_stream_callback callback = {session_begins, p, p ? count_drop : NULL};
    coop_listener *listener;
    CHECK_OK(coop_listener_new(loop, options, callback, &listener));
    return listener;
}

/* A thousand connections at once, each with its own bytes. */
enum { MANY = 1000 };
typedef struct {
    opening_stream opening;
    ending in, out;
    uint32_t sent, got;
} client;

static void many(void) {
    struct rlimit room;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &room), 0);
    room.rlim_cur = room.rlim_max;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &room), 0);
    int count = room.rlim_max < 3 * MANY ? 200 : MANY;
    coop_event_loop *loop = started_loop();
    probe p = {0, 0};
    coop_listener_options options = {.size = sizeof options, .address = "127.0.0.1:0", .address_length = 11};
    coop_listener *listener = echo_server(loop, &options, &p);
    uint16_t port = port_of(listener);
    client *clients = calloc((size_t)count, sizeof *clients);
    for (int i = 0; i < count; i++) {
        opening_stream fresh = OPENING_STREAM;
        clients[i].opening = fresh;
        CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, port, opens(&clients[i].opening)));
    }
    for (int i = 0; i < count; i++) {
        coop_stream *stream = opened(&clients[i].opening);
        clients[i].sent = (uint32_t)i * 2654435761u;
        CHECK_OK(coop_stream_read_exactly(stream, &clients[i].got, 4, ends(&clients[i].in)));
        CHECK_OK(coop_stream_write(stream, &clients[i].sent, 4, ends(&clients[i].out)));
    }
    for (int i = 0; i < count; i++) {
        ENDED_OK(&clients[i].in, 4);
        ENDED_OK(&clients[i].out, 4);
        CHECK_EQ(clients[i].got, clients[i].sent);
        CHECK_EQ(clients[i].opening.told, 1);
        CHECK_EQ(clients[i].opening.dropped, 1);
    }
    CHECK_EQ(__atomic_load_n(&sessions, __ATOMIC_SEQ_CST), count);
    for (int i = 0; i < count; i++) coop_stream_free(clients[i].opening.stream);
    while (__atomic_load_n(&sessions, __ATOMIC_SEQ_CST) > 0) usleep(1000);
    coop_listener_free(listener);
    while (drops(&p) == 0) usleep(1000);
    coop_event_loop_free(loop);
    free(clients);
}

static void refused_calls(coop_event_loop *loop) {
    opening_stream never = OPENING_STREAM;
    coop_listener *listener = NULL;
    coop_listener_options none = {.size = sizeof none};
    CHECK_SAYS(coop_listener_new(loop, &none, opens(&never), &listener), COOP_E_INVALID, "where to listen");
    CHECK_STATUS(coop_listener_new(loop, NULL, opens(&never), &listener), COOP_E_INVALID);
    coop_listener_options name = {.size = sizeof name, .address = "localhost:1", .address_length = 11};
    CHECK_SAYS(coop_listener_new(loop, &name, opens(&never), &listener), COOP_E_INVALID, "localhost:1");
    coop_listener_options both = {.size = sizeof both, .address = "127.0.0.1:0", .address_length = 11, .path = "/x",
                                  .path_length = 2};
    CHECK_STATUS(coop_listener_new(loop, &both, opens(&never), &listener), COOP_E_INVALID);
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};
    coop_stream_callback no_function = {NULL, NULL, NULL};
    CHECK_STATUS(coop_listener_new(loop, &here, opens(&never), NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_connect(loop, NULL, NULL, 0, 1, opens(&never)), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_connect(loop, NULL, "a\0b", 3, 1, opens(&never)), COOP_E_INVALID);
    CHECK_STATUS(coop_event_loop_connect(NULL, NULL, "::1", 3, 1, opens(&never)), COOP_E_NULL);
    coop_connect_options negative = {.size = sizeof negative, .timeout_ns = -5};
    CHECK_STATUS(coop_event_loop_connect(loop, &negative, "::1", 3, 1, opens(&never)), COOP_E_INVALID);
    CHECK_STATUS(coop_event_loop_connect(loop, NULL, "::1", 3, 1, no_function), COOP_E_NULL);
    CHECK_EQ(never.told + never.dropped, 0);
    CHECK(listener == NULL);

    /* Taken. */
    coop_listener *first = echo_server(loop, &here, NULL);
    char text[COOP_ADDRESS_TEXT];
    coop_address at;
    CHECK_OK(coop_listener_address(first, &at));
    CHECK_OK(coop_address_text(&at, text, sizeof text));
    coop_listener_options taken = {.size = sizeof taken, .address = text, .address_length = strlen(text)};
    CHECK_SAYS(coop_listener_new(loop, &taken, opens(&never), &listener), COOP_E_OS, text);
    CHECK_EQ(coop_last_os_errno(), EADDRINUSE);
    uint16_t port = port_of(first);
    coop_listener_free(first);

    /* Nobody listens there any more. */
    opening_stream nobody = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, port, opens(&nobody)));
    latch_wait(&nobody.over);
    CHECK_EQ(nobody.status, COOP_E_OS);
    CHECK_EQ(nobody.os_errno, ECONNREFUSED);
    opening_stream no_path = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect_unix(loop, NULL, "/nowhere/at/all", 15, opens(&no_path)));
    latch_wait(&no_path.over);
    CHECK_EQ(no_path.os_errno, ENOENT);
}

/* One connection at a time, when it is asked for: the others wait in the system. */
static void on_request(coop_event_loop *loop) {
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};
    coop_stream_callback none = {NULL, NULL, NULL};
    coop_listener *listener;
    CHECK_OK(coop_listener_new(loop, &here, none, &listener));
    CHECK_STATUS(coop_listener_cancel(listener), COOP_E_STALE);
    CHECK_STATUS(coop_listener_accept(listener, none), COOP_E_NULL);
    opening_stream clients[3], accepted[3];
    for (int i = 0; i < 3; i++) {
        opening_stream fresh = OPENING_STREAM;
        clients[i] = accepted[i] = fresh;
        CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, port_of(listener), opens(&clients[i])));
        opened(&clients[i]);
    }
    for (int i = 0; i < 3; i++) {
        CHECK_OK(coop_listener_accept(listener, opens(&accepted[i])));
        opened(&accepted[i]);
        while (__atomic_load_n(&accepted[i].dropped, __ATOMIC_SEQ_CST) == 0) usleep(100);
    }
    opening_stream waiting = OPENING_STREAM, second = OPENING_STREAM;
    CHECK_OK(coop_listener_accept(listener, opens(&waiting)));
    CHECK_STATUS(coop_listener_accept(listener, opens(&second)), COOP_E_EXISTS);
    CHECK_OK(coop_listener_cancel(listener));
    latch_wait(&waiting.over);
    CHECK_EQ(waiting.status, COOP_E_CANCELLED);
    opening_stream last = OPENING_STREAM;
    while (coop_listener_accept(listener, opens(&last)) == COOP_E_EXISTS) usleep(100);
    coop_listener_free(listener);
    latch_wait(&last.over);
    CHECK_EQ(last.status, COOP_E_CANCELLED);
    for (int i = 0; i < 3; i++) {
        coop_stream_free(clients[i].stream);
        coop_stream_free(accepted[i].stream);
    }
    while (__atomic_load_n(&last.dropped, __ATOMIC_SEQ_CST) == 0) usleep(100);
    CHECK_EQ(second.told + second.dropped, 0);
}

/* Names. */
typedef struct {
    latch over;
    coop_status status;
    size_t count;
    int drops;
    coop_address first;
} found;
static void resolved(void *arg, const coop_error *error, const coop_address *addresses, size_t count) {
    found *f = arg;
    f->status = error ? error->status : COOP_OK;
    f->count = count;
    if (count > 0) f->first = addresses[0];
    CHECK((error == NULL) == (count > 0));
}
static void found_dropped(void *arg) { latch_open(&((found *)arg)->over); }

static void names(coop_event_loop *loop) {
    static const struct { const char *name; coop_status status; } hosts[] = {
        {"127.0.0.1", COOP_OK}, {"::1", COOP_OK}, {"localhost", COOP_OK}, {"no.such.host.invalid", COOP_E_RESOLVE}};
    for (int i = 0; i < 4; i++) {
        found f = {LATCH, 1, 0, 0, {0, {0}}};
        coop_resolve_callback callback = {resolved, &f, found_dropped};
        CHECK_OK(coop_event_loop_resolve(loop, NULL, hosts[i].name, strlen(hosts[i].name), 7000, callback));
        latch_wait(&f.over);
        CHECK_EQ(f.status, hosts[i].status);
        if (f.count > 0) CHECK_EQ(f.first.bytes[2] << 8 | f.first.bytes[3], 7000);
    }
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};
    coop_listener *listener = echo_server(loop, &here, NULL);
    opening_stream named = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect(loop, NULL, "localhost", 9, port_of(listener), opens(&named)));
    coop_stream_free(opened(&named));
    coop_listener_free(listener);
    opening_stream unnamed = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect(loop, NULL, "no.such.host.invalid", 20, 1, opens(&unnamed)));
    latch_wait(&unnamed.over);
    CHECK_EQ(unnamed.status, COOP_E_RESOLVE);
}

/* A Unix socket by its path: the file comes and goes with the listener. */
static void unix_path(coop_event_loop *loop) {
    char path[] = "/tmp/coop-test-XXXXXX", file[64];
    CHECK(mkdtemp(path) != NULL);
    snprintf(file, sizeof file, "%s/socket", path);
    struct stat there;
    for (int abstract = 0; abstract < 2; abstract++) {
        size_t length = strlen(file);
        char name[64];
        memcpy(name, file, length);
        if (abstract) name[0] = '\0';
        coop_listener_options options = {.size = sizeof options, .path = name, .path_length = length};
        coop_listener *listener = echo_server(loop, &options, NULL), *second;
        opening_stream never = OPENING_STREAM, connected = OPENING_STREAM;
        CHECK_SAYS(coop_listener_new(loop, &options, opens(&never), &second), COOP_E_EXISTS, "listen");
        CHECK_EQ(stat(file, &there), abstract ? -1 : 0);
        CHECK_OK(coop_event_loop_connect_unix(loop, NULL, name, length, opens(&connected)));
        coop_stream *client = opened(&connected);
        char buffer[3];
        ending in, out;
        CHECK_OK(coop_stream_write(client, "abc", 3, ends(&out)));
        CHECK_OK(coop_stream_read_exactly(client, buffer, 3, ends(&in)));
        ENDED_OK(&out, 3);
        ENDED_OK(&in, 3);
        coop_address none;
        CHECK_OK(coop_listener_address(listener, &none));
        CHECK_EQ(none.length, 0);
        coop_stream_free(client);
        coop_listener_free(listener);
        CHECK_EQ(stat(file, &there), -1);
    }
    CHECK_EQ(rmdir(path), 0);
}

/* No descriptors left: the callback is told once, and connections are accepted again when there are some. */
static void no_descriptors(coop_event_loop *loop) {
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};
    coop_listener *listener = echo_server(loop, &here, NULL);
    opening_stream first = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, port_of(listener), opens(&first)));
    coop_stream *client = opened(&first);
    while (__atomic_load_n(&sessions, __ATOMIC_SEQ_CST) < 1) usleep(1000);
    int raw = socket(AF_INET, SOCK_STREAM, 0);
    coop_address at;
    CHECK_OK(coop_listener_address(listener, &at));
    int spare = dup(2);
    close(spare);
    struct rlimit old, tight;
    CHECK_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
    tight = old;
    tight.rlim_cur = (rlim_t)spare;
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
    int before = __atomic_load_n(&errors, __ATOMIC_SEQ_CST);
    CHECK_EQ(connect(raw, (struct sockaddr *)at.bytes, at.length), 0);
    while (__atomic_load_n(&errors, __ATOMIC_SEQ_CST) == before) usleep(1000);
    usleep(350000); /* several pauses */
    CHECK_EQ(__atomic_load_n(&errors, __ATOMIC_SEQ_CST), before + 1);
    CHECK_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
    while (__atomic_load_n(&sessions, __ATOMIC_SEQ_CST) < 2) usleep(1000);
    close(raw);
    coop_stream_free(client);
    while (__atomic_load_n(&sessions, __ATOMIC_SEQ_CST) > 0) usleep(1000);
    coop_listener_free(listener);
}

/* Freed inside its own callback, and with its loop. */
static coop_listener *own;
static probe own_probe;
static latch own_over = LATCH;
static void frees_listener(void *arg, const coop_error *error, coop_stream *stream) {
    CHECK(error == NULL);
    coop_listener_free(own);
    CHECK_EQ(drops(&own_probe), 0); /* it runs */
    coop_stream_free(stream);
    (void)arg;
}
static void own_dropped(void *arg) {
    count_drop(arg);
    latch_open(&own_over);
}

static void listener_ends(void) {
    coop_event_loop *loop = started_loop();
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};
    coop_stream_callback callback = {frees_listener, &own_probe, own_dropped};
    CHECK_OK(coop_listener_new(loop, &here, callback, &own));
    opening_stream connected = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, port_of(own), opens(&connected)));
    coop_stream_free(opened(&connected));
    latch_wait(&own_over);
    CHECK_EQ(drops(&own_probe), 1);

    /* The loop first: the listener is told, and is there until it is freed. A connection that is being made is told, too. */
    probe p = {0, 0};
    opening_stream told = OPENING_STREAM, never = OPENING_STREAM;
    coop_stream_callback last = {stream_opened, &told, count_drop};
    last.arg = &told;
    last.drop = opening_dropped;
    coop_listener *listener;
    CHECK_OK(coop_listener_new(loop, &here, last, &listener));
    coop_event_loop_free(loop);
    CHECK_EQ(told.status, COOP_E_CLOSED);
    CHECK_EQ(told.told, 1);
    coop_address at;
    CHECK_OK(coop_listener_address(listener, &at));
    CHECK_EQ(told.dropped, 0);
    coop_listener_free(listener);
    CHECK_EQ(told.dropped, 1);
    coop_listener_free(NULL);

    CHECK_OK(coop_event_loop_new(NULL, &loop));
    CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, 1, opens(&never)));
    coop_event_loop_free(loop);
    CHECK_EQ(never.told, 1);
    CHECK_EQ(never.dropped, 1);
    CHECK_EQ(never.status, COOP_E_CLOSED);
    (void)p;
}

int main(void) {
    many();
    coop_event_loop *loop = started_loop();
    refused_calls(loop);
    on_request(loop);
    names(loop);
    unix_path(loop);
    no_descriptors(loop);
    coop_event_loop_free(loop);
    listener_ends();
    return 0;
}
