/* Freeing an object from inside one of its own callbacks: while another call on it is under way, on this thread or another.
 * (The ends of a loop without that: stop_and_free.c.) */
#include <sched.h>

#include "check.h"

static void free_loop(void *arg) { coop_event_loop_free(arg); }
static void free_loop_timer(void *arg, uint64_t times) {
    (void)times;
    coop_event_loop_free(arg);
}

typedef struct {
    coop_event_loop *loop;
    latch done;
} freed_loop;

static void free_and_tell(void *arg) { coop_event_loop_free(((freed_loop *)arg)->loop); }
static void tell(void *arg) { latch_open(&((freed_loop *)arg)->done); }

static void spin(void *go) {
    while (!__atomic_load_n((int *)go, __ATOMIC_ACQUIRE)) sched_yield();
}

/* On the loop's own thread, while the post that asked for it is still returning. The loop is kept awake until then, so that it need
 * not be woken by that post. */
static void while_a_post_returns(void) {
    for (int i = 0; i < 2000; i++) {
        freed_loop f = {new_loop(), LATCH};
        int go = 0;
        coop_callback busy = {spin, &go, NULL}, post = {free_and_tell, &f, tell};
        CHECK_OK(coop_event_loop_post(f.loop, busy));
        CHECK_OK(coop_event_loop_start(f.loop));
        __atomic_store_n(&go, 1, __ATOMIC_RELEASE);
        CHECK_OK(coop_event_loop_post(f.loop, post));
        latch_wait(&f.done);
    }
}

/* While start is still returning. */
static void while_a_start_returns(void) {
    for (int i = 0; i < 500; i++) {
        freed_loop f = {new_loop(), LATCH};
        coop_callback post = {free_and_tell, &f, tell};
        CHECK_OK(coop_event_loop_post(f.loop, post));
        CHECK_OK(coop_event_loop_start(f.loop));
        latch_wait(&f.done);
    }
}

typedef struct {
    coop_event_loop *loop;
    caller caller;
} joiner;

static void *joins(void *arg) {
    joiner *j = arg;
    about_to_wait(&j->caller);
    CHECK_OK(coop_event_loop_join(j->loop, COOP_FOREVER));
    return NULL;
}

/* While another thread waits for the loop's end. */
static void while_another_thread_joins(void) {
    coop_event_loop *loop = new_loop();
    joiner j = {loop, {0}};
    blocker b = BLOCKER;
    pthread_t thread;
    coop_timer_callback on_time = {free_loop_timer, loop, NULL};
    CHECK_OK(coop_event_loop_start(loop));
    CHECK_OK(coop_event_loop_post(loop, blocking(&b)));
    latch_wait(&b.begun);
    CHECK(pthread_create(&thread, NULL, joins, &j) == 0);
    CHECK_OK(coop_event_loop_timer(loop, NULL, on_time, NULL));
    await_asleep(&j.caller);
    latch_open(&b.go);
    pthread_join(thread, NULL);
}

/* A drop that frees: by the cancel that is under way. */
static void from_a_drop(void) {
    coop_event_loop *loop = new_loop();
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
    coop_timer_id id = 0;
    probe p = {0, 0};
    coop_timer_callback callback = {count_timer, loop, free_loop};
    CHECK_OK(coop_event_loop_post(loop, counted(&p)));
    CHECK_OK(coop_event_loop_timer(loop, &far, callback, &id));
    CHECK_OK(coop_timer_cancel(loop, id));
    CHECK(runs(&p) == 0 && drops(&p) == 1);
}

typedef struct {
    coop_pool *pool;
    latch done;
} freed_pool;

static void free_pool(void *arg) { coop_pool_free(((freed_pool *)arg)->pool); }
static void pool_done(void *arg) { latch_open(&((freed_pool *)arg)->done); }

static void a_pool_while_a_submit_returns(void) {
    for (int i = 0; i < 500; i++) {
        freed_pool f = {new_pool(1 + i % 3), LATCH};
        coop_callback task = {free_pool, &f, pool_done};
        CHECK_OK(coop_pool_submit(f.pool, NULL, task));
        latch_wait(&f.done);
    }
}

static void *shuts_down(void *arg) {
    CHECK_OK(coop_pool_shutdown(arg, COOP_SHUTDOWN_DRAIN, COOP_FOREVER));
    return NULL;
}

typedef struct {
    coop_pool *pool;
    latch shutting;
} shut_pool;

static void free_when_told(void *arg) {
    shut_pool *s = arg;
    latch_wait(&s->shutting);
    coop_pool_free(s->pool);
}

static void a_pool_while_another_thread_shuts_it_down(void) {
    for (int i = 0; i < 50; i++) {
        shut_pool s = {new_pool(2), LATCH};
        coop_callback task = {free_when_told, &s, NULL};
        probe behind = {0, 0};
        pthread_t thread;
        CHECK_OK(coop_pool_submit(s.pool, NULL, task));
        CHECK_OK(coop_pool_submit(s.pool, NULL, counted(&behind)));
        CHECK(pthread_create(&thread, NULL, shuts_down, s.pool) == 0);
        /* Until the other thread has closed the pool. */
        probe p = {0, 0};
        int accepted = 0;
        for (; coop_pool_submit(s.pool, NULL, counted(&p)) == COOP_OK; accepted++) sched_yield();
        latch_open(&s.shutting);
        pthread_join(thread, NULL);
        CHECK_EQ(drops(&behind), 1);
        CHECK_EQ(drops(&p), accepted);
    }
}

typedef struct {
    coop_runtime *runtime;
    latch done;
    probe post, task;
} freed_runtime;

static void free_runtime(void *arg) {
    freed_runtime *f = arg;
    coop_runtime_free(f->runtime);
}
static void free_runtime_timer(void *arg, uint64_t times) {
    (void)times;
    free_runtime(arg);
}
static void runtime_done(void *arg) { latch_open(&((freed_runtime *)arg)->done); }

static void a_runtime(int which) {
    freed_runtime f = {new_runtime(), LATCH, {0, 0}, {0, 0}};
    coop_event_loop *loop = coop_runtime_event_loop(f.runtime);
    coop_pool *pool = coop_runtime_pool(f.runtime);
    coop_callback callback = {free_runtime, &f, runtime_done};
    coop_timer_callback timer = {free_runtime_timer, &f, runtime_done};
    coop_timer_options high = {.size = sizeof high, .on = COOP_ON_POOL, .priority = COOP_PRIORITY_HIGH};
    CHECK_OK(coop_pool_submit(pool, NULL, counted(&f.task)));
    if (which != 3) CHECK_OK(coop_runtime_start(f.runtime, COOP_START_RETURN));
    if (which == 0 || which == 3) CHECK_OK(coop_event_loop_post(loop, callback));
    if (which == 1) CHECK_OK(coop_event_loop_timer(loop, &high, timer, NULL));
    if (which == 2) CHECK_OK(coop_pool_submit(pool, NULL, callback));
    if (which == 3) CHECK_OK(coop_runtime_start(f.runtime, COOP_START_WAIT));
    latch_wait(&f.done);
}

static void *stops_runtime(void *arg) {
    CHECK_OK(coop_runtime_stop(arg, COOP_FOREVER));
    return NULL;
}
static void wait_and_free_runtime(void *arg) {
    freed_runtime *f = arg;
    latch_wait(&f->done);
    coop_runtime_free(f->runtime);
}

static void a_runtime_while_another_thread_stops_it(int in_pool) {
    freed_runtime f = {new_runtime(), LATCH, {0, 0}, {0, 0}};
    coop_callback callback = {wait_and_free_runtime, &f, NULL};
    pthread_t thread;
    CHECK_OK(coop_runtime_start(f.runtime, COOP_START_RETURN));
    if (in_pool) CHECK_OK(coop_pool_submit(coop_runtime_pool(f.runtime), NULL, callback));
    if (!in_pool) CHECK_OK(coop_event_loop_post(coop_runtime_event_loop(f.runtime), callback));
    CHECK(pthread_create(&thread, NULL, stops_runtime, f.runtime) == 0);
    /* Until the other thread has closed the loop. */
    int accepted = 0;
    for (; coop_event_loop_post(coop_runtime_event_loop(f.runtime), counted(&f.post)) == COOP_OK; accepted++) sched_yield();
    latch_open(&f.done);
    pthread_join(thread, NULL);
    CHECK_EQ(drops(&f.post), accepted);
}

int main(void) {
    while_a_post_returns();
    while_a_start_returns();
    while_another_thread_joins();
    from_a_drop();
    a_pool_while_a_submit_returns();
    a_pool_while_another_thread_shuts_it_down();
    for (int i = 0; i < 20; i++)
        for (int which = 0; which < 4; which++) a_runtime(which);
    for (int i = 0; i < 20; i++) a_runtime_while_another_thread_stops_it(i % 2);
    return 0;
}
