/* In an atexit handler, with objects that are still there and threads that still run, every call is answered as ever: objects may be
 * used, freed and made. The handlers run in two processes: at the return from main, and at exit() in another thread. */
#include <sys/wait.h>

#include "check.h"

static coop_pool *pool;
static coop_event_loop *loop;
static coop_runtime *runtime;
static probe queued, task;

static void at_exit(void) {
    latch ran = LATCH, posted = LATCH;
    CHECK_STATUS(coop_pool_join(NULL, 0), COOP_E_NULL);
    CHECK(strstr(coop_last_error(), "pool") != NULL);
    CHECK_OK(coop_pool_submit(pool, NULL, opening(&ran)));
    latch_wait(&ran);
    CHECK_OK(coop_event_loop_post(loop, opening(&posted)));
    latch_wait(&posted);
    coop_event_loop_free(loop);
    CHECK_EQ(drops(&queued), 1);
    coop_pool_free(pool);
    coop_runtime_free(runtime);

    pool = new_pool(1);
    CHECK_OK(coop_pool_submit(pool, NULL, counted(&task)));
    CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
    coop_pool_free(pool);
    CHECK(runs(&task) == 1 && drops(&task) == 1);
    /* The last word of this process: a check that failed has said another one. */
    _exit(42);
}

static void *exits(void *arg) {
    (void)arg;
    exit(0);
}

static void in_a_process(int in_another_thread) {
    pid_t child = fork();
    int status = 0;
    CHECK(child >= 0);
    if (child == 0) {
        coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
        pthread_t thread;
        pool = new_pool(2);
        loop = new_loop();
        runtime = new_runtime();
        CHECK_OK(coop_event_loop_timer(loop, &far, counted_timer(&queued), NULL));
        CHECK_OK(coop_event_loop_start(loop));
        CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
        CHECK(atexit(at_exit) == 0);
        if (in_another_thread && pthread_create(&thread, NULL, exits, NULL) == 0) pthread_join(thread, NULL);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 42);
}

int main(void) {
    in_a_process(0);
    in_a_process(1);
    return 0;
}
