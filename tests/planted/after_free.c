/* Found by AddressSanitizer and valgrind: a task that runs after its argument was freed. */
#include "../c/check.h"

int main(void) {
    coop_pool *pool = new_pool(1);
    probe *p = calloc(1, sizeof *p);
    latch begin = LATCH;
    CHECK_OK(coop_pool_submit(pool, NULL, waiting(&begin)));
    coop_callback task = {count_run, p, NULL};
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    free(p);
    latch_open(&begin);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER));
    coop_pool_free(pool);
    return 0;
}
