/* Ports that take connections: what is refused, and what stays the caller's then; callers that know less of the structs. */
#include "port_stream.h"

static coop_port_handler table_of(probe *dropped) {
    coop_port_handler table = {.size = 0};
    CHECK_OK(make_service(NULL, 0, &table));
    free(table.arg);
    table.arg = dropped;
    table.drop = count_drop;
    return table;
}

static coop_port port_of(int32_t kind, const coop_port_handler *handler) {
    coop_port made = {.size = sizeof made, .kind = kind, .name = "A", .name_length = 1, .handler = handler};
    if (kind == COOP_PORT_LISTENING) made.fd = 1;
    if (kind == COOP_PORT_UNIX || kind == COOP_PORT_PASSED) {
        made.path = "/no/such/directory/socket";
        made.path_length = strlen(made.path);
    }
    return made;
}

static const coop_port_set_options THREADS = {.size = sizeof THREADS, .mode = COOP_MODE_THREAD};

static void refuse(const coop_port *port, coop_status status, const char *words) {
    coop_port_set *set = NULL;
    CHECK_SAYS(coop_port_set_new(&THREADS, port, 1, &set), status, words);
    CHECK(set == NULL);
}

static void fields(void) {
    probe dropped = {0, 0};
    coop_port_handler table = table_of(&dropped), without;
    coop_port port;
    int32_t kind;
    for (kind = COOP_PORT_UDP; kind <= COOP_PORT_PASSED; kind++) {
        const int listens = kind != COOP_PORT_UDP, has_path = kind == COOP_PORT_UNIX || kind == COOP_PORT_PASSED;
        without = table;
        if (listens) without.on_data = NULL;
        port = port_of(kind, &without);
        refuse(&port, COOP_E_NULL, listens ? "coop_port_handler.on_data" : "coop_port_handler.on_batch");
        port = port_of(kind, &table);
        CHECK_OK(coop_address_parse("127.0.0.1:9", 11, &port.connect));
        if (listens) refuse(&port, COOP_E_INVALID, "no single peer");
        port = port_of(kind, &table);
        port.path = has_path ? NULL : "path";
        port.path_length = has_path ? 0 : 4;
        refuse(&port, COOP_E_INVALID, has_path ? "coop_port.path is missing" : "coop_port.path is there");
        port = port_of(kind, &table);
        port.fd = -1;
        refuse(&port, COOP_E_INVALID, kind == COOP_PORT_LISTENING ? "coop_port.fd -1 is negative" : "coop_port.fd is -1");
        port = port_of(kind, &table);
        CHECK_OK(coop_address_parse("127.0.0.1:0", 11, &port.bind));
        if (listens && kind != COOP_PORT_TCP) refuse(&port, COOP_E_INVALID, "coop_port.bind");
    }
    for (kind = -1; kind <= 5; kind += 6) {
        port = port_of(kind, &table);
        refuse(&port, COOP_E_INVALID, "COOP_PORT_PASSED is 4");
    }
    port = port_of(COOP_PORT_LISTENING, &table);
    port.fd = 1 << 20;
    refuse(&port, COOP_E_OS, "coop_port.fd 1048576");
    port = port_of(COOP_PORT_PASSED, &table);
    port.path = "\xff";
    port.path_length = 1;
    refuse(&port, COOP_E_INVALID, "UTF-8");
    port.path = NULL;
    refuse(&port, COOP_E_NULL, "coop_port.path");
    CHECK_EQ(drops(&dropped), 0);
}

/* What only the start finds out: then the set has owned the argument. */
static void starts(void) {
    probe dropped = {0, 0};
    coop_port_handler table = table_of(&dropped);
    const int32_t kinds[] = {COOP_PORT_UNIX, COOP_PORT_LISTENING, COOP_PORT_PASSED};
    const char *words[] = {"/no/such/directory/socket", "port A", "was started with no socket"};
    coop_port_set_options process = THREADS;
    coop_port_set *set = NULL;
    coop_port port;
    size_t length = 0;
    int at, pipes[2];
    CHECK(pipe(pipes) == 0);
    for (at = 0; at < 3; at++) {
        port = port_of(kinds[at], &table);
        if (kinds[at] == COOP_PORT_LISTENING) port.fd = pipes[0];
        CHECK_OK(coop_port_set_new(&THREADS, &port, 1, &set));
        CHECK_STATUS(coop_port_set_path(set, "A", 1, NULL, 0, &length), COOP_E_INVALID);
        const coop_status status = coop_port_set_start(set);
        if (status == COOP_OK || strstr(coop_last_error(), words[at]) == NULL) FAIL("%d: %s", (int)status, coop_last_error());
        coop_port_set_free(set);
        CHECK_EQ(drops(&dropped), at + 1);
    }
    close(pipes[0]);
    close(pipes[1]);
    process.connections = SIZE_MAX;
    port = port_of(COOP_PORT_TCP, &table);
    CHECK_OK(coop_port_set_new(&process, &port, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    coop_port_set_free(set);
    CHECK_EQ(drops(&dropped), 4);
}

static void batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    (void)arg;
    CHECK_STATUS(coop_port_context_write(context, 1, "x", 1), COOP_E_STALE);
    CHECK_OK(coop_port_context_send(context, datagrams, count, NULL));
}

/* A handler with a name fits a port or does not: its worker finds that out. */
static coop_status make_batch(const void *args, size_t length, coop_port_handler *out) {
    (void)args, (void)length;
    out->size = sizeof *out;
    out->on_batch = batch;
    return COOP_OK;
}

static void named(void) {
    const coop_named_handler handlers[] = {{sizeof *handlers, "words", 5, make_service}, {sizeof *handlers, "batch", 5, make_batch}};
    const char *words[] = {"the port takes datagrams, and coop_port_handler.on_batch is NULL",
                           "the port takes connections, and coop_port_handler.on_data is NULL"};
    coop_port_set_options options = THREADS;
    int at;
    options.handlers = handlers;
    options.handler_count = 2;
    for (at = 0; at < 2; at++) {
        coop_port port = port_of(at == 0 ? COOP_PORT_UDP : COOP_PORT_TCP, NULL);
        coop_port_set *set = NULL;
        port.handler_name = handlers[at].name;
        port.handler_name_length = 5;
        CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
        CHECK_SAYS(coop_port_set_start(set), COOP_E_FAILED, words[at]);
        coop_port_set_free(set);
    }
}

/* Programs that were compiled before there were connections: their structs end earlier. */
static void of_an_earlier_header(void) {
    probe dropped = {0, 0};
    coop_port_handler table = table_of(&dropped);
    coop_port_set_options options = THREADS;
    coop_port port = port_of(COOP_PORT_TCP, &table);
    coop_port_stats stats = {.size = offsetof(coop_port_stats, accepted), .accepted = 77};
    coop_port_set *set = NULL;
    coop_udp *client = NULL;
    coop_address address;
    coop_datagram ping = {"ping", 4, {0, {0}}, 0, 0}, pong;
    struct pollfd readable;
    size_t count = 0;
    /* What is behind the size is not looked at: this one is of datagrams, and has no on_data. */
    options.size = offsetof(coop_port_set_options, connections);
    port.size = offsetof(coop_port, kind);
    table.size = offsetof(coop_port_handler, on_connect);
    refuse(&port, COOP_E_NULL, "coop_port_handler.on_batch");
    table.on_batch = batch;
    table.size = offsetof(coop_port_handler, on_message);
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    CHECK_OK(coop_port_set_address(set, "A", 1, &address));
    CHECK_OK(coop_udp_new(NULL, &client));
    CHECK_OK(coop_udp_connect(client, &address));
    CHECK_OK(coop_udp_send(client, &ping, 1, &count, NULL));
    readable.fd = coop_udp_fd(client);
    readable.events = POLLIN;
    CHECK(poll(&readable, 1, (int)(LONG_NS / 1000000)) == 1);
    CHECK_OK(coop_udp_receive(client, &pong, 1, &count));
    CHECK_OK(coop_port_set_stats(set, "A", 1, &stats));
    CHECK(stats.received == 1 && stats.accepted == 77);
    coop_udp_free(client);
    coop_port_set_free(set);
    CHECK_EQ(drops(&dropped), 1);
    table.size = offsetof(coop_port_handler, on_connect);
    port.size = sizeof port;
    refuse(&port, COOP_E_NULL, "coop_port_handler.on_data");
}

int main(void) {
    fields();
    starts();
    named();
    of_an_earlier_header();
    return 0;
}
