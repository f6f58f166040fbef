/* Loops on all workers: each number once, in pieces of at most the grain, from outside and from inside. */
#include "check.h"

enum { NUMBERS = 1000 };

typedef struct {
    coop_pool *pool;
    size_t grain;
    int times[NUMBERS];
} loop_state;

static void piece(void *arg, size_t begin, size_t end) {
    loop_state *s = arg;
    CHECK(begin < end && end <= NUMBERS);
    CHECK(s->grain == 0 || end - begin <= s->grain);
    for (size_t i = begin; i < end; i++) __atomic_add_fetch(&s->times[i], 1, __ATOMIC_RELAXED);
}

static void check(coop_pool *pool, const coop_submit_options *options, size_t begin, size_t end, size_t grain) {
    loop_state s = {pool, grain, {0}};
    CHECK_OK(coop_pool_parallel_for(pool, options, begin, end, grain, piece, &s));
    for (size_t i = 0; i < NUMBERS; i++) CHECK_EQ(s.times[i], i >= begin && i < end);
}

static void inside(void *pool) {
    check(pool, NULL, 0, NUMBERS, 7);
    check(pool, NULL, 0, NUMBERS, 0);
}

int main(void) {
    coop_pool *pool = new_pool(2);
    int32_t cpu = 0;
    CHECK_OK(coop_pool_worker_cpu(pool, 0, &cpu));
    uint64_t words[16] = {0};
    words[cpu / 64] = UINT64_C(1) << (cpu % 64);
    coop_submit_options narrow = {.size = sizeof narrow, .priority = COOP_PRIORITY_LOW, .cpus = {words, 16}};
    check(pool, NULL, 0, NUMBERS, 0);
    check(pool, NULL, 3, 4, 0);
    check(pool, NULL, 10, 900, 1);
    check(pool, &narrow, 0, NUMBERS, 64);
    check(pool, NULL, 5, 5, 1);
    coop_callback task = {inside, pool, NULL};
    coop_task_id id = 0;
    CHECK_OK(coop_pool_submit_task(pool, NULL, task, &id));
    CHECK_OK(coop_task_join(pool, id, LONG_NS));
    loop_state s = {pool, 0, {0}};
    CHECK_SAYS(coop_pool_parallel_for(pool, NULL, 4, 3, 0, piece, &s), COOP_E_INVALID, "from 4 to 3");
    narrow.priority = 7;
    CHECK_SAYS(coop_pool_parallel_for(pool, &narrow, 0, 3, 0, piece, &s), COOP_E_INVALID, "priority 7");
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    CHECK_STATUS(coop_pool_parallel_for(pool, NULL, 0, 3, 0, piece, &s), COOP_E_CLOSED);
    coop_pool_free(pool);
    return 0;
}
