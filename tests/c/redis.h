/* A server of redis of a test's own, at a Unix socket in a folder of its own; and calls that wait for their ends. */
#ifndef COOP_TEST_REDIS_H
#define COOP_TEST_REDIS_H

#include "check.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

extern char **environ;

typedef struct {
    pid_t pid;
    char folder[64], socket[96], url[128];
} server;

static UNUSED int server_listens(const server *s) {
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), listens;
    CHECK(fd >= 0);
    memset(&at, 0, sizeof at);
    at.sun_family = AF_UNIX;
    strcpy(at.sun_path, s->socket);
    listens = connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
    close(fd);
    return listens;
}

static UNUSED void short_pause(void) {
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
}

/* Starts it, or starts it again. password: NULL is none. */
static UNUSED void server_run(server *s, const char *password) {
    /* It ends with this process, however that ends. */
    const char *argv[] = {"setpriv", "--pdeathsig", "KILL", "redis-server", "--port", "0", "--save", "", "--appendonly", "no", "--dir", s->folder, "--logfile",
                          "/dev/null", "--unixsocket", s->socket, password ? "--requirepass" : NULL, password, NULL};
    int tries = 0;
    CHECK(posix_spawnp(&s->pid, argv[0], NULL, NULL, (char *const *)argv, environ) == 0);
    while (!server_listens(s)) {
        if (++tries > 30000) FAIL("redis-server does not listen: .ci/setup installs it");
        short_pause();
    }
}

static UNUSED void server_start(server *s, const char *password) {
    strcpy(s->folder, "/tmp/coop-redis-XXXXXX");
    CHECK(mkdtemp(s->folder) != NULL);
    sprintf(s->socket, "%s/redis.sock", s->folder);
    sprintf(s->url, "unix://%s", s->socket);
    server_run(s, password);
}

static UNUSED void server_kill(server *s) {
    kill(s->pid, SIGKILL);
    CHECK(waitpid(s->pid, NULL, 0) == s->pid);
    unlink(s->socket);
}

static UNUSED void server_end(server *s) {
    server_kill(s);
    CHECK(rmdir(s->folder) == 0);
}

static UNUSED coop_redis *new_redis(coop_event_loop *loop, const coop_redis_options *options, const server *s) {
    coop_redis *redis = NULL;
    CHECK_OK(coop_redis_new(loop, options, s->url, strlen(s->url), &redis));
    return redis;
}

/* How a call ended. */
typedef struct {
    latch over;
    coop_status status;
    char message[256];
    coop_redis_reply *reply;
    int runs, drops;
} ending;

static UNUSED void ended(void *arg, const coop_error *error, coop_redis_reply *reply) {
    ending *e = arg;
    __atomic_add_fetch(&e->runs, 1, __ATOMIC_SEQ_CST);
    CHECK((error == NULL) == (reply != NULL));
    e->status = error ? error->status : COOP_OK;
    if (error) snprintf(e->message, sizeof e->message, "%s", error->message);
    if (reply) CHECK_OK(coop_redis_reply_keep(reply, &e->reply));
}
static UNUSED void ending_dropped(void *arg) {
    ending *e = arg;
    __atomic_add_fetch(&e->drops, 1, __ATOMIC_SEQ_CST);
    latch_open(&e->over);
}
static UNUSED void ending_init(ending *e) {
    const latch closed = LATCH;
    memset(e, 0, sizeof *e);
    e->over = closed;
}
static UNUSED coop_redis_callback telling(ending *e) {
    coop_redis_callback callback = {ended, e, ending_dropped};
    return callback;
}
/* It was told once, and then dropped. */
static UNUSED void ending_wait(ending *e) {
    latch_wait(&e->over);
    CHECK_EQ(e->runs, 1);
    CHECK_EQ(e->drops, 1);
}

#define COUNT(words) (sizeof(words) / sizeof *(words))
/* A command in words, waited for: ANSWER(redis, "GET", "key"). */
#define ANSWER(redis, ...) answer_of(redis, (const char *[]){__VA_ARGS__}, COUNT(((const char *[]){__VA_ARGS__})))

static UNUSED coop_redis_reply *answer_of(coop_redis *redis, const char *const *words, size_t count) {
    coop_redis_reply *reply = NULL;
    CHECK_OK(coop_redis_call(redis, NULL, words, NULL, count, &reply));
    CHECK(reply != NULL);
    return reply;
}

static UNUSED int says(const coop_redis_reply *reply, const char *text) {
    const char *data;
    size_t length;
    return coop_redis_reply_string(reply, &data, &length) == COOP_OK && length == strlen(text) && memcmp(data, text, length) == 0;
}
static UNUSED long long number_of(const coop_redis_reply *reply) {
    int64_t number = 0;
    CHECK_OK(coop_redis_reply_integer(reply, &number));
    return number;
}
static UNUSED void expect_text(coop_redis_reply *reply, const char *text) {
    CHECK(says(reply, text));
    coop_redis_reply_free(reply);
}
static UNUSED void expect_number(coop_redis_reply *reply, long long number) {
    CHECK_EQ(number_of(reply), number);
    coop_redis_reply_free(reply);
}

#endif
