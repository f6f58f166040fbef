/* The log: messages by level, from any thread; replaced functions are dropped once; calls made inside are not logged. */
#include "check.h"

typedef struct {
    coop_runtime *runtime;
    int count, drops;
    int32_t level;
    char text[256];
} sink;

static void take(void *arg, int32_t level, const char *message) {
    sink *s = arg;
    s->count++;
    s->level = level;
    snprintf(s->text, sizeof s->text, "%s", message);
    coop_pool_free(coop_runtime_pool(s->runtime)); /* would log, and must not */
}
static void drop_sink(void *arg) { ((sink *)arg)->drops++; }

int main(void) {
    coop_runtime *runtime = new_runtime();
    sink first = {runtime, 0, 0, 0, ""}, second = {runtime, 0, 0, 0, ""};
    coop_log_callback to_first = {take, &first, drop_sink}, to_second = {take, &second, drop_sink}, none = {NULL, NULL, NULL};

    coop_pool_free(coop_runtime_pool(runtime)); /* nobody listens */
    CHECK_OK(coop_set_log(COOP_LOG_WARN, to_first));
    coop_pool_free(coop_runtime_pool(runtime));
    CHECK_EQ(first.count, 1);
    CHECK_EQ(first.level, COOP_LOG_WARN);
    CHECK(strstr(first.text, "runtime's pool") != NULL);

    CHECK_OK(coop_set_log(COOP_LOG_ERROR, to_second));
    CHECK_EQ(first.drops, 1);
    coop_pool_free(coop_runtime_pool(runtime)); /* a warning is less than an error */
    CHECK(first.count == 1 && second.count == 0);

    CHECK_OK(coop_set_log(COOP_LOG_TRACE, to_second));
    CHECK_EQ(second.drops, 1);
    coop_event_loop_free(coop_runtime_event_loop(runtime));
    CHECK_EQ(second.count, 1);
    CHECK_OK(coop_set_log(COOP_LOG_OFF, none));
    CHECK_EQ(second.drops, 2);
    coop_event_loop_free(coop_runtime_event_loop(runtime));
    CHECK_EQ(second.count, 1);
    CHECK_OK(coop_set_log(COOP_LOG_OFF, none));
    /* What needs no function may have an argument: it was accepted, so it is dropped. */
    coop_log_callback only_dropped = {NULL, &second, drop_sink};
    CHECK_OK(coop_set_log(COOP_LOG_OFF, only_dropped));
    CHECK(second.drops == 3 && second.count == 1);
    coop_runtime_free(runtime);
    return 0;
}
