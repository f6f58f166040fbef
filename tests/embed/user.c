/* A library that uses libcoop for itself, and shows nothing of it but what the test asks for. */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

#include "user.h"

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    abort();
}

static void count(void *arg) { __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST); }

/* A pool and a loop of its own, a task and a post in each round. */
int user_rounds(int rounds) {
    int done = 0, i;
    coop_pool *pool;
    coop_event_loop *loop;
    coop_callback callback = {count, NULL, NULL};
    callback.arg = &done;
    must(coop_pool_new(NULL, &pool), "new pool");
    must(coop_event_loop_new(NULL, &loop), "new loop");
    must(coop_event_loop_start(loop), "start");
    for (i = 0; i < rounds; i++) {
        must(coop_pool_submit(pool, NULL, callback), "submit");
        must(coop_event_loop_post(loop, callback), "post");
    }
    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    must(coop_event_loop_stop(loop), "stop");
    must(coop_event_loop_join(loop, COOP_FOREVER), "join");
    coop_pool_free(pool);
    coop_event_loop_free(loop);
    return done;
}

const coop_api *user_api(void) { return coop_api_get(); }

const char *user_fails(void) {
    coop_pool_shutdown(NULL, 77, 0);
    return coop_last_error();
}
