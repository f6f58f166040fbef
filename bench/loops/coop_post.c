/* The same work through the C ABI. The loop runs in a thread of ours, as libuv's does. */
#include <coop.h>
#include <pthread.h>

#include "side.h"

typedef struct {
    coop_event_loop *loop;
    pthread_t thread;
    void (*started)(void);
} coop_side;

static void *run(void *arg) {
    coop_side *self = arg;
    self->started();
    must(coop_event_loop_run(self->loop, COOP_RUN_DEFAULT) == COOP_OK, "coop_event_loop_run");
    return NULL;
}

static void *start(void (*started)(void)) {
    coop_side *self = calloc(1, sizeof *self);
    must(self != NULL, "calloc");
    self->started = started;
    must(coop_event_loop_new(NULL, &self->loop) == COOP_OK, "coop_event_loop_new");
    must(pthread_create(&self->thread, NULL, run, self) == 0, "pthread_create");
    return self;
}

static void post(void *loop, void (*fn)(void *arg), void *arg) {
    coop_callback callback = {fn, arg, NULL};
    must(coop_event_loop_post(((coop_side *)loop)->loop, callback) == COOP_OK, "coop_event_loop_post");
}

static void finish(void *loop) {
    coop_side *self = loop;
    must(coop_event_loop_stop(self->loop) == COOP_OK, "coop_event_loop_stop");
    pthread_join(self->thread, NULL);
    coop_event_loop_free(self->loop);
    free(self);
}

const side bench_post_coop = {start, post, finish};
