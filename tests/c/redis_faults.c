/* coop_redis where things go wrong: servers that are killed or stall, cancelled calls, clients and loops that are freed, wrong passwords and URLs. */
#include "redis.h"

enum { CALLS = 1000 };

static const char *const ping[] = {"PING"};

static ending *begin(coop_redis *redis, coop_redis_call_id *ids) {
    ending *all = calloc(CALLS, sizeof *all);
    CHECK(all != NULL);
    for (int i = 0; i < CALLS; i++) {
        char text[16];
        const char *words[] = {"ECHO", text};
        sprintf(text, "%d", i);
        ending_init(&all[i]);
        CHECK_OK(coop_redis_command(redis, NULL, words, NULL, 2, telling(&all[i]), ids ? &ids[i] : NULL));
    }
    return all;
}

/* Each has ended once: with its own reply, or with one of these. How many with a reply. */
static int end_all(ending *all, coop_status one, coop_status other) {
    int replies = 0;
    for (int i = 0; i < CALLS; i++) {
        ending_wait(&all[i]);
        if (all[i].status == COOP_OK) {
            expect_number(all[i].reply, i);
            replies++;
        } else if (all[i].status != one && all[i].status != other) {
            FAIL("call %d ended with %s: %s", i, coop_status_str(all[i].status), all[i].message);
        }
    }
    free(all);
    return replies;
}

static void killed(coop_event_loop *loop) {
    server s;
    server_start(&s, NULL);
    coop_redis *redis = new_redis(loop, NULL, &s);
    expect_text(ANSWER(redis, "PING"), "PONG");
    /* Stopped, it takes what is sent and answers nothing. */
    CHECK(kill(s.pid, SIGSTOP) == 0);
    ending *all = begin(redis, NULL);
    server_kill(&s);
    end_all(all, COOP_E_OS, COOP_E_OS);
    server_run(&s, NULL);
    expect_text(ANSWER(redis, "PING"), "PONG");
    coop_redis_free(redis);
    server_end(&s);
}

static void cancelled_and_late(coop_event_loop *loop) {
    server s;
    server_start(&s, NULL);
    coop_redis *redis = new_redis(loop, NULL, &s);
    expect_text(ANSWER(redis, "PING"), "PONG");
    CHECK(kill(s.pid, SIGSTOP) == 0);
    coop_redis_call_id ids[CALLS];
    ending *all = begin(redis, ids), late;
    coop_redis_call_options soon = {sizeof soon, 1000000};
    ending_init(&late);
    CHECK_OK(coop_redis_command(redis, &soon, ping, NULL, 1, telling(&late), NULL));
    for (int i = 0; i < CALLS; i += 2) CHECK_OK(coop_redis_cancel(redis, ids[i]));
    CHECK_STATUS(coop_redis_cancel(redis, ids[0]), COOP_E_STALE);
    CHECK_STATUS(coop_redis_cancel(redis, 0), COOP_E_STALE);
    ending_wait(&late);
    CHECK_EQ(late.status, COOP_E_TIMEOUT);
    coop_redis_reply *none = NULL;
    CHECK_STATUS(coop_redis_call(redis, &soon, ping, NULL, 1, &none), COOP_E_TIMEOUT);
    CHECK(none == NULL);
    CHECK(kill(s.pid, SIGCONT) == 0);
    CHECK_EQ(end_all(all, COOP_E_CANCELLED, COOP_E_CANCELLED), CALLS / 2);
    coop_redis_statistics stats;
    stats.size = sizeof stats;
    CHECK_OK(coop_redis_stats(redis, &stats));
    CHECK(stats.cancelled == CALLS / 2 && stats.timed_out == 2);
    coop_redis_free(redis);
    server_end(&s);
}

static void freed(coop_event_loop *loop) {
    server s;
    server_start(&s, NULL);
    for (int loop_first = 0; loop_first < 2; loop_first++) {
        coop_event_loop *its = loop_first ? new_loop() : loop;
        if (loop_first) CHECK_OK(coop_event_loop_start(its));
        coop_redis *redis = new_redis(its, NULL, &s);
        expect_text(ANSWER(redis, "PING"), "PONG");
        CHECK(kill(s.pid, SIGSTOP) == 0);
        ending *all = begin(redis, NULL);
        if (loop_first) {
            coop_event_loop_free(its);
            CHECK_STATUS(coop_redis_command(redis, NULL, ping, NULL, 1, telling(&all[0]), NULL), COOP_E_CLOSED);
        }
        coop_redis_free(redis);
        end_all(all, COOP_E_CLOSED, COOP_E_CLOSED);
        CHECK(kill(s.pid, SIGCONT) == 0);
    }
    server_end(&s);
}

/* A callback may free its own client. */
static coop_redis *own_client;
static void free_own(void *arg, const coop_error *error, coop_redis_reply *reply) {
    (void)reply;
    CHECK(error == NULL);
    CHECK_STATUS(coop_redis_call(own_client, NULL, ping, NULL, 1, &reply), COOP_E_WOULD_DEADLOCK);
    CHECK_STATUS(coop_redis_drain(own_client, 0), COOP_E_WOULD_DEADLOCK);
    coop_redis_free(own_client);
    latch_open(arg);
}

static void passwords(coop_event_loop *loop) {
    server s;
    latch freed_inside = LATCH;
    char url[160];
    coop_redis *redis = NULL;
    coop_redis_reply *none = NULL;
    coop_redis_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    server_start(&s, "secret");
    sprintf(url, "unix://:wrong@%s", s.socket);
    CHECK_OK(coop_redis_new(loop, NULL, url, strlen(url), &redis));
    CHECK(coop_redis_call(redis, NULL, ping, NULL, 1, &none) != COOP_OK);
    CHECK(strstr(coop_last_error(), "WRONGPASS") != NULL && strstr(coop_last_error(), "wrong@") == NULL);
    coop_redis_free(redis);

    options.password = "secret";
    options.password_length = strlen(options.password);
    own_client = new_redis(loop, &options, &s);
    coop_redis_callback freeing = {free_own, &freed_inside, NULL};
    CHECK_OK(coop_redis_command(own_client, NULL, ping, NULL, 1, freeing, NULL));
    latch_wait(&freed_inside);
    server_end(&s);
}

static void bad_options(coop_event_loop *loop) {
    coop_redis *redis = NULL;
    coop_redis_options options;
    const char here[] = "redis://localhost";
#define URL_SAYS(url, text) CHECK_SAYS(coop_redis_new(loop, NULL, url, strlen(url), &redis), COOP_E_INVALID, text)
    URL_SAYS("localhost:6379", "scheme");
    URL_SAYS("http://localhost", "scheme \"http\"");
    URL_SAYS("redis://localhost:x", "port \"x\"");
    URL_SAYS("redis://localhost/x", "database \"x\"");
    URL_SAYS("redis://localhost?x=1", "query parameter \"x\"");
    CHECK_STATUS(coop_redis_new(loop, NULL, NULL, 0, &redis), COOP_E_NULL);
    CHECK_STATUS(coop_redis_new(loop, NULL, here, strlen(here), NULL), COOP_E_NULL);
#define OPTION_SAYS(field, value, text)                                                                     \
    memset(&options, 0, sizeof options);                                                                    \
    options.size = sizeof options;                                                                          \
    options.field = value;                                                                                  \
    CHECK_SAYS(coop_redis_new(loop, &options, here, strlen(here), &redis), COOP_E_INVALID, text)
    OPTION_SAYS(connections, 65, "connections of 65");
    OPTION_SAYS(protocol, 4, "protocol is 4");
    OPTION_SAYS(database, -1, "database is -1");
    OPTION_SAYS(timeout_ns, -2, "timeout_ns is -2");
    OPTION_SAYS(backoff_ns, -1, "backoff_ns is -1");
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.tls_server_name = "x";
    options.tls_server_name_length = 1;
    CHECK_SAYS(coop_redis_new(loop, &options, here, strlen(here), &redis), COOP_E_INVALID, "rediss://");
    CHECK(redis == NULL);
}

/* One more than there is room for is refused, and still the caller's. */
static void bounded(coop_event_loop *loop) {
    server s;
    coop_redis_options options;
    ending first, second;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.max_calls = 1;
    server_start(&s, NULL);
    coop_redis *redis = new_redis(loop, &options, &s);
    expect_text(ANSWER(redis, "PING"), "PONG");
    CHECK(kill(s.pid, SIGSTOP) == 0);
    ending_init(&first);
    ending_init(&second);
    CHECK_OK(coop_redis_command(redis, NULL, ping, NULL, 1, telling(&first), NULL));
    CHECK_STATUS(coop_redis_command(redis, NULL, ping, NULL, 1, telling(&second), NULL), COOP_E_QUEUE_FULL);
    CHECK(second.runs == 0 && second.drops == 0);
    CHECK(kill(s.pid, SIGCONT) == 0);
    ending_wait(&first);
    expect_text(first.reply, "PONG");
    const coop_redis_call_options negative = {sizeof negative, -2};
    CHECK_STATUS(coop_redis_command(redis, &negative, ping, NULL, 1, telling(&second), NULL), COOP_E_INVALID);
    CHECK_STATUS(coop_redis_command(redis, NULL, ping, NULL, 0, telling(&second), NULL), COOP_E_INVALID);
    CHECK_STATUS(coop_redis_command(redis, NULL, NULL, NULL, 1, telling(&second), NULL), COOP_E_NULL);
    CHECK(second.runs == 0 && second.drops == 0);
    CHECK_OK(coop_redis_close(redis));
    CHECK_OK(coop_redis_close(redis));
    coop_redis_free(redis);
    server_end(&s);
}

int main(void) {
    coop_event_loop *loop = new_loop();
    CHECK_OK(coop_event_loop_start(loop));
    bad_options(loop);
    killed(loop);
    cancelled_and_late(loop);
    freed(loop);
    passwords(loop);
    bounded(loop);
    coop_event_loop_free(loop);
    return 0;
}
