/* The pool: CPU sets, and every argument dropped once, however its task ends. */
#include "check.h"

static void runs_and_drops_once(void) {
    coop_pool *pool = new_pool(2);
    size_t workers = 0;
    CHECK_OK(coop_pool_workers(pool, &workers));
    CHECK_EQ(workers, 2);
    CHECK(!coop_pool_is_worker_thread(pool));
    static probe p[1000];
    for (int i = 0; i < 1000; i++) {
        coop_submit_options options = {sizeof options, i % 3 - 1, 0, {NULL, 0}};
        CHECK_OK(coop_pool_submit(pool, &options, counted(&p[i])));
    }
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER));
    for (int i = 0; i < 1000; i++) CHECK(runs(&p[i]) == 1 && drops(&p[i]) == 1);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DISCARD, 0));
    probe late = {0, 0};
    CHECK_SAYS(coop_pool_submit(pool, NULL, counted(&late)), COOP_E_CLOSED, "the pool is closed");
    coop_pool_free(pool);
    CHECK_EQ(runs(&late) + drops(&late), 0);
}

static void cpu_sets(void) {
    coop_pool *pool = new_pool(1);
    int32_t cpu = -7;
    CHECK_OK(coop_pool_worker_cpu(pool, 0, &cpu));
    CHECK(cpu >= 0 && cpu < 1024);
    uint64_t words[17] = {0};
    coop_submit_options options = {sizeof options, 0, 0, {words, 16}};
    probe p = {0, 0}, q = {0, 0};
    char workers[32], text[96];
    snprintf(workers, sizeof workers, "{%d}", (int)cpu);
    snprintf(text, sizeof text, "cpu set {} is empty: name a CPU of %s", workers);
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&p)), COOP_E_INVALID, text);
    options.cpus.count = 0;
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&p)), COOP_E_INVALID, text);
    /* A CPU that is not the worker's. */
    int foreign = cpu == 1023 ? 1022 : 1023;
    options.cpus.count = 16;
    words[foreign / 64] = UINT64_C(1) << (foreign % 64);
    snprintf(text, sizeof text, "cpu set {%d} names no worker; workers are on %s", foreign, workers);
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&p)), COOP_E_AFFINITY, text);
    options.cpus.count = 17;
    words[16] = 2;
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&p)), COOP_E_INVALID, "CPU 1025 is out of range");
    options.cpus.count = 16;
    words[cpu / 64] |= UINT64_C(1) << (cpu % 64);
    CHECK_OK(coop_pool_submit(pool, &options, counted(&q)));
    coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER);
    coop_pool_free(pool);
    CHECK_EQ(runs(&p) + drops(&p), 0);
    CHECK(runs(&q) == 1 && drops(&q) == 1);

    coop_pool_options anywhere = {sizeof anywhere, 1, 1, 0, NULL, 0};
    CHECK_OK(coop_pool_new(&anywhere, &pool));
    CHECK_OK(coop_pool_worker_cpu(pool, 0, &cpu));
    CHECK_EQ(cpu, COOP_NONE);
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&p)), COOP_E_AFFINITY, "not pinned (no_pin)");
    coop_pool_free(pool);
    CHECK_EQ(runs(&p) + drops(&p), 0);
}

/* What is queued behind a task that blocks the only worker. */
static void discarded_and_freed(int by_free) {
    coop_pool *pool = new_pool(1);
    blocker b = BLOCKER;
    probe p[3] = {{0, 0}};
    CHECK_OK(coop_pool_submit(pool, NULL, blocking(&b)));
    latch_wait(&b.begun);
    for (int i = 0; i < 3; i++) CHECK_OK(coop_pool_submit(pool, NULL, counted(&p[i])));
    CHECK_STATUS(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, 0), COOP_E_TIMEOUT);
    for (int i = 0; i < 3; i++) CHECK(runs(&p[i]) == 0 && drops(&p[i]) == 1);
    latch_open(&b.go);
    if (!by_free) CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DISCARD, LONG_NS));
    coop_pool_free(pool);
    for (int i = 0; i < 3; i++) CHECK_EQ(drops(&p[i]), 1);
}

typedef struct {
    coop_pool *pool;
    latch go;
    probe inner, late;
} nested;

static void submit_inside(void *arg) {
    nested *n = arg;
    CHECK(coop_pool_is_worker_thread(n->pool));
    latch_wait(&n->go);
    CHECK_OK(coop_pool_submit(n->pool, NULL, counted(&n->inner)));
    CHECK_OK(coop_pool_shutdown(n->pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER)); /* does not wait for itself */
    CHECK_STATUS(coop_pool_join(n->pool, COOP_FOREVER), COOP_E_WOULD_DEADLOCK);
}

static void a_draining_pool_takes_its_own_tasks(void) {
    nested n = {new_pool(1), LATCH, {0, 0}, {0, 0}};
    coop_callback task = {submit_inside, &n, NULL};
    CHECK_OK(coop_pool_submit(n.pool, NULL, task));
    CHECK_OK(coop_pool_close(n.pool));
    CHECK_STATUS(coop_pool_submit(n.pool, NULL, counted(&n.late)), COOP_E_CLOSED);
    CHECK_SAYS(coop_pool_join(n.pool, 1000), COOP_E_TIMEOUT, "coop-pool");
    latch_open(&n.go);
    CHECK_OK(coop_pool_join(n.pool, LONG_NS));
    CHECK_OK(coop_pool_shutdown(n.pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    coop_pool_free(n.pool);
    CHECK(runs(&n.inner) == 1 && drops(&n.inner) == 1 && runs(&n.late) + drops(&n.late) == 0);
}

/* A drop may call the library, also the pool that is being freed. */
typedef struct {
    coop_pool *pool;
    int asked;
} asker;

static void ask(void *arg) {
    asker *a = arg;
    probe p = {0, 0};
    CHECK_STATUS(coop_pool_submit(a->pool, NULL, counted(&p)), COOP_E_CLOSED);
    a->asked++;
}

static void drops_may_call(void) {
    coop_pool *pool = new_pool(1);
    blocker b = BLOCKER;
    asker a = {pool, 0};
    coop_callback asking = {count_run, &a, ask};
    CHECK_OK(coop_pool_submit(pool, NULL, blocking(&b)));
    latch_wait(&b.begun);
    CHECK_OK(coop_pool_submit(pool, NULL, asking));
    CHECK_STATUS(coop_pool_shutdown(pool, COOP_SHUTDOWN_DISCARD, 0), COOP_E_TIMEOUT);
    CHECK_EQ(a.asked, 1);
    latch_open(&b.go);
    coop_pool_free(pool);
}

int main(void) {
    runs_and_drops_once();
    cpu_sets();
    discarded_and_freed(0);
    discarded_and_freed(1);
    a_draining_pool_takes_its_own_tasks();
    drops_may_call();
    return 0;
}
