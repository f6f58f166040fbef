/* Found by UndefinedBehaviorSanitizer: a task that counts past the end of its type. */
#include <limits.h>

#include "../c/check.h"

static void count(void *arg) { ++*(int *)arg; }

int main(void) {
    coop_pool *pool = new_pool(1);
    int number = INT_MAX;
    coop_callback task = {count, &number, NULL};
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER));
    coop_pool_free(pool);
    return 0;
}
