/* Found by LeakSanitizer and valgrind: tasks whose arguments nobody drops. Many, for a copy of the last ones may still be on a stack. */
#include "../c/check.h"

int main(void) {
    coop_pool *pool = new_pool(1);
    for (int i = 0; i < 100; i++) {
        coop_callback task = {count_run, NULL, NULL};
        task.arg = calloc(1, sizeof(probe));
        CHECK_OK(coop_pool_submit(pool, NULL, task));
    }
    coop_pool_free(pool);
    return 0;
}
