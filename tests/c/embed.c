/* A loop inside a foreign one: what makes its descriptor readable, what the timeout tells, and how it ends. */
#include "check.h"
#include <errno.h>
#include <poll.h>

enum { POSTERS = 3, POSTS = 300 };

static int readable(coop_event_loop *loop, int timeout_ms) {
    struct pollfd fd = {-1, POLLIN, 0};
    int ready;
    CHECK_OK(coop_event_loop_backend_fd(loop, &fd.fd));
    while ((ready = poll(&fd, 1, timeout_ms)) < 0) CHECK(errno == EINTR);
    return ready;
}

/* Sleeps as a foreign loop does, and runs this one. */
static void drive(coop_event_loop *loop) {
    int64_t timeout_ns = 77;
    CHECK_OK(coop_event_loop_backend_timeout(loop, &timeout_ns));
    CHECK(timeout_ns >= COOP_FOREVER);
    if (timeout_ns == COOP_FOREVER) {
        if (!readable(loop, (int)(LONG_NS / 1000000))) FAIL("nobody woke the foreign loop");
    } else {
        readable(loop, (int)((timeout_ns + 999999) / 1000000));
    }
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
}

static void quiet(coop_event_loop *loop) {
    int64_t timeout_ns = 77;
    CHECK(!readable(loop, 0));
    CHECK_OK(coop_event_loop_backend_timeout(loop, &timeout_ns));
    CHECK_EQ(timeout_ns, COOP_FOREVER);
}

static void *post_and_wait(void *arg) {
    int i;
    for (i = 0; i < POSTS; i++) {
        latch done = LATCH;
        CHECK_OK(coop_event_loop_post(arg, opening(&done)));
        latch_wait(&done);
    }
    return NULL;
}

static void *stop(void *arg) {
    CHECK_OK(coop_event_loop_stop(arg));
    return NULL;
}

/* Each post is waited for before the next one is made: one that is slept over is the end of the test. */
static void posts_of_other_threads(void) {
    coop_event_loop *loop = new_loop();
    pthread_t posters[POSTERS], stopper;
    probe p = {0, 0};
    int64_t timeout_ns;
    int i, running = 1;

    quiet(loop);
    for (i = 0; i < POSTERS; i++) CHECK(pthread_create(&posters[i], NULL, post_and_wait, loop) == 0);
    for (i = 0; i < POSTERS; i++)
        while (pthread_tryjoin_np(posters[i], NULL) != 0) {
            /* Something to wake up for when the last poster has ended. */
            coop_timer_options soon = {.size = sizeof soon, .after_ns = 10000000};
            coop_timer_id timer;
            CHECK_OK(coop_event_loop_timer(loop, &soon, counted_timer(&p), &timer));
            drive(loop);
        }
    CHECK(pthread_create(&stopper, NULL, stop, loop) == 0);
    while (running) {
        coop_status status = coop_event_loop_backend_timeout(loop, &timeout_ns);
        if (status == COOP_E_CLOSED) break;
        CHECK_OK(status);
        CHECK(timeout_ns != COOP_FOREVER || readable(loop, (int)(LONG_NS / 1000000)));
        running = coop_event_loop_run(loop, COOP_RUN_NOWAIT) == COOP_OK;
    }
    pthread_join(stopper, NULL);
    CHECK_STATUS(coop_event_loop_backend_timeout(loop, &timeout_ns), COOP_E_CLOSED);
    coop_event_loop_free(loop);
    CHECK_EQ(drops(&p) > 0, 1);
}

static void timers(void) {
    coop_event_loop *loop = new_loop();
    coop_timer_options late = {.size = sizeof late, .after_ns = LONG_NS}, soon = {.size = sizeof soon, .after_ns = 2000000};
    coop_timer_id first, second;
    probe p = {0, 0};
    int64_t before = -1, after = -1, timeout_ns = 77;

    quiet(loop);
    CHECK_OK(coop_event_loop_now(loop, &before));
    CHECK_OK(coop_event_loop_timer(loop, &soon, counted_timer(&p), &first));
    CHECK(readable(loop, (int)(LONG_NS / 1000000))); /* earlier than what was answered: for ever */
    while (runs(&p) == 0) drive(loop);
    CHECK_OK(coop_event_loop_now(loop, &after));
    CHECK(before >= 0 && after - before >= 2000000);
    CHECK_OK(coop_event_loop_timer(loop, &late, counted_timer(&p), &second));
    CHECK_OK(coop_event_loop_backend_timeout(loop, &timeout_ns));
    CHECK(timeout_ns >= 0 && timeout_ns <= LONG_NS + 1000000);
    CHECK_OK(coop_timer_cancel(loop, second));
    coop_event_loop_free(loop);
    CHECK_EQ(drops(&p), 2);
}

int main(void) {
    coop_event_loop *loop = new_loop();
    CHECK_SAYS(coop_event_loop_backend_fd(loop, NULL), COOP_E_NULL, "out must not be NULL");
    CHECK_STATUS(coop_event_loop_backend_timeout(loop, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_now(loop, NULL), COOP_E_NULL);
    coop_event_loop_free(loop);
    posts_of_other_threads();
    timers();
    return 0;
}
