/* Events, ends of children, signals, and a watch whose directions change. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"

/* --- Events. */

static coop_event_callback counted_event(probe *p) {
    coop_event_callback callback = {count_run, p, count_drop};
    return callback;
}

static coop_event *new_event(int manual_reset) {
    coop_event_options options = {sizeof options, 0, 0};
    coop_event *event = NULL;
    options.manual_reset = manual_reset;
    CHECK_OK(coop_event_new(&options, &event));
    return event;
}

static void turns(coop_event_loop *loop, int count) {
    while (count-- > 0) CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
}

static int is_readable(int fd) {
    struct pollfd one = {fd, POLLIN, 0};
    return poll(&one, 1, 0) == 1;
}

static void an_event_is_taken_or_stays(void) {
    coop_event_loop *loop = new_loop();
    for (int manual = 0; manual < 2; manual++) {
        coop_event *event = new_event(manual);
        probe p = {0, 0};
        coop_io_watch_id id = 0;
        CHECK(!coop_event_is_signaled(event) && !is_readable(coop_event_fd(event)));
        CHECK_OK(coop_event_signal(event));
        CHECK(coop_event_is_signaled(event) && is_readable(coop_event_fd(event)));
        CHECK_OK(coop_event_reset(event));
        CHECK(!coop_event_is_signaled(event));
        CHECK_OK(coop_event_watch(event, loop, NULL, counted_event(&p), &id));
        for (int round = 1; round < 4; round++) {
            CHECK_OK(coop_event_signal(event));
            turns(loop, 3);
            CHECK_EQ(runs(&p), round);
            CHECK_EQ(coop_event_is_signaled(event), manual);
        }
        /* The watch outlives the event. */
        coop_event_free(event);
        turns(loop, 2);
        CHECK_EQ(runs(&p), 3);
        CHECK_OK(coop_io_watch_cancel(loop, id));
        CHECK_STATUS(coop_io_watch_cancel(loop, id), COOP_E_STALE);
        CHECK_EQ(drops(&p), 1);
    }
    coop_event_loop_free(loop);
}

static void one_signal_is_for_one_watch(void) {
    coop_event_loop *loop = new_loop();
    coop_event *event = new_event(0);
    probe p[3] = {{0, 0}, {0, 0}, {0, 0}};
    for (int i = 0; i < 3; i++) CHECK_OK(coop_event_watch(event, loop, NULL, counted_event(p + i), NULL));
    for (int round = 1; round < 6; round++) {
        CHECK_OK(coop_event_signal(event));
        turns(loop, 3);
        CHECK_EQ(runs(p) + runs(p + 1) + runs(p + 2), round);
    }
    coop_event_free(event);
    coop_event_loop_free(loop);
    for (int i = 0; i < 3; i++) CHECK_EQ(drops(p + i), 1);
}

static void *signal_it(void *event) {
    for (int i = 0; i < 1000; i++) CHECK_OK(coop_event_signal(event));
    return NULL;
}

static void an_event_from_other_threads(void) {
    coop_event_loop *loop = new_loop();
    coop_event *event = new_event(0);
    pthread_t threads[4];
    probe p = {0, 0};
    CHECK_OK(coop_event_watch(event, loop, NULL, counted_event(&p), NULL));
    CHECK_OK(coop_event_loop_start(loop));
    for (int i = 0; i < 4; i++) CHECK(pthread_create(threads + i, NULL, signal_it, event) == 0);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    while (coop_event_is_signaled(event)) sched_yield();
    coop_event_loop_free(loop);
    CHECK(runs(&p) >= 1 && runs(&p) <= 4000);
    CHECK_EQ(drops(&p), 1);
    coop_event_free(event);
}

static void events_refuse(void) {
    coop_event_options options = {sizeof options, 2, 0};
    coop_source_options wrong = {sizeof wrong, 7, 0, {NULL, 0}};
    coop_event_loop *loop = new_loop();
    coop_event *event = NULL;
    probe p = {0, 0};
    CHECK_SAYS(coop_event_new(&options, &event), COOP_E_INVALID, "manual_reset is 2");
    options.manual_reset = 0;
    options.reserved = 1;
    CHECK_STATUS(coop_event_new(&options, &event), COOP_E_UNSUPPORTED);
    CHECK_STATUS(coop_event_new(NULL, NULL), COOP_E_NULL);
    CHECK_OK(coop_event_new(NULL, &event));
    CHECK_SAYS(coop_event_watch(event, loop, &wrong, counted_event(&p), NULL), COOP_E_INVALID, "on 7");
    CHECK_OK(coop_event_loop_stop(loop));
    CHECK_STATUS(coop_event_watch(event, loop, NULL, counted_event(&p), NULL), COOP_E_CLOSED);
    CHECK_EQ(drops(&p), 0);
    CHECK_STATUS(coop_event_signal(NULL), COOP_E_NULL);
    CHECK_EQ(coop_event_fd(NULL), COOP_E_NULL);
    CHECK(!coop_event_is_signaled(NULL));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        CHECK_STATUS(coop_event_signal(event), COOP_E_FORKED);
        CHECK(!coop_event_is_signaled(event));
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(!coop_event_is_signaled(event));
    coop_event_free(event);
    coop_event_free(NULL);
    coop_event_loop_free(loop);
}

/* --- Children. */

typedef struct {
    probe p;
    int failed;
    coop_exit_status status;
} end;

static void ended(void *arg, const coop_error *error, const coop_exit_status *status) {
    end *e = arg;
    CHECK((error == NULL) == (status != NULL));
    if (error != NULL) {
        CHECK(error->message[0] != '\0');
        CHECK_EQ(error->status, COOP_E_OS);
        e->failed = error->os_errno;
    } else {
        e->status = *status;
    }
    count_run(&e->p);
}
static void drop_end(void *arg) { count_drop(&((end *)arg)->p); }
static coop_child_callback to_end(end *e) {
    coop_child_callback callback = {ended, e, drop_end};
    memset(e, 0, sizeof *e);
    return callback;
}

/* A child that ends when it is told to, by the end of its pipe. */
static pid_t child_of(int code, int signal, int *tell) {
    int fds[2];
    CHECK(pipe(fds) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        char byte;
        close(fds[1]);
        if (read(fds[0], &byte, 1) != 0) _exit(99);
        if (signal) raise(signal);
        _exit(code);
    }
    close(fds[0]);
    *tell = fds[1];
    return child;
}

static void every_end_of_a_child_is_told(void) {
    static const struct { int code, signal; } ends[] = {{0, 0}, {7, 0}, {255, 0}, {-1, SIGKILL}, {-1, SIGTERM}};
    coop_event_loop *loop = new_loop();
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        int tell;
        pid_t child = child_of(ends[i].code, ends[i].signal, &tell);
        end e;
        coop_child_id id = 0;
        CHECK_OK(coop_event_loop_child(loop, child, NULL, to_end(&e), &id));
        turns(loop, 2);
        CHECK_EQ(runs(&e.p), 0);
        close(tell);
        CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
        CHECK_EQ(runs(&e.p), 1);
        CHECK_EQ(drops(&e.p), 1);
        CHECK_EQ(e.status.size, sizeof e.status);
        CHECK_EQ(e.status.pid, child);
        CHECK_EQ(e.status.code, ends[i].code);
        CHECK_EQ(e.status.signal, ends[i].signal);
        CHECK_EQ(e.status.core_dumped, 0);
        CHECK_STATUS(coop_child_cancel(loop, id), COOP_E_STALE);
        CHECK(waitpid(child, NULL, 0) == -1 && errno == ECHILD);
    }
    coop_event_loop_free(loop);
}

static void a_child_that_is_not_waited_for_any_more_is_the_callers(void) {
    coop_event_loop *loop = new_loop();
    int tell, status;
    pid_t child = child_of(3, 0, &tell);
    end e;
    coop_child_id id;
    CHECK_OK(coop_event_loop_child(loop, child, NULL, to_end(&e), &id));
    CHECK_STATUS(coop_io_watch_cancel(loop, id), COOP_E_STALE);
    CHECK_OK(coop_child_cancel(loop, id));
    CHECK_EQ(drops(&e.p), 1);
    close(tell);
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    /* Nor does a loop that is freed reap it. */
    child = child_of(4, 0, &tell);
    CHECK_OK(coop_event_loop_child(loop, child, NULL, to_end(&e), NULL));
    coop_event_loop_free(loop);
    CHECK_EQ(drops(&e.p), 1);
    close(tell);
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 4);
}

static void what_is_lost_is_told(void) {
    coop_event_loop *loop = new_loop();
    int tell;
    end e;
    pid_t child = child_of(3, 0, &tell);
    CHECK_OK(coop_event_loop_child(loop, child, NULL, to_end(&e), NULL));
    close(tell);
    CHECK(waitpid(child, NULL, 0) == child);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_EQ(e.failed, ECHILD);
    /* Children of a program that ignores SIGCHLD leave no status. */
    CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
    child = child_of(3, 0, &tell);
    CHECK_OK(coop_event_loop_child(loop, child, NULL, to_end(&e), NULL));
    close(tell);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE));
    CHECK_EQ(e.failed, ECHILD);
    CHECK_EQ(drops(&e.p), 1);
    CHECK(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
    CHECK_SAYS(coop_event_loop_child(loop, child, NULL, to_end(&e), NULL), COOP_E_OS, "there is none");
    CHECK_EQ(coop_last_os_errno(), ESRCH);
    CHECK_SAYS(coop_event_loop_child(loop, 1, NULL, to_end(&e), NULL), COOP_E_OS, "not a child");
    CHECK_EQ(coop_last_os_errno(), ECHILD);
    CHECK_SAYS(coop_event_loop_child(loop, 0, NULL, to_end(&e), NULL), COOP_E_INVALID, "process id 0");
    CHECK_SAYS(coop_event_loop_child(loop, -5, NULL, to_end(&e), NULL), COOP_E_INVALID, "process id -5");
    CHECK_EQ(drops(&e.p), 0);
    coop_event_loop_free(loop);
}

/* --- Signals. */

typedef struct {
    probe p;
    int signum;
    uint64_t times;
} news;

static void heard(void *arg, int32_t signum, uint64_t times) {
    news *n = arg;
    n->signum = signum;
    n->times += times;
    count_run(&n->p);
}
static void drop_news(void *arg) { count_drop(&((news *)arg)->p); }
static coop_signal_callback to_news(news *n) {
    coop_signal_callback callback = {heard, n, drop_news};
    memset(n, 0, sizeof *n);
    return callback;
}

static volatile sig_atomic_t handled = 0;
static void own_handler(int signum) { handled = signum; }

static void a_signal_is_told_and_given_back(void) {
    coop_event_loop *loop = new_loop();
    struct sigaction own, now;
    news one, other;
    coop_signal_id ids[2];
    memset(&own, 0, sizeof own);
    own.sa_handler = own_handler;
    own.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGUSR1, &own, NULL) == 0);
    CHECK_OK(coop_event_loop_signal(loop, SIGUSR1, NULL, to_news(&one), ids));
    CHECK_OK(coop_event_loop_signal(loop, SIGUSR1, NULL, to_news(&other), ids + 1));
    errno = 77;
    CHECK(raise(SIGUSR1) == 0);
    CHECK_EQ(errno, 77);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_ONCE));
    turns(loop, 1);
    CHECK(one.times == 1 && other.times == 1 && one.signum == SIGUSR1 && handled == 0);
    for (int i = 0; i < 10; i++) CHECK(raise(SIGUSR1) == 0);
    turns(loop, 2);
    CHECK(one.times == 11 && other.times == 11 && runs(&one.p) == 2);
    CHECK_OK(coop_signal_cancel(loop, ids[0]));
    CHECK_STATUS(coop_signal_cancel(loop, ids[0]), COOP_E_STALE);
    CHECK_STATUS(coop_child_cancel(loop, ids[1]), COOP_E_STALE);
    CHECK(raise(SIGUSR1) == 0);
    turns(loop, 2);
    CHECK(one.times == 11 && other.times == 12 && drops(&one.p) == 1);
    CHECK_OK(coop_signal_cancel(loop, ids[1]));
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0);
    CHECK(now.sa_handler == own_handler && (now.sa_flags & SA_RESTART));
    CHECK(raise(SIGUSR1) == 0);
    CHECK_EQ(handled, SIGUSR1);
    /* The end of the loop gives it back, too. */
    CHECK_OK(coop_event_loop_signal(loop, SIGUSR1, NULL, to_news(&one), NULL));
    coop_event_loop_free(loop);
    CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == own_handler);
    CHECK_EQ(drops(&one.p), 1);
    CHECK(signal(SIGUSR1, SIG_DFL) == own_handler);
}

static void a_signal_interrupts_no_read(void) {
    coop_event_loop *loop = new_loop();
    int fds[2], tell;
    news n;
    char byte;
    CHECK(pipe(fds) == 0);
    CHECK_OK(coop_event_loop_signal(loop, SIGUSR2, NULL, to_news(&n), NULL));
    pid_t self = getpid(), child = child_of(0, 0, &tell);
    pid_t sender = fork();
    CHECK(sender >= 0);
    if (sender == 0) {
        /* While its parent reads. */
        for (int i = 0; i < 50; i++) {
            kill(self, SIGUSR2);
            usleep(1000);
        }
        _exit(write(fds[1], "x", 1) == 1 ? 0 : 1);
    }
    CHECK(read(fds[0], &byte, 1) == 1);
    CHECK_OK(coop_event_loop_run(loop, COOP_RUN_NOWAIT));
    CHECK(n.times >= 1 && n.times <= 50);
    close(tell);
    CHECK(waitpid(sender, NULL, 0) == sender && waitpid(child, NULL, 0) == child);
    coop_event_loop_free(loop);
}

static void signals_refuse(void) {
    static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, 0, -1, 32, 65, 1000};
    coop_event_loop *loop = new_loop();
    news n;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        CHECK_STATUS(coop_event_loop_signal(loop, never[i], NULL, to_news(&n), NULL), COOP_E_INVALID);
    CHECK_SAYS(coop_event_loop_signal(loop, SIGKILL, NULL, to_news(&n), NULL), COOP_E_INVALID, "SIGKILL");
    CHECK_SAYS(coop_event_loop_signal(loop, 65, NULL, to_news(&n), NULL), COOP_E_INVALID, "65 is no signal");
    CHECK_EQ(drops(&n.p), 0);
    coop_event_loop_free(loop);
}

/* In a child the signal does what it did before. */
static void a_forked_child_is_as_if_nobody_had_watched(void) {
    coop_event_loop *loop = new_loop();
    int status;
    news n;
    CHECK_OK(coop_event_loop_signal(loop, SIGTERM, NULL, to_news(&n), NULL));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        raise(SIGTERM);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    turns(loop, 2);
    CHECK_EQ(runs(&n.p), 0);
    coop_event_loop_free(loop);
}

/* --- Watches. */

typedef struct {
    uint32_t last;
    int calls;
} bits;
static void keep(void *arg, uint32_t ready) {
    bits *b = arg;
    b->last = ready;
    b->calls++;
}

static void a_watch_looks_elsewhere(void) {
    coop_event_loop *loop = new_loop();
    int fds[2];
    bits b = {0, 0};
    coop_io_watch_callback callback = {keep, NULL, NULL};
    coop_io_watch_id id;
    callback.arg = &b;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    CHECK_OK(coop_event_loop_watch(loop, fds[0], NULL, callback, &id));
    turns(loop, 2);
    CHECK_EQ(b.calls, 0);
    CHECK_OK(coop_io_watch_set_interest(loop, id, COOP_IO_WRITE));
    turns(loop, 2);
    CHECK(b.calls == 2 && b.last == COOP_IO_WRITE);
    CHECK_OK(coop_io_watch_set_interest(loop, id, COOP_IO_READ | COOP_IO_WRITE));
    CHECK(write(fds[1], "x", 1) == 1);
    turns(loop, 1);
    CHECK_EQ(b.last, COOP_IO_READ | COOP_IO_WRITE);
    CHECK_OK(coop_io_watch_set_interest(loop, id, COOP_IO_READ));
    turns(loop, 1);
    CHECK_EQ(b.last, COOP_IO_READ);
    CHECK_SAYS(coop_io_watch_set_interest(loop, id, 0), COOP_E_INVALID, "interest 0");
    CHECK_SAYS(coop_io_watch_set_interest(loop, id, 4), COOP_E_INVALID, "interest 4");
    /* Closed under it, and the number is another's: the new watch alone is told. */
    int pipes[2];
    bits other = {0, 0};
    CHECK(pipe(pipes) == 0 && dup2(pipes[0], fds[0]) == fds[0]);
    callback.arg = &other;
    CHECK_OK(coop_event_loop_watch(loop, fds[0], NULL, callback, NULL));
    CHECK_STATUS(coop_io_watch_set_interest(loop, id, COOP_IO_READ), COOP_E_OS);
    b.calls = 0;
    CHECK(write(pipes[1], "x", 1) == 1);
    turns(loop, 2);
    CHECK(b.calls == 0 && other.calls == 2);
    CHECK_OK(coop_io_watch_cancel(loop, id));
    CHECK_STATUS(coop_io_watch_set_interest(loop, id, COOP_IO_READ), COOP_E_STALE);
    turns(loop, 1);
    CHECK_EQ(other.calls, 3);
    coop_event_loop_free(loop);
    for (int i = 0; i < 2; i++) {
        close(fds[i]);
        close(pipes[i]);
    }
}

int main(void) {
    an_event_is_taken_or_stays();
    one_signal_is_for_one_watch();
    an_event_from_other_threads();
    events_refuse();
    every_end_of_a_child_is_told();
    a_child_that_is_not_waited_for_any_more_is_the_callers();
    what_is_lost_is_told();
    a_signal_is_told_and_given_back();
    a_signal_interrupts_no_read();
    signals_refuse();
    a_forked_child_is_as_if_nobody_had_watched();
    a_watch_looks_elsewhere();
    return 0;
}
