/* Events: a thread says that it is done, and a loop hears it. The descriptor is for poll() and for other loops.
 *
 *     cc event.c $(pkg-config --cflags --libs coop) -pthread -o event */
#include <coop.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static int heard;

static void on_signal(void *arg) {
    heard++;
    printf("heard\n");
    must(coop_event_loop_stop(arg), "stop");
}

static void *work(void *arg) {
    must(coop_event_signal(arg), "signal");
    return NULL;
}

int main(void) {
    coop_event_loop *loop;
    coop_event *done;
    pthread_t thread;
    must(coop_event_loop_new(NULL, &loop), "new loop");
    must(coop_event_new(NULL, &done), "new event"); /* it resets itself: one signal, one waiter */
    coop_event_callback callback = {.fn = on_signal, .arg = loop};
    must(coop_event_watch(done, loop, NULL, callback, NULL), "watch");
    if (pthread_create(&thread, NULL, work, done) != 0) return 1;
    must(coop_event_loop_run(loop, COOP_RUN_DEFAULT), "run");
    pthread_join(thread, NULL);
    coop_event_loop_free(loop);

    /* Without a loop. */
    must(coop_event_signal(done), "signal");
    struct pollfd one = {.fd = coop_event_fd(done), .events = POLLIN};
    if (poll(&one, 1, -1) != 1 || !coop_event_is_signaled(done)) return 1;
    must(coop_event_reset(done), "reset");
    coop_event_free(done);
    return heard == 1 ? 0 : 1;
}
