/* post [ROUNDS]: posts from another thread, libcoop beside libuv.
 *
 * Throughput: POSTS empty callbacks, from the first post to the end of the last run. Latency: one post at a time to a loop that
 * has gone to sleep, from before the post to the start of its run. Both sides take turns in every round, the first one
 * alternating, so that what disturbs the machine disturbs both. */
#include <stdatomic.h>
#include <string.h>

#include "side.h"

enum { SIDES = 2, COOP = 0, LIBUV = 1, POSTS = 1000000, SAMPLES = 2000, MIN_ROUNDS = 15 };
/* Long enough for the loop to be asleep when the next post comes. */
static const struct timespec PAUSE = {0, 50 * 1000};

static const side *const sides[SIDES] = {[COOP] = &side_coop, [LIBUV] = &side_libuv};

typedef struct {
    int64_t ran_at;
    atomic_int done;
} probe;

static long runs; /* the loop thread's, until the last callback's release store */

static void count(void *arg) {
    (void)arg;
    runs++;
}

static void count_last(void *arg) {
    probe *last = arg;
    runs++;
    last->ran_at = now_ns();
    atomic_store_explicit(&last->done, 1, memory_order_release);
}

static void note_time(void *arg) {
    probe *p = arg;
    p->ran_at = now_ns();
    atomic_store_explicit(&p->done, 1, memory_order_release);
}

static void wait_for(probe *p) {
    while (!atomic_load_explicit(&p->done, memory_order_acquire))
        nanosleep(&(struct timespec){0, 20 * 1000}, NULL);
}

/* Millions of posts per second. */
static double throughput(const side *s) {
    void *loop = s->start();
    probe last = {0, 0};
    runs = 0;
    int64_t begin = now_ns();
    for (long i = 0; i < POSTS - 1; i++)
        s->post(loop, count, NULL);
    s->post(loop, count_last, &last);
    wait_for(&last);
    must(runs == POSTS, "running every post");
    s->finish(loop);
    return POSTS * 1e3 / (double)(last.ran_at - begin);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *values, int count, double q) {
    double sorted[SAMPLES];
    memcpy(sorted, values, (size_t)count * sizeof *values);
    qsort(sorted, (size_t)count, sizeof *sorted, by_value);
    return sorted[(int)(q * (count - 1) + 0.5)];
}

/* Microseconds. */
static void latency(const side *s, double *p50, double *p99) {
    static double samples[SAMPLES];
    void *loop = s->start();
    for (int i = 0; i < SAMPLES; i++) {
        probe p = {0, 0};
        nanosleep(&PAUSE, NULL);
        int64_t begin = now_ns();
        s->post(loop, note_time, &p);
        wait_for(&p);
        samples[i] = (double)(p.ran_at - begin) / 1e3;
    }
    s->finish(loop);
    *p50 = quantile(samples, SAMPLES, 0.5);
    *p99 = quantile(samples, SAMPLES, 0.99);
}

/* Medians of both sides, and the median of the rounds' ratios with the tenth and ninetieth percentile. */
static void report(const char *what, double values[SIDES][SAMPLES], int rounds) {
    double ratios[SAMPLES];
    for (int i = 0; i < rounds; i++)
        ratios[i] = values[COOP][i] / values[LIBUV][i];
    printf("%-22s %8.2f %8.2f %8.2f  (%.2f to %.2f)\n", what, quantile(values[COOP], rounds, 0.5),
           quantile(values[LIBUV], rounds, 0.5), quantile(ratios, rounds, 0.5), quantile(ratios, rounds, 0.1),
           quantile(ratios, rounds, 0.9));
}

int main(int argc, char **argv) {
    static double rate[SIDES][SAMPLES], p50[SIDES][SAMPLES], p99[SIDES][SAMPLES];
    int rounds = argc > 1 ? atoi(argv[1]) : MIN_ROUNDS;
    if (rounds < MIN_ROUNDS || rounds > SAMPLES) {
        fprintf(stderr, "post: rounds is '%s'; allowed: %d to %d\n", argv[1], MIN_ROUNDS, SAMPLES);
        return 2;
    }
    for (int round = 0; round < rounds; round++) {
        for (int turn = 0; turn < SIDES; turn++) {
            int which = (round + turn) % SIDES;
            rate[which][round] = throughput(sides[which]);
            latency(sides[which], &p50[which][round], &p99[which][round]);
        }
    }
    printf("%d rounds, medians      %8s %8s    ratio  (p10 to p90)\n", rounds, side_coop.name, side_libuv.name);
    report("posts, M/s", rate, rounds);
    report("post to run, p50 us", p50, rounds);
    report("post to run, p99 us", p99, rounds);
    return 0;
}
