/* Observers: filters, replay, what is lost, without a function, on a loop, cancelled at any moment. */
#include "host.h"
#include <sys/wait.h>

static void filters(void) {
    watcher all = WATCHER, starts = WATCHER, below = WATCHER;
    waiter one = WAITER, two = WAITER;
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_observer_options options = {.size = sizeof options, .kinds = COOP_SERVICE_STARTING | COOP_SERVICE_READY};
    CHECK_OK(coop_host_observe(host, NULL, watching(&all), NULL));
    CHECK_OK(coop_host_observe(host, &options, watching(&starts), NULL));
    options.kinds = 0;
    options.path = "root/t*";
    options.path_length = 7;
    CHECK_OK(coop_host_observe(host, &options, watching(&below), NULL));
    add_waiter(host, 0, "one", &one);
    add_waiter(host, 0, "two", &two);
    CHECK_OK(coop_host_start(host));
    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    coop_host_free(host);
    await_drops(&all.probe, 1);
    await_drops(&starts.probe, 1);
    await_drops(&below.probe, 1);
    CHECK(all.count > starts.count && all.count > below.count && below.count > 0);
    CHECK_EQ(starts.count, 6);
    for (size_t i = 0; i < starts.count; i++)
        CHECK(starts.events[i].kind == COOP_SERVICE_STARTING || starts.events[i].kind == COOP_SERVICE_READY);
    for (size_t i = 0; i < below.count; i++) CHECK(strcmp(below.events[i].path, "root/two") == 0);
    await_drops(&one.probe, 1);
    await_drops(&two.probe, 1);
}

static void polled(void) {
    waiter one = WAITER;
    coop_observer_id id = 0, late = 0;
    const coop_service_event *event = NULL;
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_service_event_callback none = {NULL, NULL, NULL};
    coop_observer_options options = {.size = sizeof options, .queue = 2, .json = 1};
    CHECK_STATUS(coop_host_observe(host, NULL, none, NULL), COOP_E_NULL);
    CHECK_OK(coop_host_observe(host, &options, none, &id));
    CHECK_STATUS(coop_observer_next(host, id, 0, &event), COOP_E_TIMEOUT);
    add_waiter(host, 0, "one", &one);
    CHECK_OK(coop_observer_next(host, id, COOP_FOREVER, &event));
    CHECK(event->kind == COOP_SERVICE_ADDED && strcmp(event->path.data, "root/one") == 0 && event->number == 1);
    CHECK(strncmp(event->json.data, "{\"", 2) == 0 && event->json.length == strlen(event->json.data));
    CHECK_OK(coop_host_start(host)); /* four more, and two fit */
    CHECK_OK(coop_observer_next(host, id, COOP_FOREVER, &event));
    CHECK(event->kind == COOP_SERVICE_EVENTS_LOST && event->lost == 2 && event->number == 0);
    CHECK_OK(coop_observer_next(host, id, 0, &event));
    CHECK_EQ(event->number, 4);

    options = (coop_observer_options){.size = sizeof options, .replay = 3};
    CHECK_OK(coop_host_observe(host, &options, none, &late));
    CHECK_OK(coop_observer_next(host, late, 0, &event));
    CHECK_EQ(event->number, 3);
    CHECK_EQ(event->json.length, 0);
    CHECK_OK(coop_observer_cancel(host, late));
    CHECK_STATUS(coop_observer_cancel(host, late), COOP_E_STALE);
    CHECK_STATUS(coop_observer_next(host, late, 0, &event), COOP_E_STALE);

    CHECK_OK(coop_host_shutdown(host, COOP_FOREVER));
    coop_status status;
    while ((status = coop_observer_next(host, id, COOP_FOREVER, &event)) == COOP_OK)
        CHECK(event->number > 4 || event->kind == COOP_SERVICE_EVENTS_LOST);
    CHECK_STATUS(status, COOP_E_CLOSED);
    coop_host_free(host);
    await_drops(&one.probe, 1);
}

/* Waits for an event that does not come. */
typedef struct {
    coop_host *host;
    coop_observer_id id;
} waits;

static void *next_event(void *arg) {
    waits *w = arg;
    const coop_service_event *event = NULL;
    coop_status status = coop_observer_next(w->host, w->id, COOP_FOREVER, &event);
    CHECK(status == COOP_E_CLOSED || status == COOP_E_STALE);
    return NULL;
}

static void cancelled_while_waiting(void) {
    waits w = {new_host(NULL, COOP_NONE), 0};
    coop_service_event_callback none = {NULL, NULL, NULL};
    pthread_t thread;
    CHECK_OK(coop_host_observe(w.host, NULL, none, &w.id));
    CHECK(pthread_create(&thread, NULL, next_event, &w) == 0);
    usleep(10000);
    CHECK_OK(coop_observer_cancel(w.host, w.id));
    CHECK(pthread_join(thread, NULL) == 0);
    coop_host_free(w.host);
}

/* Its own function cancels it. */
typedef struct {
    probe probe;
    coop_host *host;
    coop_observer_id id;
    latch known;
} canceller;

static void cancel_self(void *arg, const coop_service_event *event) {
    canceller *c = arg;
    (void)event;
    latch_wait(&c->known);
    CHECK_OK(coop_observer_cancel(c->host, c->id));
    CHECK_EQ(drops(&c->probe), 0);
    count_run(&c->probe);
}
static void drop_canceller(void *arg) { count_drop(&((canceller *)arg)->probe); }

static void cancelled_inside(coop_event_loop *loop) {
    canceller c = {{0, 0}, new_host(NULL, COOP_NONE), 0, LATCH};
    waiter one = WAITER, two = WAITER;
    coop_service_event_callback callback = {cancel_self, &c, drop_canceller};
    coop_observer_options options = {.size = sizeof options, .event_loop = loop};
    CHECK_OK(coop_host_observe(c.host, &options, callback, &c.id));
    latch_open(&c.known);
    add_waiter(c.host, 0, "one", &one);
    add_waiter(c.host, 0, "two", &two);
    await_drops(&c.probe, 1);
    CHECK_EQ(runs(&c.probe), 1);
    coop_host_free(c.host);
    CHECK_EQ(runs(&c.probe), 1);
    await_drops(&one.probe, 1);
    await_drops(&two.probe, 1);
}

static void refused(void) {
    probe p = {0, 0};
    watcher w = WATCHER;
    coop_event_loop *loop = new_loop();
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_observer_options bad = {.size = sizeof bad, .kinds = 1 << 15};
    coop_service_event_callback none = {NULL, NULL, NULL};
    coop_observer_id id = 77;
    CHECK_SAYS(coop_host_observe(host, &bad, watching(&w), &id), COOP_E_INVALID, "kinds is 32768");
    bad.kinds = 0;
    bad.json = 2;
    CHECK_SAYS(coop_host_observe(host, &bad, watching(&w), &id), COOP_E_INVALID, "json is 2");
    bad.json = 0;
    bad.size = 5;
    CHECK_SAYS(coop_host_observe(host, &bad, watching(&w), &id), COOP_E_INVALID, "coop_observer_options.size is 5");
    bad.size = sizeof bad;
    bad.event_loop = loop;
    CHECK_SAYS(coop_host_observe(host, &bad, none, &id), COOP_E_INVALID, "event_loop is set");
    CHECK_OK(coop_event_loop_stop(loop));
    CHECK_STATUS(coop_host_observe(host, &bad, watching(&w), &id), COOP_E_CLOSED);
    CHECK_STATUS(coop_host_observe(NULL, NULL, watching(&w), &id), COOP_E_NULL);
    CHECK_EQ(id, 77);
    CHECK_EQ(drops(&w.probe), 0);
    CHECK_OK(coop_host_observe(host, NULL, watching(&w), &id));
    const coop_service_event *event = NULL;
    CHECK_SAYS(coop_observer_next(host, id, 0, &event), COOP_E_INVALID, "has a function");
    coop_host_free(host);
    coop_event_loop_free(loop);
    await_drops(&w.probe, 1);
    CHECK_EQ(drops(&p), 0);
}

/* A forked child has no observers, whatever it asks first; the parent's go on. */
static void forked(void) {
    coop_host *host = new_host(NULL, COOP_NONE);
    coop_service_event_callback none = {NULL, NULL, NULL};
    coop_observer_id id = 0;
    const coop_service_event *event = NULL;
    CHECK_OK(coop_host_observe(host, NULL, none, &id));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_STATUS(coop_observer_cancel(host, id), COOP_E_FORKED);
        CHECK_STATUS(coop_observer_next(host, id, 0, &event), COOP_E_FORKED);
        CHECK_STATUS(coop_host_observe(host, NULL, none, &id), COOP_E_FORKED);
        CHECK_STATUS(coop_observer_cancel(host, 77), COOP_E_FORKED);
        coop_host_free(host);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_STATUS(coop_observer_next(host, id, 0, &event), COOP_E_TIMEOUT);
    CHECK_OK(coop_observer_cancel(host, id));
    CHECK_STATUS(coop_observer_cancel(host, id), COOP_E_STALE);
    coop_host_free(host);
}

int main(void) {
    coop_event_loop *loop = new_loop();
    filters();
    polled();
    cancelled_while_waiting();
    cancelled_inside(NULL);
    CHECK_OK(coop_event_loop_start(loop));
    cancelled_inside(loop);
    coop_event_loop_free(loop);
    refused();
    forked();
    return 0;
}
