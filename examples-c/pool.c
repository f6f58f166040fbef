/* A pool: tasks by priority, a task for one CPU, and what a refusal says.
 *
 *     cc pool.c $(pkg-config --cflags --libs coop) -o pool */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static void say(void *arg) { printf("task: %s\n", (const char *)arg); }

static void submit(coop_pool *pool, int32_t priority, const char *text) {
    coop_submit_options options = {.size = sizeof options, .priority = priority};
    coop_callback task = {.fn = say, .arg = (void *)text};
    must(coop_pool_submit(pool, &options, task), "submit");
}

/* Runs in the pool's one worker, so nothing else runs until all three are queued. */
static void submit_all(void *arg) {
    submit(arg, COOP_PRIORITY_LOW, "low, when there is nothing better to do");
    submit(arg, COOP_PRIORITY_NORMAL, "normal");
    submit(arg, COOP_PRIORITY_HIGH, "high, before all others");
}

int main(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 1};
    coop_pool *pool;
    int32_t cpu;
    must(coop_pool_new(&options, &pool), "new pool");
    must(coop_pool_worker_cpu(pool, 0, &cpu), "worker's CPU");

    coop_callback first = {.fn = submit_all, .arg = pool};
    must(coop_pool_submit(pool, NULL, first), "submit");

    /* A task may be bound to CPUs. There is no worker on this one: the pool says so, and the argument is still ours. */
    uint64_t words[16] = {0};
    int other = cpu == 1000 ? 1001 : 1000;
    words[other / 64] = UINT64_C(1) << (other % 64);
    coop_submit_options bound = {.size = sizeof bound, .cpus = {words, 16}};
    coop_callback task = {.fn = say, .arg = "never"};
    if (coop_pool_submit(pool, &bound, task) != COOP_E_AFFINITY) return 1;
    printf("refused: %s\n", coop_last_error());

    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    printf("all tasks are done\n");
    coop_pool_free(pool);
    return 0;
}
