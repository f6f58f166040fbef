/* hiredis on libuv, as its users call it: a row of GETs with so many in flight, each from the callback of the one before. */
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <uv.h>

#include <hiredis/adapters/libuv.h>

typedef struct run {
    redisAsyncContext *connection;
    uint64_t calls, made, ended;
    uint32_t *latencies;
} run;

typedef struct call {
    run *of;
    uint64_t begun;
} call;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void must(int holds, const char *what) {
    if (!holds) {
        fprintf(stderr, "hiredis: %s\n", what);
        abort();
    }
}

static void ended(redisAsyncContext *connection, void *answer, void *arg);

static void next(call *self) {
    static const char *words[] = {"GET", "key"};
    static const size_t lengths[] = {3, 3};
    run *of = self->of;
    of->made++;
    self->begun = now_ns();
    must(redisAsyncCommandArgv(of->connection, ended, self, 2, words, lengths) == REDIS_OK, "command");
}

static void ended(redisAsyncContext *connection, void *answer, void *arg) {
    call *self = arg;
    run *of = self->of;
    redisReply *reply = answer;
    must(reply != NULL && reply->type == REDIS_REPLY_STRING && reply->len == 16, "reply");
    of->latencies[of->ended++] = (uint32_t)(now_ns() - self->begun);
    if (of->made < of->calls)
        next(self);
    else if (of->ended == of->calls)
        redisAsyncDisconnect(connection);
}

/* Seconds for so many calls; their times go into `latencies`. */
double bench_redis_hiredis(const char *host, int port, uint64_t calls, uint32_t in_flight, uint32_t *latencies) {
    uv_loop_t loop;
    must(uv_loop_init(&loop) == 0, "loop");
    run of = {redisAsyncConnect(host, port), calls, 0, 0, latencies};
    must(of.connection != NULL && of.connection->err == 0, "connect");
    must(redisLibuvAttach(of.connection, &loop) == REDIS_OK, "attach");
    call *each = calloc(in_flight, sizeof *each);
    must(each != NULL, "calloc");
    uint64_t begun = now_ns();
    for (uint32_t i = 0; i < in_flight; i++) {
        each[i].of = &of;
        next(&each[i]);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    double seconds = (double)(now_ns() - begun) / 1e9;
    must(of.ended == calls, "calls are missing");
    free(each);
    must(uv_loop_close(&loop) == 0, "close");
    return seconds;
}
