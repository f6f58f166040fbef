/* UDP in batches: one datagram struct is many datagrams (the kernel cuts them, where it has GSO), and many come with one call.
 *
 *     cc udp_batches.c $(pkg-config --cflags --libs coop) -o udp_batches */
#include <coop.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNT = 100, SIZE = 1200 };

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

static coop_udp *new_socket(void) {
    static const char any_port[] = "127.0.0.1:0";
    coop_udp_options options = {.size = sizeof options, .address = any_port, .address_length = strlen(any_port), .recv_buffer = 4 << 20};
    coop_udp *udp;
    must(coop_udp_new(&options, &udp), "new socket");
    return udp;
}

static void wait_for(coop_udp *udp, short events) {
    struct pollfd fd = {.fd = coop_udp_fd(udp), .events = events};
    if (poll(&fd, 1, 30000) != 1) exit(1);
}

int main(void) {
    coop_udp *sender = new_socket(), *receiver = new_socket();
    coop_address to;
    must(coop_udp_local_address(receiver, &to), "address");

    /* The bytes of all datagrams back to back, and how long each is. */
    static unsigned char bytes[COUNT * SIZE];
    for (size_t i = 0; i < COUNT; i++) memset(bytes + i * SIZE, (int)i, SIZE);
    coop_datagram run = {.data = bytes, .length = sizeof bytes, .address = to, .segment_size = SIZE};
    size_t sent = 0, refused = 0, received = 0, calls = 0;
    while (sent == 0) {
        must(coop_udp_send(sender, &run, 1, &sent, &refused), "send");
        if (sent == 0) wait_for(sender, POLLOUT); /* the kernel's buffer is full */
    }

    while (received < COUNT) {
        coop_datagram batch[64];
        size_t count;
        must(coop_udp_receive(receiver, batch, 64, &count), "receive");
        if (count == 0) {
            /* The rest of a run that the kernel took a part of leaves with the next send. */
            must(coop_udp_send(sender, NULL, 0, &sent, NULL), "send the rest");
            wait_for(receiver, POLLIN);
        }
        calls += count > 0;
        for (size_t i = 0; i < count; i++, received++)
            if (batch[i].length != SIZE || memcmp(batch[i].data, bytes + received * SIZE, SIZE) != 0) return 1;
    }
    printf("%zu datagrams came in %zu calls\n", received, calls);
    coop_udp_free(sender);
    coop_udp_free(receiver);
    return refused == 0 && calls < COUNT ? 0 : 1;
}
