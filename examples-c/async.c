/* A signal handler of the program's own wakes a loop, and what a handler must not do is done there. (Without a handler: signals.c.)
 *
 *     cc async.c $(pkg-config --cflags --libs coop) -o async */
#define _POSIX_C_SOURCE 200809L
#include <coop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static coop_async *wake;
static volatile sig_atomic_t caught;

/* Whatever the signal has interrupted, malloc say: nothing but what is async-signal-safe. */
static void handler(int signum) {
    caught = signum;
    coop_async_send(wake);
}

/* On the loop, where it may do anything. */
static void on_wake(void *arg) {
    printf("signal %d was caught\n", (int)caught);
    must(coop_event_loop_stop(arg), "stop");
}

int main(void) {
    coop_event_loop *loop;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;
    must(coop_event_loop_new(NULL, &loop), "new loop");
    coop_async_callback callback = {.fn = on_wake, .arg = loop};
    must(coop_async_new(loop, NULL, callback, &wake), "new async");
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGUSR1, &action, &before) != 0) return 1;
    raise(SIGUSR1);
    must(coop_event_loop_run(loop, COOP_RUN_DEFAULT), "run");
    /* First nobody sends any more, then it may go. */
    if (sigaction(SIGUSR1, &before, NULL) != 0) return 1;
    coop_async_free(wake);
    coop_event_loop_free(loop);
    return caught == SIGUSR1 ? 0 : 1;
}
