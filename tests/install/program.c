/* A C program outside the tree, built as its CMakeLists.txt or a pkg-config command line says. */
#include <coop.h>
#include <stdio.h>

static void count(void *arg) { ++*(int *)arg; }

int main(void) {
    int ran = 0;
    coop_pool *pool;
    coop_callback task = {count, &ran, NULL};
    if (COOP_CHECK_VERSION() || coop_pool_new(NULL, &pool) || coop_pool_submit(pool, NULL, task) ||
        coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER)) {
        fprintf(stderr, "%s\n", coop_last_error());
        return 1;
    }
    coop_pool_free(pool);
    printf("C: %d task, coop %s\n", ran, coop_version());
    return ran != 1;
}
