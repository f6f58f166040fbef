/* What a pool did: how many tasks, on which worker, and how long they had waited.
 *
 *     cc statistics.c $(pkg-config --cflags --libs coop) -o statistics */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 1000 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static void work(void *arg) { (void)arg; }

int main(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 2};
    coop_pool *pool;
    must(coop_pool_new(&options, &pool), "new pool");
    for (int i = 0; i < TASKS; i++) must(coop_pool_submit(pool, NULL, (coop_callback){.fn = work}), "submit");

    /* What still waits is a moment's news; after the shutdown it is 0. */
    coop_pool_statistics stats = {.size = sizeof stats};
    must(coop_pool_stats(pool, &stats), "stats");
    printf("now: %zu wait, of %llu begun\n", stats.depth_normal, (unsigned long long)stats.executed);

    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    must(coop_pool_stats(pool, &stats), "stats");
    uint64_t executed = 0;
    for (size_t i = 0; i < stats.workers; i++) {
        coop_worker_statistics worker = {.size = sizeof worker};
        must(coop_pool_worker_stats(pool, i, &worker), "worker's stats");
        executed += worker.executed;
        printf("worker %zu on CPU %d: %llu tasks, asleep %llu times\n", i, (int)worker.cpu,
               (unsigned long long)worker.executed, (unsigned long long)worker.parked);
    }
    /* Every 64th task is timed, from its submission to its start. */
    printf("%llu were timed: half waited no longer than %lld ns, the longest %lld ns\n",
           (unsigned long long)stats.wait_samples, (long long)stats.wait_p50_ns, (long long)stats.wait_max_ns);
    coop_pool_free(pool);
    return stats.executed == TASKS && executed == TASKS && stats.depth_normal == 0 ? 0 : 1;
}
