/* A pool with a capacity: tasks in batches as far as there is room, a refusal when it is full, and a submitter that waits.
 *
 *     cc bounded_pool.c $(pkg-config --cflags --libs coop) -lpthread -o bounded_pool */
#include <coop.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 4, TASKS = 10 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* Holds the only worker until it is opened. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int begun, open;
} gate;

static void hold(void *arg) {
    gate *g = arg;
    pthread_mutex_lock(&g->lock);
    g->begun = 1;
    pthread_cond_broadcast(&g->changed);
    while (!g->open) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void count(void *arg) { ++*(int *)arg; } /* one worker: one task at a time */

int main(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 1, .capacity = ROOM};
    coop_pool *pool;
    must(coop_pool_new(&options, &pool), "new pool");

    gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    must(coop_pool_submit(pool, NULL, (coop_callback){.fn = hold, .arg = &g}), "submit");
    pthread_mutex_lock(&g.lock);
    while (!g.begun) pthread_cond_wait(&g.changed, &g.lock);
    pthread_mutex_unlock(&g.lock);

    int done = 0;
    coop_callback tasks[TASKS];
    for (int i = 0; i < TASKS; i++) tasks[i] = (coop_callback){.fn = count, .arg = &done};

    /* The first ones are taken, as many as there is room for; the others are still ours. */
    size_t taken = 0;
    must(coop_pool_submit_batch(pool, NULL, tasks, TASKS, &taken), "batch");
    if (taken != ROOM) return 1;
    if (coop_pool_submit(pool, NULL, tasks[taken]) != COOP_E_QUEUE_FULL) return 1;
    printf("took %zu of %d, and then: %s\n", taken, TASKS, coop_last_error());

    pthread_mutex_lock(&g.lock);
    g.open = 1;
    pthread_cond_broadcast(&g.changed);
    pthread_mutex_unlock(&g.lock);

    /* With a timeout the submitter waits for room: as fast as the worker is, and no faster. */
    coop_submit_options patient = {.size = sizeof patient, .timeout_ns = COOP_FOREVER};
    while (taken < TASKS) {
        size_t more = 0;
        must(coop_pool_submit_batch(pool, &patient, tasks + taken, TASKS - taken, &more), "batch");
        taken += more;
    }
    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    coop_pool_free(pool);
    printf("%d tasks are done\n", done);
    return done == TASKS ? 0 : 1;
}
