/* Messages between the ports of a set: in their order, with their sender, in both modes; what is refused. */
#include "check.h"

enum { MESSAGES = 1000 };

typedef struct {
    probe probe;
    latch done;
    int heard, batches;
    coop_port_context *context;
} port;

static void on_batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    (void)context, (void)datagrams, (void)count;
    ((port *)arg)->batches++;
}

static void drop(void *arg) { count_drop(&((port *)arg)->probe); }

/* A: told to begin from outside, it sends the numbers to B, and waits for B's answer. */
static coop_status a_start(void *arg, coop_port_context *context) {
    const char *name = NULL;
    size_t length = 0, backlog = 77;
    coop_address address;
    ((port *)arg)->context = context;
    CHECK_OK(coop_port_context_name(context, &name, &length));
    CHECK(length == 1 && *name == 'A');
    CHECK_STATUS(coop_port_context_name(context, NULL, &length), COOP_E_NULL);
    CHECK_OK(coop_port_context_address(context, &address));
    CHECK(address.length > 0);
    CHECK_OK(coop_port_context_backlog(context, &backlog));
    CHECK_EQ(backlog, 0);
    return COOP_OK;
}

static void a_message(void *arg, coop_port_context *context, const char *sender, size_t sender_length, const void *data,
                      size_t length) {
    port *p = arg;
    if (sender_length == 0) {
        int number;
        CHECK(length == 5 && memcmp(data, "begin", 5) == 0);
        for (number = 0; number < MESSAGES; number++)
            CHECK_OK(coop_port_context_send_message(context, "B", 1, &number, sizeof number));
        number = -1; /* It was copied. */
        CHECK_SAYS(coop_port_context_send_message(context, "C", 1, "x", 1), COOP_E_INVALID, "no port \"C\"");
        CHECK_SAYS(coop_port_context_send_message(context, "", 0, "x", 1), COOP_E_INVALID, "its ports are A, B");
        CHECK_SAYS(coop_port_context_send_message(context, NULL, 1, "x", 1), COOP_E_NULL, "port");
        CHECK_SAYS(coop_port_context_send_message(context, "B", 1, NULL, 1), COOP_E_NULL, "data");
        CHECK_STATUS(coop_port_context_send_message(context, "B\377", 2, NULL, 0), COOP_E_INVALID);
        return;
    }
    CHECK(sender_length == 1 && *sender == 'B');
    CHECK_EQ(length, 0);
    p->heard++;
    latch_open(&p->done);
}

static void b_message(void *arg, coop_port_context *context, const char *sender, size_t sender_length, const void *data,
                      size_t length) {
    port *p = arg;
    int number;
    CHECK(sender_length == 1 && *sender == 'A');
    CHECK_EQ(length, sizeof number);
    memcpy(&number, data, length);
    CHECK_EQ(number, p->heard);
    if (++p->heard == MESSAGES) CHECK_OK(coop_port_context_send_message(context, sender, sender_length, NULL, 0));
}

static void exchange(int32_t mode) {
    port a = {{0, 0}, LATCH, 0, 0, NULL}, b = {{0, 0}, LATCH, 0, 0, NULL};
    coop_port_handler handlers[2] = {{.size = sizeof handlers[0], .on_start = a_start, .on_batch = on_batch, .drop = drop, .on_message = a_message},
                                     {.size = sizeof handlers[0], .on_batch = on_batch, .drop = drop, .on_message = b_message}};
    coop_port ports[2] = {{.size = sizeof ports[0], .name = "A", .name_length = 1},
                          {.size = sizeof ports[0], .name = "B", .name_length = 1}};
    coop_port_set_options options = {.size = sizeof options, .mode = mode};
    coop_port_stats stats = {.size = sizeof stats};
    coop_event_loop *loop = new_loop();
    coop_port_set *set = NULL;

    handlers[0].arg = &a;
    handlers[1].arg = &b;
    ports[0].handler = &handlers[0];
    ports[1].handler = &handlers[1];
    CHECK_OK(coop_event_loop_start(loop));
    options.event_loop = mode == COOP_MODE_SINGLE ? loop : NULL;
    CHECK_OK(coop_port_set_new(&options, ports, 2, &set));
    CHECK_STATUS(coop_port_set_send_message(set, "A", 1, "begin", 5), COOP_E_INVALID); /* not started */
    CHECK_OK(coop_port_set_start(set));
    CHECK_SAYS(coop_port_set_send_message(set, "X", 1, "begin", 5), COOP_E_INVALID, "no port \"X\"");
    CHECK_OK(coop_port_set_send_message(set, "A", 1, "begin", 5));
    latch_wait(&a.done);
    CHECK_OK(coop_port_set_stop(set, LONG_NS));
    CHECK_OK(coop_port_set_stats(set, "B", 1, &stats));
    CHECK_EQ(stats.messages, MESSAGES);
    CHECK_EQ(stats.errors, 0);
    CHECK_STATUS(coop_port_set_send_message(set, "A", 1, "begin", 5), COOP_E_CLOSED);
    coop_port_set_free(set);
    coop_event_loop_free(loop);
    CHECK_EQ(a.heard, 1);
    CHECK_EQ(b.heard, MESSAGES);
    CHECK_EQ(drops(&a.probe), 1);
    CHECK_EQ(drops(&b.probe), 1);
}

/* Of the first version of the struct, which ends before on_message: messages to it are dropped. */
static void a_handler_that_knows_no_messages(void) {
    port a = {{0, 0}, LATCH, 0, 0, NULL};
    coop_port_handler handler = {.size = offsetof(coop_port_handler, on_message), .on_batch = on_batch, .drop = drop, .on_message = a_message};
    coop_port only = {.size = sizeof only, .name = "A", .name_length = 1};
    coop_port_set_options options = {.size = sizeof options, .mode = COOP_MODE_THREAD};
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set = NULL;

    handler.arg = &a;
    only.handler = &handler;
    CHECK_OK(coop_port_set_new(&options, &only, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    CHECK_OK(coop_port_set_send_message(set, "A", 1, "begin", 5));
    do CHECK_OK(coop_port_set_stats(set, "A", 1, &stats));
    while (stats.messages == 0);
    coop_port_set_free(set);
    CHECK_EQ(a.heard, 0);
    CHECK_EQ(drops(&a.probe), 1);
}

int main(void) {
    exchange(COOP_MODE_SINGLE);
    exchange(COOP_MODE_THREAD);
    a_handler_that_knows_no_messages();
    return 0;
}
