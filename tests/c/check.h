/* What the C tests share: checks that stay in under NDEBUG, callbacks that count, and latches to wait for. */
#ifndef COOP_TEST_CHECK_H
#define COOP_TEST_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <coop.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

/* Which sanitizer the test is built with: gcc says it in one way and clang in another. */
#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
#define UNDER_TSAN 1
#else
#define UNDER_TSAN 0
#endif

/* Far beyond what anything here takes: a test that hangs says where. */
#define LONG_NS INT64_C(30000000000)

/* The process ends at once: threads of a failed test are in no state to be joined. */
#define FAIL(...)                                        \
    do {                                                 \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);  \
        fprintf(stderr, __VA_ARGS__);                    \
        fputc('\n', stderr);                             \
        fflush(stderr);                                  \
        _exit(1);                                        \
    } while (0)

#define CHECK(what)                        \
    do {                                   \
        if (!(what)) FAIL("not: %s", #what); \
    } while (0)

#define CHECK_EQ(left, right)                                                                   \
    do {                                                                                        \
        long long left_ = (long long)(left), right_ = (long long)(right);                       \
        if (left_ != right_) FAIL("%s is %lld, not %s (%lld)", #left, left_, #right, right_);   \
    } while (0)

#define CHECK_STATUS(call, expected)                                                            \
    do {                                                                                        \
        coop_status status_ = (call), expected_ = (expected);                                   \
        if (status_ != expected_)                                                               \
            FAIL("%s is %s (%s), not %s", #call, coop_status_str(status_),                      \
                 status_ ? coop_last_error() : "", coop_status_str(expected_));                 \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, COOP_OK)

/* The call failed, and the message of it has this in it. */
#define CHECK_SAYS(call, expected, text)                                                        \
    do {                                                                                        \
        CHECK_STATUS(call, expected);                                                           \
        if (strstr(coop_last_error(), text) == NULL)                                            \
            FAIL("%s says \"%s\", without \"%s\"", #call, coop_last_error(), text);             \
    } while (0)

/* A callback's argument that counts what is done with it. */
typedef struct {
    int runs, drops;
} probe;

static UNUSED int runs(const probe *p) { return __atomic_load_n(&p->runs, __ATOMIC_SEQ_CST); }
static UNUSED int drops(const probe *p) { return __atomic_load_n(&p->drops, __ATOMIC_SEQ_CST); }
static UNUSED void count_run(void *arg) { __atomic_add_fetch(&((probe *)arg)->runs, 1, __ATOMIC_SEQ_CST); }
static UNUSED void count_drop(void *arg) { __atomic_add_fetch(&((probe *)arg)->drops, 1, __ATOMIC_SEQ_CST); }
static UNUSED void count_timer(void *arg, uint64_t times) {
    CHECK(times >= 1);
    count_run(arg);
}
static UNUSED void count_ready(void *arg, uint32_t ready) {
    CHECK(ready != 0);
    count_run(arg);
}
static UNUSED coop_callback counted(probe *p) {
    coop_callback callback = {count_run, p, count_drop};
    return callback;
}
static UNUSED coop_timer_callback counted_timer(probe *p) {
    coop_timer_callback callback = {count_timer, p, count_drop};
    return callback;
}
static UNUSED coop_io_watch_callback counted_watch(probe *p) {
    coop_io_watch_callback callback = {count_ready, p, count_drop};
    return callback;
}

/* Closed until somebody opens it. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    int open;
} latch;
#define LATCH {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

static UNUSED void latch_open(void *arg) {
    latch *l = arg;
    pthread_mutex_lock(&l->lock);
    l->open = 1;
    pthread_cond_broadcast(&l->opened);
    pthread_mutex_unlock(&l->lock);
}
static UNUSED void latch_wait(void *arg) {
    latch *l = arg;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LONG_NS / 1000000000;
    pthread_mutex_lock(&l->lock);
    while (!l->open)
        if (pthread_cond_timedwait(&l->opened, &l->lock, &until) != 0) FAIL("a latch was not opened in time");
    pthread_mutex_unlock(&l->lock);
}
static UNUSED coop_callback opening(latch *l) {
    coop_callback callback = {latch_open, l, NULL};
    return callback;
}
static UNUSED coop_callback waiting(latch *l) {
    coop_callback callback = {latch_wait, l, NULL};
    return callback;
}

/* A thread that says which one it is right before a call that waits, for who has to come while it waits there. */
typedef struct {
    int tid;
} caller;

static UNUSED void about_to_wait(caller *c) { __atomic_store_n(&c->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST); }

/* Until it sleeps, which it does in that call only; under valgrind it sleeps before too, so there is a moment more. */
static UNUSED void await_asleep(const caller *c) {
    const time_t limit = time(NULL) + LONG_NS / 1000000000;
    for (char state = 0; state != 'S';) {
        const int tid = __atomic_load_n(&c->tid, __ATOMIC_SEQ_CST);
        char path[64], stat[256] = "";
        CHECK(time(NULL) < limit);
        usleep(1000);
        if (tid == 0) continue;
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
        FILE *file = fopen(path, "r");
        CHECK(file != NULL && fgets(stat, sizeof stat, file) != NULL && strrchr(stat, ')') != NULL);
        fclose(file);
        state = strrchr(stat, ')')[2];
    }
    usleep(10000);
}

/* A task that says when it has begun, and waits. */
typedef struct {
    latch begun, go;
} blocker;
#define BLOCKER {LATCH, LATCH}

static UNUSED void block(void *arg) {
    blocker *b = arg;
    latch_open(&b->begun);
    latch_wait(&b->go);
}
static UNUSED coop_callback blocking(blocker *b) {
    coop_callback callback = {block, b, NULL};
    return callback;
}

/* Not for a program that loads the library by itself. */
#ifndef COOP_TEST_NOT_LINKED
static UNUSED coop_event_loop *new_loop(void) {
    coop_event_loop *loop = NULL;
    CHECK_OK(coop_event_loop_new(NULL, &loop));
    return loop;
}
static UNUSED coop_pool *new_pool(size_t workers) {
    coop_pool_options options = {sizeof options, 0, 0, 0, NULL, 0, 0};
    coop_pool *pool = NULL;
    options.workers = workers;
    CHECK_OK(coop_pool_new(&options, &pool));
    return pool;
}
static UNUSED coop_runtime *new_runtime(void) {
    coop_pool_options pool = {sizeof pool, 2, 0, 0, NULL, 0, 0};
    coop_runtime_options options = {sizeof options, &pool, NULL};
    coop_runtime *runtime = NULL;
    CHECK_OK(coop_runtime_new(&options, &runtime));
    return runtime;
}
#endif

#endif
