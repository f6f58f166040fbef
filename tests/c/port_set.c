/* Port sets: an echo in both modes, timers, what is refused, who owns the handlers' arguments. */
#include "check.h"

typedef struct {
    probe probe;
    latch started, stopped, timed;
    int received, answer;
} port;

static coop_status on_start(void *arg, coop_port_context *context) {
    port *p = arg;
    coop_timer_id timer = 0, never = 0;
    CHECK_OK(coop_port_context_set_timer(context, 1000, 0, &timer));
    CHECK_OK(coop_port_context_set_timer(context, LONG_NS, LONG_NS, &never));
    CHECK(timer != 0 && never != timer);
    CHECK_OK(coop_port_context_cancel_timer(context, never));
    CHECK_STATUS(coop_port_context_cancel_timer(context, never), COOP_E_STALE);
    CHECK_STATUS(coop_port_context_set_timer(context, -1, 0, &never), COOP_E_INVALID);
    latch_open(&p->started);
    return p->answer;
}

/* Sends back what came; "stop" stops the set. */
static void on_batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    port *p = arg;
    size_t sent = 0;
    CHECK(count > 0);
    p->received += (int)count;
    if (datagrams[0].length == 4 && memcmp(datagrams[0].data, "stop", 4) == 0)
        CHECK_OK(coop_port_context_stop(context));
    CHECK_OK(coop_port_context_send(context, datagrams, count, &sent));
    CHECK_EQ(sent, count);
}

static void on_timer(void *arg, coop_port_context *context, coop_timer_id timer) {
    port *p = arg;
    CHECK(timer != 0);
    CHECK_STATUS(coop_port_context_cancel_timer(context, timer), COOP_E_STALE);
    latch_open(&p->timed);
}

static void on_stop(void *arg, coop_port_context *context) {
    port *p = arg;
    coop_datagram nowhere = {"x", 1, {0, {0}}, 0, 0};
    size_t sent = 77;
    CHECK_STATUS(coop_port_context_send(context, &nowhere, 1, &sent), COOP_E_INVALID);
    CHECK_EQ(sent, 0);
    latch_open(&p->stopped);
}

static void drop(void *arg) { count_drop(&((port *)arg)->probe); }

static coop_port_handler handler_of(port *p) {
    coop_port_handler handler = {.size = sizeof handler, .arg = p, .drop = drop};
    handler.on_start = on_start;
    handler.on_batch = on_batch;
    handler.on_timer = on_timer;
    handler.on_stop = on_stop;
    return handler;
}

static coop_port port_of(const char *name, const coop_port_handler *handler) {
    coop_port made = {.size = sizeof made};
    made.name = name;
    made.name_length = strlen(name);
    made.handler = handler;
    return made;
}

static coop_udp *client_of(coop_port_set *set) {
    coop_udp *client = NULL;
    coop_address address;
    CHECK_OK(coop_port_set_address(set, "ECHO", 4, &address));
    CHECK_OK(coop_udp_new(NULL, &client));
    CHECK_OK(coop_udp_connect(client, &address));
    return client;
}

static void send_text(coop_udp *client, const char *text) {
    coop_datagram datagram = {text, strlen(text), {0, {0}}, 0, 0};
    size_t sent = 0;
    CHECK_OK(coop_udp_send(client, &datagram, 1, &sent, NULL));
    CHECK_EQ(sent, 1);
}

static void echo(int32_t mode) {
    port p = {{0, 0}, LATCH, LATCH, LATCH, 0, COOP_OK};
    coop_port_handler handler = handler_of(&p);
    coop_port ports[1] = {port_of("ECHO", &handler)};
    coop_port_set_options options = {.size = sizeof options, .mode = mode};
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set = NULL;
    coop_event_loop *loop = new_loop();
    coop_datagram answer;
    size_t count = 0;

    CHECK_OK(coop_event_loop_start(loop));
    options.event_loop = mode == COOP_MODE_SINGLE ? loop : NULL;
    CHECK_OK(coop_port_set_new(&options, ports, 1, &set));
    CHECK_STATUS(coop_port_set_address(set, "ECHO", 4, &answer.address), COOP_E_INVALID);
    CHECK_OK(coop_port_set_start(set));
    latch_wait(&p.started);
    latch_wait(&p.timed);
    CHECK_STATUS(coop_port_set_start(set), COOP_E_EXISTS);
    CHECK_STATUS(coop_port_set_join(set, 0), COOP_E_TIMEOUT);

    coop_udp *client = client_of(set);
    send_text(client, "hello");
    while (count == 0) CHECK_OK(coop_udp_receive(client, &answer, 1, &count));
    CHECK(answer.length == 5 && memcmp(answer.data, "hello", 5) == 0);

    CHECK_SAYS(coop_port_set_stats(set, "ELSE", 4, &stats), COOP_E_INVALID, "its ports are ECHO");
    /* What was sent is counted when it has left: the peer may have it a moment before. */
    do CHECK_OK(coop_port_set_stats(set, "ECHO", 4, &stats));
    while (stats.sent == 0);
    CHECK(stats.received == 1 && stats.received_bytes == 5 && stats.sent == 1 && stats.errors == 0);
    stats.size = 16;
    stats.received = 0;
    stats.received_bytes = 77;
    CHECK_OK(coop_port_set_stats(set, "ECHO", 4, &stats));
    CHECK(stats.received == 1 && stats.received_bytes == 77); /* what an older caller knows */
    stats.size = 8;
    CHECK_STATUS(coop_port_set_stats(set, "ECHO", 4, &stats), COOP_E_INVALID);

    send_text(client, "stop");
    CHECK_OK(coop_port_set_join(set, LONG_NS));
    latch_wait(&p.stopped);
    CHECK_EQ(drops(&p.probe), 1);
    CHECK_OK(coop_port_set_stop(set, 0));
    coop_port_set_free(set);
    coop_udp_free(client);
    coop_event_loop_free(loop);
    CHECK_EQ(drops(&p.probe), 1);
    CHECK_EQ(p.received, 2);
}

static void refused(void) {
    port p = {{0, 0}, LATCH, LATCH, LATCH, 0, COOP_OK};
    coop_port_handler handler = handler_of(&p), no_batch = handler_of(&p);
    coop_port ports[2] = {port_of("A", &handler), port_of("A", &handler)};
    coop_port_set_options threads = {.size = sizeof threads, .mode = COOP_MODE_THREAD}, bad;
    coop_port_set *set = NULL;

    CHECK_SAYS(coop_port_set_new(&threads, ports, 2, &set), COOP_E_EXISTS, "\"A\"");
    CHECK_STATUS(coop_port_set_new(&threads, NULL, 2, &set), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_new(&threads, ports, 0, &set), COOP_E_INVALID);
    CHECK_SAYS(coop_port_set_new(NULL, ports, 1, &set), COOP_E_INVALID, "SINGLE needs the event loop");
    bad = threads;
    bad.mode = 3;
    CHECK_SAYS(coop_port_set_new(&bad, ports, 1, &set), COOP_E_INVALID, "mode 3");
    bad = threads;
    bad.buffer_bytes = 5;
    CHECK_SAYS(coop_port_set_new(&bad, ports, 1, &set), COOP_E_INVALID, "buffer_bytes 5");
    bad = threads;
    bad.size = 3;
    CHECK_STATUS(coop_port_set_new(&bad, ports, 1, &set), COOP_E_INVALID);
    ports[0].name_length = 0;
    CHECK_STATUS(coop_port_set_new(&threads, ports, 1, &set), COOP_E_INVALID);
    ports[0] = port_of("A", NULL);
    CHECK_SAYS(coop_port_set_new(&threads, ports, 1, &set), COOP_E_NULL, "coop_port.handler");
    no_batch.on_batch = NULL;
    ports[0] = port_of("A", &no_batch);
    CHECK_SAYS(coop_port_set_new(&threads, ports, 1, &set), COOP_E_NULL, "on_batch");
    CHECK(set == NULL);
    CHECK_EQ(drops(&p.probe), 0);
}

/* The ports of a program with a later header are longer, and lie further apart. */
static void ports_of_a_later_header(void) {
    struct {
        coop_port known;
        uint64_t unknown;
    } ports[2];
    port a = {{0, 0}, LATCH, LATCH, LATCH, 0, COOP_OK}, b = {{0, 0}, LATCH, LATCH, LATCH, 0, COOP_OK};
    coop_port_handler handlers[2] = {handler_of(&a), handler_of(&b)};
    coop_port_set_options threads = {.size = sizeof threads, .mode = COOP_MODE_THREAD};
    coop_port_set *set = NULL;

    for (int i = 0; i < 2; i++) {
        ports[i].known = port_of(i == 0 ? "A" : "B", &handlers[i]);
        ports[i].known.size = sizeof ports[i];
        ports[i].unknown = 0;
    }
    CHECK_OK(coop_port_set_new(&threads, &ports[0].known, 2, &set));
    coop_port_set_free(set);
    CHECK(drops(&a.probe) == 1 && drops(&b.probe) == 1);
    set = NULL;
    ports[1].unknown = 1;
    CHECK_SAYS(coop_port_set_new(&threads, &ports[0].known, 2, &set), COOP_E_UNSUPPORTED, "coop_port has");
    ports[1].known.size = sizeof(coop_port);
    CHECK_SAYS(coop_port_set_new(&threads, &ports[0].known, 2, &set), COOP_E_INVALID, "ports[1].size");
    ports[0].known.size = sizeof ports[0] + 1;
    CHECK_SAYS(coop_port_set_new(&threads, &ports[0].known, 1, &set), COOP_E_INVALID, "coop_port.size");
    CHECK(set == NULL && drops(&a.probe) == 1 && drops(&b.probe) == 1);
}

static void start_that_fails(void) {
    port good = {{0, 0}, LATCH, LATCH, LATCH, 0, COOP_OK}, bad = {{0, 0}, LATCH, LATCH, LATCH, 0, COOP_E_INVALID};
    coop_port_handler handlers[2];
    coop_port ports[2];
    coop_port_set_options threads = {.size = sizeof threads, .mode = COOP_MODE_THREAD};
    coop_port_set *set = NULL;
    coop_udp *in_the_way = NULL;
    static const char local[] = "127.0.0.1:0";
    coop_udp_options udp = {sizeof udp, local, sizeof local - 1, 0, 0, 0, 0, 0, 0, 0, 0};

    handlers[0] = handler_of(&good);
    handlers[1] = handler_of(&bad);
    ports[0] = port_of("GOOD", &handlers[0]);
    ports[1] = port_of("BAD", &handlers[1]);
    CHECK_OK(coop_port_set_new(&threads, ports, 2, &set));
    CHECK_SAYS(coop_port_set_start(set), COOP_E_FAILED, "port BAD");
    latch_wait(&good.stopped);
    coop_port_set_free(set);
    CHECK_EQ(drops(&good.probe), 1);
    CHECK_EQ(drops(&bad.probe), 1);

    CHECK_OK(coop_udp_new(&udp, &in_the_way));
    CHECK_OK(coop_udp_local_address(in_the_way, &ports[0].bind));
    CHECK_OK(coop_port_set_new(&threads, ports, 1, &set));
    CHECK_SAYS(coop_port_set_start(set), COOP_E_OS, "port GOOD: bind 127.0.0.1:");
    coop_port_set_free(set);
    CHECK_EQ(drops(&good.probe), 2);
    coop_udp_free(in_the_way);

    /* Never started: the argument is dropped all the same. */
    ports[0] = port_of("GOOD", &handlers[0]);
    CHECK_OK(coop_port_set_new(&threads, ports, 1, &set));
    coop_port_set_free(set);
    CHECK_EQ(drops(&good.probe), 3);
}

int main(void) {
    echo(COOP_MODE_SINGLE);
    echo(COOP_MODE_THREAD);
    refused();
    ports_of_a_later_header();
    start_that_fails();
    return 0;
}
