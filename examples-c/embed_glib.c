/* An event loop inside a GLib main loop, as a GSource: GTK programs and GStreamer pipelines have such a loop.
 *
 *     cc embed_glib.c $(pkg-config --cflags --libs coop glib-2.0) -o embed_glib */
#include <coop.h>
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    GSource source;
    coop_event_loop *loop;
    gpointer fd;
} coop_source;

/* Before GLib sleeps: how long it may, in milliseconds, rounded up. A loop that has ended is dispatched once more. */
static gboolean prepare(GSource *source, gint *timeout) {
    int64_t ns;
    if (coop_event_loop_backend_timeout(((coop_source *)source)->loop, &ns) != COOP_OK) return TRUE;
    if (ns == COOP_FOREVER)
        *timeout = -1;
    else
        *timeout = ns < INT64_C(1000000000) ? (gint)((ns + 999999) / 1000000) : 1000;
    return *timeout == 0;
}

/* After it has slept. */
static gboolean check(GSource *source) {
    coop_source *self = (coop_source *)source;
    int64_t ns;
    return g_source_query_unix_fd(source, self->fd) != 0 || coop_event_loop_backend_timeout(self->loop, &ns) != COOP_OK ||
           ns == 0;
}

static gboolean dispatch(GSource *source, GSourceFunc callback, gpointer data) {
    (void)callback, (void)data;
    return coop_event_loop_run(((coop_source *)source)->loop, COOP_RUN_NOWAIT) == COOP_OK ? G_SOURCE_CONTINUE
                                                                                        : G_SOURCE_REMOVE;
}

static GSourceFuncs functions = {.prepare = prepare, .check = check, .dispatch = dispatch};

static GSource *source_of(coop_event_loop *loop) {
    GSource *source = g_source_new(&functions, sizeof(coop_source));
    coop_source *self = (coop_source *)source;
    int fd;
    must(coop_event_loop_backend_fd(loop, &fd), "descriptor");
    self->loop = loop;
    self->fd = g_source_add_unix_fd(source, fd, G_IO_IN);
    return source;
}

/* The program: GLib's idle function has a pool work, a post brings the result back, a timer of libcoop ends it all. */
static GMainLoop *glib;
static coop_event_loop *loop;
static coop_pool *pool;

static void end(void *arg, uint64_t times) {
    (void)arg, (void)times;
    puts("a timer of libcoop, in GLib's loop");
    g_main_loop_quit(glib);
}

static void result(void *arg) {
    coop_timer_options soon = {.size = sizeof soon, .after_ns = 10000000};
    coop_timer_callback ending = {.fn = end};
    (void)arg;
    puts("a worker's result, in GLib's loop");
    must(coop_event_loop_timer(loop, &soon, ending, NULL), "timer");
}

static void work(void *arg) {
    coop_callback post = {.fn = result};
    (void)arg;
    must(coop_event_loop_post(loop, post), "post");
}

static gboolean idle(gpointer data) {
    coop_callback task = {.fn = work};
    (void)data;
    puts("GLib's own source");
    must(coop_pool_submit(pool, NULL, task), "submit");
    return G_SOURCE_REMOVE;
}

int main(void) {
    glib = g_main_loop_new(NULL, FALSE);
    must(coop_event_loop_new(NULL, &loop), "new loop");
    must(coop_pool_new(NULL, &pool), "new pool");
    GSource *source = source_of(loop);
    g_source_attach(source, NULL);
    g_idle_add(idle, NULL);
    g_main_loop_run(glib);

    g_source_destroy(source);
    g_source_unref(source);
    g_main_loop_unref(glib);
    coop_pool_free(pool);
    coop_event_loop_free(loop);
    return 0;
}
