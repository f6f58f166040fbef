/* In a thread that is ending, in destructors of its thread-specific data, every call is answered as ever, also when the thread has
 * not called the library before, and in destructors that come round again after the library's own. */
#include <sys/wait.h>

#include "check.h"

/* PTHREAD_DESTRUCTOR_ITERATIONS; ThreadSanitizer itself is gone from the thread in the last of them. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif
#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 3 };
#else
enum { ROUNDS = 4 };
#endif

static pthread_key_t key;
static coop_pool *pool;
static coop_event_loop *loop;

typedef struct {
    int rounds, early;
    probe post, refused;
} ending;

static void use_all(ending *e) {
    latch ran = LATCH;
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
    coop_timer_id id = 0;
    coop_event_loop *own = NULL;
    probe drop = {0, 0};

    CHECK_STATUS(coop_timer_cancel(loop, 0), COOP_E_STALE);
    /* The message, or "" once the thread has given it back: a text in any case. */
    CHECK(strcmp(coop_last_error(), "") == 0 || strstr(coop_last_error(), "stale") != NULL);
    CHECK_EQ(coop_last_os_errno(), 0);
    CHECK_STATUS(coop_pool_submit(NULL, NULL, counted(&e->refused)), COOP_E_NULL);

    CHECK_OK(coop_pool_submit(pool, NULL, opening(&ran)));
    latch_wait(&ran);
    CHECK(!coop_pool_is_worker_thread(pool) && !coop_event_loop_is_loop_thread(loop));
    CHECK_OK(coop_event_loop_post(loop, counted(&e->post)));
    CHECK_OK(coop_event_loop_timer(loop, &far, counted_timer(&drop), &id));
    CHECK_OK(coop_timer_cancel(loop, id));
    CHECK_EQ(drops(&drop), 1);

    /* A loop of its own, run here. */
    CHECK_OK(coop_event_loop_new(NULL, &own));
    CHECK_OK(coop_event_loop_post(own, counted(&drop)));
    CHECK_OK(coop_event_loop_run(own, COOP_RUN_UNTIL_IDLE));
    coop_event_loop_free(own);
    CHECK(runs(&drop) == 1 && drops(&drop) == 2);
}

static void at_the_end(void *arg) {
    ending *e = arg;
    use_all(e);
    if (++e->rounds < ROUNDS) pthread_setspecific(key, e);
}

static void *thread(void *arg) {
    ending *e = arg;
    if (e->early) use_all(e);
    CHECK(pthread_setspecific(key, e) == 0);
    return NULL;
}

/* A worker ends too: its thread-specific data is destroyed when the pool has ended. */
static void set_key(void *arg) { CHECK(pthread_setspecific(key, arg) == 0); }

static void a_thread_ends(int early) {
    ending e = {0, early, {0, 0}, {0, 0}};
    latch done = LATCH;
    pthread_t id;
    pool = new_pool(1);
    loop = new_loop();
    CHECK_OK(coop_event_loop_start(loop));
    CHECK(pthread_create(&id, NULL, thread, &e) == 0);
    pthread_join(id, NULL);
    CHECK_EQ(e.rounds, ROUNDS);
    CHECK_EQ(runs(&e.refused) + drops(&e.refused), 0);
    CHECK_OK(coop_event_loop_post(loop, opening(&done)));
    latch_wait(&done);
    CHECK_EQ(drops(&e.post), ROUNDS + e.early);
    coop_event_loop_free(loop);
    coop_pool_free(pool);
}

static void a_worker_ends(void) {
    ending e = {0, 0, {0, 0}, {0, 0}};
    coop_pool *other = new_pool(1);
    coop_callback task = {set_key, &e, NULL};
    pool = new_pool(1);
    loop = new_loop();
    CHECK_OK(coop_pool_submit(other, NULL, task));
    CHECK_OK(coop_pool_shutdown(other, COOP_SHUTDOWN_DRAIN, LONG_NS));
    coop_pool_free(other);
    CHECK_EQ(e.rounds, ROUNDS);
    coop_event_loop_free(loop);
    coop_pool_free(pool);
}

int main(void) {
    int status = 0;
    CHECK(pthread_key_create(&key, at_the_end) == 0);
    /* Threads that call something for the first time when they have destroyed their thread-local data already: what the C library
     * notes down then (some dozens of bytes) it never gives back. So this is a process of its own, whose leaks nobody looks for. */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        a_thread_ends(0);
        a_worker_ends();
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    for (int i = 0; i < 5; i++) a_thread_ends(1);
    return 0;
}
