/* Watches: a callback when a pipe can be read, and when its other end has been closed.
 *
 *     cc io_watch.c $(pkg-config --cflags --libs coop) -o io_watch */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    coop_event_loop *loop;
    coop_io_watch_id watch;
    int fd;
    char text[64];
    size_t length;
} reader;

/* Called for as long as there is something to read, so it need not read all at once. */
static void readable(void *arg, uint32_t ready) {
    reader *r = arg;
    ssize_t count = read(r->fd, r->text + r->length, 8);
    if (count > 0) {
        printf("%d bytes\n", (int)count);
        r->length += (size_t)count;
        return;
    }
    /* The end: first the watch goes, then the descriptor. */
    printf("the other end has been closed%s\n", ready & COOP_IO_HANG_UP ? " (COOP_IO_HANG_UP)" : "");
    must(coop_io_watch_cancel(r->loop, r->watch), "cancel");
    close(r->fd);
}

int main(void) {
    reader r = {.length = 0};
    int fds[2];
    if (pipe(fds) != 0) return 1;
    r.fd = fds[0];
    must(coop_event_loop_new(NULL, &r.loop), "new loop");
    coop_io_watch_callback callback = {.fn = readable, .arg = &r};
    must(coop_event_loop_watch(r.loop, r.fd, NULL, callback, &r.watch), "watch");
    if (coop_event_loop_watch(r.loop, r.fd, NULL, callback, NULL) != COOP_E_EXISTS) return 1; /* one for each descriptor */

    static const char text[] = "written into the pipe";
    if (write(fds[1], text, strlen(text)) != (ssize_t)strlen(text)) return 1;
    close(fds[1]);
    must(coop_event_loop_run(r.loop, COOP_RUN_UNTIL_IDLE), "run"); /* until no watch is left */
    coop_event_loop_free(r.loop);
    return r.length == strlen(text) && memcmp(r.text, text, r.length) == 0 ? 0 : 1;
}
