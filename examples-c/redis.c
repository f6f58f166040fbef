/* Calls to a server of redis: some of each kind, with callbacks on a loop that this thread runs. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "redis_server.h"

#include <coop.h>

static void check(coop_status status) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s\n", coop_status_str(status), coop_last_error());
    exit(1);
}

/* A reply is a tree, which is there until the callback returns. */
static void print(const coop_redis_reply *reply) {
    const char *text;
    size_t length, i;
    int64_t number;
    switch (coop_redis_reply_type(reply)) {
    case COOP_REDIS_NULL: printf("nothing"); break;
    case COOP_REDIS_INTEGER:
        check(coop_redis_reply_integer(reply, &number));
        printf("%lld", (long long)number);
        break;
    case COOP_REDIS_ARRAY:
        printf("[");
        for (i = 0; i < coop_redis_reply_length(reply); i++) {
            printf(i ? ", " : "");
            print(coop_redis_reply_at(reply, i));
        }
        printf("]");
        break;
    case COOP_REDIS_MAP:
        printf("{");
        for (i = 0; i < coop_redis_reply_pairs(reply); i++) {
            printf(i ? ", " : "");
            print(coop_redis_reply_key(reply, i));
            printf(": ");
            print(coop_redis_reply_value(reply, i));
        }
        printf("}");
        break;
    default:
        check(coop_redis_reply_string(reply, &text, &length));
        printf("%.*s", (int)length, text);
    }
}

typedef struct {
    const char *what;
    coop_event_loop *loop; /* set by the last call, which stops it */
} request;

static void answered(void *arg, const coop_error *error, coop_redis_reply *reply) {
    request *r = arg;
    if (error) {
        fprintf(stderr, "%s: %s\n", r->what, error->message);
        exit(1);
    }
    printf("%s: ", r->what);
    print(reply);
    printf("\n");
    if (r->loop) check(coop_event_loop_stop(r->loop));
}

static void call(coop_redis *redis, const char *const *words, size_t count, request *r) {
    coop_redis_callback callback = {answered, r, NULL};
    r->what = words[0];
    check(coop_redis_command(redis, NULL, words, NULL, count, callback, NULL));
}

int main(void) {
    redis_server server;
    coop_event_loop *loop;
    coop_redis *redis;
    redis_server_start(&server);
    check(coop_event_loop_new(NULL, &loop));
    check(coop_redis_new(loop, NULL, server.url, strlen(server.url), &redis));

    /* All of them are on their way at once, in one write, and answered in their order. */
    const char *set[] = {"SET", "greeting", "hello"}, *get[] = {"GET", "greeting"}, *wrong[] = {"INCR", "greeting"};
    const char *hset[] = {"HSET", "user", "name", "ann", "visits", "3"}, *hgetall[] = {"HGETALL", "user"};
    request requests[8] = {{NULL, NULL}};
    call(redis, set, 3, &requests[0]);
    call(redis, get, 2, &requests[1]);
    call(redis, wrong, 2, &requests[2]); /* an error of the server's is a reply */
    call(redis, hset, 6, &requests[3]);
    call(redis, hgetall, 2, &requests[4]);

    /* Both, or neither. */
    const char *first[] = {"INCR", "visits"}, *second[] = {"RPUSH", "log", "ann"};
    const coop_redis_words both[] = {{first, NULL, 2}, {second, NULL, 3}};
    coop_redis_callback callback = {answered, &requests[5], NULL};
    requests[5].what = "transaction";
    check(coop_redis_transaction(redis, NULL, both, 2, callback, NULL));

    static const char source[] = "return redis.call('GET', KEYS[1]) .. ARGV[1]";
    const char *key[] = {"greeting"}, *arg[] = {" again"};
    const coop_redis_words keys = {key, NULL, 1}, args = {arg, NULL, 1};
    requests[6] = (request){"script", loop};
    callback.arg = &requests[6];
    check(coop_redis_script(redis, NULL, source, strlen(source), keys, args, callback, NULL));

    check(coop_event_loop_run(loop, COOP_RUN_DEFAULT));
    coop_redis_free(redis);
    coop_event_loop_free(loop);
    redis_server_stop(&server);
    return 0;
}
