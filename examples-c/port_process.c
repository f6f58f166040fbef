/* A port set whose ports have processes of their own: a crash of one takes no other down, and its successor goes on where it was.
 *
 *     cc port_process.c $(pkg-config --cflags --libs coop) -o port_process */
#include <coop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* Counts datagrams, keeps the count where the next process finds it, and answers with it; "crash" is the end of the process. */
static void count(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t many) {
    long *counted = arg;
    for (size_t at = 0; at < many; at++) {
        ++*counted;
        must(coop_port_context_save(context, counted, sizeof *counted), "save");
        if (datagrams[at].length == 5 && memcmp(datagrams[at].data, "crash", 5) == 0) abort();
        coop_datagram answer = {.data = counted, .length = sizeof *counted, .address = datagrams[at].address};
        must(coop_port_context_send(context, &answer, 1, NULL), "send");
    }
}

static coop_status go_on(void *arg, coop_port_context *context) {
    size_t length = 0;
    return coop_port_context_saved(context, arg, sizeof(long), &length);
}

/* Called in each port's own process, and the same in every other mode. */
static coop_status make_counter(const void *args, size_t length, coop_port_handler *out) {
    (void)args, (void)length;
    *out = (coop_port_handler){.size = sizeof *out, .arg = calloc(1, sizeof(long)), .on_start = go_on, .on_batch = count, .drop = free};
    return out->arg != NULL ? COOP_OK : COOP_E_FAILED;
}

static long ask(coop_udp *client, const char *word) {
    coop_datagram question = {.data = word, .length = strlen(word)}, answer;
    struct pollfd readable = {.fd = coop_udp_fd(client), .events = POLLIN};
    size_t sent = 0;
    long counted = 0;
    must(coop_udp_send(client, &question, 1, &sent, NULL), "send");
    if (strcmp(word, "crash") == 0) return 0;
    /* The process that ends takes along what it has in hand. */
    while (poll(&readable, 1, 1000) != 1) must(coop_udp_send(client, &question, 1, &sent, NULL), "send again");
    must(coop_udp_receive(client, &answer, 1, &sent), "receive");
    memcpy(&counted, answer.data, sizeof counted);
    return counted;
}

int main(void) {
    const coop_named_handler handlers[] = {{.size = sizeof *handlers, .name = "counter", .name_length = 7, .init = make_counter}};
    int32_t status;
    must(coop_port_worker_main(handlers, 1, &status), "worker");
    if (status != COOP_NONE) return status; /* This was a worker, and its port has ended. */

    coop_port port = {.size = sizeof port, .name = "COUNTER", .name_length = 7, .handler_name = "counter", .handler_name_length = 7};
    coop_port_set_options options = {
        .size = sizeof options, .mode = COOP_MODE_PROCESS, .handlers = handlers, .handler_count = 1};
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set;
    coop_udp *client;
    coop_address server;
    must(coop_port_set_new(&options, &port, 1, &set), "new port set");
    must(coop_port_set_start(set), "start");
    must(coop_port_set_address(set, "COUNTER", 7, &server), "address");
    must(coop_udp_new(NULL, &client), "new socket");
    must(coop_udp_connect(client, &server), "connect");

    printf("%ld\n", ask(client, "one"));
    ask(client, "crash");
    printf("%ld, after a crash\n", ask(client, "another"));

    must(coop_port_set_stop(set, 10000000000), "stop");
    must(coop_port_set_stats(set, "COUNTER", 7, &stats), "stats");
    printf("%llu datagrams, %llu restart\n", (unsigned long long)stats.received, (unsigned long long)stats.restarts);
    coop_port_set_free(set);
    coop_udp_free(client);
    return 0;
}
