/* Streams: reads and writes that end in callbacks, half close, back-pressure, resets, and the end in each state. */
#include "stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/wait.h>

/* Reads and writes over a pair, and what cannot be. */
static void read_and_write(coop_event_loop *loop, coop_stream *s[2]) {
    char buffer[64] = "";
    ending in, out, second;
    CHECK_OK(coop_stream_read(s[1], buffer, sizeof buffer, ends(&in)));
    coop_io_callback refused = ends(&second);
    CHECK_SAYS(coop_stream_read(s[1], buffer, sizeof buffer, refused), COOP_E_EXISTS, "a read");
    CHECK_SAYS(coop_stream_read_exactly(s[1], buffer, sizeof buffer, refused), COOP_E_EXISTS, "a read");
    CHECK_EQ(second.told + second.dropped, 0);
    CHECK_OK(coop_stream_write(s[0], "hello", 5, ends(&out)));
    ENDED_OK(&out, 5);
    ENDED_OK(&in, 5);
    CHECK(memcmp(buffer, "hello", 5) == 0);

    /* All that was asked for, in several pieces. */
    CHECK_OK(coop_stream_read_exactly(s[0], buffer, 6, ends(&in)));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(coop_stream_write(s[1], &"abcdef"[2 * i], 2, ends(&out)));
        ENDED_OK(&out, 2);
    }
    ENDED_OK(&in, 6);
    CHECK(memcmp(buffer, "abcdef", 6) == 0);

    /* Without a callback. */
    size_t count = 99;
    CHECK_SAYS(coop_stream_try_read(s[0], buffer, sizeof buffer, &count), COOP_E_WOULD_BLOCK, "wait");
    CHECK_EQ(count, 99);
    CHECK_OK(coop_stream_try_write(s[1], "xyz", 3, &count));
    CHECK_EQ(count, 3);
    struct pollfd wait = {coop_stream_fd(s[0]), POLLIN, 0};
    CHECK_EQ(poll(&wait, 1, 30000), 1);
    CHECK_OK(coop_stream_try_read(s[0], buffer, sizeof buffer, &count));
    CHECK_EQ(count, 3);

    /* No bytes are written, and cannot be read. */
    CHECK_OK(coop_stream_write(s[0], NULL, 0, ends(&out)));
    ENDED_OK(&out, 0);
    CHECK_STATUS(coop_stream_read(s[0], buffer, 0, refused), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_read(s[0], NULL, 5, refused), COOP_E_NULL);
    refused.fn = NULL;
    CHECK_STATUS(coop_stream_read(s[0], buffer, 5, refused), COOP_E_NULL);
    CHECK_STATUS(coop_stream_try_read(s[0], buffer, 0, &count), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_cancel(s[0], COOP_IO_READ | COOP_IO_WRITE), COOP_E_STALE);
    CHECK_STATUS(coop_stream_cancel(s[0], 4), COOP_E_INVALID);
    (void)loop;
}

/* The end of one direction is read; the other direction goes on. */
static void half_close(coop_stream *s[2]) {
    char buffer[64];
    ending in, out;
    CHECK_OK(coop_stream_write(s[0], "last words", 10, ends(&out)));
    ENDED_OK(&out, 10);
    CHECK_OK(coop_stream_shutdown(s[0]));
    CHECK_OK(coop_stream_read_exactly(s[1], buffer, sizeof buffer, ends(&in)));
    ENDED_OK(&in, 10);
    CHECK_OK(coop_stream_read(s[1], buffer, sizeof buffer, ends(&in)));
    ENDED_OK(&in, 0);
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    CHECK_OK(coop_stream_write(s[1], "heard", 5, ends(&out)));
    ENDED_OK(&out, 5);
    ENDED_OK(&in, 5);
    CHECK_OK(coop_stream_write(s[0], "more", 4, ends(&out)));
    ENDED(&out, COOP_E_OS);
    CHECK_EQ(out.os_errno, EPIPE);
    CHECK_EQ(out.count, 0);
}

static void all_kinds(void) {
    coop_event_loop *loop = started_loop();
    coop_stream *s[2];
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 0) stream_pair(loop, NULL, s);
        else tcp_pair(loop, kind == 1 ? "127.0.0.1" : "::1", NULL, s);
        coop_address here, there;
        CHECK_OK(coop_stream_local_address(s[0], &here));
        CHECK_OK(coop_stream_peer_address(s[1], &there));
        CHECK_EQ(here.length, kind == 0 ? 0 : kind == 1 ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        CHECK_EQ(here.length, there.length);
        CHECK(memcmp(here.bytes, there.bytes, here.length) == 0);
        read_and_write(loop, s);
        half_close(s);
        for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    }
    coop_event_loop_free(loop);
}

/* 64 MB to a reader that reads little at a time: the writer waits for it, and nothing is lost. */
enum { MUCH = 64 << 20 };
typedef struct {
    coop_stream *stream;
    size_t have;
    unsigned char part[100003];
    latch over;
} slow_reader;

static unsigned char byte_at(size_t at) { return (unsigned char)(at * 7 + (at >> 13)); }
static void part_read(void *arg, const coop_error *error, size_t count) {
    slow_reader *r = arg;
    if (error) FAIL("%s", error->message);
    for (size_t i = 0; i < count; i++)
        if (r->part[i] != byte_at(r->have + i)) FAIL("byte %zu is wrong", r->have + i);
    r->have += count;
    if (count == 0) return latch_open(&r->over);
    coop_io_callback again = {part_read, r, NULL};
    CHECK_OK(coop_stream_read(r->stream, r->part, sizeof r->part, again));
}

static void back_pressure(void) {
    coop_event_loop *loop = started_loop();
    coop_stream *s[2];
    tcp_pair(loop, "127.0.0.1", NULL, s);
    unsigned char *much = malloc(MUCH);
    for (size_t i = 0; i < MUCH; i++) much[i] = byte_at(i);
    ending out;
    CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
    coop_io_callback second = {ending_told, NULL, NULL};
    CHECK_SAYS(coop_stream_write(s[0], "x", 1, second), COOP_E_EXISTS,
               "a write");
    CHECK_STATUS(coop_stream_shutdown(s[0]), COOP_E_EXISTS);
    CHECK_EQ(__atomic_load_n(&out.told, __ATOMIC_SEQ_CST), 0); /* nobody has read: the system cannot have taken all */
    slow_reader *reader = calloc(1, sizeof *reader);
    latch closed = LATCH;
    reader->stream = s[1];
    reader->over = closed;
    coop_io_callback first = {part_read, reader, NULL};
    CHECK_OK(coop_stream_read(s[1], reader->part, sizeof reader->part, first));
    ENDED_OK(&out, MUCH);
    CHECK_OK(coop_stream_shutdown(s[0]));
    latch_wait(&reader->over);
    CHECK_EQ(reader->have, MUCH);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    free(reader);
    free(much);
    coop_event_loop_free(loop);
}

/* A peer that goes away with a reset ends what is under way, once. */
static void resets(void) {
    coop_event_loop *loop = started_loop();
    char buffer[64];
    char *much = calloc(1, MUCH);
    for (int state = 0; state < 3; state++) {
        coop_stream *s[2];
        tcp_pair(loop, "127.0.0.1", NULL, s);
        ending in, out;
        if (state != 1) CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
        if (state != 0) CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
        CHECK_OK(coop_stream_set_linger(s[1], 0));
        coop_stream_free(s[1]);
        if (state != 1) {
            ENDED(&in, COOP_E_OS);
            CHECK_EQ(in.os_errno, ECONNRESET);
        }
        if (state != 0) {
            ENDED(&out, COOP_E_OS);
            CHECK(out.os_errno == ECONNRESET || out.os_errno == EPIPE);
            CHECK(out.count < MUCH);
        }
        coop_stream_free(s[0]);
    }
    free(much);
    coop_event_loop_free(loop);
}

/* What is under way can be given up, and the stream goes on. */
static void cancels(void) {
    coop_event_loop *loop = started_loop();
    coop_stream *s[2];
    stream_pair(loop, NULL, s);
    char buffer[64], *much = calloc(1, MUCH);
    ending in, out;
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    CHECK_STATUS(coop_stream_cancel(s[0], COOP_IO_WRITE), COOP_E_STALE);
    CHECK_OK(coop_stream_cancel(s[0], COOP_IO_READ));
    ENDED(&in, COOP_E_CANCELLED);
    CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
    CHECK_OK(coop_stream_cancel(s[0], COOP_IO_READ | COOP_IO_WRITE));
    ENDED(&out, COOP_E_CANCELLED);
    CHECK(out.count > 0 && out.count < MUCH);
    /* As much as was said to be taken has arrived. */
    size_t come = 0, count;
    while (come < out.count) {
        CHECK_OK(coop_stream_try_read(s[1], much, MUCH, &count));
        come += count;
    }
    CHECK_EQ(come, out.count);
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    CHECK_OK(coop_stream_write(s[1], "on", 2, ends(&out)));
    ENDED_OK(&out, 2);
    ENDED_OK(&in, 2);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    free(much);
    coop_event_loop_free(loop);
}

/* Freed with operations under way, from another thread and from each callback. */
typedef struct {
    coop_stream *stream;
    ending *other;
    latch over;
    int fd;
} freeing;
static void read_frees(void *arg, const coop_error *error, size_t count) {
    freeing *f = arg;
    CHECK(error == NULL && count == 1);
    coop_stream_free(f->stream);
    CHECK_EQ(fcntl(f->fd, F_GETFD), -1); /* closed at once, also here */
    CHECK_EQ(__atomic_load_n(&f->other->told, __ATOMIC_SEQ_CST), 0); /* and not told inside */
}
static void freed_dropped(void *arg) { latch_open(&((freeing *)arg)->over); }

static void frees(void) {
    coop_event_loop *loop = started_loop();
    char buffer[64], *much = calloc(1, MUCH);
    coop_stream *s[2];
    for (int side = 0; side < 4; side++) {
        stream_pair(loop, NULL, s);
        ending in, out;
        if (side & 1) CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
        if (side & 2) CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
        coop_stream_free(s[0]);
        if (side & 1) ENDED(&in, COOP_E_CANCELLED);
        if (side & 2) ENDED(&out, COOP_E_CANCELLED);
        coop_stream_free(s[1]);
    }
    stream_pair(loop, NULL, s);
    ending out, last;
    freeing f = {s[0], &out, LATCH, coop_stream_fd(s[0])};
    CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
    coop_io_callback frees_it = {read_frees, &f, freed_dropped};
    CHECK_OK(coop_stream_read(s[0], buffer, 1, frees_it));
    CHECK_OK(coop_stream_write(s[1], "!", 1, ends(&last)));
    latch_wait(&f.over);
    ENDED(&out, COOP_E_CANCELLED);
    ENDED_OK(&last, 1);
    coop_stream_free(s[1]);
    coop_stream_free(NULL);
    free(much);
    coop_event_loop_free(loop);
}

/* A loop that ends tells what was under way; the streams are there until they are freed. */
static void loop_ends(void) {
    for (int how = 0; how < 3; how++) {
        coop_event_loop *loop;
        CHECK_OK(coop_event_loop_new(NULL, &loop));
        if (how != 2) CHECK_OK(coop_event_loop_start(loop));
        coop_stream *s[2];
        stream_pair(loop, NULL, s);
        char buffer[64], *much = calloc(1, MUCH);
        ending in, out, late;
        CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
        CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
        if (how == 0) {
            CHECK_OK(coop_event_loop_stop(loop));
            CHECK_OK(coop_event_loop_join(loop, LONG_NS));
        } else {
            coop_event_loop_free(loop);
        }
        ENDED(&in, COOP_E_CLOSED);
        ENDED(&out, COOP_E_CLOSED);
        coop_io_callback refused = ends(&late);
        CHECK_STATUS(coop_stream_read(s[0], buffer, sizeof buffer, refused), COOP_E_CLOSED);
        CHECK_EQ(late.told + late.dropped, 0);
        size_t count;
        CHECK_OK(coop_stream_try_write(s[1], "yet", 3, &count));
        CHECK_OK(coop_stream_try_read(s[0], buffer, sizeof buffer, &count));
        CHECK_EQ(count, 3);
        for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
        if (how == 0) coop_event_loop_free(loop);
        free(much);
    }
}

/* A run until idle waits for what is under way, and for nothing else. */
static void until_idle(void) {
    coop_event_loop *loop;
    CHECK_OK(coop_event_loop_new(NULL, &loop));
    coop_stream *s[2];
    stream_pair(loop, NULL, s);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    char buffer[64];
    ending in, out;
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    CHECK_OK(coop_stream_write(s[1], "x", 1, ends(&out)));
    CHECK_EQ(out.told, 0); /* not inside the call */
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_EQ(in.dropped + out.dropped, 2);
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    CHECK_OK(coop_stream_cancel(s[0], COOP_IO_READ));
    CHECK_EQ(in.told, 0);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_EQ(in.dropped, 1);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    coop_event_loop_free(loop);
}

/* Descriptors over a Unix connection: they go with the first byte, and each side has its own. */
static int open_files(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++) count += fcntl(fd, F_GETFD) != -1;
    return count;
}
static void descriptors(void) {
    coop_event_loop *loop = started_loop();
    coop_stream *s[2];
    stream_pair(loop, NULL, s);
    int before = open_files(), ends_of_pipe[2], came[4] = {-1, -1, -1, -1};
    CHECK_EQ(pipe(ends_of_pipe), 0);
    char buffer[64], byte;
    size_t count = 99;
    ending in, out;
    CHECK_OK(coop_stream_receive_descriptors(s[1], buffer, sizeof buffer, came, 4, &count, ends(&in)));
    CHECK_EQ(count, 0);
    /* One that is refused writes nothing. */
    size_t untouched = 77;
    coop_io_callback second = {ending_told, NULL, NULL};
    CHECK_STATUS(coop_stream_receive_descriptors(s[1], buffer, sizeof buffer, came, 4, &untouched, second), COOP_E_EXISTS);
    CHECK_EQ(untouched, 77);
    CHECK_OK(coop_stream_send_descriptors(s[0], "take", 4, ends_of_pipe, 2, ends(&out)));
    for (int i = 0; i < 2; i++) close(ends_of_pipe[i]);
    ENDED_OK(&out, 4);
    ENDED_OK(&in, 4);
    CHECK_EQ(count, 2);
    CHECK_EQ(fcntl(came[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(came[1], "!", 1), 1);
    CHECK(read(came[0], &byte, 1) == 1 && byte == '!');

    /* More than there is room for: all are closed. */
    CHECK_OK(coop_stream_receive_descriptors(s[1], buffer, sizeof buffer, came + 2, 1, &count, ends(&in)));
    CHECK_OK(coop_stream_send_descriptors(s[0], "two", 3, came, 2, ends(&out)));
    ENDED_OK(&out, 3);
    ENDED(&in, COOP_E_QUEUE_FULL);
    CHECK_EQ(in.count, 3);
    CHECK_EQ(count, 0);
    CHECK_EQ(came[2], -1);
    for (int i = 0; i < 2; i++) close(came[i]);

    /* Given up before they went. */
    char *much = calloc(1, MUCH);
    CHECK_OK(coop_stream_write(s[0], much, MUCH, ends(&out)));
    CHECK_OK(coop_stream_cancel(s[0], COOP_IO_WRITE));
    ENDED(&out, COOP_E_CANCELLED);
    int error_output = 2;
    CHECK_OK(coop_stream_send_descriptors(s[0], "x", 1, &error_output, 1, ends(&out)));
    CHECK_OK(coop_stream_cancel(s[0], COOP_IO_WRITE));
    ENDED(&out, COOP_E_CANCELLED);
    free(much);
    CHECK_EQ(open_files(), before);

    /* What cannot be sent, and where it cannot. */
    coop_io_callback never = ends(&out);
    int closed = came[0], many[COOP_STREAM_DESCRIPTORS + 1] = {2};
    CHECK_SAYS(coop_stream_send_descriptors(s[1], "x", 1, &closed, 1, never), COOP_E_INVALID, "is not open");
    CHECK_STATUS(coop_stream_send_descriptors(s[1], "x", 1, many, COOP_STREAM_DESCRIPTORS + 1, never), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_send_descriptors(s[1], "x", 0, many, 1, never), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_send_descriptors(s[1], "x", 1, many, 0, never), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_receive_descriptors(s[1], buffer, 1, came, 0, &count, never), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_receive_descriptors(s[1], buffer, 1, NULL, 1, &count, never), COOP_E_NULL);
    CHECK_EQ(out.told + out.dropped, 0);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    tcp_pair(loop, "127.0.0.1", NULL, s);
    CHECK_OK(coop_stream_send_descriptors(s[0], "x", 1, many, 1, ends(&out)));
    ENDED(&out, COOP_E_INVALID);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    coop_event_loop_free(loop);
}

/* In a forked child a stream answers that it is the parent's, and is freed without a word. */
static void forked(void) {
    coop_event_loop *loop = started_loop();
    coop_stream *s[2];
    tcp_pair(loop, "127.0.0.1", NULL, s);
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};
    opening_stream never = OPENING_STREAM;
    coop_listener *listener;
    CHECK_OK(coop_listener_new(loop, &here, opens(&never), &listener));
    char buffer[64];
    ending in, out;
    CHECK_OK(coop_stream_read(s[0], buffer, sizeof buffer, ends(&in)));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        size_t count;
        coop_io_callback refused = ends(&out);
        CHECK_STATUS(coop_stream_write(s[0], "x", 1, refused), COOP_E_FORKED);
        CHECK_STATUS(coop_stream_try_read(s[0], buffer, 1, &count), COOP_E_FORKED);
        CHECK_STATUS(coop_stream_cancel(s[0], COOP_IO_READ), COOP_E_FORKED);
        CHECK_STATUS(coop_stream_fd(s[0]), COOP_E_FORKED);
        CHECK_STATUS(coop_listener_fd(listener), COOP_E_FORKED);
        coop_stream_free(s[0]);
        coop_listener_free(listener);
        coop_event_loop_free(loop);
        CHECK_EQ(in.told + in.dropped + out.told + out.dropped + never.told + never.dropped, 0);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_OK(coop_stream_write(s[1], "here", 4, ends(&out)));
    ENDED_OK(&out, 4);
    ENDED_OK(&in, 4);
    coop_listener_free(listener);
    for (int i = 0; i < 2; i++) coop_stream_free(s[i]);
    coop_event_loop_free(loop);
}

/* What is no stream is the caller's still. */
static void not_streams(void) {
    coop_event_loop *loop = started_loop();
    coop_stream *stream = NULL;
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
    CHECK_SAYS(coop_stream_new(loop, NULL, fds[0], &stream), COOP_E_INVALID, "stream");
    CHECK_STATUS(coop_stream_new(loop, NULL, -1, &stream), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_new(loop, NULL, fds[0], NULL), COOP_E_NULL);
    CHECK(fcntl(fds[0], F_GETFD) != -1);
    for (int i = 0; i < 2; i++) close(fds[i]);
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    coop_stream_options in_pool = {.size = sizeof in_pool, .on = COOP_ON_POOL};
    CHECK_SAYS(coop_stream_new(loop, &in_pool, fds[0], &stream), COOP_E_INVALID, "no pool");
    coop_stream_options reserved = {.size = sizeof reserved, .reserved = 1};
    CHECK_STATUS(coop_stream_new(loop, &reserved, fds[0], &stream), COOP_E_UNSUPPORTED);
    CHECK(stream == NULL);
    CHECK(fcntl(fds[0], F_GETFD) != -1);
    CHECK_OK(coop_stream_new(loop, NULL, fds[0], &stream));
    CHECK(coop_stream_set_nodelay(stream, 1) == COOP_E_OS);
    CHECK_STATUS(coop_stream_set_nodelay(stream, 2), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_set_keepalive(stream, -1), COOP_E_INVALID);
    CHECK_STATUS(coop_stream_set_linger(stream, -2), COOP_E_INVALID);
    coop_stream_free(stream);
    close(fds[1]);
    coop_event_loop_free(loop);
}

int main(void) {
    all_kinds();
    back_pressure();
    resets();
    cancels();
    frees();
    loop_ends();
    until_idle();
    descriptors();
    forked();
    not_streams();
    return 0;
}
