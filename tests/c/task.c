/* Tasks with an id: waited for, cancelled, let go of; and every argument is dropped once. */
#include "check.h"

static coop_pool *pool;

static coop_task_id submitted(coop_callback task) {
    coop_task_id id = 0;
    CHECK_OK(coop_pool_submit_task(pool, NULL, task, &id));
    CHECK(id != 0);
    return id;
}

static void joined(void) {
    pool = new_pool(2);
    static probe p[100];
    coop_task_id ids[100];
    for (int i = 0; i < 100; i++) ids[i] = submitted(counted(&p[i]));
    for (int i = 0; i < 100; i++) {
        CHECK_OK(coop_task_join(pool, ids[i], LONG_NS));
        CHECK(runs(&p[i]) == 1 && drops(&p[i]) == 1);
    }
    for (int i = 0; i < 100; i++) {
        CHECK_SAYS(coop_task_join(pool, ids[i], 0), COOP_E_STALE, "stale id: this task");
        CHECK_STATUS(coop_task_cancel(pool, ids[i]), COOP_E_STALE);
        CHECK_STATUS(coop_task_release(pool, ids[i]), COOP_E_STALE);
    }
    CHECK_STATUS(coop_task_join(pool, 0, 0), COOP_E_STALE);
    CHECK_STATUS(coop_task_join(pool, ids[0], -2), COOP_E_INVALID);
    coop_pool_free(pool);
}

/* A task with an id that is running when this returns. */
static coop_task_id held(blocker *b) {
    coop_task_id id = submitted(blocking(b));
    latch_wait(&b->begun);
    return id;
}

static void cancelled(void) {
    pool = new_pool(1);
    blocker b = BLOCKER;
    coop_task_id running = held(&b);
    probe p = {0, 0}, q = {0, 0}, r = {0, 0};
    coop_task_id queued = submitted(counted(&p)), released = submitted(counted(&r));
    CHECK_SAYS(coop_task_join(pool, queued, 0), COOP_E_TIMEOUT, "still queued");
    CHECK_OK(coop_task_cancel(pool, queued));
    CHECK(runs(&p) == 0 && drops(&p) == 1);
    CHECK_STATUS(coop_task_cancel(pool, queued), COOP_E_STALE);
    CHECK_STATUS(coop_task_join(pool, queued, 0), COOP_E_STALE);
    CHECK_SAYS(coop_task_cancel(pool, running), COOP_E_TIMEOUT, "too late to cancel: the task is running");
    CHECK_SAYS(coop_task_join(pool, running, 1000), COOP_E_TIMEOUT, "still running");
    CHECK_OK(coop_task_release(pool, released));
    CHECK_STATUS(coop_task_release(pool, released), COOP_E_STALE);
    latch_open(&b.go);
    coop_task_id last = submitted(counted(&q));
    CHECK_OK(coop_task_join(pool, last, LONG_NS));
    CHECK(runs(&r) == 1 && drops(&r) == 1);
    CHECK_SAYS(coop_task_cancel(pool, running), COOP_E_TIMEOUT, "too late to cancel: the task has ended");
    CHECK_OK(coop_task_join(pool, running, LONG_NS));
    coop_pool_free(pool);
    CHECK(runs(&p) == 0 && drops(&p) == 1 && runs(&q) == 1 && drops(&q) == 1);
}

typedef struct {
    coop_task_id id;
    coop_status answer;
    latch waits;
} joiner;
static void *join_it(void *arg) {
    joiner *j = arg;
    latch_open(&j->waits);
    j->answer = coop_task_join(pool, j->id, COOP_FOREVER);
    return NULL;
}

/* Who waits is told when the task is cancelled, or dropped by a shutdown: in that order, whoever is first. */
static void told(int by_shutdown) {
    pool = new_pool(1);
    blocker b = BLOCKER;
    coop_task_id running = held(&b);
    probe p = {0, 0};
    joiner j = {submitted(counted(&p)), COOP_OK, LATCH};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, join_it, &j) == 0);
    latch_wait(&j.waits);
    if (by_shutdown) {
        CHECK_STATUS(coop_pool_shutdown(pool, COOP_SHUTDOWN_DISCARD, 0), COOP_E_TIMEOUT);
        CHECK(strstr(coop_last_error(), "coop-pool-0 (CPU ") != NULL);
    } else {
        CHECK_OK(coop_task_cancel(pool, j.id));
    }
    CHECK(pthread_join(thread, NULL) == 0);
    if (by_shutdown)
        CHECK_EQ(j.answer, COOP_E_CLOSED);
    else /* the thread may have come after the cancel */
        CHECK(j.answer == COOP_E_CANCELLED || j.answer == COOP_E_STALE);
    CHECK(runs(&p) == 0 && drops(&p) == 1);
    latch_open(&b.go);
    CHECK_OK(coop_task_join(pool, running, LONG_NS));
    coop_pool_free(pool);
}

static coop_task_id own;
static latch own_known = LATCH;

static void join_inside(void *arg) {
    probe *p = arg;
    latch_wait(&own_known);
    CHECK_SAYS(coop_task_join(pool, own, COOP_FOREVER), COOP_E_WOULD_DEADLOCK, "a task cannot wait for its own end");
    /* The only worker is here: it runs what it joins. */
    coop_task_id inner = submitted(counted(p));
    CHECK_OK(coop_task_join(pool, inner, COOP_FOREVER));
    CHECK(runs(p) == 1 && drops(p) == 1);
}

static void joined_inside(void) {
    pool = new_pool(1);
    probe p = {0, 0};
    coop_callback task = {join_inside, &p, NULL};
    own = submitted(task);
    latch_open(&own_known);
    CHECK_OK(coop_task_join(pool, own, LONG_NS));
    coop_pool_free(pool);
    CHECK(runs(&p) == 1 && drops(&p) == 1);
}

/* A join runs the task that frees the pool, and returns. */
static void free_it(void *arg) {
    (void)arg;
    coop_pool_free(pool);
}
static void join_what_frees(void *arg) {
    coop_callback freeing = {free_it, NULL, NULL};
    CHECK_OK(coop_task_join(pool, submitted(freeing), COOP_FOREVER));
    latch_open(arg);
}
static void freed_by_what_is_joined(void) {
    pool = new_pool(1);
    latch done = LATCH;
    coop_callback task = {join_what_frees, &done, NULL};
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    latch_wait(&done);
}

/* A cancel drops the argument whose drop frees the pool, and returns. */
static void go_and_free(void *arg) {
    latch_open(arg);
    coop_pool_free(pool);
}
static void freed_by_what_is_cancelled(void) {
    pool = new_pool(1);
    blocker b = BLOCKER;
    CHECK_OK(coop_task_release(pool, held(&b)));
    coop_callback task = {latch_wait, &b.go, go_and_free};
    CHECK_OK(coop_task_cancel(pool, submitted(task)));
}

int main(void) {
    joined();
    cancelled();
    told(0);
    told(1);
    joined_inside();
    freed_by_what_is_joined();
    freed_by_what_is_cancelled();
    return 0;
}
