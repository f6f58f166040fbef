/* Port sets whose mode is one argument: handlers with names, in processes of their own too; what they save, what they send each other, how
 * they end, and what is refused. */
#include "check.h"
#include <poll.h>

/* What a worker makes: an echo that obeys some words. */
typedef struct {
    coop_port_context *context;
    char greeting[32];
    size_t greeting_length;
} echo;

static int is(const coop_datagram *datagram, const char *word) {
    return datagram->length == strlen(word) && memcmp(datagram->data, word, datagram->length) == 0;
}

static void answer(coop_port_context *context, const coop_datagram *to, const void *data, size_t length) {
    coop_datagram reply = *to;
    reply.data = data;
    reply.length = length;
    reply.segment_size = 0;
    CHECK_OK(coop_port_context_send(context, &reply, 1, NULL));
}

static void echo_batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    echo *e = arg;
    char text[64];
    size_t at, length = 0;
    uint64_t run = 0;
    for (at = 0; at < count; at++) {
        const coop_datagram *one = &datagrams[at];
        if (is(one, "greet")) {
            answer(context, one, e->greeting, e->greeting_length);
        } else if (is(one, "run")) {
            CHECK_OK(coop_port_context_run(context, &run));
            CHECK_OK(coop_port_context_saved(context, text, sizeof text, &length));
            length += (size_t)snprintf(text + length, sizeof text - length, " %d", (int)run);
            answer(context, one, text, length);
        } else if (is(one, "save")) {
            CHECK_OK(coop_port_context_save(context, "state", 5));
            CHECK_OK(coop_port_context_saved(context, NULL, 0, &length));
            CHECK_EQ(length, 5);
            CHECK_OK(coop_port_context_saved(context, text, 2, &length));
            CHECK(length == 5 && memcmp(text, "st", 2) == 0);
            CHECK_SAYS(coop_port_context_save(context, text, 1 << 21), COOP_E_INVALID, "saved_bytes");
            answer(context, one, "saved", 5);
        } else if (is(one, "exit")) {
            _exit(0);
        } else if (is(one, "tell")) {
            CHECK_OK(coop_port_context_send_message(context, "B", 1, "from A", 6));
        } else if (is(one, "stop")) {
            CHECK_OK(coop_port_context_stop(context));
        } else {
            answer(context, one, one->data, one->length);
        }
    }
}

/* Keeps what it is told for "run". */
static void echo_message(void *arg, coop_port_context *context, const char *sender, size_t sender_length, const void *data,
                         size_t length) {
    char text[64];
    (void)arg;
    memcpy(text, sender, sender_length);
    text[sender_length] = ':';
    memcpy(text + sender_length + 1, data, length);
    CHECK_OK(coop_port_context_save(context, text, sender_length + 1 + length));
}

static void echo_drop(void *arg) { free(arg); }

static coop_status make_echo(const void *args, size_t length, coop_port_handler *out) {
    echo *e = calloc(1, sizeof *e);
    CHECK(e != NULL && length < sizeof e->greeting);
    if (length > 0) memcpy(e->greeting, args, length);
    e->greeting_length = length;
    out->size = sizeof *out;
    out->arg = e;
    out->on_batch = echo_batch;
    out->on_message = echo_message;
    out->drop = echo_drop;
    return COOP_OK;
}

static coop_status refuse(const void *args, size_t length, coop_port_handler *out) {
    (void)args, (void)length, (void)out;
    return COOP_E_FAILED;
}

static const coop_named_handler HANDLERS[] = {
    {sizeof(coop_named_handler), "echo", 4, make_echo},
    {sizeof(coop_named_handler), "refuse", 6, refuse},
};
enum { COUNT = sizeof HANDLERS / sizeof *HANDLERS };

static coop_port named(const char *name, const char *handler, const char *args) {
    coop_port made = {.size = sizeof made};
    made.name = name;
    made.name_length = strlen(name);
    made.handler_name = handler;
    made.handler_name_length = strlen(handler);
    made.args = args;
    made.args_length = args ? strlen(args) : 0;
    return made;
}

static coop_port_set_options options_of(int32_t mode) {
    coop_port_set_options options = {.size = sizeof options};
    options.mode = mode;
    options.handlers = HANDLERS;
    options.handler_count = COUNT;
    return options;
}

/* Asks, and asks again: what a worker that ends has in hand is lost with it. */
static void ask(coop_port_set *set, const char *port, const char *word, const char *expected) {
    coop_udp *client = NULL;
    coop_address address;
    coop_datagram question = {word, strlen(word), {0, {0}}, 0, 0}, reply;
    struct pollfd readable;
    size_t count = 0;
    int tries;
    CHECK_OK(coop_port_set_address(set, port, strlen(port), &address));
    CHECK_OK(coop_udp_new(NULL, &client));
    CHECK_OK(coop_udp_connect(client, &address));
    readable.fd = coop_udp_fd(client);
    readable.events = POLLIN;
    for (tries = 0; tries < 600; tries++) {
        CHECK_OK(coop_udp_send(client, &question, 1, &count, NULL));
        while (poll(&readable, 1, 100) == 1) {
            CHECK_OK(coop_udp_receive(client, &reply, 1, &count));
            if (count == 1 && reply.length == strlen(expected) && memcmp(reply.data, expected, reply.length) == 0) {
                coop_udp_free(client);
                return;
            }
        }
    }
    FAIL("port %s does not answer \"%s\" to \"%s\"", port, expected, word);
}

static void tell(coop_port_set *set, const char *port, const char *word) {
    coop_udp *client = NULL;
    coop_address address;
    coop_datagram datagram = {word, strlen(word), {0, {0}}, 0, 0};
    size_t count = 0;
    CHECK_OK(coop_port_set_address(set, port, strlen(port), &address));
    CHECK_OK(coop_udp_new(NULL, &client));
    CHECK_OK(coop_udp_connect(client, &address));
    CHECK_OK(coop_udp_send(client, &datagram, 1, &count, NULL));
    coop_udp_free(client);
}

/* The same program in each mode. */
static void in_each_mode(int32_t mode) {
    coop_port ports[2] = {named("A", "echo", "hello"), named("B", "echo", NULL)};
    coop_port_set_options options = options_of(mode);
    coop_port_stats stats = {.size = sizeof stats};
    coop_event_loop *loop = new_loop();
    coop_port_set *set = NULL;
    CHECK_OK(coop_event_loop_start(loop));
    options.event_loop = mode == COOP_MODE_SINGLE ? loop : NULL;
    CHECK_OK(coop_port_set_new(&options, ports, 2, &set));
    CHECK_OK(coop_port_set_start(set));
    ask(set, "A", "echo this", "echo this");
    ask(set, "A", "greet", "hello");
    ask(set, "B", "greet", "");
    ask(set, "A", "run", " 1");
    ask(set, "A", "save", "saved");
    ask(set, "A", "run", "state 1");
    tell(set, "A", "tell");
    ask(set, "B", "run", "A:from A 1");
    CHECK_OK(coop_port_set_send_message(set, "A", 1, "outside", 7));
    ask(set, "A", "run", ":outside 1");
    CHECK_SAYS(coop_port_set_send_message(set, "C", 1, "x", 1), COOP_E_INVALID, "its ports are A, B");
    if (mode == COOP_MODE_PROCESS) {
        tell(set, "A", "exit");
        ask(set, "A", "run", ":outside 2");
        CHECK_OK(coop_port_set_stats(set, "A", 1, &stats));
        CHECK_EQ(stats.restarts, 1);
    }
    CHECK_OK(coop_port_set_stats(set, "B", 1, &stats));
    CHECK_EQ(stats.restarts, 0);
    CHECK_EQ(stats.messages, 1);
    CHECK_STATUS(coop_port_set_join(set, 0), COOP_E_TIMEOUT);
    tell(set, "B", "stop");
    CHECK_OK(coop_port_set_join(set, LONG_NS));
    CHECK_OK(coop_port_set_stop(set, LONG_NS));
    coop_port_set_free(set);
    coop_event_loop_free(loop);
}

static void nothing(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    (void)arg, (void)context, (void)datagrams, (void)count;
}

static void refused(void) {
    probe dropped = {0, 0};
    coop_port_handler table = {.size = sizeof table, .arg = &dropped, .on_batch = nothing, .drop = count_drop};
    coop_port port = named("A", "echo", NULL);
    coop_port_set_options options = options_of(COOP_MODE_PROCESS);
    coop_named_handler twice[2] = {HANDLERS[0], HANDLERS[0]};
    coop_port_set *set = NULL;
    int32_t status = 77;

    port.handler = &table;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "exactly one");
    port.handler_name = NULL;
    port.handler_name_length = 0;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "handler_name");
    CHECK_EQ(drops(&dropped), 0);
    port = named("A", "ecco", NULL);
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "\"echo\", \"refuse\"");
    port = named("A", "/no/such/library.so:symbol", NULL);
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    CHECK_SAYS(coop_port_set_start(set), COOP_E_FAILED, "/no/such/library.so");
    coop_port_set_free(set);
    port = named("A", "refuse", NULL);
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    CHECK_SAYS(coop_port_set_start(set), COOP_E_FAILED, "port A: the start failed: native handler \"refuse\"");
    coop_port_set_free(set);
    options.ring_bytes = 1000;
    port = named("A", "echo", NULL);
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "1000");
    options.ring_bytes = 0;
    options.mode = 3;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "COOP_MODE_PROCESS is 2");
    options.mode = COOP_MODE_PROCESS;
    options.supervisor = 5;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "supervisor is 5");
    options.supervisor = 0;
    options.handlers = twice;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "twice");
    twice[1].init = NULL;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_NULL, "init");
    twice[1].size = 8;
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_INVALID, "handlers[1].size is 8");
    CHECK_STATUS(coop_port_worker_main(HANDLERS, COUNT, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_worker_main(NULL, 1, &status), COOP_E_NULL);
    CHECK_OK(coop_port_worker_main(NULL, 0, &status));
    CHECK_EQ(status, COOP_NONE);
}

/* Below a host of the program's own, which sees what becomes of the workers; as another program, too, which here is this one. */
static void supervised(const char *program) {
    const char *argv[] = {program, "again", NULL};
    coop_command command = {.size = sizeof command, .argv = argv};
    coop_port ports[1] = {named("A", "echo", "hello")};
    coop_port_set_options options = options_of(COOP_MODE_PROCESS);
    coop_observer_options wanted = {.size = sizeof wanted, .path = "root/client/A", .path_length = 13};
    coop_service_event_callback none = {0};
    const coop_service_event *event = NULL;
    coop_observer_id observer = 0;
    coop_host *host = NULL;
    coop_port_set *set = NULL;
    CHECK_OK(coop_host_new(NULL, &host));
    CHECK_OK(coop_host_start(host));
    CHECK_OK(coop_host_observe(host, &wanted, none, &observer));
    options.host = host;
    options.name = "client";
    options.name_length = 6;
    options.command = &command;
    options.liveness_ns = COOP_NONE;
    options.ready_ns = options.shutdown_ns = LONG_NS;
    CHECK_OK(coop_port_set_new(&options, ports, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    ask(set, "A", "greet", "hello");
    do {
        CHECK_OK(coop_observer_next(host, observer, LONG_NS, &event));
    } while (event->kind != COOP_SERVICE_READY);
    CHECK_OK(coop_port_set_stop(set, LONG_NS));
    do {
        CHECK_OK(coop_observer_next(host, observer, LONG_NS, &event));
    } while (event->kind != COOP_SERVICE_ENDED);
    coop_port_set_free(set);
    CHECK_OK(coop_host_shutdown(host, LONG_NS));
    coop_host_free(host);
}

int main(int argc, char **argv) {
    int32_t status = 0;
    CHECK_OK(coop_port_worker_main(HANDLERS, COUNT, &status));
    if (status != COOP_NONE) return status;
    CHECK(argc == 1);
    in_each_mode(COOP_MODE_SINGLE);
    in_each_mode(COOP_MODE_THREAD);
    in_each_mode(COOP_MODE_PROCESS);
    refused();
    supervised(argv[0]);
    return 0;
}
