/* In a forked child every object made before answers COOP_E_FORKED and may be freed; new ones work. The parent notices nothing. */
#include <dirent.h>
#include <sched.h>
#include <sys/wait.h>

#include "check.h"

static coop_pool *pool;
static coop_event_loop *loop;
static coop_runtime *runtime;
static coop_udp *udp;
static coop_dag_builder *dag_builder;
static coop_dag *dag;
static coop_dag_run_id run_id;
static coop_redis *redis;
static coop_redis_subscriber *subscriber;
static coop_dag_outcome *outcome;
static coop_dag_completer *completer;
static coop_dag_node_id node;
static coop_timer_id timer_id;
static coop_io_watch_id watch_id;
static coop_task_id task_id;
static probe p, task, waiting_timer, waiting_watch, of_nodes, of_values;
static latch waits = LATCH;

#define FORKED(call) CHECK_STATUS(call, COOP_E_FORKED)

static void no_piece(void *arg, size_t begin, size_t end) { FAIL("ran %zu to %zu of %p", begin, end, arg); }

static coop_status makes_a_value(void *arg, coop_dag_call *call, coop_dag_value *result) {
    (void)arg, (void)call;
    result->value = &of_values;
    result->drop = count_drop;
    return COOP_OK;
}
static void waits_for_ever(void *arg, coop_dag_call *call, coop_dag_completer *given) {
    (void)arg, (void)call;
    completer = given;
    latch_open(&waits);
}
static void no_text(void *arg, const char *text, size_t length) { FAIL("told %.*s of %p", (int)length, text, arg); }
static void no_end(void *arg, const coop_error *error, coop_dag_outcome *made) {
    FAIL("told %p and %p of %p", (const void *)error, (void *)made, arg);
}

/* Two runs: one that has ended, whose outcome was looked at, and one that waits. */
static void make_graphs(void) {
    coop_dag_function makes = {makes_a_value, &of_nodes, count_drop};
    coop_dag_io_function hangs = {waits_for_ever, &of_nodes, count_drop};
    coop_dag_run_callback nobody = {NULL, NULL, NULL};
    coop_dag_builder *made = NULL;
    coop_dag_node_id hanging = 0;
    void *value = NULL;
    CHECK_OK(coop_dag_builder_new(NULL, &dag_builder));
    CHECK_OK(coop_dag_builder_cpu(dag_builder, "n", 1, NULL, makes, NULL));
    CHECK_OK(coop_dag_builder_new(NULL, &made));
    CHECK_OK(coop_dag_builder_cpu(made, "n", 1, NULL, makes, &node));
    CHECK_OK(coop_dag_builder_build(made, &dag));
    coop_dag_builder_free(made);
    CHECK_OK(coop_dag_run(dag, pool, NULL, NULL, NULL, 0, nobody, &run_id));
    CHECK_OK(coop_dag_run_join(dag, run_id, LONG_NS, &outcome));
    CHECK_OK(coop_dag_outcome_value(outcome, node, &value));
    coop_dag_free(dag);
    CHECK_OK(coop_dag_builder_new(NULL, &made));
    CHECK_OK(coop_dag_builder_io(made, "hangs", 5, NULL, hangs, &hanging));
    CHECK_OK(coop_dag_builder_build(made, &dag));
    coop_dag_builder_free(made);
    CHECK_OK(coop_dag_run(dag, pool, loop, NULL, NULL, 0, nobody, &run_id));
    latch_wait(&waits);
}

static void no_reply(void *arg, const coop_error *error, coop_redis_reply *reply) { FAIL("%p was told %p, %p", arg, (const void *)error, (void *)reply); }
static void no_message(void *arg, const coop_redis_message *message) { FAIL("%p was told %p", arg, (const void *)message); }

/* There is no server: the client waits for one. */
static void make_redis(void) {
    const char url[] = "unix:///nowhere/redis.sock";
    coop_redis_message_callback heard = {no_message, NULL, NULL};
    CHECK_OK(coop_redis_new(loop, NULL, url, strlen(url), &redis));
    CHECK_OK(coop_redis_subscriber_new(redis, heard, &subscriber));
}

static void graphs_in_the_child(void) {
    coop_dag_function makes = {makes_a_value, &of_nodes, count_drop};
    coop_dag_run_callback told = {no_end, &p, count_drop};
    coop_text_callback text = {no_text, &p, count_drop};
    coop_dag_statistics stats = {0};
    coop_dag *made = NULL;
    coop_dag_outcome *none = NULL;
    coop_dag_value value = {&of_values, count_drop};
    const char *name = NULL;
    size_t count = 77;
    int32_t state = 77;
    void *there = NULL;
    stats.size = sizeof stats;
    CHECK_SAYS(coop_dag_builder_cpu(dag_builder, "m", 1, NULL, makes, NULL), COOP_E_FORKED, "DAG builder was made before fork()");
    FORKED(coop_dag_builder_input(dag_builder, "m", 1, NULL));
    FORKED(coop_dag_builder_build(dag_builder, &made));
    CHECK_SAYS(coop_dag_run(dag, pool, loop, NULL, NULL, 0, told, NULL), COOP_E_FORKED, "was made before fork()");
    FORKED(coop_dag_run_join(dag, run_id, COOP_FOREVER, &none));
    FORKED(coop_dag_run_then(dag, run_id, told));
    FORKED(coop_dag_run_cancel(dag, run_id));
    FORKED(coop_dag_run_release(dag, run_id));
    FORKED(coop_dag_len(dag, &count));
    FORKED(coop_dag_index(dag, "hangs", 5, &node));
    FORKED(coop_dag_name(dag, node, &name, &count));
    FORKED(coop_dag_dot(dag, text));
    FORKED(coop_dag_stats(dag, node, &stats));
    FORKED(coop_dag_outcome_result(outcome));
    FORKED(coop_dag_outcome_state(outcome, node, &state));
    FORKED(coop_dag_outcome_failure(outcome, node));
    FORKED(coop_dag_outcome_cause(outcome, node, &there));
    FORKED(coop_dag_outcome_value(outcome, node, &there));
    FORKED(coop_dag_outcome_take(outcome, node, &value));
    FORKED(coop_dag_outcome_trace(outcome, COOP_DAG_CHROME_JSON, text));
    FORKED(coop_dag_completer_on_cancel(completer, counted(&p)));
    FORKED(coop_dag_completer_complete(completer, COOP_OK, value));
    FORKED(coop_dag_completer_fail(completer, COOP_E_FAILED, 0, NULL, 0, value));
    CHECK(coop_dag_completer_is_ended(completer));
    CHECK(count == 77 && state == 77 && made == NULL && none == NULL && name == NULL && there == NULL);
    coop_dag_completer_free(completer);
    coop_dag_outcome_free(outcome);
    coop_dag_free(dag);
    coop_dag_builder_free(dag_builder);
    CHECK_EQ(drops(&of_nodes) + drops(&of_values), 0);
}

static void redis_in_the_child(void) {
    const char *words[] = {"PING"};
    const coop_redis_words names = {words, NULL, 1};
    coop_redis_callback told = {no_reply, &p, count_drop}, nobody = {NULL, NULL, NULL};
    coop_redis_message_callback heard = {no_message, &p, count_drop};
    coop_redis_statistics stats = {0};
    coop_redis_subscriber *second = NULL;
    coop_redis_reply *reply = NULL;
    coop_redis *own = NULL;
    stats.size = sizeof stats;
    CHECK_SAYS(coop_redis_command(redis, NULL, words, NULL, 1, told, NULL), COOP_E_FORKED, "redis client was made before fork()");
    FORKED(coop_redis_call(redis, NULL, words, NULL, 1, &reply));
    FORKED(coop_redis_pipeline(redis, NULL, &names, 1, told, NULL));
    FORKED(coop_redis_transaction(redis, NULL, &names, 1, told, NULL));
    FORKED(coop_redis_script(redis, NULL, "x", 1, names, names, told, NULL));
    FORKED(coop_redis_cancel(redis, 1));
    FORKED(coop_redis_own(redis, &own));
    FORKED(coop_redis_stats(redis, &stats));
    FORKED(coop_redis_close(redis));
    FORKED(coop_redis_drain(redis, COOP_FOREVER));
    FORKED(coop_redis_subscriber_new(redis, heard, &second));
    FORKED(coop_redis_subscribe(subscriber, COOP_REDIS_CHANNEL, names, told));
    FORKED(coop_redis_unsubscribe(subscriber, COOP_REDIS_CHANNEL, names, nobody));
    CHECK(second == NULL && reply == NULL && own == NULL);
    coop_redis_subscriber_free(subscriber);
    coop_redis_free(redis);
}

static void in_the_child(void) {
    size_t count = 0;
    int32_t cpu = 0, fd = 77;
    int64_t ns = 77;
    coop_address address = {0, {0}};
    coop_datagram datagram = {"x", 1, {0, {0}}, 0, 0};

    FORKED(coop_pool_submit(pool, NULL, counted(&p)));
    FORKED(coop_pool_workers(pool, &count));
    coop_callback one = counted(&p);
    coop_pool_statistics of_pool = {0};
    coop_worker_statistics of_worker = {0};
    coop_task_id id = 0;
    of_pool.size = sizeof of_pool;
    of_worker.size = sizeof of_worker;
    FORKED(coop_pool_submit_batch(pool, NULL, &one, 1, &count));
    FORKED(coop_pool_submit_task(pool, NULL, one, &id));
    FORKED(coop_task_join(pool, task_id, COOP_FOREVER));
    FORKED(coop_task_cancel(pool, task_id));
    FORKED(coop_task_release(pool, task_id));
    FORKED(coop_pool_stats(pool, &of_pool));
    FORKED(coop_pool_worker_stats(pool, 0, &of_worker));
    CHECK(!coop_pool_may_run_here(pool, NULL));
    FORKED(coop_pool_parallel_for(pool, NULL, 0, 1, 0, no_piece, NULL));
    FORKED(coop_pool_worker_cpu(pool, 0, &cpu));
    FORKED(coop_pool_close(pool));
    FORKED(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, COOP_FOREVER));
    FORKED(coop_pool_join(pool, COOP_FOREVER));
    CHECK(!coop_pool_is_worker_thread(pool));

    CHECK_SAYS(coop_event_loop_post(loop, counted(&p)), COOP_E_FORKED, "event loop was made before fork()");
    FORKED(coop_event_loop_post_and_wait(loop, counted(&p), COOP_FOREVER));
    FORKED(coop_event_loop_timer(loop, NULL, counted_timer(&p), NULL));
    FORKED(coop_timer_cancel(loop, timer_id));
    FORKED(coop_event_loop_watch(loop, 0, NULL, counted_watch(&p), NULL));
    FORKED(coop_io_watch_cancel(loop, watch_id));
    FORKED(coop_event_loop_run(loop, COOP_RUN_DEFAULT));
    FORKED(coop_event_loop_start(loop));
    FORKED(coop_event_loop_stop(loop));
    FORKED(coop_event_loop_interrupt(loop));
    FORKED(coop_event_loop_join(loop, COOP_FOREVER));
    FORKED(coop_event_loop_backend_fd(loop, &fd));
    FORKED(coop_event_loop_backend_timeout(loop, &ns));
    FORKED(coop_event_loop_now(loop, &ns));
    CHECK(fd == 77 && ns == 77);
    CHECK(!coop_event_loop_is_loop_thread(loop));

    FORKED(coop_runtime_start(runtime, COOP_START_WAIT));
    FORKED(coop_runtime_stop(runtime, COOP_FOREVER));
    FORKED(coop_pool_submit(coop_runtime_pool(runtime), NULL, counted(&p)));
    FORKED(coop_event_loop_post(coop_runtime_event_loop(runtime), counted(&p)));

    FORKED(coop_udp_connect(udp, &address));
    FORKED(coop_udp_local_address(udp, &address));
    FORKED(coop_udp_receive(udp, &datagram, 1, &count));
    FORKED(coop_udp_send(udp, &datagram, 1, &count, NULL));
    CHECK_EQ(coop_udp_fd(udp), COOP_E_FORKED);

    graphs_in_the_child();
    redis_in_the_child();

    coop_pool_free(pool);
    coop_event_loop_free(loop);
    coop_runtime_free(runtime);
    coop_udp_free(udp);
    CHECK_EQ(runs(&p) + drops(&p), 0);

    /* ThreadSanitizer has no new threads in the child of a program that has some. */
    if (UNDER_TSAN) return;
    pool = new_pool(1);
    latch done = LATCH;
    CHECK_OK(coop_pool_submit(pool, NULL, opening(&done)));
    latch_wait(&done);
    coop_pool_free(pool);
    loop = new_loop();
    CHECK_OK(coop_event_loop_post(loop, counted(&p)));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    coop_event_loop_free(loop);
    CHECK(runs(&p) == 1 && drops(&p) == 1);
}

/* AddressSanitizer's allocator does not survive a fork while another thread is inside it: a lock of its own stays held in the child.
 * So under it the parent's threads are asleep at the fork. Elsewhere they do what they please. */
static void threads_asleep(void) {
    for (int quiet = UNDER_ASAN ? 0 : 3; quiet < 3; quiet++) {
        DIR *tasks = opendir("/proc/self/task");
        CHECK(tasks != NULL);
        for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
            char path[300], line[300] = "";
            if (task->d_name[0] == '.' || atoi(task->d_name) == getpid()) continue;
            snprintf(path, sizeof path, "/proc/self/task/%s/stat", task->d_name);
            FILE *file = fopen(path, "r");
            CHECK(file != NULL && fgets(line, sizeof line, file) != NULL);
            fclose(file);
            if (strstr(line, ") S ") == NULL) quiet = -1;
        }
        closedir(tasks);
        sched_yield();
    }
}

int main(void) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    pool = new_pool(2);
    loop = new_loop();
    runtime = new_runtime();
    CHECK_OK(coop_udp_new(NULL, &udp));
    CHECK_OK(coop_event_loop_start(loop));
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
    CHECK_OK(coop_event_loop_timer(loop, &far, counted_timer(&waiting_timer), &timer_id));
    CHECK_OK(coop_event_loop_watch(loop, fds[0], NULL, counted_watch(&waiting_watch), &watch_id));
    CHECK_OK(coop_pool_submit_task(pool, NULL, counted(&task), &task_id));

    make_graphs();
    make_redis();

    threads_asleep();
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        in_the_child();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    CHECK_OK(coop_task_join(pool, task_id, LONG_NS));
    CHECK(runs(&task) == 1 && drops(&task) == 1);
    latch posted = LATCH, submitted = LATCH;
    CHECK_OK(coop_event_loop_post(loop, opening(&posted)));
    CHECK_OK(coop_pool_submit(pool, NULL, opening(&submitted)));
    latch_wait(&posted);
    latch_wait(&submitted);
    CHECK_OK(coop_io_watch_cancel(loop, watch_id));
    CHECK_OK(coop_timer_cancel(loop, timer_id));
    CHECK(drops(&waiting_timer) == 1 && drops(&waiting_watch) == 1);
    coop_redis_subscriber_free(subscriber);
    coop_redis_free(redis);
    /* The parent's graphs are as they were. */
    void *value = NULL;
    CHECK(!coop_dag_completer_is_ended(completer));
    CHECK_OK(coop_dag_completer_complete(completer, COOP_OK, (coop_dag_value){NULL, NULL}));
    CHECK_OK(coop_dag_run_join(dag, run_id, LONG_NS, NULL));
    coop_dag_free(dag);
    CHECK_OK(coop_dag_outcome_value(outcome, node, &value));
    CHECK(value == &of_values);
    coop_dag_outcome_free(outcome);
    coop_dag_builder_free(dag_builder);
    CHECK_EQ(drops(&of_values), 1);
    coop_udp_free(udp);
    coop_runtime_free(runtime);
    coop_event_loop_free(loop);
    coop_pool_free(pool);
    CHECK_EQ(drops(&of_nodes), 3);
    return 0;
}
