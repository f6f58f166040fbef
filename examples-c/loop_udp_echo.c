/* An event loop with two sockets: one echoes what comes, a repeating timer sends to it from the other, and the loop stops when
 * all echoes are back.
 *
 *     cc loop_udp_echo.c $(pkg-config --cflags --libs coop) -o loop_udp_echo */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PINGS = 5, BATCH = 64 };

typedef struct {
    coop_event_loop *loop;
    coop_udp *server, *client;
    coop_timer_id timer;
    int sent, received;
} app;

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* The server's socket is readable: send each datagram back to where it came from. */
static void echo(void *arg, uint32_t ready) {
    app *a = arg;
    coop_datagram batch[BATCH];
    size_t count, sent;
    (void)ready;
    for (;;) {
        must(coop_udp_receive(a->server, batch, BATCH, &count), "receive");
        if (count == 0) return;
        must(coop_udp_send(a->server, batch, count, &sent, NULL), "send");
    }
}

/* The client's socket is readable: an echo is back. */
static void print(void *arg, uint32_t ready) {
    app *a = arg;
    coop_datagram batch[BATCH];
    size_t count;
    (void)ready;
    for (;;) {
        must(coop_udp_receive(a->client, batch, BATCH, &count), "receive");
        if (count == 0) break;
        for (size_t i = 0; i < count; i++, a->received++)
            printf("echo: %.*s\n", (int)batch[i].length, (const char *)batch[i].data);
    }
    if (a->received == PINGS) must(coop_event_loop_stop(a->loop), "stop");
}

/* The timer: one more ping. */
static void ping(void *arg, uint64_t expirations) {
    app *a = arg;
    char text[32];
    int length = snprintf(text, sizeof text, "ping %d", ++a->sent);
    coop_datagram datagram = {.data = text, .length = (size_t)length}; /* no address: to the peer */
    size_t sent;
    (void)expirations;
    must(coop_udp_send(a->client, &datagram, 1, &sent, NULL), "send");
    if (a->sent == PINGS) must(coop_timer_cancel(a->loop, a->timer), "cancel the timer");
}

static coop_udp *new_socket(void) {
    static const char any_port[] = "127.0.0.1:0";
    coop_udp_options options = {.size = sizeof options, .address = any_port, .address_length = strlen(any_port)};
    coop_udp *udp;
    must(coop_udp_new(&options, &udp), "new socket");
    return udp;
}

int main(void) {
    app a = {.server = new_socket(), .client = new_socket()};
    coop_address address;
    char text[COOP_ADDRESS_TEXT];
    must(coop_udp_local_address(a.server, &address), "address");
    must(coop_udp_connect(a.client, &address), "connect");
    must(coop_address_text(&address, text, sizeof text), "address as text");
    printf("the server is at %s\n", text);

    must(coop_event_loop_new(NULL, &a.loop), "new loop");
    coop_io_watch_callback on_server = {.fn = echo, .arg = &a}, on_client = {.fn = print, .arg = &a};
    must(coop_event_loop_watch(a.loop, coop_udp_fd(a.server), NULL, on_server, NULL), "watch");
    must(coop_event_loop_watch(a.loop, coop_udp_fd(a.client), NULL, on_client, NULL), "watch");
    coop_timer_options every_10_ms = {.size = sizeof every_10_ms, .every_ns = 10 * 1000 * 1000};
    coop_timer_callback on_time = {.fn = ping, .arg = &a};
    must(coop_event_loop_timer(a.loop, &every_10_ms, on_time, &a.timer), "timer");

    must(coop_event_loop_run(a.loop, COOP_RUN_DEFAULT), "run");
    printf("%d pings, %d echoes\n", a.sent, a.received);
    coop_event_loop_free(a.loop);
    coop_udp_free(a.server);
    coop_udp_free(a.client);
    return 0;
}
