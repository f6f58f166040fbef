/* A program with libcoop.a inside, which loads a library that uses libcoop.so: each goes on with its own copy. */
#include "users.h"

int main(int argc, char **argv) {
    user shared;
    coop_pool *pool = new_pool(2);
    coop_event_loop *loop = new_loop();
    probe p = {0, 0};
    CHECK_EQ(argc, 2);
    shared = load_user(argv[1]);
    CHECK(shared.api() != coop_api_get());
    CHECK(strcmp(file_of(shared.api()), file_of(coop_api_get())) != 0);
    CHECK_OK(coop_pool_submit(pool, NULL, counted(&p)));
    CHECK_OK(coop_event_loop_post(loop, counted(&p)));
    run_users(&shared, 1);
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
    CHECK_EQ(runs(&p), 2);
    coop_pool_free(pool);
    coop_event_loop_free(loop);
    CHECK_EQ(drops(&p), 2);

    /* What is called through a table is that copy's. */
    CHECK_OK(shared.api()->event_loop_new(NULL, &loop));
    CHECK_OK(shared.api()->event_loop_post(loop, counted(&p)));
    shared.api()->event_loop_free(loop);
    CHECK_EQ(drops(&p), 3);
    return 0;
}
