/* Posts: other threads hand work to the loop's thread, so that what it touches needs no lock.
 *
 *     cc post.c $(pkg-config --cflags --libs coop) -pthread -o post */
#include <coop.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, POSTS = 1000 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    coop_event_loop *loop;
    long sum; /* the loop's thread's alone */
} counter;

typedef struct {
    counter *counter;
    int number;
} message;

static void add(void *arg) {
    message *m = arg;
    if (!coop_event_loop_is_loop_thread(m->counter->loop)) abort();
    m->counter->sum += m->number;
}

static void *thread(void *arg) {
    counter *c = arg;
    for (int i = 1; i <= POSTS; i++) {
        message *m = malloc(sizeof *m);
        if (m == NULL) abort();
        m->counter = c;
        m->number = i;
        /* Once it is accepted the loop frees it, whether it runs or not; refused, it would still be ours. */
        coop_callback callback = {.fn = add, .arg = m, .drop = free};
        must(coop_event_loop_post(c->loop, callback), "post");
    }
    return NULL;
}

int main(void) {
    counter c = {.sum = 0};
    pthread_t threads[THREADS];
    must(coop_event_loop_new(NULL, &c.loop), "new loop");
    must(coop_event_loop_start(c.loop), "start"); /* a thread of its own */
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, thread, &c) != 0) return 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);

    must(coop_event_loop_stop(c.loop), "stop"); /* what was accepted still runs */
    must(coop_event_loop_join(c.loop, COOP_FOREVER), "join");
    coop_event_loop_free(c.loop);
    printf("%d threads posted %d each: the sum is %ld\n", THREADS, POSTS, c.sum);
    return c.sum == (long)THREADS * POSTS * (POSTS + 1) / 2 ? 0 : 1;
}
