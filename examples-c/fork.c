/* fork(): in the child, what was made before answers COOP_E_FORKED at once and may be freed, and new objects work.
 *
 *     cc fork.c $(pkg-config --cflags --libs coop) -o fork */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static void set(void *arg) { *(int *)arg = 1; }

/* Runs one task to its end. */
static int works(coop_pool *pool) {
    int ran = 0;
    coop_callback task = {.fn = set, .arg = &ran};
    must(coop_pool_submit(pool, NULL, task), "submit");
    must(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER), "shutdown");
    return ran;
}

static int in_the_child(coop_pool *pool) {
    size_t workers;
    if (coop_pool_workers(pool, &workers) != COOP_E_FORKED) return 1;
    printf("in the child: %s\n", coop_last_error());
    coop_pool_free(pool); /* its memory; the threads are the parent's */
    coop_pool_options options = {.size = sizeof options, .workers = 1};
    must(coop_pool_new(&options, &pool), "new pool in the child");
    int fine = works(pool);
    coop_pool_free(pool);
    printf("in the child: a new pool works\n");
    return fine ? 0 : 1;
}

int main(void) {
    coop_pool_options options = {.size = sizeof options, .workers = 1};
    coop_pool *pool;
    int status;
    must(coop_pool_new(&options, &pool), "new pool");
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) return 1;
    if (child == 0) {
        int answer = in_the_child(pool);
        fflush(stdout);
        _exit(answer);
    }
    if (waitpid(child, &status, 0) != child || status != 0) return 1;
    int fine = works(pool); /* the parent has noticed nothing */
    coop_pool_free(pool);
    return fine ? 0 : 1;
}
