/* A runtime: a loop and a pool as one. A timer's callback runs in the pool, works there, and posts its result to the loop's thread.
 *
 *     cc runtime.c $(pkg-config --cflags --libs coop) -o runtime */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    coop_runtime *runtime;
    coop_event_loop *loop; /* both belong to the runtime */
    coop_pool *pool;
    long result;
    int in_pool, on_loop;
} app;

/* On the loop's thread: no lock is needed for what only posts touch. */
static void show(void *arg) {
    app *a = arg;
    a->on_loop = coop_event_loop_is_loop_thread(a->loop);
    printf("the result is %ld\n", a->result);
    must(coop_event_loop_stop(a->loop), "stop");
}

/* In the pool: the loop goes on with other things meanwhile. */
static void work(void *arg, uint64_t expirations) {
    app *a = arg;
    (void)expirations;
    a->in_pool = coop_pool_is_worker_thread(a->pool);
    for (long i = 1; i <= 1000; i++) a->result += i;
    coop_callback done = {.fn = show, .arg = a};
    must(coop_event_loop_post(a->loop, done), "post");
}

int main(void) {
    app a = {.result = 0};
    coop_pool_options pool = {.size = sizeof pool, .workers = 2};
    coop_runtime_options options = {.size = sizeof options, .pool = &pool};
    must(coop_runtime_new(&options, &a.runtime), "new runtime");
    a.loop = coop_runtime_event_loop(a.runtime);
    a.pool = coop_runtime_pool(a.runtime);

    coop_timer_options soon = {.size = sizeof soon, .after_ns = 1000 * 1000, .on = COOP_ON_POOL, .priority = COOP_PRIORITY_HIGH};
    coop_timer_callback callback = {.fn = work, .arg = &a};
    must(coop_event_loop_timer(a.loop, &soon, callback, NULL), "timer");

    must(coop_runtime_start(a.runtime, COOP_START_WAIT), "start"); /* this thread runs the loop until it is stopped */
    must(coop_runtime_stop(a.runtime, COOP_FOREVER), "stop");      /* and then the pool ends, too */
    coop_runtime_free(a.runtime);
    return a.result == 500500 && a.in_pool && a.on_loop ? 0 : 1;
}
