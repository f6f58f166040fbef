/* Shutdown: what is queued runs (drain) or is dropped (discard). Either way every accepted argument is dropped once, so counting
 * them, or freeing what they own, needs no other place.
 *
 *     cc shutdown.c $(pkg-config --cflags --libs coop) -pthread -o shutdown */
#include <coop.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

enum { TASKS = 10 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static int ran, dropped; /* one worker, and read when it has ended */
static sem_t started, go;

static void run(void *arg) { (void)arg, ran++; }
static void drop(void *arg) { (void)arg, dropped++; }

/* Keeps the only worker busy, so that the others wait. */
static void wait(void *arg) {
    (void)arg;
    sem_post(&started);
    sem_wait(&go);
}

static void try_mode(int32_t mode, const char *name) {
    coop_pool_options options = {.size = sizeof options, .workers = 1};
    coop_pool *pool;
    ran = dropped = 0;
    must(coop_pool_new(&options, &pool), "new pool");
    coop_callback first = {.fn = wait}, task = {.fn = run, .drop = drop};
    must(coop_pool_submit(pool, NULL, first), "submit");
    sem_wait(&started);
    for (int i = 0; i < TASKS; i++) must(coop_pool_submit(pool, NULL, task), "submit");

    if (mode == COOP_SHUTDOWN_DRAIN) sem_post(&go);
    /* A deadline that passes: the pool stays closed, what is queued is dropped, what runs goes on. */
    if (mode == COOP_SHUTDOWN_DISCARD && coop_pool_shutdown(pool, mode, 1000) != COOP_E_TIMEOUT) exit(1);
    if (mode == COOP_SHUTDOWN_DISCARD) sem_post(&go);
    must(coop_pool_shutdown(pool, mode, COOP_FOREVER), "shutdown");
    if (coop_pool_submit(pool, NULL, task) != COOP_E_CLOSED) exit(1);
    coop_pool_free(pool);
    printf("%s: %d of %d ran, %d were dropped\n", name, ran, TASKS, dropped);
}

int main(void) {
    sem_init(&started, 0, 0);
    sem_init(&go, 0, 0);
    try_mode(COOP_SHUTDOWN_DRAIN, "drain");
    if (ran != TASKS || dropped != TASKS) return 1;
    try_mode(COOP_SHUTDOWN_DISCARD, "discard");
    return ran == 0 && dropped == TASKS ? 0 : 1;
}
