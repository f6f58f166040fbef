/* Open files over a Unix socket: one side opens a pipe and gives its reading end away; the other side reads from it. Between two
 * processes it goes the same way. */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void check(coop_status status) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s\n", coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    coop_event_loop *loop;
    char words[64];
    int descriptors[4];
    size_t count;
} receiver;

static void received(void *arg, const coop_error *error, size_t length) {
    receiver *r = arg;
    if (error) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
    printf("received \"%.*s\" and %d descriptor\n", (int)length, r->words, (int)r->count);
    char line[64];
    ssize_t bytes = read(r->descriptors[0], line, sizeof line);
    printf("and through that: %.*s\n", (int)bytes, line);
    close(r->descriptors[0]); /* it is ours */
    check(coop_event_loop_stop(r->loop));
}

static void sent(void *arg, const coop_error *error, size_t length) {
    (void)arg;
    (void)length;
    if (error) fprintf(stderr, "%s\n", error->message);
}

int main(void) {
    coop_event_loop *loop;
    check(coop_event_loop_new(NULL, &loop));
    int sockets[2], pipe_ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 || pipe(pipe_ends) != 0) return 1;
    coop_stream *ours, *theirs;
    check(coop_stream_new(loop, NULL, sockets[0], &ours));
    check(coop_stream_new(loop, NULL, sockets[1], &theirs));

    receiver r = {.loop = loop};
    coop_io_callback on_receive = {received, &r, NULL}, on_send = {sent, NULL, NULL};
    check(coop_stream_receive_descriptors(theirs, r.words, sizeof r.words, r.descriptors, 4, &r.count, on_receive));
    check(coop_stream_send_descriptors(ours, "a pipe", 6, pipe_ends, 1, on_send));
    close(pipe_ends[0]); /* a copy is on its way */
    if (write(pipe_ends[1], "hello", 5) != 5) return 1;

    check(coop_event_loop_run(loop, COOP_RUN_DEFAULT));
    close(pipe_ends[1]);
    coop_stream_free(ours);
    coop_stream_free(theirs);
    coop_event_loop_free(loop);
    return 0;
}
