/* Hosts: what is refused and by which words, who owns the arguments then, starts that fail, services that ignore their deadline, and hosts
 * that are freed at any moment. */
#include "host.h"

static void add_refused(coop_host *host, const coop_service_options *service, coop_status status, const char *words) {
    coop_service_id id = 77;
    CHECK_SAYS(coop_supervisor_add(host, 0, service, &id), status, words);
    CHECK_SAYS(coop_supervisor_start_child(host, 0, service, &id), status, words);
    CHECK_EQ(id, 77);
}

static void services(void) {
    waiter w = WAITER;
    coop_host *host = new_host(NULL, COOP_NONE);
    const coop_thread_service thread = {wait_to_stop, &w, drop_waiter};
    coop_service_options bad = service_of("one");
    const char *argv[] = {"true", NULL}, *nothing[] = {NULL}, *no_name[] = {"=x", NULL};
    coop_command command = shell_of(argv);

    CHECK_STATUS(coop_supervisor_add(host, 0, NULL, NULL), COOP_E_NULL);
    CHECK_OK(coop_host_start(host));
    add_refused(host, &bad, COOP_E_NULL, "command, worker, thread.fn and async.start");
    bad.thread = thread;
    bad.command = &command;
    add_refused(host, &bad, COOP_E_INVALID, "more than one of command, worker, thread.fn and async.start");
    bad.command = NULL;
#define REFUSED(field, value, status, words) \
    do {                                     \
        coop_service_options one = bad;      \
        one.field = value;                   \
        add_refused(host, &one, status, words); \
    } while (0)
    REFUSED(size, 3, COOP_E_INVALID, "coop_service_options.size is 3");
    REFUSED(id, NULL, COOP_E_NULL, "coop_service_options.id");
    REFUSED(id_length, 0, COOP_E_INVALID, "\"\"");
    REFUSED(id, "a/b", COOP_E_INVALID, "\"a/b\"");
    REFUSED(id, "a\xff" "b", COOP_E_INVALID, "not UTF-8 at byte 1");
    REFUSED(restart, 3, COOP_E_INVALID, "restart 3");
    REFUSED(restart, -1, COOP_E_INVALID, "restart -1");
    REFUSED(significant, 2, COOP_E_INVALID, "significant is 2");
    REFUSED(significant, 1, COOP_E_INVALID, "significant");
    REFUSED(ready, 2, COOP_E_INVALID, "ready 2");
    REFUSED(ready_timeout_ns, 5, COOP_E_INVALID, "ready_timeout_ns is set");
    REFUSED(ready_timeout_ns, -5, COOP_E_INVALID, "ready_timeout_ns is -5");
    REFUSED(shutdown_ns, -3, COOP_E_INVALID, "shutdown_ns is -3");
    REFUSED(watchdog_ns, -1, COOP_E_INVALID, "watchdog_ns is -1");
    REFUSED(liveness_ns, -1, COOP_E_INVALID, "liveness_ns is -1");
    REFUSED(liveness_ns, 1, COOP_E_INVALID, "liveness with the thread executor; allowed with async process");
    REFUSED(worker, "w", COOP_E_INVALID, "coop_service_options.worker is empty");
    REFUSED(worker_length, 1, COOP_E_NULL, "coop_service_options.worker");
    REFUSED(park, -1, COOP_E_INVALID, "park is -1");
    REFUSED(park_at_start, 7, COOP_E_INVALID, "park_at_start is 7");
    REFUSED(reserved, 1, COOP_E_UNSUPPORTED, "reserved is 1");
    REFUSED(normal_exits_count, 1, COOP_E_NULL, "normal_exits");
    REFUSED(backoff.growth, 3, COOP_E_INVALID, "growth 3");
    REFUSED(backoff.cap_ns, 3, COOP_E_INVALID, "delay_ns is 0");
    REFUSED(backoff.delay_ns, -3, COOP_E_INVALID, "delay_ns is -3");
    REFUSED(backoff.jitter_per_mille, 1001, COOP_E_INVALID, "jitter_per_mille is 1001");

    bad = service_of("one");
    bad.command = &command;
#define BAD_COMMAND(field, value, status, words) \
    do {                                         \
        coop_command one = command;              \
        one.field = value;                       \
        bad.command = &one;                      \
        add_refused(host, &bad, status, words);  \
    } while (0)
    coop_limit no_limit = {-1, 0, 1, 1}, low = {7, 0, 5, 4};
    coop_descriptor closed = {9999, 5};
    coop_listen_socket colon = {"a:b", 3, 1, 0};
    BAD_COMMAND(size, 8, COOP_E_INVALID, "coop_command.size is 8");
    BAD_COMMAND(argv, NULL, COOP_E_NULL, "argv");
    BAD_COMMAND(argv, nothing, COOP_E_INVALID, "the program is \"\"");
    BAD_COMMAND(env, no_name, COOP_E_INVALID, "has the name \"\"");
    BAD_COMMAND(has, 64, COOP_E_INVALID, "has is 64");
    BAD_COMMAND(uid, 1000, COOP_E_INVALID, "uid is set, and has lacks COOP_COMMAND_UID");
    BAD_COMMAND(nice, 5, COOP_E_INVALID, "nice is set");
    BAD_COMMAND(groups_count, 1, COOP_E_INVALID, "groups is set");
    BAD_COMMAND(stop_signal, 99, COOP_E_INVALID, "stop signal 99");
    BAD_COMMAND(env_clear, 2, COOP_E_INVALID, "env_clear is 2");
    BAD_COMMAND(output, 9, COOP_E_INVALID, "output 9");
    BAD_COMMAND(output, COOP_OUTPUT_LINES, COOP_E_NULL, "on_line.fn");
    BAD_COMMAND(output_fd, 1, COOP_E_INVALID, "output_fd is 1");
    BAD_COMMAND(tail, -2, COOP_E_INVALID, "tail is -2");
    command.limits = &no_limit;
    BAD_COMMAND(limits_count, 1, COOP_E_INVALID, "resource is -1");
    command.limits = &low;
    BAD_COMMAND(limits_count, 1, COOP_E_INVALID, "soft limit of \"nofile\" is 5");
    command.descriptors = &closed;
    BAD_COMMAND(descriptors_count, 1, COOP_E_INVALID, "coop_descriptor.fd is 9999");
    command.listen = &colon;
    BAD_COMMAND(listen_count, 1, COOP_E_INVALID, "\"a:b\"");
    coop_host_free(host);
    CHECK_EQ(drops(&w.probe), 0);
    CHECK_EQ(runs(&w.probe), 0);
}

static void hosts(void) {
    coop_host *host = NULL;
    coop_supervisor_options root = {.size = sizeof root};
    coop_host_options options = {.size = sizeof options, .root = &root};
#define BAD_ROOT(field, value, words)                                        \
    do {                                                                     \
        root = (coop_supervisor_options){.size = sizeof root};               \
        root.field = value;                                                  \
        CHECK_SAYS(coop_host_new(&options, &host), COOP_E_INVALID, words);   \
    } while (0)
    BAD_ROOT(size, 1, "coop_supervisor_options.size is 1");
    BAD_ROOT(strategy, 4, "strategy 4");
    BAD_ROOT(strategy, -1, "strategy -1");
    BAD_ROOT(intensity, -2, "intensity is -2");
    BAD_ROOT(period_ns, -1, "period_ns is -1");
    BAD_ROOT(auto_shutdown, 3, "auto_shutdown 3");
    BAD_ROOT(no_restarts, 2, "no_restarts is 2");
    BAD_ROOT(restart, 9, "restart 9");
    root = (coop_supervisor_options){.size = sizeof root, .intensity = 3, .no_restarts = 1};
    CHECK_SAYS(coop_host_new(&options, &host), COOP_E_INVALID, "intensity is 3 beside no_restarts");
    root = (coop_supervisor_options){.size = sizeof root};
    options.name = "a/b";
    options.name_length = 3;
    CHECK_SAYS(coop_host_new(&options, &host), COOP_E_INVALID, "a/b");
    options.name = NULL;
    options.name_length = 0;
    options.history = -2;
    CHECK_SAYS(coop_host_new(&options, &host), COOP_E_INVALID, "history is -2");
    CHECK(host == NULL);
    CHECK_STATUS(coop_host_new(NULL, NULL), COOP_E_NULL);
    CHECK_EQ(coop_host_root(NULL), 0);
    coop_host_free(NULL);

    CHECK_OK(coop_host_new(NULL, &host));
    CHECK_STATUS(coop_host_join(host, 0), COOP_E_INVALID);
    CHECK_SAYS(coop_host_join(host, -2), COOP_E_INVALID, "timeout_ns is -2");
    CHECK_STATUS(coop_supervisor_terminate_child(host, 0, 12345), COOP_E_STALE);
    CHECK_STATUS(coop_supervisor_delete_child(host, 99, 12345), COOP_E_STALE);
    CHECK_OK(coop_host_start(host));
    CHECK_OK(coop_host_stop(host));
    CHECK_OK(coop_host_join(host, COOP_FOREVER));
    CHECK_OK(coop_host_stop(host));
    CHECK_OK(coop_host_kill(host));
    CHECK_STATUS(coop_host_start(host), COOP_E_CLOSED);
    waiter w = WAITER;
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){wait_to_stop, &w, drop_waiter};
    CHECK_STATUS(coop_supervisor_add(host, 0, &service, NULL), COOP_E_CLOSED);
    coop_host_free(host);
    CHECK_EQ(drops(&w.probe), 0);
}

static void return_at_once(void *arg, coop_service_context *context) {
    (void)context;
    count_run(arg);
}

/* A start that fails: what was started is stopped, and whoever called still owns the argument. */
static void starts_that_fail(void) {
    watcher seen = WATCHER;
    waiter one = WAITER;
    probe two = {0, 0};
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&seen), NULL));
    add_waiter(host, 0, "one", &one);
    const char *missing[] = {"/no/such/program", NULL}, *directory[] = {"/", NULL};
    coop_command command = shell_of(missing);
    coop_service_options service = service_of("two");
    coop_service_id id = 0;
    service.command = &command;
    CHECK_OK(coop_supervisor_add(host, 0, &service, &id));
    CHECK_SAYS(coop_host_start(host), COOP_E_FAILED, "/no/such/program");
    CHECK(strstr(await_event(&seen, "root/two", COOP_SERVICE_START_FAILED, 1).text, "/no/such/program") != NULL);
    CHECK_EQ(runs(&one.probe), 1);
    CHECK_OK(coop_supervisor_delete_child(host, 0, id));
    CHECK_OK(coop_host_start(host));

    command.argv = directory;
    CHECK_SAYS(coop_supervisor_start_child(host, 0, &service, NULL), COOP_E_FAILED, "\"two\"");
    service = service_of("two");
    service.thread = (coop_thread_service){return_at_once, &two, count_drop};
    service.ready = COOP_READY_NOTIFY;
    CHECK_SAYS(coop_supervisor_start_child(host, 0, &service, NULL), COOP_E_FAILED, "before it was ready");
    CHECK_EQ(runs(&two), 1);
    coop_host_free(host);
    CHECK_EQ(drops(&two), 0);
    await_drops(&one.probe, 1);
    await_drops(&seen.probe, 1);
}

static void gives_up(void) {
    watcher w = WATCHER;
    coop_supervisor_options root = {.size = sizeof root, .no_restarts = 1};
    coop_host_options options = {.size = sizeof options, .root = &root, .name = "top", .name_length = 3};
    coop_host *host = NULL;
    CHECK_OK(coop_host_new(&options, &host));
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    add_script(host, 0, "fails", "echo why >&2; exit 3");
    CHECK_OK(coop_host_start(host));
    CHECK_SAYS(coop_host_join(host, COOP_FOREVER), COOP_E_FAILED, "fails");
    struct seen ended = await_event(&w, "top/fails", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_EXITED && ended.code == 3 && !ended.normal && strcmp(ended.tail, "why") == 0);
    await_event(&w, "top", COOP_SERVICE_GAVE_UP, 1);
    coop_host_free(host);
    await_drops(&w.probe, 1);
}

static void significant(void) {
    coop_supervisor_options root = {.size = sizeof root, .auto_shutdown = COOP_AUTO_SHUTDOWN_ANY_SIGNIFICANT};
    coop_host_options options = {.size = sizeof options, .root = &root};
    coop_host *host = NULL;
    probe p = {0, 0};
    waiter other = WAITER;
    CHECK_OK(coop_host_new(&options, &host));
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){return_at_once, &p, count_drop};
    service.restart = COOP_RESTART_TRANSIENT;
    service.significant = 1;
    add_waiter(host, 0, "other", &other);
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    CHECK_OK(coop_host_join(host, COOP_FOREVER));
    coop_host_free(host);
    await_drops(&p, 1);
    await_drops(&other.probe, 1);
}

/* A function that ignores its deadline goes on by itself; its argument is dropped when it has returned. */
static void ignore(void *arg, coop_service_context *context) {
    blocker *b = ((void **)arg)[0];
    (void)context;
    block(b);
}
static void drop_ignored(void *arg) { count_drop(((void **)arg)[1]); }

static void ignores_its_deadline(void) {
    watcher w = WATCHER;
    blocker b = BLOCKER;
    probe p = {0, 0};
    void *both[] = {&b, &p};
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_service_id id = 0;
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){ignore, both, drop_ignored};
    service.shutdown_ns = 1000000;
    CHECK_OK(coop_supervisor_add(host, 0, &service, &id));
    CHECK_OK(coop_host_start(host));
    latch_wait(&b.begun);
    CHECK_OK(coop_supervisor_terminate_child(host, 0, id));
    await_event(&w, "root/one", COOP_SERVICE_UNRESPONSIVE, 1);
    coop_host_free(host);
    CHECK_EQ(drops(&p), 0);
    latch_open(&b.go);
    await_drops(&p, 1);
    await_drops(&w.probe, 1);
}

/* A child that ignores SIGTERM is killed at its deadline; one with a kill is not asked. */
static void deadlines_of_programs(void) {
    watcher w = WATCHER;
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    const char *argv[] = {"/bin/sh", "-c", "trap '' TERM; echo READY; while :; do sleep 1; done", NULL};
    coop_command command = shell_of(argv);
    coop_service_options service = service_of("deaf");
    service.command = &command;
    service.shutdown_ns = 50000000;
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    service = service_of("killed");
    service.command = &command;
    service.shutdown_ns = COOP_BRUTAL_KILL;
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    await_event(&w, "root/deaf", COOP_SERVICE_ENDED, 1);
    struct seen killed = await_event(&w, "root/killed", COOP_SERVICE_ENDED, 1);
    CHECK(killed.exit == COOP_EXIT_SIGNALED && killed.signal == SIGKILL);
    coop_host_free(host);
    await_drops(&w.probe, 1);
}

/* Verbs and the end of the host from inside a service. */
typedef struct {
    probe probe;
    coop_host *host;
    coop_service_id id;
    latch known, freed;
} insider;

static void free_inside(void *arg, coop_service_context *context) {
    insider *i = arg;
    waiter *none = NULL;
    (void)none;
    latch_wait(&i->known);
    CHECK_STATUS(coop_host_shutdown(i->host, 0), COOP_E_WOULD_DEADLOCK);
    CHECK_STATUS(coop_host_join(i->host, 0), COOP_E_WOULD_DEADLOCK);
    CHECK_STATUS(coop_supervisor_terminate_child(i->host, 0, coop_service_context_id(context)), COOP_E_WOULD_DEADLOCK);
    coop_child_counts counts = {.size = sizeof counts};
    CHECK_OK(coop_supervisor_count_children(i->host, 0, &counts));
    CHECK_EQ(counts.active, 1);
    coop_host_free(i->host);
    latch_open(&i->freed);
    CHECK_OK(coop_service_context_wait_stopping(context, COOP_FOREVER));
}
static void drop_insider(void *arg) { count_drop(&((insider *)arg)->probe); }

static void freed_by_a_service(void) {
    insider i = {{0, 0}, NULL, 0, LATCH, LATCH};
    watcher w = WATCHER;
    i.host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(i.host, NULL, watching(&w), NULL));
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){free_inside, &i, drop_insider};
    CHECK_OK(coop_supervisor_add(i.host, 0, &service, &i.id));
    CHECK_OK(coop_host_start(i.host));
    latch_open(&i.known);
    latch_wait(&i.freed);
    await_event(&w, "root/one", COOP_SERVICE_ENDED, 1);
    await_drops(&i.probe, 1);
    await_drops(&w.probe, 1);
}

/* Another thread waits in coop_host_join while a service frees the host. */
typedef struct {
    coop_host *host;
    caller caller;
} joiner;

static void *join_host(void *arg) {
    joiner *j = arg;
    about_to_wait(&j->caller);
    CHECK_OK(coop_host_join(j->host, COOP_FOREVER));
    return NULL;
}

static void freed_while_joined(void) {
    insider i = {{0, 0}, NULL, 0, LATCH, LATCH};
    pthread_t thread;
    i.host = new_host(NULL, COOP_NONE);
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){free_inside, &i, drop_insider};
    CHECK_OK(coop_supervisor_add(i.host, 0, &service, NULL));
    CHECK_OK(coop_host_start(i.host));
    joiner j = {i.host, {0}};
    CHECK(pthread_create(&thread, NULL, join_host, &j) == 0);
    await_asleep(&j.caller);
    latch_open(&i.known);
    CHECK(pthread_join(thread, NULL) == 0);
    await_drops(&i.probe, 1);
}

/* Never started, freed with programs that run, killed. */
static void freed_at_any_moment(void) {
    for (int moment = 0; moment < 4; moment++) {
        waiter one = WAITER;
        coop_host *host = new_host(NULL, COOP_NONE);
        add_waiter(host, 0, "one", &one);
        add_script(host, 0, "two", "trap '' TERM; exec sleep 1000");
        if (moment > 0) CHECK_OK(coop_host_start(host));
        if (moment == 2) CHECK_OK(coop_host_kill(host));
        if (moment == 3) CHECK_OK(coop_host_stop(host));
        coop_host_free(host);
        await_drops(&one.probe, 1);
    }
}

int main(void) {
    services();
    hosts();
    starts_that_fail();
    gives_up();
    significant();
    ignores_its_deadline();
    deadlines_of_programs();
    freed_by_a_service();
    freed_while_joined();
    freed_at_any_moment();
    return 0;
}
