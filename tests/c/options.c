/* Options of every size: what is too short or from the future is refused in words, and a refused callback is the caller's. */
#include "check.h"

#include <fcntl.h>
#include <sys/socket.h>

enum { FUTURE = 16 };

static coop_event_loop *loop;
static coop_pool *pool;
static probe refused;
static const probe fresh;

/* Each tries one function with options and undoes what it made. */
static coop_status try_pool(const void *options) {
    coop_pool *made = NULL;
    coop_status status = coop_pool_new(options, &made);
    CHECK((status == COOP_OK) == (made != NULL));
    coop_pool_free(made);
    return status;
}
static coop_status try_event_loop(const void *options) {
    coop_event_loop *made = NULL;
    coop_status status = coop_event_loop_new(options, &made);
    CHECK((status == COOP_OK) == (made != NULL));
    coop_event_loop_free(made);
    return status;
}
static coop_status try_runtime(const void *options) {
    coop_runtime *made = NULL;
    coop_status status = coop_runtime_new(options, &made);
    CHECK((status == COOP_OK) == (made != NULL));
    coop_runtime_free(made);
    return status;
}
static coop_status try_udp(const void *options) {
    coop_udp *made = NULL;
    coop_status status = coop_udp_new(options, &made);
    CHECK((status == COOP_OK) == (made != NULL));
    coop_udp_free(made);
    return status;
}
static coop_status try_submit(const void *options) { return coop_pool_submit(pool, options, counted(&refused)); }
static coop_status try_submit_task(const void *options) {
    coop_task_id id = 0;
    coop_status status = coop_pool_submit_task(pool, options, counted(&refused), &id);
    CHECK((status == COOP_OK) == (id != 0));
    if (id != 0) CHECK_OK(coop_task_release(pool, id));
    return status;
}
static coop_status try_batch(const void *options) {
    coop_callback tasks[2] = {counted(&refused), counted(&refused)};
    size_t accepted = 0;
    coop_status status = coop_pool_submit_batch(pool, options, tasks, 2, &accepted);
    CHECK_EQ(accepted, status == COOP_OK ? 2 : 0);
    return status;
}
static coop_status try_timer(const void *options) {
    coop_timer_id id = 0;
    coop_status status = coop_event_loop_timer(loop, options, counted_timer(&refused), &id);
    CHECK((status == COOP_OK) == (id != 0));
    if (id != 0) CHECK_OK(coop_timer_cancel(loop, id));
    return status;
}
static coop_status try_watch(const void *options) {
    coop_io_watch_id id = 0;
    int fds[2];
    CHECK(pipe(fds) == 0);
    coop_status status = coop_event_loop_watch(loop, fds[0], options, counted_watch(&refused), &id);
    CHECK((status == COOP_OK) == (id != 0));
    if (id != 0) CHECK_OK(coop_io_watch_cancel(loop, id));
    close(fds[0]);
    close(fds[1]);
    return status;
}

static coop_status try_event(const void *options) {
    coop_event *event = NULL;
    coop_status status = coop_event_new(options, &event);
    CHECK((status == COOP_OK) == (event != NULL));
    coop_event_free(event);
    return status;
}
static coop_status try_source(const void *options) {
    coop_event *event;
    coop_io_watch_id id = 0;
    coop_event_callback callback = {count_run, &refused, count_drop};
    CHECK_OK(coop_event_new(NULL, &event));
    coop_status status = coop_event_watch(event, loop, options, callback, &id);
    CHECK((status == COOP_OK) == (id != 0));
    if (id != 0) CHECK_OK(coop_io_watch_cancel(loop, id));
    coop_event_free(event);
    return status;
}
/* What is refused leaves the descriptor to its owner. */
static coop_status try_stream(const void *options) {
    int fds[2];
    coop_stream *stream = NULL;
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    coop_status status = coop_stream_new(loop, options, fds[0], &stream);
    CHECK((status == COOP_OK) == (stream != NULL));
    CHECK_EQ(fcntl(fds[0], F_GETFD) >= 0, 1);
    if (stream == NULL) close(fds[0]);
    coop_stream_free(stream);
    close(fds[1]);
    return status;
}
static void ignore_stream(void *arg, const coop_error *error, coop_stream *stream) {
    (void)error;
    coop_stream_free(stream);
    count_run(arg);
}
static coop_status try_connect(const void *options) {
    coop_stream_callback callback = {ignore_stream, &refused, count_drop};
    return coop_event_loop_connect_unix(loop, options, "/nowhere/at/all", 15, callback);
}

static coop_status try_dag_builder(const void *options) {
    coop_dag_builder *made = NULL;
    coop_status status = coop_dag_builder_new(options, &made);
    CHECK((status == COOP_OK) == (made != NULL));
    coop_dag_builder_free(made);
    return status;
}
static coop_status run_node(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)call, (void)result;
    count_run(arg);
    return COOP_OK;
}
static coop_status try_dag_node(const void *options) {
    coop_dag_builder *builder = NULL;
    coop_dag_function function = {run_node, &refused, count_drop};
    coop_dag_node_id node = 0;
    CHECK_OK(coop_dag_builder_new(NULL, &builder));
    coop_status status = coop_dag_builder_cpu(builder, "a", 1, options, function, &node);
    CHECK((status == COOP_OK) == (node != 0));
    coop_dag_builder_free(builder);
    return status;
}
static coop_status try_dag_run(const void *options) {
    coop_dag_builder *builder = NULL;
    coop_dag *dag = NULL;
    coop_dag_function function = {run_node, &refused, NULL};
    coop_dag_run_callback nobody = {NULL, &refused, count_drop};
    coop_dag_run_id id = 0;
    CHECK_OK(coop_dag_builder_new(NULL, &builder));
    CHECK_OK(coop_dag_builder_cpu(builder, "a", 1, NULL, function, NULL));
    CHECK_OK(coop_dag_builder_build(builder, &dag));
    coop_dag_builder_free(builder);
    coop_status status = coop_dag_run(dag, pool, NULL, options, NULL, 0, nobody, &id);
    CHECK((status == COOP_OK) == (id != 0));
    if (id != 0) CHECK_OK(coop_dag_run_join(dag, id, LONG_NS, NULL));
    coop_dag_free(dag);
    return status;
}

static const struct {
    const char *name;
    size_t size, first; /* now, and in the first version */
    coop_status (*try_it)(const void *options);
} kinds[] = {
    {"coop_pool_options", sizeof(coop_pool_options), 40, try_pool},
    {"coop_event_loop_options", sizeof(coop_event_loop_options), sizeof(coop_event_loop_options), try_event_loop},
    {"coop_runtime_options", sizeof(coop_runtime_options), sizeof(coop_runtime_options), try_runtime},
    {"coop_udp_options", sizeof(coop_udp_options), 56, try_udp},
    {"coop_submit_options", sizeof(coop_submit_options), 32, try_submit},
    {"coop_submit_options", sizeof(coop_submit_options), 32, try_submit_task},
    {"coop_submit_options", sizeof(coop_submit_options), 32, try_batch},
    {"coop_timer_options", sizeof(coop_timer_options), 32, try_timer},
    {"coop_io_watch_options", sizeof(coop_io_watch_options), 32, try_watch},
    {"coop_event_options", sizeof(coop_event_options), sizeof(coop_event_options), try_event},
    {"coop_source_options", sizeof(coop_source_options), sizeof(coop_source_options), try_source},
    {"coop_stream_options", sizeof(coop_stream_options), sizeof(coop_stream_options), try_stream},
    {"coop_connect_options", sizeof(coop_connect_options), sizeof(coop_connect_options), try_connect},
    {"coop_dag_builder_options", sizeof(coop_dag_builder_options), 16, try_dag_builder},
    {"coop_dag_node_options", sizeof(coop_dag_node_options), 96, try_dag_node},
    {"coop_dag_run_options", sizeof(coop_dag_run_options), 24, try_dag_run},
};

static void *sized(void *place, size_t size) {
    memcpy(place, &size, sizeof size);
    return place;
}

int main(void) {
    loop = new_loop();
    pool = new_pool(1);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t known = kinds[i].size;
        unsigned char *bytes = calloc(1, known + FUTURE);
        CHECK(bytes != NULL);
        CHECK_SAYS(kinds[i].try_it(sized(bytes, 0)), COOP_E_INVALID, kinds[i].name);
        CHECK_SAYS(kinds[i].try_it(sized(bytes, kinds[i].first - 1)), COOP_E_INVALID, "set it to sizeof");
        CHECK_SAYS(kinds[i].try_it(sized(bytes, SIZE_MAX)), COOP_E_INVALID, "set it to sizeof");
        bytes[known + FUTURE - 1] = 1;
        CHECK_SAYS(kinds[i].try_it(sized(bytes, known + FUTURE)), COOP_E_UNSUPPORTED, kinds[i].name);
        CHECK_EQ(runs(&refused) + drops(&refused), 0);
        bytes[known + FUTURE - 1] = 0;
        CHECK_OK(kinds[i].try_it(sized(bytes, known + FUTURE)));
        CHECK_OK(kinds[i].try_it(sized(bytes, known)));
        CHECK_OK(kinds[i].try_it(sized(bytes, kinds[i].first)));
        CHECK_OK(kinds[i].try_it(NULL));
        CHECK_OK(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, LONG_NS));
        coop_pool_free(pool);
        pool = new_pool(1);
        refused = fresh;
        free(bytes);
    }

    /* Those of a listener say where to listen, so they are not all zero. */
    struct {
        coop_listener_options known;
        unsigned char later[FUTURE];
    } listening = {.known = {.address = "127.0.0.1:0", .address_length = 11}};
    coop_stream_callback asked = {NULL, NULL, NULL};
    size_t wrong[] = {0, sizeof listening.known - 1, SIZE_MAX};
    coop_listener *listener = NULL;
    for (size_t i = 0; i < 3; i++) {
        listening.known.size = wrong[i];
        CHECK_SAYS(coop_listener_new(loop, &listening.known, asked, &listener), COOP_E_INVALID, "coop_listener_options.size");
    }
    listening.known.size = sizeof listening;
    listening.later[FUTURE - 1] = 1;
    CHECK_SAYS(coop_listener_new(loop, &listening.known, asked, &listener), COOP_E_UNSUPPORTED, "coop_listener_options");
    CHECK(listener == NULL);
    listening.later[FUTURE - 1] = 0;
    CHECK_OK(coop_listener_new(loop, &listening.known, asked, &listener));
    coop_listener_free(listener);

    /* Options inside options have a size of their own. */
    coop_pool_options of_pool = {.size = 0};
    coop_runtime_options of_runtime = {sizeof of_runtime, &of_pool, NULL};
    CHECK_SAYS(try_runtime(&of_runtime), COOP_E_INVALID, "coop_pool_options.size is 0");
    coop_event_loop_free(loop);
    coop_pool_free(pool);
    return 0;
}
