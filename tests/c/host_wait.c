/* coop_host_wait: the first SIGTERM or SIGINT stops the host in order, a second one ends what will not stop, and the signals are the
 * program's again after it. */
#include "host.h"

static volatile sig_atomic_t to_program;
static void on_signal(int signum) {
    (void)signum;
    to_program++;
}

static struct sigaction now_of(int signum) {
    struct sigaction now;
    CHECK(sigaction(signum, NULL, &now) == 0);
    return now;
}

/* Who sends signals to the program while its main thread waits. */
typedef struct {
    watcher *w;
    int first, second;
} sender;

static void *send_signals(void *arg) {
    sender *s = arg;
    /* They are for the thread that waits: one that this thread got, and ended with, ThreadSanitizer would lose. */
    sigset_t all;
    CHECK(sigfillset(&all) == 0 && pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
    /* Before that they would be the program's. */
    while (now_of(SIGINT).sa_handler == on_signal || now_of(SIGTERM).sa_handler == on_signal) usleep(1000);
    CHECK(kill(getpid(), s->first) == 0);
    await_event(s->w, "root/last", COOP_SERVICE_STOPPING, 1);
    if (s->second != 0) CHECK(kill(getpid(), s->second) == 0);
    return NULL;
}

static size_t place_of(const watcher *w, const char *path, int32_t kind) {
    for (size_t i = 0; i < w->count; i++)
        if (w->events[i].kind == kind && strcmp(w->events[i].path, path) == 0) return i;
    FAIL("no event %d of %s", (int)kind, path);
}

static void on_line(void *arg, const coop_line *line) {
    (void)line;
    latch_open(arg);
}

static void wait_for(int first, int second, const char *last, coop_event_loop *loop) {
    watcher w = WATCHER;
    waiter one = WAITER;
    sender s = {&w, first, second};
    pthread_t thread;
    struct sigaction mine = {.sa_handler = on_signal};
    CHECK(sigaction(SIGTERM, &mine, NULL) == 0 && sigaction(SIGINT, &mine, NULL) == 0);
    coop_host *host = new_host(loop, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    CHECK_STATUS(coop_host_wait(host), COOP_E_INVALID);
    add_waiter(host, 0, "one", &one);
    const char *argv[] = {"/bin/sh", "-c", last, NULL};
    /* A shell that ignores signals says so first. */
    latch set = LATCH;
    coop_command command = {.size = sizeof command, .argv = argv, .output = COOP_OUTPUT_LINES, .on_line = {on_line, &set, NULL}};
    coop_service_options service = service_of("last");
    service.command = &command;
    service.shutdown_ns = COOP_FOREVER;
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    latch_wait(&one.begun);
    latch_wait(&set);
    CHECK(pthread_create(&thread, NULL, send_signals, &s) == 0);
    CHECK_OK(coop_host_wait(host));
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(now_of(SIGTERM).sa_handler == on_signal && now_of(SIGINT).sa_handler == on_signal && to_program == 0);
    CHECK_OK(coop_host_wait(host));
    coop_host_free(host);
    await_drops(&w.probe, 1);
    await_drops(&one.probe, 1);
    /* The last first. */
    if (second == 0) CHECK(place_of(&w, "root/last", COOP_SERVICE_ENDED) < place_of(&w, "root/one", COOP_SERVICE_STOPPING));
    const struct seen *ended = &w.events[place_of(&w, "root/last", COOP_SERVICE_ENDED)];
    CHECK(ended->exit == COOP_EXIT_SIGNALED && ended->signal == (second == 0 ? SIGTERM : SIGKILL));
}

int main(void) {
    const char *obeys = "echo set; exec sleep 1000";
    const char *ignores = "trap '' TERM; echo set; while :; do sleep 1; done";
    coop_event_loop *loop = NULL;
    CHECK_OK(coop_event_loop_new(NULL, &loop));
    /* ThreadSanitizer keeps a signal until its thread makes a call that it knows, which a host's wait without a loop is not: a futex. */
    if (!UNDER_TSAN) wait_for(SIGTERM, 0, obeys, NULL);
    if (!UNDER_TSAN) wait_for(SIGTERM, SIGTERM, ignores, NULL);
    wait_for(SIGINT, 0, obeys, loop);
    wait_for(SIGINT, SIGTERM, ignores, loop);
    coop_event_loop_free(loop);
    CHECK_STATUS(coop_host_wait(NULL), COOP_E_NULL);
    return 0;
}
