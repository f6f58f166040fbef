/* Hosts: services of each kind, kill -9 of a child, verbs, nested supervisors, templates, hand-over. */
#include "host.h"

static void programs(void) {
    watcher w = WATCHER;
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_observer_options all = {.size = sizeof all, .json = 1};
    CHECK_OK(coop_host_observe(host, &all, watching(&w), NULL));
    coop_service_id sleeper = add_script(host, 0, "sleeper", "echo started; exec sleep 1000");
    add_script(host, coop_host_root(host), "other", "exec sleep 1000");
    CHECK_OK(coop_host_start(host));
    CHECK_STATUS(coop_host_start(host), COOP_E_EXISTS);
    CHECK_STATUS(coop_host_join(host, 0), COOP_E_TIMEOUT);

    struct seen spawned = await_event(&w, "root/sleeper", COOP_SERVICE_SPAWNED, 1);
    CHECK(spawned.id == sleeper && spawned.pid > 0 && spawned.has_json);
    await_event(&w, "root/sleeper", COOP_SERVICE_READY, 1);
    CHECK(kill(spawned.pid, SIGKILL) == 0);
    struct seen ended = await_event(&w, "root/sleeper", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_SIGNALED && ended.signal == SIGKILL && ended.code == -1 && !ended.normal);
    CHECK_EQ(ended.because, 0);
    struct seen again = await_event(&w, "root/sleeper", COOP_SERVICE_SPAWNED, 2);
    CHECK(again.pid != spawned.pid);

    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    CHECK_OK(coop_host_join(host, 0));
    ended = await_event(&w, "root/sleeper", COOP_SERVICE_ENDED, 2);
    CHECK(ended.exit == COOP_EXIT_SIGNALED && ended.signal == SIGTERM && ended.because == COOP_BECAUSE_ASKED);
    CHECK(kill(again.pid, 0) == -1 && errno == ESRCH);
    coop_host_free(host);
    await_drops(&w.probe, 1);
    for (size_t i = 0; i < w.count; i++) CHECK_EQ(w.events[i].number, i + 1);
}

static void what_a_program_is(void) {
    watcher w = WATCHER;
    int ends[2];
    char said[256] = "";
    CHECK(pipe(ends) == 0);
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    const char *argv[] = {"/bin/sh", "-c",
                          "echo \"$A,${GONE-none},$PWD,$(umask),$(ulimit -n),$LISTEN_FDS,$LISTEN_FDNAMES,$1\" >&9; "
                          "echo the last line; exit 7", "sh", "one", NULL};
    const char *env[] = {"A=b=c", "GONE", NULL};
    coop_limit limits[] = {{7 /* RLIMIT_NOFILE */, 0, 99, 100}};
    coop_descriptor descriptors[] = {{ends[1], 9}};
    coop_listen_socket sockets[] = {{"web", 3, ends[0], 0}, {"log", 3, ends[0], 0}};
    coop_command command = {.size = sizeof command, .argv = argv, .env = env, .directory = "/", .directory_length = 1,
                            .limits = limits, .limits_count = 1, .descriptors = descriptors, .descriptors_count = 1,
                            .listen = sockets, .listen_count = 2, .has = COOP_COMMAND_UMASK | COOP_COMMAND_NICE,
                            .umask = 077, .nice = 3, .output = COOP_OUTPUT_NULL};
    int32_t exits[] = {7};
    coop_service_options service = service_of("one");
    service.command = &command;
    service.restart = COOP_RESTART_TRANSIENT;
    service.normal_exits = exits;
    service.normal_exits_count = 1;
    CHECK(setenv("GONE", "there", 1) == 0);
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    struct seen ended = await_event(&w, "root/one", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_EXITED && ended.code == 7 && ended.normal && strcmp(ended.tail, "the last line") == 0);
    CHECK(read(ends[0], said, sizeof said - 1) > 0);
    CHECK(strcmp(said, "b=c,none,/,0077,99,2,web:log,one\n") == 0);
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    coop_host_free(host);
    await_drops(&w.probe, 1);
    close(ends[0]);
    close(ends[1]);
}

/* Lines handed to a function. */
typedef struct {
    probe probe;
    latch done;
    int count;
    char lines[64];
} listener;

static void on_line(void *arg, const coop_line *line) {
    listener *l = arg;
    CHECK_EQ(line->size, sizeof *line);
    CHECK(strcmp(line->service.data, "root/one") == 0 && line->pid > 0 && line->time_ns > 0 && !line->goes_on);
    size_t at = strlen(l->lines);
    snprintf(l->lines + at, sizeof l->lines - at, "%d:%s;", (int)line->stream, line->text.data);
    if (++l->count == 3) latch_open(&l->done);
}
static void drop_listener(void *arg) { count_drop(&((listener *)arg)->probe); }

static void lines(void) {
    listener l = {.done = LATCH};
    coop_host *host = new_host(NULL, COOP_NONE);
    const char *argv[] = {"/bin/sh", "-c", "echo a; echo b; echo c >&2; exec sleep 1000", NULL};
    coop_command command = {.size = sizeof command, .argv = argv, .output = COOP_OUTPUT_LINES,
                            .on_line = {on_line, &l, drop_listener}};
    coop_service_options service = service_of("one");
    service.command = &command;
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_STATUS(coop_supervisor_add(host, 0, &service, NULL), COOP_E_EXISTS);
    CHECK_OK(coop_host_start(host));
    latch_wait(&l.done);
    /* Each stream in its order; there is none between the two. */
    CHECK(strcmp(l.lines, "1:a;1:b;2:c;") == 0 || strcmp(l.lines, "1:a;2:c;1:b;") == 0 || strcmp(l.lines, "2:c;1:a;1:b;") == 0);
    CHECK_EQ(drops(&l.probe), 0);
    coop_host_free(host);
    await_drops(&l.probe, 1);
}

static void functions(void) {
    watcher w = WATCHER;
    waiter one = WAITER, two = WAITER;
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    coop_service_id id = add_waiter(host, 0, "one", &one);
    CHECK_OK(coop_host_start(host));
    latch_wait(&one.begun);
    CHECK(one.id == id && one.run == 1);
    CHECK_OK(coop_supervisor_terminate_child(host, 0, id));
    CHECK_EQ(runs(&one.probe), 1);
    CHECK_OK(coop_supervisor_restart_child(host, 0, id));
    CHECK_SAYS(coop_supervisor_restart_child(host, 0, id), COOP_E_INVALID, "\"one\" runs");
    CHECK_STATUS(coop_supervisor_delete_child(host, 0, id), COOP_E_INVALID);
    CHECK_OK(coop_supervisor_replace_child(host, 0, id));
    CHECK_OK(coop_supervisor_terminate_child(host, 0, id));
    await_event(&w, "root/one", COOP_SERVICE_ENDED, 3);
    CHECK_EQ(drops(&one.probe), 0);
    CHECK_OK(coop_supervisor_delete_child(host, 0, id));
    await_drops(&one.probe, 1);
    CHECK_EQ(runs(&one.probe), 3);
    CHECK_STATUS(coop_supervisor_restart_child(host, 0, id), COOP_E_STALE);

    coop_service_options child = service_of("two");
    child.thread = (coop_thread_service){wait_to_stop, &two, drop_waiter};
    CHECK_OK(coop_supervisor_start_child(host, 0, &child, &id));
    CHECK_STATUS(coop_supervisor_start_child(host, 0, &child, &id), COOP_E_EXISTS);
    coop_service_id found = 7;
    CHECK_OK(coop_supervisor_find(host, 0, "two", 3, &found));
    CHECK_EQ(found, id);
    CHECK_OK(coop_supervisor_find(host, 0, "one", 3, &found));
    CHECK_EQ(found, 0);
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    coop_host_free(host);
    await_drops(&two.probe, 1);
    await_drops(&w.probe, 1);
}

/* What a run says of itself. */
static void says(void *arg, coop_service_context *context) {
    static const char text[] = "half way";
    probe *p = arg;
    if (runs(p) == 0) {
        count_run(p);
        CHECK_OK(coop_service_context_end(context, COOP_E_FAILED, "on purpose", 10));
        CHECK_OK(coop_service_context_ready(context));
        return;
    }
    CHECK(coop_service_context_stopping_fd(context) >= 0);
    CHECK_OK(coop_service_context_status(context, text, sizeof text - 1));
    CHECK_OK(coop_service_context_beat(context));
    CHECK_OK(coop_service_context_extend(context, 1000000000));
    CHECK_STATUS(coop_service_context_extend(context, -1), COOP_E_INVALID);
    CHECK_STATUS(coop_service_context_wait_stopping(context, 1000), COOP_E_TIMEOUT);
    CHECK(coop_service_context_value(context) == NULL && !coop_service_context_is_stopping(context));
    CHECK_OK(coop_service_context_ready(context));
    CHECK_OK(coop_service_context_wait_stopping(context, COOP_FOREVER));
}

static void what_a_run_says(void) {
    watcher w = WATCHER;
    probe p = {0, 0};
    coop_host *host = new_host(NULL, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){says, &p, count_drop};
    service.ready = COOP_READY_NOTIFY;
    service.watchdog_ns = LONG_NS;
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    struct seen ended = await_event(&w, "root/one", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_FAILED && strstr(ended.text, "on purpose") != NULL && !ended.normal);
    CHECK(strcmp(await_event(&w, "root/one", COOP_SERVICE_STATUS, 2).text, "half way") == 0);
    await_event(&w, "root/one", COOP_SERVICE_READY, 2);
    coop_host_free(host);
    await_drops(&p, 1);
    await_drops(&w.probe, 1);
}

/* A service on the main loop: a timer ends it, some turns after it was told to stop. */
typedef struct {
    probe probe;
    coop_event_loop *loop;
    coop_service_context *context;
    int starts, stops;
} on_loop;

static void end_now(void *arg, uint64_t times) {
    on_loop *s = arg;
    CHECK_EQ(times, 1);
    CHECK_OK(coop_service_context_end(s->context, COOP_OK, NULL, 0));
}
static void start_on_loop(void *arg, coop_service_context *context) {
    on_loop *s = arg;
    CHECK(coop_event_loop_is_loop_thread(s->loop));
    CHECK_EQ(coop_service_context_run(context), (uint64_t)++s->starts);
    s->context = context;
    if (s->starts == 1) CHECK_OK(coop_service_context_end(context, COOP_E_FAILED, "the first fails", 15));
}
static void stop_on_loop(void *arg, coop_service_context *context) {
    on_loop *s = arg;
    coop_timer_options soon = {.size = sizeof soon, .after_ns = 1000000};
    coop_timer_callback end = {end_now, s, NULL};
    CHECK(coop_event_loop_is_loop_thread(s->loop) && context == s->context && coop_service_context_is_stopping(context));
    s->stops++;
    CHECK_OK(coop_event_loop_timer(s->loop, &soon, end, NULL));
}
static void drop_on_loop(void *arg) { count_drop(&((on_loop *)arg)->probe); }

static void async_services(void) {
    watcher w = WATCHER;
    coop_event_loop *loop = new_loop();
    on_loop s = {{0, 0}, loop, NULL, 0, 0}, no_stop = {{0, 0}, loop, NULL, 1, 0};
    coop_host *host = new_host(loop, COOP_NONE);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    CHECK_OK(coop_event_loop_start(loop));
    coop_service_options service = service_of("one");
    service.async = (coop_async_service){start_on_loop, stop_on_loop, &s, drop_on_loop};
    CHECK_OK(coop_supervisor_add(host, 0, &service, NULL));
    CHECK_OK(coop_host_start(host));
    struct seen ended = await_event(&w, "root/one", COOP_SERVICE_ENDED, 1);
    CHECK(ended.exit == COOP_EXIT_FAILED && strstr(ended.text, "the first fails") != NULL);
    await_event(&w, "root/one", COOP_SERVICE_READY, 2);

    service = service_of("two");
    service.async = (coop_async_service){start_on_loop, NULL, &no_stop, drop_on_loop};
    no_stop.starts = 0;
    CHECK_OK(coop_supervisor_start_child(host, 0, &service, NULL));
    await_event(&w, "root/two", COOP_SERVICE_READY, 2);
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    CHECK(await_event(&w, "root/one", COOP_SERVICE_ENDED, 2).exit == COOP_EXIT_RETURNED);
    CHECK(await_event(&w, "root/two", COOP_SERVICE_ENDED, 2).exit == COOP_EXIT_SHUTDOWN);
    CHECK(s.starts == 2 && s.stops == 1 && no_stop.starts == 2);
    coop_host_free(host);
    coop_event_loop_free(loop);
    await_drops(&s.probe, 1);
    await_drops(&no_stop.probe, 1);
    await_drops(&w.probe, 1);
}

/* What which_children and get_childspec show. */
typedef struct {
    probe probe;
    char names[128];
    coop_child_info last;
    coop_child_spec spec;
    int32_t exit;
} shown;

static void on_child(void *arg, const coop_child_info *child) {
    shown *s = arg;
    CHECK_EQ(child->size, sizeof *child);
    size_t at = strlen(s->names);
    snprintf(s->names + at, sizeof s->names - at, "%s %s %d;", child->path.data, child->executor.data, (int)child->state);
    s->last = *child;
}
static void on_spec(void *arg, const coop_child_spec *spec) {
    shown *s = arg;
    CHECK(strcmp(spec->name.data, "one") == 0 || strcmp(spec->name.data, "below") == 0);
    s->spec = *spec;
    s->exit = spec->normal_exits_count > 0 ? spec->normal_exits[0] : -1;
}
static void drop_shown(void *arg) { count_drop(&((shown *)arg)->probe); }

static void trees(void) {
    waiter one = WAITER, two = WAITER;
    shown s = {.exit = 0};
    coop_child_info_callback list = {on_child, &s, drop_shown};
    coop_child_spec_callback look = {on_spec, &s, drop_shown};
    coop_child_counts counts = {.size = sizeof counts};
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_service_id below = 0, id = 0;
    coop_supervisor_options all = {.size = sizeof all, .strategy = COOP_STRATEGY_ONE_FOR_ALL, .no_restarts = 1,
                                   .period_ns = 9000000000, .restart = COOP_RESTART_TRANSIENT};
    CHECK_OK(coop_supervisor_supervisor(host, 0, "below", 5, &all, &below));
    CHECK_STATUS(coop_supervisor_supervisor(host, 0, "below", 5, NULL, NULL), COOP_E_EXISTS);
    int32_t exits[] = {3, 4};
    coop_service_options service = service_of("one");
    service.thread = (coop_thread_service){wait_to_stop, &one, drop_waiter};
    service.shutdown_ns = COOP_FOREVER;
    service.normal_exits = exits;
    service.normal_exits_count = 2;
    service.backoff = (coop_backoff){1000000, 0, 0, COOP_GROWTH_EXPONENTIAL, 250};
    service.park = 1;
    CHECK_OK(coop_supervisor_add(host, below, &service, &id));
    add_waiter(host, below, "two", &two);
    CHECK_OK(coop_host_start(host));
    latch_wait(&one.begun);
    latch_wait(&two.begun);

    CHECK_OK(coop_supervisor_which_children(host, below, list));
    CHECK(strcmp(s.names, "root/below/one thread 2;root/below/two thread 2;") == 0);
    CHECK(s.last.run == 1 && s.last.pid == 0);
    s.names[0] = '\0';
    CHECK_OK(coop_supervisor_which_children(host, 0, list));
    CHECK(strcmp(s.names, "root/below supervisor 2;") == 0 && s.last.id == below);
    CHECK_OK(coop_supervisor_count_children(host, below, &counts));
    CHECK(counts.specs == 2 && counts.active == 2 && counts.supervisors == 0 && counts.workers == 2);
    CHECK_OK(coop_supervisor_get_childspec(host, below, id, look));
    CHECK(s.spec.shutdown_ns == COOP_FOREVER && s.exit == 3 && s.spec.normal_exits_count == 2 && s.spec.park == 1);
    CHECK(s.spec.restart == COOP_RESTART_PERMANENT && s.spec.strategy == COOP_NONE && s.spec.ready_timeout_ns == 0);
    CHECK(s.spec.backoff.delay_ns == 1000000 && s.spec.backoff.cap_ns == INT64_C(60000000000));
    CHECK(s.spec.backoff.growth == COOP_GROWTH_EXPONENTIAL && s.spec.backoff.jitter_per_mille == 250);
    CHECK_OK(coop_supervisor_get_childspec(host, 0, below, look));
    CHECK(s.spec.strategy == COOP_STRATEGY_ONE_FOR_ALL && s.spec.intensity == 0 && s.spec.period_ns == 9000000000);
    CHECK(s.spec.restart == COOP_RESTART_TRANSIENT && s.spec.shutdown_ns == COOP_FOREVER);
    CHECK_EQ(drops(&s.probe), 4);
    CHECK_STATUS(coop_supervisor_get_childspec(host, 0, id, look), COOP_E_STALE);
    CHECK_STATUS(coop_supervisor_which_children(host, id, list), COOP_E_STALE);
    CHECK_EQ(drops(&s.probe), 4);

    /* The options of an older caller. */
    counts.size = 16;
    counts.active = 77;
    CHECK_STATUS(coop_supervisor_count_children(host, 0, &counts), COOP_E_INVALID);
    CHECK_EQ(counts.active, 77);
    coop_host_free(host);
    await_drops(&one.probe, 1);
    await_drops(&two.probe, 1);
}

/* Children of a template, each with a value of its own. */
static void take_value(void *arg, coop_service_context *context) {
    probe *value = coop_service_context_value(context);
    CHECK(arg == NULL && value != NULL);
    count_run(value);
    CHECK_OK(coop_service_context_wait_stopping(context, COOP_FOREVER));
}

static void templates(void) {
    watcher w = WATCHER;
    probe values[3] = {{0, 0}, {0, 0}, {0, 0}};
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_service_id simple = 0, programs = 0, ids[3];
    coop_supervisor_options options = {.size = sizeof options, .strategy = COOP_STRATEGY_SIMPLE_ONE_FOR_ONE};
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), NULL));
    CHECK_OK(coop_supervisor_supervisor(host, 0, "simple", 6, &options, &simple));
    CHECK_OK(coop_supervisor_supervisor(host, 0, "programs", 8, &options, &programs));
    CHECK_OK(coop_host_start(host));
    CHECK_STATUS(coop_supervisor_start_child_with(host, simple, NULL, NULL), COOP_E_INVALID);
    coop_service_options service = service_of("child");
    service.thread = (coop_thread_service){take_value, NULL, NULL};
    CHECK_STATUS(coop_supervisor_template(host, 0, &service), COOP_E_INVALID);
    CHECK_OK(coop_supervisor_template(host, simple, &service));
    for (int i = 0; i < 3; i++) {
        coop_child_args args = {sizeof args, NULL, &values[i], count_drop};
        CHECK_OK(coop_supervisor_start_child_with(host, simple, &args, &ids[i]));
    }
    CHECK(ids[0] != ids[1] && ids[1] != ids[2]);
    CHECK_OK(coop_supervisor_terminate_child(host, simple, ids[1]));
    await_drops(&values[1], 1);
    CHECK_STATUS(coop_supervisor_restart_child(host, simple, ids[0]), COOP_E_INVALID);

    const char *argv[] = {"/bin/sh", "-c", "exit $0", NULL}, *more[] = {"5", NULL};
    coop_command command = shell_of(argv);
    service = service_of("program");
    service.command = &command;
    service.restart = COOP_RESTART_TEMPORARY;
    CHECK_OK(coop_supervisor_template(host, programs, &service));
    coop_child_args args = {sizeof args, more, NULL, NULL};
    CHECK_OK(coop_supervisor_start_child_with(host, programs, &args, &ids[1]));
    coop_child_args both = {sizeof both, more, &values[1], count_drop};
    CHECK_STATUS(coop_supervisor_start_child_with(host, programs, &both, NULL), COOP_E_INVALID);
    int seen = 0;
    while (!seen) {
        pthread_mutex_lock(&w.lock);
        for (size_t i = 0; i < w.count; i++)
            if (w.events[i].id == ids[1] && w.events[i].kind == COOP_SERVICE_ENDED) seen = w.events[i].code;
        pthread_mutex_unlock(&w.lock);
        usleep(1000);
    }
    CHECK_EQ(seen, 5);
    coop_host_free(host);
    for (int i = 0; i < 3; i++) {
        await_drops(&values[i], 1);
        CHECK_EQ(runs(&values[i]), 1);
    }
    await_drops(&w.probe, 1);
}

int main(void) {
    programs();
    what_a_program_is();
    lines();
    functions();
    what_a_run_says();
    async_services();
    trees();
    templates();
    return 0;
}
