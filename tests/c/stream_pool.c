/* Callbacks of a stream in a pool: one after another, in their order, at the priority and on the CPUs asked for. */
#include "stream.h"

#include <dirent.h>

enum { ROUNDS = 20000 };

/* One end: it reads and writes at the same time, bytes that count up. */
typedef struct {
    coop_stream *stream;
    coop_pool *pool;
    unsigned char in, out;
    long read, written;
    int inside;
    latch both;
    int over;
} end_of;

static void enter(end_of *e) {
    CHECK_EQ(__atomic_exchange_n(&e->inside, 1, __ATOMIC_ACQ_REL), 0);
    CHECK(coop_pool_is_worker_thread(e->pool));
}
static void leave(end_of *e, int over) {
    e->over += over;
    int all = e->over == 2;
    __atomic_store_n(&e->inside, 0, __ATOMIC_RELEASE);
    if (all && over) latch_open(&e->both);
}

static void was_read(void *arg, const coop_error *error, size_t count) {
    end_of *e = arg;
    enter(e);
    if (error) FAIL("%s", error->message);
    CHECK_EQ(count, 1);
    CHECK_EQ(e->in, (unsigned char)e->read);
    coop_io_callback again = {was_read, e, NULL};
    if (++e->read < ROUNDS) CHECK_OK(coop_stream_read(e->stream, &e->in, 1, again));
    leave(e, e->read == ROUNDS);
}
static void was_written(void *arg, const coop_error *error, size_t count) {
    end_of *e = arg;
    enter(e);
    if (error) FAIL("%s", error->message);
    CHECK_EQ(count, 1);
    coop_io_callback again = {was_written, e, NULL};
    e->out = (unsigned char)++e->written;
    if (e->written < ROUNDS) CHECK_OK(coop_stream_write(e->stream, &e->out, 1, again));
    leave(e, e->written == ROUNDS);
}

static void in_order(coop_runtime *runtime, const coop_stream_options *options) {
    coop_event_loop *loop = coop_runtime_event_loop(runtime);
    coop_pool *pool = coop_runtime_pool(runtime);
    coop_stream *s[2];
    stream_pair(loop, options, s);
    static end_of ends_[2];
    for (int i = 0; i < 2; i++) {
        end_of fresh = {s[i], pool, 0, 0, 0, 0, 0, LATCH, 0};
        ends_[i] = fresh;
    }
    for (int i = 0; i < 2; i++) {
        coop_io_callback read = {was_read, &ends_[i], NULL}, written = {was_written, &ends_[i], NULL};
        CHECK_OK(coop_stream_read(s[i], &ends_[i].in, 1, read));
        CHECK_OK(coop_stream_write(s[i], &ends_[i].out, 1, written));
    }
    for (int i = 0; i < 2; i++) latch_wait(&ends_[i].both);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
}

/* The callback that is handed a stream returns before those of the stream begin, wherever they run. */
typedef struct {
    int returned;
    char buffer[8];
    latch over;
    coop_stream *stream;
} handed;
static void first_read(void *arg, const coop_error *error, size_t count) {
    handed *h = arg;
    CHECK(error == NULL && count == 1);
    CHECK_EQ(h->returned, 1);
    coop_stream_free(h->stream);
    latch_open(&h->over);
}
static void accepted(void *arg, const coop_error *error, coop_stream *stream) {
    handed *h = arg;
    if (error) {
        CHECK_EQ(error->status, COOP_E_CLOSED);
        return;
    }
    h->stream = stream;
    coop_io_callback read = {first_read, h, NULL};
    CHECK_OK(coop_stream_read(stream, h->buffer, 1, read));
    usleep(20000); /* the byte is there before the callback ends, most likely */
    h->returned = 1;
}

static void handed_over(coop_runtime *runtime) {
    coop_event_loop *loop = coop_runtime_event_loop(runtime);
    coop_listener_options listening = {.size = sizeof listening, .address = "127.0.0.1:0", .address_length = 11};
    static handed h = {0, "", LATCH, NULL};
    coop_stream_callback callback = {accepted, &h, NULL};
    coop_listener *listener;
    CHECK_OK(coop_listener_new(loop, &listening, callback, &listener));
    coop_address at;
    CHECK_OK(coop_listener_address(listener, &at));
    opening_stream connected = OPENING_STREAM;
    CHECK_OK(coop_event_loop_connect(loop, NULL, "127.0.0.1", 9, (uint16_t)(at.bytes[2] << 8 | at.bytes[3]),
                                     opens(&connected)));
    coop_stream *client = opened(&connected);
    size_t count;
    CHECK_OK(coop_stream_try_write(client, "x", 1, &count));
    latch_wait(&h.over);
    coop_stream_free(client);
    coop_listener_free(listener);
}

/* A listener that is freed closes what waits for its callback, also while the callback is slow. */
typedef struct {
    latch begun, may_end, dropped;
    int called;
} slow_server;
static void slow(void *arg, const coop_error *error, coop_stream *stream) {
    slow_server *server = arg;
    CHECK(error == NULL);
    coop_stream_free(stream);
    server->called++;
    latch_open(&server->begun);
    latch_wait(&server->may_end);
}
static void slow_dropped(void *arg) { latch_open(&((slow_server *)arg)->dropped); }

static int open_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) count++;
    closedir(dir);
    return count;
}

static void freed_while_some_wait(coop_runtime *runtime) {
    enum { WAITING = 5 };
    coop_event_loop *loop = coop_runtime_event_loop(runtime);
    coop_listener_options listening = {.size = sizeof listening, .address = "127.0.0.1:0", .address_length = 11};
    slow_server server = {LATCH, LATCH, LATCH, 0};
    coop_stream_callback callback = {slow, &server, slow_dropped};
    coop_listener *listener;
    coop_address at;
    int clients[1 + WAITING];
    CHECK_OK(coop_listener_new(loop, &listening, callback, &listener));
    CHECK_OK(coop_listener_address(listener, &at));
    int before = 0;
    for (int i = 0; i <= WAITING; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM, 0);
        CHECK_EQ(connect(clients[i], (const struct sockaddr *)at.bytes, at.length), 0);
        if (i > 0) continue;
        latch_wait(&server.begun);
        before = open_descriptors();
    }
    while (open_descriptors() < before + 2 * WAITING) usleep(1000);
    coop_listener_free(listener);
    /* And the listener itself; what the loop was about to hand over at this moment is closed by the loop. */
    const time_t limit = time(NULL) + LONG_NS / 1000000000;
    while (open_descriptors() != before + WAITING - 1) {
        CHECK(time(NULL) < limit);
        usleep(1000);
    }
    latch_open(&server.may_end);
    latch_wait(&server.dropped);
    CHECK_EQ(server.called, 1);
    for (int i = 0; i <= WAITING; i++) close(clients[i]);
}

/* The pool ends with callbacks still to be told: they are. */
static void runtime_ends(void) {
    coop_runtime *runtime;
    CHECK_OK(coop_runtime_new(NULL, &runtime));
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    coop_event_loop *loop = coop_runtime_event_loop(runtime);
    coop_stream *s[2];
    stream_pair(loop, NULL, s);
    char buffer[8];
    ending in;
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    coop_runtime_free(runtime);
    ENDED(&in, COOP_E_CLOSED);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
}

int main(void) {
    coop_runtime *runtime;
    coop_pool_options four = {.size = sizeof four, .workers = 4};
    coop_runtime_options options = {.size = sizeof options, .pool = &four};
    CHECK_OK(coop_runtime_new(&options, &runtime));
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    in_order(runtime, NULL);
    coop_stream_options high = {.size = sizeof high, .on = COOP_ON_POOL, .priority = COOP_PRIORITY_HIGH};
    in_order(runtime, &high);
    handed_over(runtime);
    for (int round = 0; round < 50; round++) freed_while_some_wait(runtime);
    coop_runtime_free(runtime);
    runtime_ends();
    return 0;
}
