/* What a loop says of itself: statistics, and hooks for what takes too long; local timers, and what a run until idle waits for. */
#include "check.h"

#include <time.h>

enum { SLOW_NS = 20000000 };

typedef struct {
    coop_event_loop *loop;
    int told, dropped;
    int32_t what;
    int64_t took_ns;
} heard;

static void sleep_ns(int64_t ns) {
    struct timespec left = {ns / 1000000000, ns % 1000000000};
    while (nanosleep(&left, &left) != 0) {}
}

static void slow(void *arg, int32_t what, int64_t took_ns) {
    heard *h = arg;
    CHECK(coop_event_loop_is_loop_thread(h->loop));
    h->told++;
    h->what = what;
    h->took_ns = took_ns;
}
static void late(void *arg, int64_t lag_ns) { slow(arg, -1, lag_ns); }
static void dropped(void *arg) { ((heard *)arg)->dropped++; }

static void block_a_while(void *arg) {
    (void)arg;
    sleep_ns(SLOW_NS);
}
static void block_a_second(void *arg) {
    (void)arg;
    sleep_ns(1000000000);
}

static void statistics(void) {
    coop_event_loop *loop = new_loop();
    static probe posted, timed;
    coop_event_loop_statistics stats = {.size = sizeof stats};
    CHECK_OK(coop_event_loop_stats(loop, &stats));
    CHECK(stats.iterations == 0 && stats.posts == 0 && stats.longest_callback_ns == 0);
    coop_callback blocks = {block_a_while, NULL, NULL};
    CHECK_OK(coop_event_loop_post(loop, blocks));
    CHECK_OK(coop_event_loop_post(loop, counted(&posted)));
    CHECK_OK(coop_event_loop_timer(loop, NULL, counted_timer(&timed), NULL));
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS, .unref = 1};
    coop_timer_id id = 0;
    CHECK_OK(coop_event_loop_timer(loop, &far, counted_timer(&timed), &id));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_OK(coop_event_loop_stats(loop, &stats));
    CHECK(stats.posts == 2 && stats.timers_fired == 1 && stats.timers == 1 && stats.watches == 0 && stats.events == 0);
    CHECK(stats.iterations > 0 && stats.at_hand_ns == 0);
    CHECK(stats.longest_callback_ns >= SLOW_NS && stats.longest_lag_ns >= SLOW_NS);
    stats.size = 8;
    CHECK_SAYS(coop_event_loop_stats(loop, &stats), COOP_E_INVALID, "sizeof(coop_event_loop_statistics)");
    coop_event_loop_free(loop);
}

static void hooks(void) {
    coop_event_loop *loop = new_loop();
    heard h = {loop, 0, 0, 0, 0}, lag = {loop, 0, 0, 0, 0};
    coop_slow_callback hook = {slow, &h, dropped};
    CHECK_SAYS(coop_event_loop_set_slow_hook(loop, 0, hook), COOP_E_INVALID, "threshold_ns is 0");
    CHECK_SAYS(coop_event_loop_set_slow_hook(loop, COOP_NONE, hook), COOP_E_INVALID, "threshold_ns is -1");
    CHECK(h.dropped == 0);
    CHECK_OK(coop_event_loop_set_slow_hook(loop, 1000000000, hook));
    coop_lag_callback waits = {late, &lag, dropped};
    CHECK_SAYS(coop_event_loop_set_lag_hook(loop, -5, waits), COOP_E_INVALID, "threshold_ns is -5");
    CHECK_OK(coop_event_loop_set_lag_hook(loop, 1000000000, waits));

    /* One that blocks a second is reported once, and so is what waited behind it. */
    static probe behind;
    coop_callback second = {block_a_second, NULL, NULL};
    CHECK_OK(coop_event_loop_post(loop, second));
    CHECK_OK(coop_event_loop_post(loop, counted(&behind)));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK(h.told == 1 && h.what == COOP_CALLBACK_POST && h.took_ns >= 1000000000);
    CHECK(lag.told == 1 && lag.took_ns >= 1000000000);

    coop_slow_callback none = {NULL, NULL, NULL};
    CHECK_OK(coop_event_loop_set_slow_hook(loop, COOP_NONE, none));
    CHECK(h.dropped == 1);
    CHECK_OK(coop_event_loop_post(loop, second));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK(h.told == 1 && lag.dropped == 0);
    coop_event_loop_free(loop);
    CHECK(lag.dropped == 1);
}

static int logged;
static void count_log(void *arg, int32_t level, const char *text) {
    (void)arg;
    if (level == COOP_LOG_WARN && strstr(text, "held up event loop")) __atomic_add_fetch(&logged, 1, __ATOMIC_SEQ_CST);
}

static void a_threshold_alone_logs(void) {
    coop_event_loop *loop = new_loop();
    coop_log_callback log = {count_log, NULL, NULL}, no_log = {NULL, NULL, NULL};
    coop_slow_callback none = {NULL, NULL, NULL};
    CHECK_OK(coop_set_log(COOP_LOG_WARN, log));
    CHECK_OK(coop_event_loop_set_slow_hook(loop, SLOW_NS, none));
    coop_callback blocks = {block_a_while, NULL, NULL};
    CHECK_OK(coop_event_loop_post(loop, blocks));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK(logged == 1);
    CHECK_OK(coop_set_log(COOP_LOG_OFF, no_log));
    coop_event_loop_free(loop);
}

typedef struct {
    coop_event_loop *loop;
    probe fires, cancelled, refused;
} locals;

static void use_local_timers(void *arg) {
    locals *l = arg;
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS}, pool = {.size = sizeof pool, .on = COOP_ON_POOL};
    coop_timer_id id = 0;
    CHECK_OK(coop_event_loop_timer_local(l->loop, NULL, counted_timer(&l->fires), NULL));
    CHECK_OK(coop_event_loop_timer_local(l->loop, &far, counted_timer(&l->cancelled), &id));
    CHECK_OK(coop_timer_unref(l->loop, id));
    CHECK_OK(coop_timer_ref(l->loop, id));
    CHECK_OK(coop_timer_cancel_local(l->loop, id));
    CHECK(drops(&l->cancelled) == 1);
    CHECK_STATUS(coop_timer_cancel_local(l->loop, id), COOP_E_STALE);
    CHECK_STATUS(coop_timer_cancel(l->loop, id), COOP_E_STALE);
    CHECK_STATUS(coop_timer_ref(l->loop, id), COOP_E_STALE);
    CHECK_SAYS(coop_event_loop_timer_local(l->loop, &pool, counted_timer(&l->refused), NULL), COOP_E_INVALID, "pool");
}

static void local_timers(void) {
    static locals l;
    l.loop = new_loop();
    CHECK_SAYS(coop_event_loop_timer_local(l.loop, NULL, counted_timer(&l.refused), NULL), COOP_E_INVALID, "callbacks on its thread");
    CHECK_STATUS(coop_timer_cancel_local(l.loop, 7), COOP_E_INVALID);
    coop_callback use = {use_local_timers, &l, NULL};
    CHECK_OK(coop_event_loop_post(l.loop, use));
    CHECK_OK(coop_event_loop_run(l.loop, COOP_RUN_UNTIL_IDLE));
    CHECK(runs(&l.fires) == 1 && drops(&l.fires) == 1 && drops(&l.refused) == 0 && runs(&l.cancelled) == 0);
    coop_event_loop_free(l.loop);
}

static void references(void) {
    coop_event_loop *loop = new_loop();
    static probe never;
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
    coop_timer_id timer = 0;
    coop_io_watch_id watch = 0;
    int fds[2];
    CHECK(pipe(fds) == 0);
    CHECK_OK(coop_event_loop_timer(loop, &far, counted_timer(&never), &timer));
    CHECK_OK(coop_event_loop_watch(loop, fds[0], NULL, counted_watch(&never), &watch));
    CHECK_OK(coop_timer_unref(loop, timer));
    CHECK_OK(coop_io_watch_unref(loop, watch));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_OK(coop_io_watch_ref(loop, watch));
    CHECK_OK(coop_io_watch_cancel(loop, watch));
    CHECK_STATUS(coop_io_watch_ref(loop, watch), COOP_E_STALE);
    CHECK_STATUS(coop_io_watch_unref(loop, watch), COOP_E_STALE);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    coop_event_loop_free(loop);
    CHECK(runs(&never) == 0 && drops(&never) == 2);
    close(fds[0]);
    close(fds[1]);
}

int main(void) {
    statistics();
    hooks();
    a_threshold_alone_logs();
    local_timers();
    references();
    return 0;
}
