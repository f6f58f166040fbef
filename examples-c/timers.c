/* Timers: once, repeatedly without drift, and cancelled before its time. The argument of each is dropped exactly once.
 *
 *     cc timers.c $(pkg-config --cflags --libs coop) -o timers */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>

enum { MS = 1000 * 1000 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

typedef struct {
    const char *name;
    coop_event_loop *loop;
    coop_timer_id id;
    int times, dropped;
} timer;

static void drop(void *arg) { ((timer *)arg)->dropped++; }

static void once(void *arg, uint64_t expirations) {
    (void)expirations;
    ((timer *)arg)->times++;
}

/* expirations is more than 1 if the loop was busy elsewhere: times are counted, not lost. */
static void tick(void *arg, uint64_t expirations) {
    timer *t = arg;
    t->times += (int)expirations;
    if (t->times >= 3) must(coop_timer_cancel(t->loop, t->id), "cancel"); /* from its own callback: dropped when it returns */
}

static void add(timer *t, int64_t after_ns, int64_t every_ns, void (*fn)(void *, uint64_t)) {
    coop_timer_options options = {.size = sizeof options, .after_ns = after_ns, .every_ns = every_ns};
    coop_timer_callback callback = {.fn = fn, .arg = t, .drop = drop};
    must(coop_event_loop_timer(t->loop, &options, callback, &t->id), "timer");
}

int main(void) {
    coop_event_loop *loop;
    must(coop_event_loop_new(NULL, &loop), "new loop");
    timer soon = {.name = "once", .loop = loop}, ticks = {.name = "every 5 ms", .loop = loop}, never = {.name = "never", .loop = loop};
    add(&soon, 10 * MS, 0, once);
    add(&ticks, 0, 5 * MS, tick);
    add(&never, 3600LL * 1000 * MS, 0, once);
    must(coop_timer_cancel(loop, never.id), "cancel");
    if (coop_timer_cancel(loop, never.id) != COOP_E_STALE) return 1; /* its id names nothing any more */
    printf("again: %s\n", coop_last_error());

    must(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE), "run"); /* until no timer is left */
    coop_event_loop_free(loop);
    timer *all[] = {&soon, &ticks, &never};
    for (int i = 0; i < 3; i++) {
        printf("%s: %d times, dropped %d\n", all[i]->name, all[i]->times, all[i]->dropped);
        if (all[i]->dropped != 1) return 1;
    }
    return soon.times == 1 && ticks.times >= 3 && never.times == 0 ? 0 : 1;
}
