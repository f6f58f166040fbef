/* A loop on all workers of a pool at once: each piece fills its part of an array, and sums it up.
 *
 *     cc parallel_for.c $(pkg-config --cflags --libs coop) -o parallel_for */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBERS = 1000000, GRAIN = 10000 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    uint32_t *numbers;
    uint64_t sums[NUMBERS / GRAIN];
} state;

/* Several run at the same time, each on numbers of its own. */
static void fill(void *arg, size_t begin, size_t end) {
    state *s = arg;
    for (size_t i = begin; i < end; i++) s->numbers[i] = (uint32_t)(i % 1000);
}

/* Here the numbers are blocks of the array. */
static void sum(void *arg, size_t begin, size_t end) {
    state *s = arg;
    for (size_t block = begin; block < end; block++) {
        uint64_t total = 0;
        for (size_t i = block * GRAIN; i < (block + 1) * GRAIN; i++) total += s->numbers[i];
        s->sums[block] = total;
    }
}

int main(void) {
    static state s;
    coop_pool *pool;
    s.numbers = malloc(NUMBERS * sizeof *s.numbers);
    if (s.numbers == NULL) return 1;
    must(coop_pool_new(NULL, &pool), "new pool");

    /* Each call returns when all of it is done, so the second one reads what the first has written. */
    must(coop_pool_parallel_for(pool, NULL, 0, NUMBERS, GRAIN, fill, &s), "fill");
    must(coop_pool_parallel_for(pool, NULL, 0, NUMBERS / GRAIN, 1, sum, &s), "sum");

    uint64_t total = 0;
    for (size_t block = 0; block < NUMBERS / GRAIN; block++) total += s.sums[block];
    printf("the sum is %llu\n", (unsigned long long)total);
    coop_pool_free(pool);
    free(s.numbers);
    return total == 499500000u ? 0 : 1;
}
