/* A port set in THREAD mode: one thread receives, another one runs the handler, which echoes.
 *
 *     cc port_echo.c $(pkg-config --cflags --libs coop) -o port_echo */
#include <coop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* All datagrams that have come since the last call. What is sent here leaves in one batch. */
static void echo(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    (void)arg;
    must(coop_port_context_send(context, datagrams, count, NULL), "send");
}

int main(void) {
    coop_port_handler handler = {.size = sizeof handler, .on_batch = echo};
    coop_port port = {.size = sizeof port, .name = "ECHO", .name_length = 4, .handler = &handler};
    coop_port_set_options options = {.size = sizeof options, .mode = COOP_MODE_THREAD};
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set;
    must(coop_port_set_new(&options, &port, 1, &set), "new port set");
    must(coop_port_set_start(set), "start");

    coop_udp *client;
    coop_address server;
    coop_datagram ping = {.data = "ping", .length = 4}, answer;
    size_t count = 0;
    must(coop_port_set_address(set, "ECHO", 4, &server), "address");
    must(coop_udp_new(NULL, &client), "new socket");
    must(coop_udp_connect(client, &server), "connect");
    must(coop_udp_send(client, &ping, 1, &count, NULL), "send");
    struct pollfd readable = {.fd = coop_udp_fd(client), .events = POLLIN};
    if (poll(&readable, 1, 10000) != 1) return 1;
    must(coop_udp_receive(client, &answer, 1, &count), "receive");
    printf("echo: %.*s\n", (int)answer.length, (const char *)answer.data);

    must(coop_port_set_stop(set, 1000000000), "stop");
    must(coop_port_set_stats(set, "ECHO", 4, &stats), "stats");
    printf("%llu datagrams received\n", (unsigned long long)stats.received);
    coop_port_set_free(set);
    coop_udp_free(client);
    return 0;
}
