/* Found by ThreadSanitizer: two tasks that nothing orders write to one place. That the library tells of its hand-offs hides no such thing. */
#include "../c/check.h"

static int place;
static latch both = LATCH;
static int began;

static void write_it(void *arg) {
    (void)arg;
    /* Relaxed: both run at the same time, and still nothing orders them. */
    if (__atomic_add_fetch(&began, 1, __ATOMIC_RELAXED) == 2) latch_open(&both);
    while (__atomic_load_n(&began, __ATOMIC_RELAXED) < 2) {
    }
    place++;
}

int main(void) {
    coop_pool *pool = new_pool(2);
    coop_callback task = {write_it, NULL, NULL};
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    latch_wait(&both);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER));
    coop_pool_free(pool);
    return place == 2 ? 0 : 3;
}
