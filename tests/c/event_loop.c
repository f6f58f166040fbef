/* The loop: posts, timers, watches, and every argument dropped once, however its callback ends. (How the loop ends: stop_and_free.c.) */
#include "check.h"

typedef struct {
    int order[100], count;
} sequence;
static sequence seen;
static void note(void *arg) { seen.order[seen.count++] = (int)(intptr_t)arg; }

static void posts_run_in_order(void) {
    coop_event_loop *loop = new_loop();
    probe p = {0, 0};
    for (int i = 0; i < 100; i++) {
        coop_callback callback = {note, (void *)(intptr_t)i, NULL};
        CHECK_OK(coop_event_loop_post(loop, callback));
    }
    CHECK_OK(coop_event_loop_post(loop, counted(&p)));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    for (int i = 0; i < 100; i++) CHECK_EQ(seen.order[i], i);
    CHECK(runs(&p) == 1 && drops(&p) == 1);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
    coop_event_loop_free(loop);
}

static void what_is_freed_is_dropped(void) {
    coop_event_loop *loop = new_loop();
    probe post = {0, 0}, timer = {0, 0}, watch = {0, 0};
    int fds[2];
    CHECK(pipe(fds) == 0);
    CHECK_OK(coop_event_loop_post(loop, counted(&post)));
    CHECK_OK(coop_event_loop_timer(loop, NULL, counted_timer(&timer), NULL));
    CHECK_OK(coop_event_loop_watch(loop, fds[0], NULL, counted_watch(&watch), NULL));
    coop_event_loop_free(loop);
    CHECK_EQ(runs(&post) + runs(&timer) + runs(&watch), 0);
    CHECK(drops(&post) == 1 && drops(&timer) == 1 && drops(&watch) == 1);
    close(fds[0]);
    close(fds[1]);
}

typedef struct {
    coop_event_loop *loop;
    coop_timer_id id;
    int left;
    probe p;
} ticker;

static void tick(void *arg, uint64_t times) {
    ticker *t = arg;
    CHECK(times >= 1 && coop_event_loop_is_loop_thread(t->loop));
    count_run(&t->p);
    if (--t->left > 0) return;
    CHECK_OK(coop_timer_cancel(t->loop, t->id));
    CHECK_STATUS(coop_timer_cancel(t->loop, t->id), COOP_E_STALE);
    CHECK_EQ(drops(&t->p), 0); /* not while it runs */
}
static void tick_drop(void *arg) { count_drop(&((ticker *)arg)->p); }

static void timers(void) {
    ticker t = {new_loop(), 0, 3, {0, 0}};
    coop_timer_options options = {.size = sizeof options, .after_ns = 1000, .every_ns = 1000000, .on = COOP_ON_LOOP};
    coop_timer_callback repeating = {tick, &t, tick_drop};
    CHECK_OK(coop_event_loop_timer(t.loop, &options, repeating, &t.id));
    probe once = {0, 0}, never = {0, 0};
    coop_timer_id once_id = 0, never_id = 0;
    CHECK_OK(coop_event_loop_timer(t.loop, NULL, counted_timer(&once), &once_id));
    options.after_ns = LONG_NS;
    CHECK_OK(coop_event_loop_timer(t.loop, &options, counted_timer(&never), &never_id));
    CHECK(once_id != 0 && never_id != 0 && once_id != never_id);
    CHECK_OK(coop_timer_cancel(t.loop, never_id));
    CHECK(runs(&never) == 0 && drops(&never) == 1);
    CHECK_STATUS(coop_timer_cancel(t.loop, never_id), COOP_E_STALE);
    CHECK_OK(coop_event_loop_run(t.loop, COOP_RUN_UNTIL_IDLE));
    CHECK(runs(&t.p) == 3 && drops(&t.p) == 1 && runs(&once) == 1 && drops(&once) == 1);
    CHECK_SAYS(coop_timer_cancel(t.loop, once_id), COOP_E_STALE, "timer");
    CHECK_STATUS(coop_timer_cancel(t.loop, 0), COOP_E_STALE);
    CHECK_STATUS(coop_timer_cancel(t.loop, UINT64_MAX), COOP_E_STALE);
    coop_event_loop_free(t.loop);
}

typedef struct {
    coop_event_loop *loop;
    int fd;
    uint32_t ready;
    probe p;
} reader;

static void read_one(void *arg, uint32_t ready) {
    reader *r = arg;
    char byte;
    r->ready |= ready;
    count_run(&r->p);
    if (read(r->fd, &byte, 1) == 0) CHECK_OK(coop_event_loop_stop(r->loop));
}
static void reader_drop(void *arg) { count_drop(&((reader *)arg)->p); }

static void watches(void) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    reader r = {new_loop(), fds[0], 0, {0, 0}};
    coop_io_watch_callback callback = {read_one, &r, reader_drop};
    coop_io_watch_id id = 0;
    probe second = {0, 0};
    CHECK_OK(coop_event_loop_watch(r.loop, fds[0], NULL, callback, &id));
    CHECK_SAYS(coop_event_loop_watch(r.loop, fds[0], NULL, counted_watch(&second), NULL), COOP_E_EXISTS, "has a watch");
    CHECK(write(fds[1], "abc", 3) == 3);
    close(fds[1]);
    CHECK_OK(coop_event_loop_run(r.loop, COOP_RUN_DEFAULT));
    CHECK_EQ(runs(&r.p), 4); /* level-triggered: a byte each time, then the end */
    CHECK(r.ready & COOP_IO_READ && r.ready & COOP_IO_HANG_UP);
    CHECK_EQ(drops(&r.p), 1); /* a stopped loop that has finished has dropped it */
    CHECK_STATUS(coop_io_watch_cancel(r.loop, id), COOP_E_STALE);
    coop_event_loop_free(r.loop);
    CHECK_EQ(drops(&r.p), 1);
    CHECK_EQ(runs(&second) + drops(&second), 0);
    /* An unref watch keeps no loop running. */
    coop_io_watch_options unref = {.size = sizeof unref, .interest = COOP_IO_READ, .unref = 1};
    int quiet[2];
    CHECK(pipe(quiet) == 0);
    r.loop = new_loop();
    CHECK_OK(coop_event_loop_watch(r.loop, quiet[0], &unref, counted_watch(&second), NULL));
    CHECK_OK(coop_event_loop_run(r.loop, COOP_RUN_UNTIL_IDLE));
    coop_event_loop_free(r.loop);
    CHECK(runs(&second) == 0 && drops(&second) == 1);
    close(quiet[0]);
    close(quiet[1]);
    close(fds[0]);
}

static void interrupt(void *arg) { CHECK_OK(coop_event_loop_interrupt(arg)); }

static void an_interrupted_loop_runs_again(void) {
    coop_event_loop *loop = new_loop();
    probe p = {0, 0};
    coop_callback interrupting = {interrupt, loop, NULL};
    CHECK_OK(coop_event_loop_post(loop, interrupting));
    CHECK_OK(coop_event_loop_post(loop, counted(&p)));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_DEFAULT));
    CHECK_EQ(runs(&p), 0);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_ONCE));
    CHECK(runs(&p) == 1 && drops(&p) == 1);
    coop_event_loop_free(loop);
}

int main(void) {
    posts_run_in_order();
    what_is_freed_is_dropped();
    timers();
    watches();
    an_interrupted_loop_runs_again();
    return 0;
}
