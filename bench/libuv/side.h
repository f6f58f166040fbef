/* One side of the comparison: a loop on its own thread, and callbacks posted to it from another. */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct side {
    const char *name;
    /* Makes a loop and starts the thread that runs it. */
    void *(*start)(void);
    /* From the posting thread: fn(arg) runs once on the loop's thread. */
    void (*post)(void *loop, void (*fn)(void *arg), void *arg);
    /* From the posting thread, after the last post has run: ends the loop, joins its thread, releases both. */
    void (*finish)(void *loop);
} side;

extern const side side_libuv;
extern const side side_coop;

static inline int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A benchmark that cannot do its work measures nothing. */
static inline void must(int ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "post: %s failed\n", what);
        exit(1);
    }
}

#endif
