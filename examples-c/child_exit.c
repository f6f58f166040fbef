/* Ends of children: two are started, each is reaped when it ends, and the loop is idle when both are.
 *
 *     cc child_exit.c $(pkg-config --cflags --libs coop) -o child_exit */
#include <coop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static int ended;

static void on_end(void *arg, const coop_error *error, const coop_exit_status *status) {
    const char *what = arg;
    ended++;
    if (error != NULL) printf("%s: %s\n", what, error->message); /* somebody else has reaped it */
    else if (status->signal != 0) printf("%s: signal %d\n", what, (int)status->signal);
    else printf("%s: exit code %d\n", what, (int)status->code);
}

static pid_t start(const char *script) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    execl("/bin/sh", "sh", "-c", script, (char *)NULL);
    _exit(127);
}

int main(void) {
    coop_event_loop *loop;
    must(coop_event_loop_new(NULL, &loop), "new loop");
    const pid_t copies = start("exit 3"), hangs = start("while :; do sleep 1; done");
    if (copies < 0 || hangs < 0) return 1;
    coop_child_callback first = {.fn = on_end, .arg = "the first"}, second = {.fn = on_end, .arg = "the second"};
    must(coop_event_loop_child(loop, copies, NULL, first, NULL), "wait for the first");
    must(coop_event_loop_child(loop, hangs, NULL, second, NULL), "wait for the second");
    kill(hangs, SIGKILL);
    must(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE), "run");
    coop_event_loop_free(loop);
    return ended == 2 ? 0 : 1;
}
