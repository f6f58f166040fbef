/* Priorities: of what waits, the higher runs first, whatever the order it came in; and after so many tasks above it (ageing),
 * one of a lower priority runs all the same.
 *
 *     cc priorities.c $(pkg-config --cflags --libs coop) -o priorities */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static char order[16];
static void note(void *arg) { strcat(order, arg); } /* one worker: one task at a time */

static void submit(coop_pool *pool, int32_t priority, const char *letter) {
    coop_submit_options options = {.size = sizeof options, .priority = priority};
    coop_callback task = {.fn = note, .arg = (void *)letter};
    must(coop_pool_submit(pool, &options, task), "submit");
}

/* While this runs, the only worker is busy, so all of these wait together. */
static void submit_all(void *arg) {
    submit(arg, COOP_PRIORITY_LOW, "l");
    for (int i = 0; i < 3; i++) submit(arg, COOP_PRIORITY_NORMAL, "n");
    for (int i = 0; i < 3; i++) submit(arg, COOP_PRIORITY_HIGH, "H");
}

static const char *run(int32_t ageing) {
    coop_pool_options options = {.size = sizeof options, .workers = 1, .ageing = ageing};
    coop_pool *pool;
    must(coop_pool_new(&options, &pool), "new pool");
    order[0] = '\0';
    coop_callback first = {.fn = submit_all, .arg = pool};
    must(coop_pool_submit(pool, NULL, first), "submit");
    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    coop_pool_free(pool);
    return order;
}

int main(void) {
    printf("strict:   %s\n", run(COOP_NONE));
    if (strcmp(order, "HHHnnnl") != 0) return 1;
    printf("ageing 2: %s\n", run(2)); /* the low one does not wait for all the others */
    return strlen(order) == 7 && order[6] != 'l' ? 0 : 1;
}
