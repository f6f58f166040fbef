/* What the tests of hosts share: options that are short to write, observers that are waited on, children that are killed. */
#ifndef COOP_TEST_HOST_H
#define COOP_TEST_HOST_H

#include "check.h"
#include <errno.h>
#include <signal.h>

/* What an observer has seen, to wait for. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    probe probe;
    struct seen {
        char path[64], text[160], tail[64];
        uint64_t number, run, id;
        int32_t kind, exit, code, signal, normal, because, pid;
        int has_json;
    } events[512];
    size_t count;
    uint64_t lost;
} watcher;
#define WATCHER {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static UNUSED void copy_text(char *to, size_t room, coop_text text) {
    CHECK(text.data != NULL && strlen(text.data) == text.length);
    snprintf(to, room, "%s", text.data);
}

static UNUSED void on_event(void *arg, const coop_service_event *event) {
    watcher *w = arg;
    CHECK_EQ(event->size, sizeof *event);
    pthread_mutex_lock(&w->lock);
    if (event->kind == COOP_SERVICE_EVENTS_LOST) w->lost += event->lost;
    CHECK(w->count < sizeof w->events / sizeof *w->events);
    struct seen *seen = &w->events[w->count++];
    memset(seen, 0, sizeof *seen);
    copy_text(seen->path, sizeof seen->path, event->path);
    copy_text(seen->text, sizeof seen->text, event->text);
    if (event->tail_count > 0) copy_text(seen->tail, sizeof seen->tail, event->tail[event->tail_count - 1]);
    seen->number = event->number;
    seen->run = event->run;
    seen->id = event->id;
    seen->kind = event->kind;
    seen->exit = event->exit;
    seen->code = event->code;
    seen->signal = event->signal;
    seen->normal = event->normal;
    seen->because = event->because;
    seen->pid = event->pid;
    seen->has_json = event->json.length > 2 && event->json.data[0] == '{';
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    count_run(&w->probe);
}

static UNUSED void on_watcher_drop(void *arg) { count_drop(&((watcher *)arg)->probe); }

static UNUSED coop_service_event_callback watching(watcher *w) {
    coop_service_event_callback callback = {on_event, w, on_watcher_drop};
    return callback;
}

/* Waits for an event of this kind and path, of this run or any (0). */
static UNUSED struct seen await_event(watcher *w, const char *path, int32_t kind, uint64_t run) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 60;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        for (size_t i = 0; i < w->count; i++) {
            struct seen *seen = &w->events[i];
            if (seen->kind == kind && strcmp(seen->path, path) == 0 && (run == 0 || seen->run == run)) {
                struct seen found = *seen;
                pthread_mutex_unlock(&w->lock);
                return found;
            }
        }
        if (pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0) continue;
        for (size_t i = 0; i < w->count; i++)
            fprintf(stderr, "%s, run %llu: %s\n", w->events[i].path, (unsigned long long)w->events[i].run, w->events[i].text);
        FAIL("no event %d of %s, run %llu, in a minute", (int)kind, path, (unsigned long long)run);
    }
}

static UNUSED void await_drops(const probe *p, int wanted) {
    for (int turns = 0; drops(p) < wanted; turns++) {
        if (turns > 60000) FAIL("%d drops in a minute, not %d", drops(p), wanted);
        usleep(1000);
    }
    CHECK_EQ(drops(p), wanted);
}

static UNUSED coop_host *new_host(coop_event_loop *loop, int32_t intensity) {
    coop_supervisor_options root = {.size = sizeof root, .intensity = intensity};
    coop_host_options options = {.size = sizeof options, .root = &root, .event_loop = loop};
    coop_host *host = NULL;
    CHECK_OK(coop_host_new(&options, &host));
    return host;
}

static UNUSED coop_service_options service_of(const char *id) {
    coop_service_options service = {.size = sizeof service, .id = id, .id_length = strlen(id)};
    return service;
}

static UNUSED coop_command shell_of(const char *const *argv) {
    coop_command command = {.size = sizeof command, .argv = argv, .output = COOP_OUTPUT_NULL};
    return command;
}

/* Adds a program that runs a script. */
static UNUSED coop_service_id add_script(coop_host *host, coop_service_id to, const char *id, const char *script) {
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    coop_command command = shell_of(argv);
    coop_service_options service = service_of(id);
    coop_service_id made = 0;
    service.command = &command;
    CHECK_OK(coop_supervisor_add(host, to, &service, &made));
    CHECK(made != 0);
    return made;
}

/* A function that waits to be told to stop. */
typedef struct {
    probe probe;
    latch begun;
    uint64_t run;
    coop_service_id id;
} waiter;
#define WAITER {.begun = LATCH}

static UNUSED void wait_to_stop(void *arg, coop_service_context *context) {
    waiter *w = arg;
    w->id = coop_service_context_id(context);
    w->run = coop_service_context_run(context);
    latch_open(&w->begun);
    CHECK_OK(coop_service_context_wait_stopping(context, COOP_FOREVER));
    CHECK(coop_service_context_is_stopping(context));
    count_run(&w->probe);
}
static UNUSED void drop_waiter(void *arg) { count_drop(&((waiter *)arg)->probe); }

static UNUSED coop_service_id add_waiter(coop_host *host, coop_service_id to, const char *id, waiter *w) {
    coop_service_options service = service_of(id);
    coop_service_id made = 0;
    service.thread = (coop_thread_service){wait_to_stop, w, drop_waiter};
    CHECK_OK(coop_supervisor_add(host, to, &service, &made));
    return made;
}

#endif
