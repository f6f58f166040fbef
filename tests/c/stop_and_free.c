/* Stop and free of a loop, from wherever a program may do it: what was accepted runs or is dropped, each once, and all else is
 * refused. The loop that is ended has a post, a timer and a watch, whose drops are counted. (With other calls under way:
 * free_inside.c. In a forked child: fork.c. With coroutines that wait: tests/cpp/coop_lifetime.cpp.) */
#include "check.h"

typedef enum { STOP, FREE } end;

typedef struct {
    coop_event_loop *loop;
    end how;
    probe post, timer, watch, inside;
    int quiet[2];
    latch ended;
} ending;

static ending *filled(end how) {
    ending *e = calloc(1, sizeof *e);
    const latch closed = LATCH;
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
    CHECK(e != NULL && pipe(e->quiet) == 0);
    e->loop = new_loop();
    e->how = how;
    e->ended = closed;
    CHECK_OK(coop_event_loop_timer(e->loop, &far, counted_timer(&e->timer), NULL));
    CHECK_OK(coop_event_loop_watch(e->loop, e->quiet[0], NULL, counted_watch(&e->watch), NULL));
    return e;
}

static void refused(coop_event_loop *loop) {
    probe p = {0, 0};
    CHECK_SAYS(coop_event_loop_post(loop, counted(&p)), COOP_E_CLOSED, "event loop is closed");
    CHECK_STATUS(coop_event_loop_timer(loop, NULL, counted_timer(&p), NULL), COOP_E_CLOSED);
    CHECK_STATUS(coop_event_loop_watch(loop, 0, NULL, counted_watch(&p), NULL), COOP_E_CLOSED);
    if (!coop_event_loop_is_loop_thread(loop))
        CHECK_STATUS(coop_event_loop_post_and_wait(loop, counted(&p), COOP_FOREVER), COOP_E_CLOSED);
    CHECK_EQ(runs(&p) + drops(&p), 0);
}

static void end_it(ending *e) {
    if (e->how == FREE) {
        coop_event_loop_free(e->loop);
        return;
    }
    CHECK_OK(coop_event_loop_stop(e->loop));
    CHECK_OK(coop_event_loop_stop(e->loop));
    refused(e->loop);
}

/* Once the end was asked for: waits for it, and looks whether all was dropped. posts: how many ran of those that were accepted. */
static void finish(ending *e, int posts, int accepted) {
    if (e->how == STOP) {
        CHECK_OK(coop_event_loop_join(e->loop, LONG_NS));
        CHECK_STATUS(coop_event_loop_run(e->loop, COOP_RUN_DEFAULT), COOP_E_CLOSED);
        CHECK_STATUS(coop_event_loop_start(e->loop), COOP_E_CLOSED);
        CHECK_OK(coop_event_loop_stop(e->loop));
        coop_event_loop_free(e->loop);
    }
    CHECK_EQ(runs(&e->post), posts);
    CHECK_EQ(drops(&e->post), accepted);
    CHECK(runs(&e->timer) == 0 && drops(&e->timer) == 1);
    CHECK(runs(&e->watch) == 0 && drops(&e->watch) == 1);
    close(e->quiet[0]);
    close(e->quiet[1]);
    free(e);
}

static void *ends(void *arg) {
    end_it(arg);
    return NULL;
}

static void from_another_thread(end how) {
    ending *e = filled(how);
    pthread_t thread;
    CHECK_OK(coop_event_loop_start(e->loop));
    CHECK_OK(coop_event_loop_post_and_wait(e->loop, counted(&e->post), COOP_FOREVER));
    CHECK(pthread_create(&thread, NULL, ends, e) == 0 && pthread_join(thread, NULL) == 0);
    finish(e, 1, 1);
}

/* A free is once; stops may be many, before it. */
static void from_many_threads_twice(end how) {
    ending *e = filled(STOP);
    pthread_t threads[8];
    CHECK_OK(coop_event_loop_start(e->loop));
    CHECK_OK(coop_event_loop_post(e->loop, counted(&e->post)));
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, ends, e) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    if (how == FREE) {
        /* Without a join: what was accepted before the stop ran, or is dropped now. */
        coop_event_loop_free(e->loop);
        e->how = FREE;
        coop_event_loop_free(NULL);
        finish(e, runs(&e->post), 1);
    } else {
        finish(e, 1, 1);
    }
}

static void before_the_start(end how) {
    ending *e = filled(how);
    CHECK_OK(coop_event_loop_post(e->loop, counted(&e->post)));
    end_it(e);
    if (how == STOP) CHECK_OK(coop_event_loop_start(e->loop)); /* what was accepted runs */
    finish(e, how == STOP, 1);
}

static void before_a_run_that_never_comes(void) {
    ending *e = filled(STOP);
    CHECK_OK(coop_event_loop_post(e->loop, counted(&e->post)));
    end_it(e);
    CHECK_EQ(drops(&e->post) + drops(&e->timer) + drops(&e->watch), 0);
    coop_event_loop_free(e->loop);
    e->how = FREE;
    finish(e, 0, 1);
}

static void *starts(void *arg) {
    ending *e = arg;
    coop_status status = coop_event_loop_start(e->loop);
    CHECK(status == COOP_OK || status == COOP_E_CLOSED);
    return NULL;
}

static void end_and_tell(void *arg) {
    ending *e = arg;
    end_it(e);
    latch_open(&e->ended);
}

/* A free of another thread waits for a start that is under way to return; a callback's need not. */
static void during_the_start(end how) {
    for (int i = 0; i < 200; i++) {
        ending *e = filled(how);
        coop_callback frees = {end_and_tell, e, NULL};
        pthread_t thread;
        if (how == FREE) CHECK_OK(coop_event_loop_post(e->loop, frees));
        CHECK_OK(coop_event_loop_post(e->loop, counted(&e->post)));
        CHECK(pthread_create(&thread, NULL, starts, e) == 0);
        if (how == STOP) end_it(e);
        CHECK(pthread_join(thread, NULL) == 0);
        if (how == FREE) latch_wait(&e->ended);
        if (how == FREE)
            while (drops(&e->post) + drops(&e->timer) + drops(&e->watch) < 3) usleep(10);
        /* The stop may have come first, and a start after it still runs what was accepted. */
        finish(e, how == STOP, 1);
    }
}

static void inside(ending *e) {
    CHECK(coop_event_loop_is_loop_thread(e->loop));
    count_run(&e->inside);
    if (e->how == STOP) {
        CHECK_STATUS(coop_event_loop_join(e->loop, COOP_FOREVER), COOP_E_WOULD_DEADLOCK);
        CHECK_STATUS(coop_event_loop_run(e->loop, COOP_RUN_NOWAIT), COOP_E_WOULD_DEADLOCK);
    }
    end_it(e);
    CHECK_EQ(drops(&e->inside), 0); /* not while it runs */
}
static void inside_post(void *arg) { inside(arg); }
static void inside_timer(void *arg, uint64_t times) {
    (void)times;
    inside(arg);
}
static void inside_watch(void *arg, uint32_t ready) {
    (void)ready;
    inside(arg);
}
static void inside_dropped(void *arg) { count_drop(&((ending *)arg)->inside); }

typedef enum { POST, TIMER, REPEATING, WATCH, ASYNC, EVENT, PLACES } place;

/* From inside a callback of each kind, in the caller's run or on the loop's own thread. */
static void from_inside(end how, place from, int own_thread) {
    ending *e = filled(how);
    coop_callback post = {inside_post, e, inside_dropped};
    coop_timer_callback timer = {inside_timer, e, inside_dropped};
    coop_io_watch_callback watch = {inside_watch, e, inside_dropped};
    coop_async_callback woken = {inside_post, e, inside_dropped};
    coop_event_callback signalled = {inside_post, e, inside_dropped};
    coop_timer_options soon = {.size = sizeof soon, .every_ns = from == REPEATING ? 1000 : 0};
    coop_async *async = NULL;
    coop_event *event = NULL;
    int fds[2];
    CHECK(pipe(fds) == 0 && write(fds[1], "x", 1) == 1);
    if (from == POST) CHECK_OK(coop_event_loop_post(e->loop, post));
    if (from == TIMER || from == REPEATING) CHECK_OK(coop_event_loop_timer(e->loop, &soon, timer, NULL));
    if (from == WATCH) CHECK_OK(coop_event_loop_watch(e->loop, fds[0], NULL, watch, NULL));
    if (from == ASYNC) {
        CHECK_OK(coop_async_new(e->loop, NULL, woken, &async));
        CHECK_OK(coop_async_send(async));
    }
    if (from == EVENT) {
        CHECK_OK(coop_event_new(NULL, &event));
        CHECK_OK(coop_event_watch(event, e->loop, NULL, signalled, NULL));
        CHECK_OK(coop_event_signal(event));
    }
    /* Behind a post; before or behind the others, which may come in the turn after it: then it runs. */
    if (from == POST) CHECK_OK(coop_event_loop_post(e->loop, counted(&e->post)));
    if (own_thread) CHECK_OK(coop_event_loop_start(e->loop));
    else CHECK_OK(coop_event_loop_run(e->loop, COOP_RUN_DEFAULT));
    while (drops(&e->inside) + drops(&e->timer) + drops(&e->watch) + drops(&e->post) < 3 + (from == POST)) usleep(10);
    CHECK(runs(&e->inside) == 1 && drops(&e->inside) == 1);
    finish(e, from == POST && how == STOP, from == POST);
    coop_async_free(async);
    coop_event_free(event);
    close(fds[0]);
    close(fds[1]);
}

static void from_a_callback(end how) {
    for (int from = POST; from < PLACES; from++)
        for (int own_thread = 0; own_thread < 2; own_thread++) from_inside(how, (place)from, own_thread);
}

static void from_the_pool(end how) {
    coop_pool *pool = new_pool(2);
    ending *e = filled(how);
    coop_callback task = {end_and_tell, e, NULL};
    CHECK_OK(coop_event_loop_start(e->loop));
    CHECK_OK(coop_event_loop_post_and_wait(e->loop, counted(&e->post), COOP_FOREVER));
    CHECK_OK(coop_pool_submit(pool, NULL, task));
    latch_wait(&e->ended);
    finish(e, 1, 1);
    coop_pool_free(pool);
}

static void posts_and_ends(void *arg) {
    ending *e = arg;
    CHECK_OK(coop_event_loop_post(e->loop, counted(&e->post)));
    end_it(e);
}

static void from_a_posted_callback_that_posts_again(end how) {
    ending *e = filled(how);
    coop_callback callback = {posts_and_ends, e, NULL};
    CHECK_OK(coop_event_loop_post(e->loop, callback));
    CHECK_OK(coop_event_loop_run(e->loop, COOP_RUN_DEFAULT));
    finish(e, how == STOP, 1);
}

static void *posts_until_refused(void *arg) {
    ending *e = arg;
    intptr_t accepted = 0;
    while (coop_event_loop_post(e->loop, counted(&e->post)) == COOP_OK) accepted++;
    return (void *)accepted;
}

/* Stopped while eight threads post; freed when they have returned. */
static void while_others_post(void) {
    ending *e = filled(STOP);
    pthread_t threads[8];
    int accepted = 0;
    CHECK_OK(coop_event_loop_start(e->loop));
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, posts_until_refused, e) == 0);
    while (runs(&e->post) < 10000) usleep(10);
    end_it(e);
    for (int i = 0; i < 8; i++) {
        void *answer;
        CHECK(pthread_join(threads[i], &answer) == 0);
        accepted += (int)(intptr_t)answer;
    }
    finish(e, accepted, accepted);
}

int main(void) {
    for (int how = STOP; how <= FREE; how++) {
        from_another_thread((end)how);
        from_many_threads_twice((end)how);
        before_the_start((end)how);
        during_the_start((end)how);
        from_a_callback((end)how);
        from_the_pool((end)how);
        from_a_posted_callback_that_posts_again((end)how);
    }
    before_a_run_that_never_comes();
    while_others_post();
    return 0;
}
