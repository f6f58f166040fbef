/* Pools that hold so many tasks, batches, and what a pool says of itself. */
#include "check.h"

static coop_pool *bounded(size_t capacity) {
    coop_pool_options options = {.size = sizeof options, .workers = 1, .capacity = capacity};
    coop_pool *pool = NULL;
    CHECK_OK(coop_pool_new(&options, &pool));
    return pool;
}

/* Returns when the pool's only worker is in this task. */
static void hold(coop_pool *pool, blocker *b) {
    CHECK_OK(coop_pool_submit(pool, NULL, blocking(b)));
    latch_wait(&b->begun);
}

static void a_full_pool_refuses_in_words(void) {
    coop_pool *pool = bounded(2);
    blocker b = BLOCKER;
    probe p[2] = {{0, 0}}, late = {0, 0};
    hold(pool, &b);
    for (int i = 0; i < 2; i++) CHECK_OK(coop_pool_submit(pool, NULL, counted(&p[i])));
    CHECK_SAYS(coop_pool_submit(pool, NULL, counted(&late)), COOP_E_QUEUE_FULL, "the pool is full (2 tasks)");
    coop_task_id id = 0;
    CHECK_STATUS(coop_pool_submit_task(pool, NULL, counted(&late), &id), COOP_E_QUEUE_FULL);
    coop_submit_options options = {.size = sizeof options, .timeout_ns = 1000000};
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&late)), COOP_E_TIMEOUT, "the pool is full (2 tasks)");
    options.timeout_ns = -2;
    CHECK_SAYS(coop_pool_submit(pool, &options, counted(&late)), COOP_E_INVALID, "coop_submit_options.timeout_ns is -2");
    CHECK_EQ(runs(&late) + drops(&late), 0);
    latch_open(&b.go);
    options.timeout_ns = COOP_FOREVER;
    CHECK_OK(coop_pool_submit(pool, &options, counted(&late)));
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    coop_pool_free(pool);
    for (int i = 0; i < 2; i++) CHECK(runs(&p[i]) == 1 && drops(&p[i]) == 1);
    CHECK(id == 0 && runs(&late) == 1 && drops(&late) == 1);
}

typedef struct {
    coop_pool *pool;
    probe p;
} waiter;
static void *wait_for_room(void *arg) {
    waiter *w = arg;
    coop_submit_options options = {.size = sizeof options, .timeout_ns = COOP_FOREVER};
    CHECK_STATUS(coop_pool_submit(w->pool, &options, counted(&w->p)), COOP_E_CLOSED);
    return NULL;
}

static void closing_sends_away_who_waits(void) {
    waiter w = {bounded(1), {0, 0}};
    blocker b = BLOCKER;
    probe p = {0, 0};
    hold(w.pool, &b);
    CHECK_OK(coop_pool_submit(w.pool, NULL, counted(&p)));
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&threads[i], NULL, wait_for_room, &w) == 0);
    CHECK_OK(coop_pool_close(w.pool));
    for (int i = 0; i < 3; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    CHECK_EQ(runs(&w.p) + drops(&w.p), 0);
    latch_open(&b.go);
    coop_pool_free(w.pool);
    CHECK_EQ(drops(&p), 1);
}

static void fill_from_inside(void *arg) {
    coop_pool *pool = *(coop_pool **)arg;
    static probe taken, refused;
    coop_submit_options options = {.size = sizeof options, .timeout_ns = COOP_FOREVER};
    CHECK(coop_pool_may_run_here(pool, NULL));
    CHECK_OK(coop_pool_submit(pool, &options, counted(&taken)));
    CHECK_STATUS(coop_pool_submit(pool, &options, counted(&refused)), COOP_E_WOULD_DEADLOCK);
    CHECK_EQ(runs(&refused) + drops(&refused), 0);
}

static void a_task_does_not_wait_for_room(void) {
    coop_pool *pool = bounded(1);
    coop_callback task = {fill_from_inside, &pool, NULL};
    CHECK(!coop_pool_may_run_here(pool, NULL));
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    coop_pool_free(pool);
}

static void batches(void) {
    coop_pool *pool = bounded(100);
    blocker b = BLOCKER;
    static probe p[150];
    coop_callback tasks[150];
    for (int i = 0; i < 150; i++) tasks[i] = counted(&p[i]);
    size_t accepted = 77;
    hold(pool, &b);
    CHECK_SAYS(coop_pool_submit_batch(pool, NULL, tasks, 0, &accepted), COOP_E_INVALID, "a batch of 0 tasks");
    CHECK_EQ(accepted, 77);
    CHECK_OK(coop_pool_submit_batch(pool, NULL, tasks, 150, &accepted));
    CHECK_EQ(accepted, 100);
    CHECK_SAYS(coop_pool_submit_batch(pool, NULL, tasks + 100, 50, &accepted), COOP_E_QUEUE_FULL, "(100 tasks)");
    CHECK_EQ(accepted, 100);
    for (int i = 0; i < 150; i++) CHECK_EQ(runs(&p[i]) + drops(&p[i]), 0);
    latch_open(&b.go);
    coop_submit_options options = {.size = sizeof options, .timeout_ns = COOP_FOREVER};
    CHECK_OK(coop_pool_submit_batch(pool, &options, tasks + 100, 50, &accepted));
    CHECK_EQ(accepted, 50);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    CHECK_STATUS(coop_pool_submit_batch(pool, NULL, tasks, 150, &accepted), COOP_E_CLOSED);
    coop_pool_free(pool);
    for (int i = 0; i < 150; i++) CHECK(runs(&p[i]) == 1 && drops(&p[i]) == 1);
}

/* What goes on with what was taken before is taken by a full pool, by this call only; it has a place all the same. */
static void what_continues(void) {
    coop_pool *pool = bounded(1);
    blocker b = BLOCKER;
    hold(pool, &b);
    probe p[4] = {{0, 0}};
    coop_submit_options options = {.size = sizeof options, .continues = 1};
    CHECK_OK(coop_pool_submit(pool, NULL, counted(&p[0])));
    CHECK_STATUS(coop_pool_submit(pool, NULL, counted(&p[1])), COOP_E_QUEUE_FULL);
    CHECK_OK(coop_pool_submit(pool, &options, counted(&p[2])));
    coop_callback task = counted(&p[3]);
    size_t accepted = 0;
    CHECK_SAYS(coop_pool_submit_batch(pool, &options, &task, 1, &accepted), COOP_E_UNSUPPORTED, "continues is 1");
    uint64_t no_worker[16] = {[15] = UINT64_C(1) << 63};
    coop_submit_options nowhere = {.size = sizeof nowhere, .continues = 1, .cpus = {no_worker, 16}};
    CHECK_STATUS(coop_pool_submit(pool, &nowhere, counted(&p[3])), COOP_E_AFFINITY);
    latch_open(&b.go);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    CHECK_STATUS(coop_pool_submit(pool, &options, counted(&p[3])), COOP_E_CLOSED);
    coop_pool_free(pool);
    CHECK(runs(&p[0]) == 1 && runs(&p[1]) == 0 && runs(&p[2]) == 1 && runs(&p[3]) == 0);
    CHECK(drops(&p[1]) == 0 && drops(&p[3]) == 0);
}

static void statistics(void) {
    coop_pool *pool = bounded(1000);
    blocker b = BLOCKER;
    hold(pool, &b);
    coop_submit_options options = {.size = sizeof options};
    probe p[6] = {{0, 0}};
    for (int i = 0; i < 6; i++) {
        options.priority = i < 1 ? COOP_PRIORITY_HIGH : i < 3 ? COOP_PRIORITY_NORMAL : COOP_PRIORITY_LOW;
        CHECK_OK(coop_pool_submit(pool, &options, counted(&p[i])));
    }
    coop_pool_statistics of_pool = {.size = sizeof of_pool};
    coop_worker_statistics of_worker = {.size = sizeof of_worker};
    CHECK_OK(coop_pool_stats(pool, &of_pool));
    CHECK(of_pool.workers == 1 && of_pool.capacity == 1000 && of_pool.executed == 1);
    CHECK(of_pool.depth_high == 1 && of_pool.depth_normal == 2 && of_pool.depth_low == 3);
    latch_open(&b.go);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    CHECK_OK(coop_pool_stats(pool, &of_pool));
    CHECK(of_pool.size == sizeof of_pool && of_pool.executed == 7 && of_pool.stolen == 0);
    CHECK(of_pool.depth_high + of_pool.depth_normal + of_pool.depth_low == 0);
    CHECK(of_pool.wait_p50_ns <= of_pool.wait_p99_ns && of_pool.wait_p99_ns <= of_pool.wait_max_ns);
    int32_t cpu = 0;
    CHECK_OK(coop_pool_worker_cpu(pool, 0, &cpu));
    CHECK_OK(coop_pool_worker_stats(pool, 0, &of_worker));
    CHECK(of_worker.cpu == cpu && of_worker.executed == 7 && of_worker.parked == of_pool.parked);
    CHECK_SAYS(coop_pool_worker_stats(pool, 1, &of_worker), COOP_E_INVALID, "worker 1 is out of range: this pool has 1");
    of_worker.size = 8;
    CHECK_SAYS(coop_pool_worker_stats(pool, 0, &of_worker), COOP_E_INVALID, "coop_worker_statistics.size is 8");
    of_pool.size = 0;
    CHECK_SAYS(coop_pool_stats(pool, &of_pool), COOP_E_INVALID, "set it to sizeof(coop_pool_statistics)");
    coop_pool_free(pool);
}

static void ten_thousand_workers(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 10000};
    coop_pool *pool = NULL;
    CHECK_SAYS(coop_pool_new(&options, &pool), COOP_E_INVALID, "10000 workers: allowed are 1..=1024");
    CHECK(pool == NULL);
}

/* Each call that takes tasks, with options that are wrong. */
static void wrong_options(const coop_submit_options *options, coop_status expected, const char *words) {
    coop_pool *pool = bounded(0);
    probe p = {0, 0};
    coop_callback task = counted(&p);
    coop_task_id id = 0;
    size_t accepted = 0;
    CHECK_SAYS(coop_pool_submit(pool, options, task), expected, words);
    CHECK_SAYS(coop_pool_submit_task(pool, options, task, &id), expected, words);
    CHECK_SAYS(coop_pool_submit_batch(pool, options, &task, 1, &accepted), expected, words);
    CHECK(!coop_pool_may_run_here(pool, options));
    coop_pool_free(pool);
    CHECK(runs(&p) + drops(&p) == 0 && id == 0 && accepted == 0);
}

static void priority_7(void) {
    coop_submit_options options = {.size = sizeof options, .priority = 7};
    wrong_options(&options, COOP_E_INVALID, "priority 7");
}

static void a_cpu_without_a_worker(void) {
    uint64_t words[16] = {0};
    coop_submit_options options = {.size = sizeof options, .cpus = {words, 16}};
    words[15] = UINT64_C(1) << 63; /* the only worker is elsewhere */
    wrong_options(&options, COOP_E_AFFINITY, "cpu set {1023} names no worker; workers are on {");
}

int main(void) {
    a_full_pool_refuses_in_words();
    closing_sends_away_who_waits();
    a_task_does_not_wait_for_room();
    batches();
    what_continues();
    statistics();
    ten_thousand_workers();
    priority_7();
    a_cpu_without_a_worker();
    return 0;
}
