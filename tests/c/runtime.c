/* The runtime: where callbacks run, what stop and free do, and objects that belong to it. */
#include "check.h"

#include <dirent.h>

typedef struct {
    coop_runtime *runtime;
    int in_pool, on_loop;
    latch done;
} place;

static void where(void *arg) {
    place *p = arg;
    p->in_pool = coop_pool_is_worker_thread(coop_runtime_pool(p->runtime));
    p->on_loop = coop_event_loop_is_loop_thread(coop_runtime_event_loop(p->runtime));
    latch_open(&p->done);
}
static void where_timer(void *arg, uint64_t times) {
    (void)times;
    where(arg);
}

static void where_callbacks_run(void) {
    coop_runtime *runtime = new_runtime();
    coop_event_loop *loop = coop_runtime_event_loop(runtime);
    static const struct {
        int32_t on, priority;
        int in_pool;
    } cases[] = {{COOP_ON_DEFAULT, 0, 1}, {COOP_ON_LOOP, 0, 0}, {COOP_ON_POOL, COOP_PRIORITY_HIGH, 1}};
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    CHECK_STATUS(coop_runtime_start(runtime, COOP_START_RETURN), COOP_E_EXISTS);
    for (int i = 0; i < 3; i++) {
        place p = {runtime, 0, 0, LATCH};
        coop_timer_options options = {.size = sizeof options, .on = cases[i].on, .priority = cases[i].priority};
        coop_timer_callback callback = {where_timer, &p, NULL};
        CHECK_OK(coop_event_loop_timer(loop, &options, callback, NULL));
        latch_wait(&p.done);
        CHECK(p.in_pool == cases[i].in_pool && p.on_loop == !cases[i].in_pool);
    }
    place p = {runtime, 0, 0, LATCH};
    coop_callback post = {where, &p, NULL};
    CHECK_OK(coop_event_loop_post(loop, post));
    latch_wait(&p.done);
    CHECK(p.on_loop && !p.in_pool);

    /* On a worker inside a set; a set that has none is refused, and the argument is still the caller's. */
    coop_pool *pool = coop_runtime_pool(runtime);
    coop_worker_statistics worker = {.size = sizeof worker};
    CHECK_OK(coop_pool_worker_stats(pool, 0, &worker));
    uint64_t words[16] = {0};
    words[worker.cpu / 64] = UINT64_C(1) << worker.cpu % 64;
    coop_timer_options timer = {.size = sizeof timer, .on = COOP_ON_POOL, .cpus = {words, 16}};
    place there = {runtime, 0, 0, LATCH};
    coop_timer_callback callback = {where_timer, &there, NULL};
    CHECK_OK(coop_event_loop_timer(loop, &timer, callback, NULL));
    latch_wait(&there.done);
    CHECK(there.in_pool);
    static probe kept;
    const uint64_t absent[16] = {[15] = UINT64_C(1) << 63};
    timer.cpus.words = absent;
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&kept), NULL), COOP_E_AFFINITY, "{1023}");
    coop_io_watch_options watch = {.size = sizeof watch, .on = COOP_ON_POOL, .cpus = {absent, 16}};
    CHECK_SAYS(coop_event_loop_watch(loop, 0, &watch, counted_watch(&kept), NULL), COOP_E_AFFINITY, "{1023}");
    watch.cpus.count = 0;
    CHECK_SAYS(coop_event_loop_watch(loop, 0, &watch, counted_watch(&kept), NULL), COOP_E_INVALID, "empty");
    CHECK_OK(coop_runtime_stop(runtime, LONG_NS));
    CHECK(drops(&kept) == 0);
    coop_runtime_free(runtime);
}

static void stop_runs_what_was_accepted(void) {
    coop_runtime *runtime = new_runtime();
    static probe posts[200], tasks[200];
    for (int i = 0; i < 200; i++) {
        CHECK_OK(coop_event_loop_post(coop_runtime_event_loop(runtime), counted(&posts[i])));
        CHECK_OK(coop_pool_submit(coop_runtime_pool(runtime), NULL, counted(&tasks[i])));
    }
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    CHECK_OK(coop_runtime_stop(runtime, LONG_NS));
    CHECK_OK(coop_runtime_stop(runtime, 0));
    for (int i = 0; i < 200; i++)
        CHECK(runs(&posts[i]) == 1 && drops(&posts[i]) == 1 && runs(&tasks[i]) == 1 && drops(&tasks[i]) == 1);
    CHECK_STATUS(coop_runtime_start(runtime, COOP_START_WAIT), COOP_E_CLOSED);
    coop_runtime_free(runtime);
}

static void stop_from_inside(void *arg) { CHECK_OK(coop_runtime_stop(arg, COOP_FOREVER)); }

static void wait_mode_ends_at_a_stop(void) {
    for (int in_pool = 0; in_pool < 2; in_pool++) {
        coop_runtime *runtime = new_runtime();
        coop_callback stop = {stop_from_inside, runtime, NULL};
        if (in_pool) CHECK_OK(coop_pool_submit(coop_runtime_pool(runtime), NULL, stop));
        else CHECK_OK(coop_event_loop_post(coop_runtime_event_loop(runtime), stop));
        coop_status status = coop_runtime_start(runtime, COOP_START_WAIT);
        CHECK(status == COOP_OK || (in_pool && status == COOP_E_CLOSED));
        coop_runtime_free(runtime);
    }
}

static void a_late_stop_says_so(void) {
    coop_runtime *runtime = new_runtime();
    blocker b[2] = {BLOCKER, BLOCKER};
    probe behind = {0, 0};
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    for (int i = 0; i < 2; i++) CHECK_OK(coop_pool_submit(coop_runtime_pool(runtime), NULL, blocking(&b[i])));
    for (int i = 0; i < 2; i++) latch_wait(&b[i].begun);
    CHECK_OK(coop_pool_submit(coop_runtime_pool(runtime), NULL, counted(&behind)));
    CHECK_STATUS(coop_runtime_stop(runtime, 1000000), COOP_E_TIMEOUT);
    CHECK_EQ(drops(&behind), 1);
    for (int i = 0; i < 2; i++) latch_open(&b[i].go);
    CHECK_OK(coop_runtime_stop(runtime, LONG_NS));
    coop_runtime_free(runtime);
}

/* Freed without a stop: each is dropped once, and a drop may call what is being freed. */
static coop_runtime *asked;
static void ask(void *arg) {
    probe p = {0, 0};
    count_drop(arg);
    CHECK_STATUS(coop_event_loop_post(coop_runtime_event_loop(asked), counted(&p)), COOP_E_CLOSED);
    CHECK_OK(coop_pool_close(coop_runtime_pool(asked)));
    CHECK_EQ(runs(&p) + drops(&p), 0);
}

static void free_drops_what_is_queued(void) {
    asked = new_runtime();
    latch begun = LATCH;
    probe post = {0, 0}, timer = {0, 0}, p = {0, 0};
    coop_callback posted = {count_run, &post, ask};
    coop_timer_callback timed = {count_timer, &timer, ask};
    coop_timer_options far = {.size = sizeof far, .after_ns = LONG_NS};
    CHECK_OK(coop_event_loop_post(coop_runtime_event_loop(asked), posted));
    CHECK_OK(coop_event_loop_timer(coop_runtime_event_loop(asked), &far, timed, NULL));
    CHECK_OK(coop_pool_submit(coop_runtime_pool(asked), NULL, opening(&begun)));
    CHECK_OK(coop_pool_submit(coop_runtime_pool(asked), NULL, counted(&p)));
    latch_wait(&begun);
    /* They belong to the runtime: left alone. */
    coop_pool_free(coop_runtime_pool(asked));
    coop_event_loop_free(coop_runtime_event_loop(asked));
    coop_runtime_free(asked);
    CHECK(runs(&post) == 0 && drops(&post) == 1 && runs(&timer) == 0 && drops(&timer) == 1);
    CHECK_EQ(drops(&p), 1);
}

static int has_thread(const char *name) {
    DIR *tasks = opendir("/proc/self/task");
    CHECK(tasks != NULL);
    int found = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
        char path[300], comm[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", task->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        if (fgets(comm, sizeof comm, file) != NULL) comm[strcspn(comm, "\n")] = 0;
        fclose(file);
        found |= strcmp(comm, name) == 0;
    }
    closedir(tasks);
    return found;
}

/* Each of its threads has the name that it was given, as the system shows it; a pool that is not told has at least 4 workers. */
static void names_and_workers(void) {
    coop_pool_options pool = {.size = sizeof pool, .name = "c-mill", .name_length = 6};
    coop_event_loop_options loop = {.size = sizeof loop, .name = "c-loop", .name_length = 6};
    coop_runtime_options options = {sizeof options, &pool, &loop};
    coop_runtime *runtime = NULL;
    CHECK_OK(coop_runtime_new(&options, &runtime));
    coop_pool_statistics stats = {.size = sizeof stats};
    CHECK_OK(coop_pool_stats(coop_runtime_pool(runtime), &stats));
    CHECK(stats.workers >= 4);
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    const time_t limit = time(NULL) + 30;
    while (!(has_thread("c-loop") && has_thread("c-mill-0") && has_thread("c-mill-3"))) CHECK(time(NULL) < limit);
    CHECK_OK(coop_runtime_stop(runtime, LONG_NS));
    CHECK_SAYS(coop_runtime_start(runtime, COOP_START_RETURN), COOP_E_CLOSED, "runtime");
    coop_runtime_free(runtime);
}

int main(void) {
    names_and_workers();
    where_callbacks_run();
    stop_runs_what_was_accepted();
    wait_mode_ends_at_a_stop();
    a_late_stop_says_so();
    free_drops_what_is_queued();
    return 0;
}
