/* Signals as callbacks of a loop: SIGTERM stops the program in an orderly way, SIGHUP has it read its settings again.
 *
 *     cc signals.c $(pkg-config --cflags --libs coop) -o signals */
#include <coop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static int reloads;

/* Not a signal handler: printf, malloc and every function of the library are fine here. */
static void reload(void *arg, int32_t signum, uint64_t times) {
    (void)arg;
    reloads += (int)times;
    printf("signal %d: the settings are read again\n", (int)signum);
    raise(SIGTERM); /* what an administrator would send */
}

static void finish(void *arg, int32_t signum, uint64_t times) {
    (void)times;
    printf("signal %d: the end\n", (int)signum);
    must(coop_event_loop_stop(arg), "stop");
}

int main(void) {
    coop_event_loop *loop;
    must(coop_event_loop_new(NULL, &loop), "new loop");
    coop_signal_callback on_hangup = {.fn = reload}, on_terminate = {.fn = finish, .arg = loop};
    must(coop_event_loop_signal(loop, SIGHUP, NULL, on_hangup, NULL), "watch SIGHUP");
    must(coop_event_loop_signal(loop, SIGTERM, NULL, on_terminate, NULL), "watch SIGTERM");
    if (coop_event_loop_signal(loop, SIGKILL, NULL, on_hangup, NULL) != COOP_E_INVALID) return 1; /* nobody handles that one */
    raise(SIGHUP);
    must(coop_event_loop_run(loop, COOP_RUN_DEFAULT), "run");
    coop_event_loop_free(loop); /* both signals do what they did before */
    return reloads == 1 ? 0 : 1;
}
