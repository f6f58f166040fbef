/* coop_redis: commands and their replies as trees, pipelines, transactions, scripts, messages, connections of one's own. */
#include "redis.h"

static void replies(coop_redis *redis, int resp3) {
    coop_redis_reply *reply = ANSWER(redis, "SET", "a", "one");
    CHECK_EQ(coop_redis_reply_type(reply), COOP_REDIS_STATUS);
    expect_text(reply, "OK");
    expect_text(ANSWER(redis, "GET", "a"), "one");
    reply = ANSWER(redis, "GET", "nowhere");
    CHECK_EQ(coop_redis_reply_type(reply), COOP_REDIS_NULL);
    CHECK_EQ(coop_redis_reply_length(reply), 0);
    coop_redis_reply_free(reply);

    reply = ANSWER(redis, "INCR", "a");
    const char *code;
    size_t length;
    int64_t number = 77;
    double real = 77;
    CHECK_EQ(coop_redis_reply_type(reply), COOP_REDIS_ERROR);
    CHECK_OK(coop_redis_reply_error_code(reply, &code, &length));
    CHECK(length == 3 && memcmp(code, "ERR", 3) == 0);
    CHECK_SAYS(coop_redis_reply_integer(reply, &number), COOP_E_INVALID, "error");
    CHECK_EQ(number, 77);
    coop_redis_reply_free(reply);

    coop_redis_reply_free(ANSWER(redis, "DEL", "list", "hash"));
    expect_number(ANSWER(redis, "RPUSH", "list", "x", "2.5", "3"), 3);
    reply = ANSWER(redis, "LRANGE", "list", "0", "-1");
    CHECK_EQ(coop_redis_reply_type(reply), COOP_REDIS_ARRAY);
    CHECK_EQ(coop_redis_reply_length(reply), 3);
    CHECK(says(coop_redis_reply_at(reply, 0), "x"));
    CHECK_OK(coop_redis_reply_double(coop_redis_reply_at(reply, 1), &real));
    CHECK(real == 2.5);
    CHECK_EQ(number_of(coop_redis_reply_at(reply, 2)), 3);
    CHECK(coop_redis_reply_at(reply, 3) == NULL);
    CHECK_EQ(coop_redis_reply_pairs(reply), 0);
    CHECK_STATUS(coop_redis_reply_string(reply, &code, &length), COOP_E_INVALID);
    CHECK_STATUS(coop_redis_reply_error_code(reply, &code, &length), COOP_E_INVALID);
    coop_redis_reply_free(reply);

    /* A map in the third version of the protocol, an array in the second: read alike. */
    expect_number(ANSWER(redis, "HSET", "hash", "k", "v", "l", "w"), 2);
    reply = ANSWER(redis, "HGETALL", "hash");
    CHECK_EQ(coop_redis_reply_type(reply), resp3 ? COOP_REDIS_MAP : COOP_REDIS_ARRAY);
    CHECK_EQ(coop_redis_reply_pairs(reply), 2);
    CHECK_EQ(coop_redis_reply_length(reply), 4);
    CHECK(says(coop_redis_reply_key(reply, 1), "l") && says(coop_redis_reply_value(reply, 1), "w"));
    CHECK(says(coop_redis_reply_at(reply, 2), "l") && says(coop_redis_reply_at(reply, 3), "w"));
    CHECK(coop_redis_reply_key(reply, 2) == NULL && coop_redis_reply_value(reply, 2) == NULL);
    coop_redis_reply_free(reply);

    /* Words are bytes. */
    const char *words[] = {"SET", "bytes", "a\0b"};
    const size_t lengths[] = {3, 5, 3};
    CHECK_OK(coop_redis_call(redis, NULL, words, lengths, 3, &reply));
    coop_redis_reply_free(reply);
    expect_number(ANSWER(redis, "STRLEN", "bytes"), 3);

    CHECK_EQ(coop_redis_reply_type(NULL), COOP_E_NULL);
    CHECK(coop_redis_reply_at(NULL, 0) == NULL && coop_redis_reply_key(NULL, 0) == NULL && coop_redis_reply_value(NULL, 0) == NULL);
    coop_redis_reply_free(NULL);
}

/* A thousand in flight: each is told its own reply. */
static void many(coop_redis *redis) {
    enum { CALLS = 1000 };
    ending *all = calloc(CALLS, sizeof *all);
    CHECK(all != NULL);
    for (int i = 0; i < CALLS; i++) {
        char text[16];
        const char *words[] = {"ECHO", text};
        coop_redis_call_id id = 0;
        sprintf(text, "%d", i);
        ending_init(&all[i]);
        CHECK_OK(coop_redis_command(redis, NULL, words, NULL, 2, telling(&all[i]), &id));
        CHECK(id != 0);
    }
    for (int i = 0; i < CALLS; i++) {
        ending_wait(&all[i]);
        CHECK_EQ(all[i].status, COOP_OK);
        expect_number(all[i].reply, i);
    }
    free(all);
}

/* What nobody keeps is gone with the callback. */
static void look(void *arg, const coop_error *error, coop_redis_reply *reply) {
    CHECK(error == NULL && says(reply, "PONG"));
    latch_open(arg);
}

static void groups(coop_redis *redis) {
    const char *set[] = {"SET", "n", "5"}, *incr[] = {"INCR", "n"}, *wrong[] = {"INCR", "list"};
    const coop_redis_words commands[] = {{set, NULL, 3}, {incr, NULL, 2}, {wrong, NULL, 2}};
    ending e;
    ending_init(&e);
    CHECK_OK(coop_redis_pipeline(redis, NULL, commands, 3, telling(&e), NULL));
    ending_wait(&e);
    CHECK_EQ(coop_redis_reply_length(e.reply), 3);
    CHECK_EQ(number_of(coop_redis_reply_at(e.reply, 1)), 6);
    CHECK_EQ(coop_redis_reply_type(coop_redis_reply_at(e.reply, 2)), COOP_REDIS_ERROR);
    coop_redis_reply_free(e.reply);

    ending_init(&e);
    CHECK_OK(coop_redis_transaction(redis, NULL, commands, 2, telling(&e), NULL));
    ending_wait(&e);
    CHECK_EQ(coop_redis_reply_length(e.reply), 2);
    CHECK_EQ(number_of(coop_redis_reply_at(e.reply, 1)), 6);
    coop_redis_reply_free(e.reply);

    ending_init(&e);
    CHECK_SAYS(coop_redis_pipeline(redis, NULL, commands, 0, telling(&e), NULL), COOP_E_INVALID, "no commands");
    CHECK(e.runs == 0 && e.drops == 0);

    const char source[] = "return {KEYS[1], ARGV[1], #ARGV}", *key[] = {"k"}, *args[] = {"x", "y"};
    const coop_redis_words keys = {key, NULL, 1}, arguments = {args, NULL, 2};
    for (int twice = 0; twice < 2; twice++) {
        ending_init(&e);
        CHECK_OK(coop_redis_script(redis, NULL, source, strlen(source), keys, arguments, telling(&e), NULL));
        ending_wait(&e);
        CHECK_EQ(coop_redis_reply_length(e.reply), 3);
        CHECK(says(coop_redis_reply_at(e.reply, 0), "k") && says(coop_redis_reply_at(e.reply, 1), "x"));
        CHECK_EQ(number_of(coop_redis_reply_at(e.reply, 2)), 2);
        coop_redis_reply_free(e.reply);
    }
}

static void own_connections(coop_redis *redis) {
    coop_redis *own = NULL;
    const char *incr[] = {"INCR", "n"}, *watch[] = {"WATCH", "n"};
    const coop_redis_words commands[] = {{incr, NULL, 2}};
    ending e;
    ending_init(&e);
    CHECK_SAYS(coop_redis_command(redis, NULL, watch, NULL, 2, telling(&e), NULL), COOP_E_INVALID, "WATCH");
    CHECK(e.runs == 0 && e.drops == 0);
    CHECK_OK(coop_redis_own(redis, &own));
    expect_text(ANSWER(own, "WATCH", "n"), "OK");
    expect_text(ANSWER(redis, "SET", "n", "1"), "OK");
    ending_init(&e);
    CHECK_OK(coop_redis_transaction(own, NULL, commands, 1, telling(&e), NULL));
    ending_wait(&e);
    CHECK_EQ(coop_redis_reply_type(e.reply), COOP_REDIS_NULL);
    coop_redis_reply_free(e.reply);
    coop_redis_free(own);
    expect_text(ANSWER(redis, "GET", "n"), "1");
}

/* As many as were asked for; options of before this was one have the default. */
static void own_up_to(coop_event_loop *loop, const server *s) {
    coop_redis *own[3] = {NULL, NULL, NULL};
    coop_redis_options options;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.max_own = 2;
    coop_redis *redis = new_redis(loop, &options, s);
    CHECK_OK(coop_redis_own(redis, &own[0]));
    CHECK_OK(coop_redis_own(redis, &own[1]));
    CHECK_SAYS(coop_redis_own(redis, &own[2]), COOP_E_QUEUE_FULL, "(2 connections of one's own)");
    CHECK(own[2] == NULL);
    expect_text(ANSWER(own[0], "WATCH", "n"), "OK");
    expect_text(ANSWER(own[0], "UNWATCH"), "OK");
    coop_redis_free(own[1]);
    CHECK_OK(coop_redis_own(redis, &own[1]));
    coop_redis_free(own[0]);
    coop_redis_free(own[1]);
    coop_redis_free(redis);

    options.size = offsetof(coop_redis_options, max_own);
    redis = new_redis(loop, &options, s);
    for (int i = 0; i < 3; i++) CHECK_OK(coop_redis_own(redis, &own[i]));
    for (int i = 0; i < 3; i++) coop_redis_free(own[i]);
    coop_redis_free(redis);
}

typedef struct {
    latch last, dropped;
    int count;
} inbox;

static void message_came(void *arg, const coop_redis_message *message) {
    inbox *box = arg;
    CHECK(message->payload_length == 2);
    if (box->count++ == 0) {
        CHECK_EQ(message->by, COOP_REDIS_CHANNEL);
        CHECK(message->channel_length == 4 && memcmp(message->channel, "news", 4) == 0 && message->pattern == NULL);
    } else {
        CHECK_EQ(message->by, COOP_REDIS_PATTERN);
        CHECK(message->pattern_length == 6 && memcmp(message->pattern, "wire.*", 6) == 0);
        latch_open(&box->last);
    }
}
static void inbox_dropped(void *arg) { latch_open(&((inbox *)arg)->dropped); }

static void messages(coop_redis *redis) {
    inbox box = {LATCH, LATCH, 0};
    coop_redis_message_callback told = {message_came, &box, inbox_dropped};
    coop_redis_callback nobody = {NULL, NULL, NULL};
    coop_redis_subscriber *subscriber = NULL;
    const char *news[] = {"news"}, *wire[] = {"wire.*"};
    const coop_redis_words names = {news, NULL, 1}, patterns = {wire, NULL, 1}, none = {NULL, NULL, 0};
    ending e;
    CHECK_OK(coop_redis_subscriber_new(redis, told, &subscriber));
    CHECK_OK(coop_redis_subscribe(subscriber, COOP_REDIS_CHANNEL, names, nobody));
    ending_init(&e);
    CHECK_SAYS(coop_redis_subscribe(subscriber, COOP_REDIS_CHANNEL, none, telling(&e)), COOP_E_INVALID, "no channels");
    CHECK_SAYS(coop_redis_subscribe(subscriber, 3, names, telling(&e)), COOP_E_INVALID, "by is 3");
    CHECK(e.runs == 0 && e.drops == 0);
    CHECK_OK(coop_redis_subscribe(subscriber, COOP_REDIS_PATTERN, patterns, telling(&e)));
    ending_wait(&e);
    coop_redis_reply_free(e.reply);
    expect_number(ANSWER(redis, "PUBLISH", "news", "ab"), 1);
    expect_number(ANSWER(redis, "PUBLISH", "wire.x", "cd"), 1);
    latch_wait(&box.last);
    ending_init(&e);
    CHECK_OK(coop_redis_unsubscribe(subscriber, COOP_REDIS_CHANNEL, names, telling(&e)));
    ending_wait(&e);
    coop_redis_reply_free(e.reply);
    expect_number(ANSWER(redis, "PUBLISH", "news", "ef"), 0);
    coop_redis_subscriber_free(subscriber);
    latch_wait(&box.dropped);
    CHECK_EQ(box.count, 2);
    coop_redis_subscriber_free(NULL);
}

static void figures(coop_redis *redis) {
    coop_redis_statistics stats;
    memset(&stats, 0, sizeof stats);
    CHECK_STATUS(coop_redis_stats(redis, &stats), COOP_E_INVALID);
    stats.size = sizeof stats;
    CHECK_OK(coop_redis_stats(redis, &stats));
    CHECK(stats.calls > 1000 && stats.answered == stats.calls && stats.queued == 0 && stats.in_flight == 0);
    /* The shared connection, and any of its own that was given back and is kept for the next. */
    CHECK(stats.connected >= 1 && stats.connects >= stats.connected && stats.disconnects == 0 && stats.server_errors > 0);
    CHECK(stats.writes < stats.calls && stats.bytes_in > 0 && stats.bytes_out > 0);
}

int main(void) {
    server s;
    coop_event_loop *loop = new_loop();
    server_start(&s, NULL);
    CHECK_OK(coop_event_loop_start(loop));
    for (int protocol = 2; protocol <= 3; protocol++) {
        coop_redis_options options;
        memset(&options, 0, sizeof options);
        options.size = sizeof options;
        options.protocol = protocol;
        options.client_name = "test";
        options.client_name_length = 4;
        coop_redis *redis = new_redis(loop, &options, &s);
        latch looked = LATCH;
        const char *ping[] = {"PING"};
        coop_redis_callback looking = {look, &looked, NULL};
        expect_text(ANSWER(redis, "CLIENT", "GETNAME"), "test");
        CHECK_OK(coop_redis_command(redis, NULL, ping, NULL, 1, looking, NULL));
        latch_wait(&looked);
        replies(redis, protocol == 3);
        many(redis);
        groups(redis);
        own_connections(redis);
        messages(redis);
        figures(redis);
        CHECK_OK(coop_redis_drain(redis, LONG_NS));
        CHECK_STATUS(coop_redis_command(redis, NULL, ping, NULL, 1, looking, NULL), COOP_E_CLOSED);
        coop_redis_free(redis);
    }
    own_up_to(loop, &s);
    coop_redis_free(NULL);
    coop_event_loop_free(loop);
    server_end(&s);
    return 0;
}
