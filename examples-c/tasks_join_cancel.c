/* Tasks with an id: one is waited for, one is taken back before it began, and one is let go of. The argument of each is dropped
 * exactly once.
 *
 *     cc tasks_join_cancel.c $(pkg-config --cflags --libs coop) -o tasks_join_cancel */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    coop_pool *pool;
    int runs, drops;
} work;

static void run(void *arg) { ((work *)arg)->runs++; }
static void drop(void *arg) { ((work *)arg)->drops++; }

static coop_task_id submit(coop_pool *pool, void (*fn)(void *), work *w) {
    coop_callback task = {.fn = fn, .arg = w, .drop = drop};
    coop_task_id id;
    must(coop_pool_submit_task(pool, NULL, task, &id), "submit");
    return id;
}

/* Runs on the only worker, so what it submits has not begun yet. */
static void change_your_mind(void *arg) {
    work *w = arg, kept = {.pool = w->pool}, undone = {.pool = w->pool};
    coop_task_id undo = submit(w->pool, run, &undone), keep = submit(w->pool, run, &kept);

    must(coop_task_cancel(w->pool, undo), "cancel"); /* dropped when this returns, and its id is stale */
    if (undone.runs != 0 || undone.drops != 1) exit(1);
    if (coop_task_join(w->pool, undo, COOP_FOREVER) != COOP_E_STALE) exit(1);

    /* A worker that waits for a task of its pool runs that itself. */
    must(coop_task_join(w->pool, keep, COOP_FOREVER), "join");
    if (kept.runs != 1 || kept.drops != 1) exit(1);
    w->runs++;
}

int main(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 1};
    coop_pool *pool;
    must(coop_pool_new(&options, &pool), "new pool");

    work first = {.pool = pool}, last = {.pool = pool};
    coop_task_id id = submit(pool, change_your_mind, &first);
    must(coop_task_join(pool, id, COOP_FOREVER), "join"); /* its function has returned, and its argument is dropped */
    if (first.runs != 1 || first.drops != 1) return 1;

    /* Nobody will ask for this one. */
    must(coop_task_release(pool, submit(pool, run, &last)), "release");
    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    if (last.runs != 1 || last.drops != 1) return 1;
    coop_pool_free(pool);
    printf("waited for two, took one back, let one go\n");
    return 0;
}
