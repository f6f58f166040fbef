/* libuv's timers for bench/src/bin/timers.rs: one loop, and an array of handles that is made once. */
#include <stdint.h>
#include <stdlib.h>
#include <uv.h>

typedef struct {
    uv_loop_t loop;
    uint64_t fired;
    size_t count;
    uv_timer_t timers[];
} side;

static void fire(uv_timer_t *timer) { ((side *)timer->data)->fired++; }

void *coop_bench_uv_new(size_t count) {
    side *self = calloc(1, sizeof *self + count * sizeof(uv_timer_t));
    if (self == NULL || uv_loop_init(&self->loop) != 0) abort();
    self->count = count;
    for (size_t i = 0; i < count; i++) {
        uv_timer_init(&self->loop, &self->timers[i]);
        self->timers[i].data = self;
    }
    return self;
}

void coop_bench_uv_insert(void *arg, const uint32_t *delays_ms) {
    side *self = arg;
    uv_update_time(&self->loop);
    for (size_t i = 0; i < self->count; i++)
        if (uv_timer_start(&self->timers[i], fire, delays_ms[i], 0) != 0) abort();
}

void coop_bench_uv_cancel(void *arg, const uint32_t *order) {
    side *self = arg;
    for (size_t i = 0; i < self->count; i++) uv_timer_stop(&self->timers[order[i]]);
}

/* How many have fired so far. */
uint64_t coop_bench_uv_run(void *arg) {
    side *self = arg;
    uv_run(&self->loop, UV_RUN_NOWAIT);
    return self->fired;
}

void coop_bench_uv_free(void *arg) {
    side *self = arg;
    for (size_t i = 0; i < self->count; i++) uv_close((uv_handle_t *)&self->timers[i], NULL);
    uv_run(&self->loop, UV_RUN_DEFAULT);
    if (uv_loop_close(&self->loop) != 0) abort();
    free(self);
}
