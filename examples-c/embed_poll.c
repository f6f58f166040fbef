/* An event loop inside a program that has a poll(2) loop of its own. While the program sleeps in poll, other threads may post and
 * set timers: that makes the loop's descriptor readable.
 *
 *     cc embed_poll.c $(pkg-config --cflags --libs coop) -o embed_poll */
#include <coop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static coop_event_loop *loop;

static void from_a_worker(void *arg) {
    (void)arg;
    puts("a worker's result, on the program's own thread");
    must(coop_event_loop_stop(loop), "stop");
}

static void work(void *arg) {
    coop_callback result = {.fn = from_a_worker};
    (void)arg;
    must(coop_event_loop_post(loop, result), "post");
}

static void tick(void *arg, uint64_t times) {
    coop_callback task = {.fn = work};
    (void)times;
    puts("a timer, on the program's own thread");
    must(coop_pool_submit(arg, NULL, task), "submit");
}

/* What poll is to wait: rounded up, or it would return just before the time and turn in vain. False: the loop has ended. */
static int wait_ms(int *timeout) {
    int64_t ns;
    coop_status status = coop_event_loop_backend_timeout(loop, &ns);
    if (status == COOP_E_CLOSED) return 0;
    must(status, "timeout");
    if (ns == COOP_FOREVER)
        *timeout = -1;
    else
        *timeout = ns < INT64_C(1000000000) ? (int)((ns + 999999) / 1000000) : 1000;
    return 1;
}

int main(void) {
    coop_pool *pool;
    coop_timer_options soon = {.size = sizeof soon, .after_ns = 10000000};
    coop_timer_callback ticking = {.fn = tick};
    struct pollfd fds[2] = {{.events = POLLIN}, {.events = POLLIN}};
    int timeout, own[2];
    char byte;

    must(coop_event_loop_new(NULL, &loop), "new loop");
    must(coop_pool_new(NULL, &pool), "new pool");
    must(coop_event_loop_backend_fd(loop, &fds[0].fd), "descriptor");
    ticking.arg = pool;
    must(coop_event_loop_timer(loop, &soon, ticking, NULL), "timer");

    /* What the program itself waits for. */
    if (pipe(own) != 0 || write(own[1], "x", 1) != 1) return 1;
    fds[1].fd = own[0];

    while (wait_ms(&timeout)) {
        if (poll(fds, 2, timeout) < 0) continue; /* a signal */
        if (fds[1].revents && read(own[0], &byte, 1) == 1) puts("the program's own descriptor");
        if (coop_event_loop_run(loop, COOP_RUN_NOWAIT) == COOP_E_CLOSED) break;
    }
    coop_pool_free(pool);
    coop_event_loop_free(loop);
    close(own[0]);
    close(own[1]);
    return 0;
}
