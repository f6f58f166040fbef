/* Wake-ups from signal handlers: none is lost, several may be one call, and the argument is dropped once, however it ends. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

static coop_async_callback counted_async(probe *p) {
    coop_async_callback callback = {count_run, p, count_drop};
    return callback;
}

static coop_async *sent_by_the_handler;
static void handler(int signum) {
    (void)signum;
    CHECK_EQ(coop_async_send(sent_by_the_handler), COOP_OK);
}

static void a_signal_handler_wakes_the_loop(void) {
    coop_event_loop *loop = new_loop();
    probe p = {0, 0};
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    CHECK_OK(coop_async_new(loop, NULL, counted_async(&p), &sent_by_the_handler));
    CHECK(sigaction(SIGUSR1, &action, &before) == 0);
    CHECK_OK(coop_event_loop_start(loop));
    for (int i = 1; i <= 1000; i++) {
        errno = 77;
        raise(SIGUSR1);
        CHECK_EQ(errno, 77);
        while (runs(&p) < i) usleep(10);
        CHECK_EQ(runs(&p), i);
    }
    CHECK_OK(coop_event_loop_stop(loop));
    CHECK_OK(coop_event_loop_join(loop, LONG_NS));
    CHECK_EQ(drops(&p), 1);
    raise(SIGUSR1); /* after the loop's end: harmless */
    coop_event_loop_free(loop);
    raise(SIGUSR1);
    CHECK(sigaction(SIGUSR1, &before, NULL) == 0);
    coop_async_free(sent_by_the_handler);
    CHECK(runs(&p) == 1000 && drops(&p) == 1);
}

static void sends_before_it_begins_are_one_call(void) {
    coop_event_loop *loop = new_loop();
    coop_async *async = NULL;
    probe p = {0, 0};
    CHECK_OK(coop_async_new(loop, NULL, counted_async(&p), &async));
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
    CHECK_EQ(runs(&p), 0);
    for (int i = 0; i < 10; i++) CHECK_EQ(coop_async_send(async), COOP_OK);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_ONCE));
    for (int i = 0; i < 10; i++) CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
    CHECK(runs(&p) == 1 && drops(&p) == 0);
    coop_async_free(async);
    CHECK(runs(&p) == 1 && drops(&p) == 1);
    coop_event_loop_free(loop);
}

typedef struct {
    coop_event_loop *loop;
    coop_async *async;
    probe p;
} own;

static void send_again(void *arg) {
    own *o = arg;
    count_run(&o->p);
    if (runs(&o->p) < 3) CHECK_EQ(coop_async_send(o->async), COOP_OK);
    if (runs(&o->p) == 3) CHECK_OK(coop_event_loop_stop(o->loop));
}
static void free_itself(void *arg) {
    own *o = arg;
    count_run(&o->p);
    coop_async_free(o->async);
    CHECK_EQ(drops(&o->p), 0); /* not while it runs */
    CHECK_OK(coop_event_loop_stop(o->loop));
}
static void free_the_loop(void *arg) {
    own *o = arg;
    count_run(&o->p);
    coop_event_loop_free(o->loop);
}
static void own_drop(void *arg) { count_drop(&((own *)arg)->p); }

static void a_send_while_it_runs_is_another_call(void) {
    own o = {new_loop(), NULL, {0, 0}};
    coop_async_callback callback = {send_again, &o, own_drop};
    CHECK_OK(coop_async_new(o.loop, NULL, callback, &o.async));
    CHECK_EQ(coop_async_send(o.async), COOP_OK);
    CHECK_OK(coop_event_loop_run(o.loop, COOP_RUN_DEFAULT));
    CHECK(runs(&o.p) == 3 && drops(&o.p) == 1);
    coop_async_free(o.async);
    coop_event_loop_free(o.loop);
}

static void its_callback_may_free_it(void) {
    own o = {new_loop(), NULL, {0, 0}};
    coop_async_callback callback = {free_itself, &o, own_drop};
    CHECK_OK(coop_async_new(o.loop, NULL, callback, &o.async));
    CHECK_EQ(coop_async_send(o.async), COOP_OK);
    CHECK_OK(coop_event_loop_run(o.loop, COOP_RUN_DEFAULT));
    CHECK(runs(&o.p) == 1 && drops(&o.p) == 1);
    coop_event_loop_free(o.loop);
}

static void its_callback_may_free_the_loop(void) {
    own o = {new_loop(), NULL, {0, 0}};
    coop_async_callback callback = {free_the_loop, &o, own_drop};
    CHECK_OK(coop_async_new(o.loop, NULL, callback, &o.async));
    CHECK_EQ(coop_async_send(o.async), COOP_OK);
    CHECK_OK(coop_event_loop_run(o.loop, COOP_RUN_DEFAULT));
    CHECK(runs(&o.p) == 1 && drops(&o.p) == 1);
    CHECK_EQ(coop_async_send(o.async), COOP_OK);
    coop_async_free(o.async);
    CHECK(runs(&o.p) == 1 && drops(&o.p) == 1);
}

static void in_a_pool(void) {
    coop_runtime *runtime = new_runtime();
    coop_source_options options = {.size = sizeof options, .on = COOP_ON_POOL, .priority = COOP_PRIORITY_HIGH};
    coop_async *async = NULL;
    latch ran = LATCH;
    coop_async_callback callback = {latch_open, &ran, NULL};
    CHECK_OK(coop_runtime_start(runtime, COOP_START_RETURN));
    CHECK_OK(coop_async_new(coop_runtime_event_loop(runtime), &options, callback, &async));
    CHECK_EQ(coop_async_send(async), COOP_OK);
    latch_wait(&ran);
    coop_async_free(async);
    coop_runtime_free(runtime);
}

static void what_is_refused_is_the_callers(void) {
    coop_event_loop *loop = new_loop();
    coop_async *async = NULL;
    probe p = {0, 0};
    coop_async_callback none = {NULL, &p, count_drop};
    coop_source_options wrong = {.size = sizeof wrong, .on = 77};
    CHECK_SAYS(coop_async_new(loop, NULL, none, &async), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_async_new(loop, NULL, counted_async(&p), NULL), COOP_E_NULL, "out");
    CHECK_SAYS(coop_async_new(NULL, NULL, counted_async(&p), &async), COOP_E_NULL, "event_loop");
    CHECK_SAYS(coop_async_new(loop, &wrong, counted_async(&p), &async), COOP_E_INVALID, "77");
    CHECK_EQ(coop_async_send(NULL), COOP_E_NULL);
    coop_async_free(NULL);
    CHECK_OK(coop_event_loop_stop(loop));
    CHECK_STATUS(coop_async_new(loop, NULL, counted_async(&p), &async), COOP_E_CLOSED);
    CHECK(async == NULL && runs(&p) + drops(&p) == 0);
    coop_event_loop_free(loop);
}

static void in_a_forked_child_it_does_nothing(void) {
    coop_event_loop *loop = new_loop();
    coop_async *async = NULL;
    probe p = {0, 0};
    CHECK_OK(coop_async_new(loop, NULL, counted_async(&p), &async));
    pid_t pid = fork();
    if (pid == 0) _exit(coop_async_send(async) == COOP_E_FORKED ? 0 : 1);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
    CHECK_EQ(runs(&p), 0); /* the descriptor is the child's too, and was not written */
    CHECK_EQ(coop_async_send(async), COOP_OK);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_ONCE));
    CHECK_EQ(runs(&p), 1);
    coop_async_free(async);
    coop_event_loop_free(loop);
}

int main(void) {
    a_signal_handler_wakes_the_loop();
    sends_before_it_begins_are_one_call();
    a_send_while_it_runs_is_another_call();
    its_callback_may_free_it();
    its_callback_may_free_the_loop();
    in_a_pool();
    what_is_refused_is_the_callers();
    in_a_forked_child_it_does_nothing();
    return 0;
}
