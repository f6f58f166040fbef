/* A program that is its own service: the host starts it once more, as a worker with a process and a main loop of its own. It is
 * ended by kill -9, and comes back; another worker sees that. `kill`, `systemctl` and supervisors end it in order. */
#define _GNU_SOURCE
#include <coop.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(coop_status status, const char *what) {
    if (status != COOP_OK) {
        fprintf(stderr, "%s: %s\n", what, coop_last_error());
        exit(1);
    }
}

/* The entry "tick": timers on the worker's main loop, until it is to stop. */
static void tick(void *arg, uint64_t times) {
    (void)times;
    must(coop_service_context_beat(arg), "coop_service_context_beat");
}
static void start(void *arg, coop_service_context *context) {
    coop_timer_options often = {.size = sizeof often, .after_ns = 0, .every_ns = 10 * 1000 * 1000};
    coop_timer_callback callback = {tick, context, NULL};
    (void)arg;
    must(coop_event_loop_timer(coop_service_context_event_loop(context), &often, callback, NULL), "coop_event_loop_timer");
}
static void stop(void *arg, coop_service_context *context) {
    (void)arg;
    must(coop_service_context_end(context, COOP_OK, NULL, 0), "coop_service_context_end");
}

/* The entry "watch", on a thread: it tells when it has seen the second run of the other. */
static void watch(void *arg, coop_service_context *context) {
    coop_observer_options options = {.size = sizeof options, .path = "root/tick", .path_length = 9, .replay = 100};
    coop_service_event_callback none = {NULL, NULL, NULL};
    coop_parent_observer *observer = NULL;
    const coop_service_event *event = NULL;
    (void)arg;
    must(coop_parent_observer_new(&options, none, &observer), "coop_parent_observer_new");
    do must(coop_parent_observer_next(observer, COOP_FOREVER, &event), "coop_parent_observer_next");
    while (event->kind != COOP_SERVICE_READY || event->run != 2);
    coop_parent_observer_free(observer);
    must(coop_service_context_status(context, "it is back", 10), "coop_service_context_status");
    must(coop_service_context_wait_stopping(context, COOP_FOREVER), "coop_service_context_wait_stopping");
}

int main(void) {
    coop_worker workers[] = {
        {.size = sizeof *workers, .name = "tick", .name_length = 4, .async = {start, stop, NULL, NULL}},
        {.size = sizeof *workers, .name = "watch", .name_length = 5, .thread = {watch, NULL, NULL}},
    };
    int32_t status;
    must(coop_workers_run(workers, 2, &status), "coop_workers_run");
    if (status != COOP_NONE) return status; /* this process was a worker */

    coop_host *host = NULL;
    must(coop_host_new(NULL, &host), "coop_host_new");
    coop_observer_options options = {.size = sizeof options, .kinds = COOP_SERVICE_SPAWNED | COOP_SERVICE_STATUS};
    coop_service_event_callback none = {NULL, NULL, NULL};
    coop_observer_id observer = 0;
    must(coop_host_observe(host, &options, none, &observer), "coop_host_observe");
    for (int i = 0; i < 2; i++) {
        coop_service_options service = {.size = sizeof service, .id = workers[i].name, .id_length = workers[i].name_length};
        service.worker = workers[i].name;
        service.worker_length = workers[i].name_length;
        service.liveness_ns = INT64_C(60) * 1000 * 1000 * 1000;
        must(coop_supervisor_add(host, 0, &service, NULL), "coop_supervisor_add");
    }
    must(coop_host_start(host), "coop_host_start");
    must(coop_systemd_ready(), "coop_systemd_ready"); /* if this process is a service itself */

    const coop_service_event *event = NULL;
    do {
        must(coop_observer_next(host, observer, COOP_FOREVER, &event), "coop_observer_next");
        printf("%s, run %llu: %s\n", event->path.data, (unsigned long long)event->run, event->text.data);
        if (event->kind == COOP_SERVICE_SPAWNED && event->run == 1 && strcmp(event->path.data, "root/tick") == 0)
            kill(event->pid, SIGKILL);
    } while (event->kind != COOP_SERVICE_STATUS);

    must(coop_host_shutdown(host, COOP_FOREVER), "coop_host_shutdown");
    coop_host_free(host);
    return 0;
}
