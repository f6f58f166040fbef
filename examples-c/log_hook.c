/* The log: the library's messages go to a function of the program's.
 *
 *     cc log_hook.c $(pkg-config --cflags --libs coop) -o log_hook */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    int messages, dropped;
    char last[200];
} log;

/* From any thread, perhaps from several at once: a program with threads would lock here, or write in one call. */
static void hear(void *arg, int32_t level, const char *message) {
    static const char *const names[] = {"off", "error", "warning", "info", "debug", "trace"};
    log *l = arg;
    l->messages++;
    snprintf(l->last, sizeof l->last, "%s", message);
    fprintf(stderr, "libcoop %s: %s\n", names[level], message);
}
static void drop(void *arg) { ((log *)arg)->dropped++; }

int main(void) {
    log l = {.messages = 0};
    coop_log_callback to_us = {.fn = hear, .arg = &l, .drop = drop}, to_nobody = {.fn = NULL};
    must(coop_set_log(COOP_LOG_WARN, to_us), "set log"); /* warnings, and what is more severe */

    /* A mistake that the library survives: a runtime's pool is the runtime's, and is not freed by itself. */
    coop_runtime *runtime;
    must(coop_runtime_new(NULL, &runtime), "new runtime");
    coop_pool_free(coop_runtime_pool(runtime));
    coop_runtime_free(runtime);

    must(coop_set_log(COOP_LOG_OFF, to_nobody), "log off"); /* and our argument is dropped */
    printf("%d message, dropped %d\n", l.messages, l.dropped);
    return l.messages == 1 && l.dropped == 1 && strstr(l.last, "runtime") != NULL ? 0 : 1;
}
