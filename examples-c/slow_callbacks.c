/* What holds up an event loop: a hook for callbacks that take too long, and what the loop did.
 *
 *     cc slow_callbacks.c $(pkg-config --cflags --libs coop) -o slow_callbacks */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* What belongs into a pool: the loop does nothing else meanwhile. */
static void work(void *arg) {
    (void)arg;
    nanosleep(&(struct timespec){.tv_nsec = 30 * 1000 * 1000}, NULL);
}

static void slow(void *arg, int32_t what, int64_t took_ns) {
    (void)arg;
    printf("a %s took %.1f ms\n", what == COOP_CALLBACK_POST ? "post" : "source's callback", took_ns / 1e6);
}

int main(void) {
    coop_event_loop *loop;
    must(coop_event_loop_new(NULL, &loop), "new loop");
    must(coop_event_loop_set_slow_hook(loop, 10 * 1000 * 1000, (coop_slow_callback){.fn = slow}), "set hook");
    must(coop_event_loop_post(loop, (coop_callback){.fn = work}), "post");
    must(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE), "run");

    coop_event_loop_statistics stats = {.size = sizeof stats};
    must(coop_event_loop_stats(loop, &stats), "stats");
    printf("%llu turns, %llu posts, the longest callback %.1f ms\n", (unsigned long long)stats.iterations,
           (unsigned long long)stats.posts, stats.longest_callback_ns / 1e6);
    coop_event_loop_free(loop);
    return 0;
}
