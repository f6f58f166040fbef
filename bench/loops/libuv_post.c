/* libuv as its users post: an array under a mutex, and one uv_async_t. The loop takes the whole array at once. */
#include <pthread.h>
#include <uv.h>

#include "side.h"

typedef struct {
    void (*fn)(void *arg);
    void *arg;
} item;

typedef struct {
    item *items;
    size_t count, capacity;
} list;

typedef struct {
    uv_loop_t loop;
    uv_async_t wake;
    pthread_t thread;
    void (*started)(void);
    pthread_mutex_t lock;
    list posted;  /* under lock */
    list running; /* the loop thread's */
} uv_side;

static void run_posted(uv_async_t *wake) {
    uv_side *self = wake->data;
    pthread_mutex_lock(&self->lock);
    list taken = self->posted;
    self->posted = self->running;
    pthread_mutex_unlock(&self->lock);
    self->running = taken;
    for (size_t i = 0; i < taken.count; i++)
        taken.items[i].fn(taken.items[i].arg);
    self->running.count = 0;
}

static void *run(void *arg) {
    uv_side *self = arg;
    self->started();
    uv_run(&self->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void *start(void (*started)(void)) {
    uv_side *self = calloc(1, sizeof *self);
    must(self != NULL, "calloc");
    self->started = started;
    must(uv_loop_init(&self->loop) == 0, "uv_loop_init");
    must(uv_async_init(&self->loop, &self->wake, run_posted) == 0, "uv_async_init");
    must(pthread_mutex_init(&self->lock, NULL) == 0, "pthread_mutex_init");
    self->wake.data = self;
    must(pthread_create(&self->thread, NULL, run, self) == 0, "pthread_create");
    return self;
}

static void post(void *loop, void (*fn)(void *arg), void *arg) {
    uv_side *self = loop;
    pthread_mutex_lock(&self->lock);
    if (self->posted.count == self->posted.capacity) {
        self->posted.capacity = self->posted.capacity ? self->posted.capacity * 2 : 1024;
        self->posted.items = realloc(self->posted.items, self->posted.capacity * sizeof(item));
        must(self->posted.items != NULL, "realloc");
    }
    self->posted.items[self->posted.count++] = (item){fn, arg};
    pthread_mutex_unlock(&self->lock);
    uv_async_send(&self->wake);
}

/* On the loop thread: without handles uv_run returns. */
static void close_wake(void *arg) {
    uv_side *self = arg;
    uv_close((uv_handle_t *)&self->wake, NULL);
}

static void finish(void *loop) {
    uv_side *self = loop;
    post(self, close_wake, self);
    pthread_join(self->thread, NULL);
    must(uv_loop_close(&self->loop) == 0, "uv_loop_close");
    pthread_mutex_destroy(&self->lock);
    free(self->posted.items);
    free(self->running.items);
    free(self);
}

const side bench_post_libuv = {start, post, finish};
