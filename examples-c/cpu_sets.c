/* CPU sets: every worker is pinned to a CPU, and a task may say on which of them it runs.
 *
 *     cc cpu_sets.c $(pkg-config --cflags --libs coop) -o cpu_sets */
#define _GNU_SOURCE
#include <coop.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* Where the task ran. A CPU that was asked for is the answer on any machine, also on one that is busy. */
static void where(void *arg) { *(int *)arg = sched_getcpu(); }

int main(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 2};
    coop_pool *pool;
    size_t workers;
    int32_t cpus[2];
    int ran_on[2] = {-1, -1};
    must(coop_pool_new(&options, &pool), "new pool");
    must(coop_pool_workers(pool, &workers), "workers");

    for (size_t i = 0; i < workers; i++) {
        uint64_t words[16] = {0}; /* CPUs 0 to 1023, a bit each */
        must(coop_pool_worker_cpu(pool, i, &cpus[i]), "worker's CPU");
        words[cpus[i] / 64] |= UINT64_C(1) << (cpus[i] % 64);
        coop_submit_options here = {.size = sizeof here, .cpus = {words, 16}};
        coop_callback task = {.fn = where, .arg = &ran_on[i]};
        must(coop_pool_submit(pool, &here, task), "submit");
    }

    /* An empty set is no place: refused, and the argument stays the caller's. */
    uint64_t none = 0;
    coop_submit_options nowhere = {.size = sizeof nowhere, .cpus = {&none, 1}};
    coop_callback never = {.fn = where, .arg = NULL};
    if (coop_pool_submit(pool, &nowhere, never) != COOP_E_INVALID) return 1;
    printf("refused: %s\n", coop_last_error());

    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    coop_pool_free(pool);
    for (size_t i = 0; i < workers; i++) {
        printf("bound to CPU %d, ran on CPU %d\n", (int)cpus[i], ran_on[i]);
        if (ran_on[i] != cpus[i]) return 1;
    }
    return 0;
}
