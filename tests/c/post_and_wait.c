/* Posts that are waited for: the callback has run and its argument was dropped, or neither and it is still the caller's. */
#include "check.h"

static void it_has_run_and_was_dropped(void) {
    coop_event_loop *loop = new_loop();
    probe p = {0, 0};
    CHECK_OK(coop_event_loop_start(loop));
    for (int i = 1; i <= 1000; i++) {
        CHECK_OK(coop_event_loop_post_and_wait(loop, counted(&p), COOP_FOREVER));
        CHECK(p.runs == i && p.drops == i); /* plainly: what it did is seen by who waited */
    }
    CHECK_OK(coop_event_loop_stop(loop));
    CHECK_SAYS(coop_event_loop_post_and_wait(loop, counted(&p), COOP_FOREVER), COOP_E_CLOSED, "event loop is closed");
    CHECK(runs(&p) == 1000 && drops(&p) == 1000);
    coop_event_loop_free(loop);
}

static void waits_for_its_own_loop(void *arg) {
    probe p = {0, 0};
    CHECK_STATUS(coop_event_loop_post_and_wait(arg, counted(&p), COOP_FOREVER), COOP_E_WOULD_DEADLOCK);
    CHECK_EQ(runs(&p) + drops(&p), 0);
}

static void from_a_callback_it_is_refused(void) {
    coop_event_loop *loop = new_loop();
    coop_callback callback = {waits_for_its_own_loop, loop, NULL};
    CHECK_OK(coop_event_loop_start(loop));
    CHECK_OK(coop_event_loop_post_and_wait(loop, callback, COOP_FOREVER));
    coop_event_loop_free(loop);
}

static void at_the_deadline_what_has_not_begun_is_cancelled(void) {
    coop_event_loop *loop = new_loop();
    probe p = {0, 0}, bad = {0, 0};
    CHECK_SAYS(coop_event_loop_post_and_wait(loop, counted(&p), 1000000), COOP_E_TIMEOUT, "has not come to the post");
    CHECK_STATUS(coop_event_loop_post_and_wait(loop, counted(&p), 0), COOP_E_TIMEOUT);
    CHECK_STATUS(coop_event_loop_post_and_wait(loop, counted(&bad), -2), COOP_E_INVALID);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_EQ(runs(&p) + drops(&p) + runs(&bad) + drops(&bad), 0);
    coop_event_loop_free(loop);
    CHECK_EQ(runs(&p) + drops(&p), 0);
}

typedef struct {
    int64_t timeout;
    probe p;
} slow;

static void longer_than_the_deadline(void *arg) {
    slow *s = arg;
    struct timespec pause = {s->timeout / 1000000000, s->timeout % 1000000000 + 1000000};
    CHECK(nanosleep(&pause, NULL) == 0);
    count_run(&s->p);
}
static void slow_drop(void *arg) { count_drop(&((slow *)arg)->p); }

static void what_has_begun_at_the_deadline_is_waited_for(void) {
    coop_event_loop *loop = new_loop();
    coop_status status = COOP_E_TIMEOUT;
    slow s = {10000000, {0, 0}};
    CHECK_OK(coop_event_loop_start(loop));
    /* On a busy machine it may not begin in time: then with a longer one. */
    for (; status == COOP_E_TIMEOUT && s.timeout < LONG_NS; s.timeout *= 2) {
        coop_callback callback = {longer_than_the_deadline, &s, slow_drop};
        status = coop_event_loop_post_and_wait(loop, callback, s.timeout);
    }
    CHECK_EQ(status, COOP_OK);
    CHECK(runs(&s.p) == 1 && drops(&s.p) == 1);
    coop_event_loop_free(loop);
}

typedef struct {
    coop_event_loop *loop;
    probe p;
} waiter;

static void *waits(void *arg) {
    waiter *w = arg;
    CHECK_STATUS(coop_event_loop_post_and_wait(w->loop, counted(&w->p), COOP_FOREVER), COOP_E_CLOSED);
    return NULL;
}

static void a_loop_that_is_freed_lets_go_of_those_who_wait(void) {
    waiter w = {new_loop(), {0, 0}};
    pthread_t thread;
    int64_t sleeps = -1;
    CHECK(pthread_create(&thread, NULL, waits, &w) == 0);
    /* Until the post is queued. */
    while (sleeps != 0) CHECK_OK(coop_event_loop_backend_timeout(w.loop, &sleeps));
    coop_event_loop_free(w.loop);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_EQ(runs(&w.p) + drops(&w.p), 0);
}

int main(void) {
    it_has_run_and_was_dropped();
    from_a_callback_it_is_refused();
    at_the_deadline_what_has_not_begun_is_cancelled();
    what_has_begun_at_the_deadline_is_waited_for();
    a_loop_that_is_freed_lets_go_of_those_who_wait();
    return 0;
}
