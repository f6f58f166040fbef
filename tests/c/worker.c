/* A program that is its own services: workers with a main loop and with a thread, what they are told and tell, how they end, who
 * drops the arguments; observers of the host from there; and a plain program that speaks to its service manager. */
#include "host.h"
#include <fcntl.h>
#include <sys/stat.h>

/* The worker's side. An entry on the main loop: it tells what it was given, is ready after a timer, and ends after one. */
typedef struct {
    probe probe;
    coop_service_context *context;
} entry;

static void drop_entry(void *arg) { count_drop(&((entry *)arg)->probe); }

static void say(coop_service_context *context, const char *text) {
    CHECK_OK(coop_service_context_status(context, text, strlen(text)));
}

static void later(coop_service_context *context, void (*run)(void *, uint64_t), void *arg) {
    coop_timer_options soon = {.size = sizeof soon, .after_ns = 1000000};
    coop_timer_callback callback = {run, arg, NULL};
    coop_event_loop *loop = coop_service_context_event_loop(context);
    CHECK(loop != NULL && loop == coop_service_context_event_loop(context) && coop_event_loop_is_loop_thread(loop));
    CHECK_OK(coop_event_loop_timer(loop, &soon, callback, NULL));
}
static void be_ready(void *arg, uint64_t times) {
    (void)times;
    CHECK_OK(coop_service_context_ready(((entry *)arg)->context));
}
static void end_well(void *arg, uint64_t times) {
    (void)times;
    CHECK_OK(coop_service_context_end(((entry *)arg)->context, COOP_OK, NULL, 0));
}
static void start_echo(void *arg, coop_service_context *context) {
    entry *e = arg;
    char text[160];
    const char *const *argv = coop_service_context_argv(context);
    CHECK(argv != NULL && coop_service_context_value(context) == NULL);
    snprintf(text, sizeof text, "run %d, %s", (int)coop_service_context_run(context), argv[0] ? argv[0] : "nothing");
    say(context, text);
    e->context = context;
    later(context, be_ready, e);
}
static void stop_echo(void *arg, coop_service_context *context) {
    CHECK(coop_service_context_is_stopping(context));
    later(context, end_well, arg);
}

/* One on a thread, that fails. */
static void fail_on_thread(void *arg, coop_service_context *context) {
    (void)arg;
    CHECK(!coop_event_loop_is_loop_thread(coop_service_context_event_loop(context)));
    CHECK_OK(coop_service_context_end(context, COOP_E_FAILED, "on purpose", 10));
}

/* One that sees the host's events: first those before, by a function and by a queue. */
static void watch(void *arg, coop_service_context *context) {
    (void)arg;
    watcher w = WATCHER;
    coop_observer_options options = {.size = sizeof options, .path = "root/echo", .path_length = 9, .replay = 100, .json = 1};
    coop_service_event_callback none = {NULL, NULL, NULL};
    coop_parent_observer *told = NULL, *asked = NULL, *idle = NULL;
    const coop_service_event *event = NULL;
    CHECK_OK(coop_parent_observer_new(&options, watching(&w), &told));
    CHECK_OK(coop_parent_observer_new(&options, none, &asked));
    CHECK_OK(coop_parent_observer_new(NULL, none, &idle));
    CHECK_SAYS(coop_parent_observer_next(told, 0, &event), COOP_E_INVALID, "has a function");
    CHECK_SAYS(coop_parent_observer_next(asked, -2, &event), COOP_E_INVALID, "timeout_ns is -2");
    CHECK_STATUS(coop_parent_observer_next(asked, 0, NULL), COOP_E_NULL);
    CHECK(await_event(&w, "root/echo", COOP_SERVICE_SPAWNED, 1).pid > 0);
    do CHECK_OK(coop_parent_observer_next(asked, 2 * LONG_NS, &event));
    while (event->kind != COOP_SERVICE_READY);
    CHECK(strcmp(event->path.data, "root/echo") == 0 && event->json.length > 0);
    say(context, "seen");
    /* The next run, as it happens. */
    await_event(&w, "root/echo", COOP_SERVICE_READY, 2);
    do CHECK_OK(coop_parent_observer_next(asked, 2 * LONG_NS, &event));
    while (event->kind != COOP_SERVICE_READY || event->run != 2);
    coop_parent_observer_free(told);
    coop_parent_observer_free(asked);
    await_drops(&w.probe, 1);
    say(context, "seen again");
    CHECK_OK(coop_service_context_wait_stopping(context, COOP_FOREVER));
    coop_parent_observer_free(idle);
}

static entry echo_entry, fail_entry, watch_entry;

static int as_worker(int32_t *status) {
    coop_worker table[] = {
        {.size = sizeof *table, .name = "echo", .name_length = 4, .async = {start_echo, stop_echo, &echo_entry, drop_entry}},
        {.size = sizeof *table, .name = "fail", .name_length = 4, .thread = {fail_on_thread, &fail_entry, drop_entry}},
        {.size = sizeof *table, .name = "watch", .name_length = 5, .thread = {watch, &watch_entry, drop_entry}},
    };
    CHECK_OK(coop_workers_run(table, 3, status));
    CHECK(drops(&echo_entry.probe) == 1 && drops(&fail_entry.probe) == 1 && drops(&watch_entry.probe) == 1);
    return *status != COOP_NONE;
}

/* The plain program's side: what a service manager has told it goes into its status. */
static void on_socket(void *arg, const coop_listen_socket *socket) {
    char *text = arg;
    size_t at = strlen(text);
    struct stat is;
    CHECK(fstat(socket->fd, &is) == 0 && fcntl(socket->fd, F_GETFD) == FD_CLOEXEC);
    snprintf(text + at, 100 - at, "%s=%d;", socket->name, socket->fd);
    CHECK(close(socket->fd) == 0);
}
static int as_program(void) {
    char text[100] = "";
    int64_t every = 0;
    coop_listen_callback none = {NULL, NULL, NULL}, collect = {on_socket, text, NULL};
    CHECK_STATUS(coop_systemd_listen_fds(none), COOP_E_NULL);
    CHECK_OK(coop_systemd_listen_fds(collect));
    CHECK_OK(coop_systemd_watchdog(&every));
    snprintf(text + strlen(text), sizeof text - strlen(text), "%lld", (long long)every);
    CHECK_SAYS(coop_systemd_status("two\nlines", 9), COOP_E_INVALID, "one line");
    CHECK_STATUS(coop_systemd_status(NULL, 0), COOP_E_NULL);
    CHECK_STATUS(coop_systemd_watchdog(NULL), COOP_E_NULL);
    CHECK_SAYS(coop_systemd_extend(-1), COOP_E_INVALID, "time_ns is -1");
    CHECK_OK(coop_systemd_extend(2 * LONG_NS));
    CHECK_OK(coop_systemd_status(text, strlen(text)));
    CHECK_OK(coop_systemd_beat());
    CHECK_OK(coop_systemd_ready());
    CHECK_OK(coop_systemd_stopping());
    return 0;
}

/* The host's side. */
static coop_service_id add_worker(coop_host *host, const char *id, const char *worker, int64_t liveness_ns) {
    coop_service_options service = service_of(id);
    coop_service_id made = 0;
    service.worker = worker;
    service.worker_length = strlen(worker);
    service.liveness_ns = liveness_ns;
    CHECK_OK(coop_supervisor_add(host, 0, &service, &made));
    return made;
}

static void await_status(watcher *w, const char *path, const char *text) {
    for (int turns = 0; turns < 60000; turns++) {
        int found = 0;
        pthread_mutex_lock(&w->lock);
        for (size_t i = 0; i < w->count; i++)
            found |= w->events[i].kind == COOP_SERVICE_STATUS && strcmp(w->events[i].path, path) == 0 &&
                     strcmp(w->events[i].text, text) == 0;
        pthread_mutex_unlock(&w->lock);
        if (found) return;
        usleep(1000);
    }
    FAIL("%s has not said \"%s\" in a minute", path, text);
}

static void name_executor(void *arg, const coop_child_info *child) {
    CHECK(strcmp(child->executor.data, "async process") == 0 && child->pid > 0);
    ++*(int *)arg;
}
static void look_at_spec(void *arg, const coop_child_spec *spec) {
    CHECK_EQ(spec->liveness_ns, 2 * LONG_NS);
    ++*(int *)arg;
}

static void lives(void) {
    watcher w = WATCHER;
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    coop_service_id id = add_worker(host, "echo", "echo", 2 * LONG_NS);
    add_worker(host, "watch", "watch", 0);
    CHECK_OK(coop_host_start(host));
    await_status(&w, "root/echo", "run 1, nothing");
    await_status(&w, "root/watch", "seen");
    int seen = 0;
    coop_child_info_callback list = {name_executor, &seen, NULL};
    coop_child_spec_callback look = {look_at_spec, &seen, NULL};
    CHECK_OK(coop_supervisor_which_children(host, 0, list));
    CHECK_OK(coop_supervisor_get_childspec(host, 0, id, look));
    CHECK_EQ(seen, 3);

    struct seen spawned = await_event(&w, "root/echo", COOP_SERVICE_SPAWNED, 1);
    CHECK(spawned.pid > 0 && spawned.pid != getpid() && kill(spawned.pid, SIGKILL) == 0);
    await_status(&w, "root/echo", "run 2, nothing");
    await_status(&w, "root/watch", "seen again");
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    struct seen ended = await_event(&w, "root/echo", COOP_SERVICE_ENDED, 2);
    CHECK(ended.exit == COOP_EXIT_EXITED && ended.code == 0 && ended.normal && ended.because == COOP_BECAUSE_ASKED);
    ended = await_event(&w, "root/watch", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_EXITED && ended.code == 0 && ended.normal);
    coop_host_free(host);
    await_drops(&w.probe, 1);
}

static void fails(void) {
    watcher w = WATCHER;
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    CHECK_OK(coop_host_start(host));
    coop_service_options service = service_of("one");
    service.worker = "gone";
    service.worker_length = 4;
    CHECK_SAYS(coop_supervisor_start_child(host, 0, &service, NULL), COOP_E_FAILED, "this program has no such entry; it has \"echo\"");
    service.worker = "fail";
    service.restart = COOP_RESTART_TEMPORARY;
    /* It may be ready, or not yet, when it fails. */
    coop_status started = coop_supervisor_start_child(host, 0, &service, NULL);
    CHECK(started == COOP_OK || strstr(coop_last_error(), "on purpose") != NULL);
    await_status(&w, "root/one", "on purpose");

    /* Another program, which is no worker. */
    const char *argv[] = {"/bin/true", NULL};
    coop_command command = shell_of(argv);
    service.id = "two";
    service.command = &command;
    CHECK_STATUS(coop_supervisor_start_child(host, 0, &service, NULL), COOP_E_FAILED);
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    coop_host_free(host);
    await_drops(&w.probe, 1);
}

/* A process that does not run is ended; and one that does is not. */
static void liveness(void) {
    watcher w = WATCHER;
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    add_worker(host, "echo", "echo", INT64_C(3000000000));
    CHECK_OK(coop_host_start(host));
    CHECK(kill(await_event(&w, "root/echo", COOP_SERVICE_SPAWNED, 1).pid, SIGSTOP) == 0);
    struct seen ended = await_event(&w, "root/echo", COOP_SERVICE_ENDED, 1);
    CHECK_EQ(ended.because, COOP_BECAUSE_LIVENESS);
    CHECK_EQ(ended.exit, COOP_EXIT_SIGNALED);
    CHECK(ended.signal == SIGABRT || ended.signal == SIGKILL);
    await_event(&w, "root/echo", COOP_SERVICE_READY, 2);
    coop_host_free(host);
    await_drops(&w.probe, 1);
}

/* Children of a template, with texts; this program with an environment of its own. */
static void templates(void) {
    watcher w = WATCHER;
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_service_id simple = 0;
    coop_supervisor_options options = {.size = sizeof options, .strategy = COOP_STRATEGY_SIMPLE_ONE_FOR_ONE};
    const char *env[] = {"COOP_TEST=1", NULL}, *texts[] = {"some text", NULL};
    coop_command command = {.size = sizeof command, .env = env, .output = COOP_OUTPUT_NULL};
    coop_service_options service = service_of("child");
    service.worker = "echo";
    service.worker_length = 4;
    service.command = &command;
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    CHECK_OK(coop_supervisor_supervisor(host, 0, "simple", 6, &options, &simple));
    CHECK_OK(coop_host_start(host));
    CHECK_OK(coop_supervisor_template(host, simple, &service));
    probe value = {0, 0};
    coop_child_args with_value = {sizeof with_value, NULL, &value, count_drop}, args = {sizeof args, texts, NULL, NULL};
    CHECK_SAYS(coop_supervisor_start_child_with(host, simple, &with_value, NULL), COOP_E_FAILED, "text only");
    CHECK_EQ(drops(&value), 0);
    CHECK_OK(coop_supervisor_start_child_with(host, simple, &args, NULL));
    int told = 0;
    while (!told) {
        pthread_mutex_lock(&w.lock);
        for (size_t i = 0; i < w.count; i++) told |= strcmp(w.events[i].text, "run 1, some text") == 0;
        pthread_mutex_unlock(&w.lock);
        usleep(1000);
    }
    coop_host_free(host);
    await_drops(&w.probe, 1);
}

static void programs(void) {
    watcher w = WATCHER;
    int ends[2];
    CHECK(pipe(ends) == 0);
    coop_host *host = new_host(NULL, COOP_NONE);
    const char *argv[] = {"/proc/self/exe", "program", NULL};
    coop_listen_socket sockets[] = {{"web", 3, ends[0], 0}, {"log", 3, ends[1], 0}};
    coop_command command = {.size = sizeof command, .argv = argv, .listen = sockets, .listen_count = 2};
    coop_service_options service = service_of("one");
    service.command = &command;
    service.ready = COOP_READY_NOTIFY;
    service.restart = COOP_RESTART_TRANSIENT;
    service.watchdog_ns = 2 * LONG_NS;
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    await_status(&w, "root/one", "web=3;log=4;60000000000");
    struct seen ended = await_event(&w, "root/one", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_EXITED && ended.code == 0);
    coop_host_free(host);
    await_drops(&w.probe, 1);
    close(ends[0]);
    close(ends[1]);
}

/* What is refused; nothing of it is dropped. */
static void refused(void) {
    entry one = {.context = NULL};
    int32_t status = 77;
    coop_worker good = {.size = sizeof good, .name = "a", .name_length = 1, .thread = {fail_on_thread, &one, drop_entry}};
    coop_worker table[2] = {good, good};
    CHECK_STATUS(coop_workers_run(NULL, 1, &status), COOP_E_NULL);
    CHECK_STATUS(coop_workers_run(table, 1, NULL), COOP_E_NULL);
    CHECK_SAYS(coop_workers_run(table, 0, &status), COOP_E_INVALID, "count is 0");
    CHECK_SAYS(coop_workers_run(table, SIZE_MAX, &status), COOP_E_INVALID, "do not fit into memory");
    CHECK_SAYS(coop_workers_run(table, 2, &status), COOP_E_INVALID, "worker \"a\" is there twice");
#define REFUSED(field, value, expected, words)                               \
    do {                                                                     \
        table[1] = good;                                                     \
        table[1].name = "b";                                                 \
        table[1].field = value;                                              \
        CHECK_SAYS(coop_workers_run(table, 2, &status), expected, words);    \
    } while (0)
    REFUSED(size, 8, COOP_E_INVALID, "workers[1].size is 8");
    REFUSED(name, NULL, COOP_E_NULL, "name");
    REFUSED(name_length, 0, COOP_E_INVALID, "coop_worker.name is empty");
    REFUSED(name, "\xff", COOP_E_INVALID, "coop_worker.name is not UTF-8");
    REFUSED(thread.fn, NULL, COOP_E_NULL, "worker \"b\": coop_worker.async.start and thread.fn");
    REFUSED(async.start, start_echo, COOP_E_INVALID, "worker \"b\" has both async.start and thread.fn");
    table[0].size = 3;
    CHECK_SAYS(coop_workers_run(table, 1, &status), COOP_E_INVALID, "coop_worker.size is 3");
    CHECK_EQ(status, 77);
    CHECK_EQ(drops(&one.probe), 0);

    watcher w = WATCHER;
    coop_parent_observer *observer = NULL;
    CHECK_SAYS(coop_parent_observer_new(NULL, watching(&w), &observer), COOP_E_UNSUPPORTED, "NOTIFY_SOCKET is not set");
    CHECK_STATUS(coop_parent_observer_new(NULL, watching(&w), NULL), COOP_E_NULL);
    CHECK_STATUS(coop_parent_observer_next(NULL, 0, NULL), COOP_E_NULL);
    coop_parent_observer_free(NULL);
    CHECK(observer == NULL && drops(&w.probe) == 0);

    CHECK(coop_service_context_event_loop(NULL) == NULL && coop_service_context_argv(NULL) == NULL);
    /* Nobody listens, which is fine; somebody should, and does not. */
    CHECK_OK(coop_systemd_ready());
    CHECK(setenv("NOTIFY_SOCKET", "nowhere", 1) == 0);
    CHECK_SAYS(coop_systemd_ready(), COOP_E_INVALID, "\"nowhere\"");
    CHECK(setenv("NOTIFY_SOCKET", "@coop-nobody-listens-here", 1) == 0);
    CHECK_STATUS(coop_systemd_ready(), COOP_E_OS);
    CHECK(unsetenv("NOTIFY_SOCKET") == 0);
}

int main(int argc, char **argv) {
    int32_t status = 77;
    if (as_worker(&status)) return status;
    if (argc > 1 && strcmp(argv[1], "program") == 0) return as_program();
    refused();
    lives();
    fails();
    liveness();
    templates();
    programs();
    return 0;
}
