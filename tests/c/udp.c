/* UDP: batches, segments, addresses, a small array for many datagrams, and a full kernel buffer. */
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "check.h"

enum { MANY = 300, ROOM = 7 };

static coop_udp *bound(const char *address, size_t recv_buffer, size_t send_buffer, coop_address *where) {
    coop_udp_options options = {sizeof options, address, strlen(address), recv_buffer, send_buffer, 0, 0, 0, 0, 0, 0};
    coop_udp *udp = NULL;
    CHECK_OK(coop_udp_new(&options, &udp));
    CHECK_OK(coop_udp_local_address(udp, where));
    return udp;
}

static void await(coop_udp *udp, short events) {
    struct pollfd fd = {coop_udp_fd(udp), events, 0};
    CHECK(poll(&fd, 1, 30000) == 1);
}

static void many_through_a_small_array(void) {
    coop_address from, to;
    coop_udp *sender = bound("127.0.0.1:0", 0, 0, &from), *receiver = bound("127.0.0.1:0", 4 << 20, 0, &to);
    static char texts[MANY][16];
    static coop_datagram out[MANY];
    for (int i = 0; i < MANY; i++) {
        int length = snprintf(texts[i], sizeof texts[i], "number %d", i);
        coop_datagram datagram = {texts[i], (size_t)length, to, 0, 0};
        out[i] = datagram;
    }
    out[10].length = 0;
    size_t sent = 0, refused = 99;
    for (size_t done = 0; done < MANY; done += sent) {
        CHECK_OK(coop_udp_send(sender, out + done, MANY - done, &sent, &refused));
        CHECK_EQ(refused, 0);
        if (sent < MANY - done) await(sender, POLLOUT);
    }
    coop_datagram in[ROOM];
    size_t count = 0;
    for (int next = 0; next < MANY;) {
        CHECK_OK(coop_udp_receive(receiver, in, ROOM, &count));
        if (count == 0) await(receiver, POLLIN);
        for (size_t i = 0; i < count; i++, next++) {
            CHECK_EQ(in[i].length, out[next].length);
            CHECK(memcmp(in[i].data, out[next].data, in[i].length) == 0);
            CHECK(memcmp(&in[i].address, &from, sizeof from) == 0);
            CHECK(in[i].flags == 0 && in[i].segment_size == 0);
        }
    }
    CHECK_OK(coop_udp_receive(receiver, in, ROOM, &count));
    CHECK_EQ(count, 0);
    CHECK_STATUS(coop_udp_receive(receiver, in, 0, &count), COOP_E_INVALID);
    coop_udp_free(sender);
    coop_udp_free(receiver);
}

static void segments_and_a_peer(void) {
    coop_address from, to;
    coop_udp *sender = bound("[::1]:0", 0, 0, &from), *receiver = bound("[::1]:0", 4 << 20, 0, &to);
    unsigned char bytes[25 * 100 + 1];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i % 251);
    coop_datagram run = {bytes, sizeof bytes, {0, {0}}, 100, 0};
    size_t sent = 0, refused = 0, count = 0, got = 0, at = 0;
    CHECK_OK(coop_udp_send(sender, &run, 1, &sent, &refused));
    CHECK(sent == 1 && refused == 26); /* for nobody */
    CHECK_OK(coop_udp_connect(sender, &to));
    CHECK_OK(coop_udp_send(sender, &run, 1, &sent, &refused));
    CHECK(sent == 1 && refused == 0);
    while (got < 26) {
        coop_datagram in[64];
        CHECK_OK(coop_udp_receive(receiver, in, 64, &count));
        if (count == 0) await(receiver, POLLIN);
        for (size_t i = 0; i < count; i++, got++, at += 100) {
            CHECK_EQ(in[i].length, got == 25 ? 1 : 100);
            CHECK(memcmp(in[i].data, bytes + at, in[i].length) == 0);
        }
    }
    /* A wrong one ends the call before it, and is named when it comes first. */
    coop_datagram mixed[2] = {{bytes, 10, {0, {0}}, 0, 0}, {bytes, 10, {0, {0}}, 0, 1}};
    CHECK_OK(coop_udp_send(sender, mixed, 2, &sent, &refused));
    CHECK_EQ(sent, 1);
    sent = 77;
    CHECK_SAYS(coop_udp_send(sender, mixed + 1, 1, &sent, NULL), COOP_E_UNSUPPORTED, "flags is 1");
    mixed[1].flags = 0;
    mixed[1].length = 70000;
    CHECK_STATUS(coop_udp_send(sender, mixed + 1, 0, &sent, NULL), COOP_OK);
    CHECK_EQ(sent, 0);
    coop_udp_free(sender);
    coop_udp_free(receiver);
}

/* What the kernel does not take stays the caller's, and nothing is lost or doubled on the way to it. */
static void a_full_buffer(void) {
    coop_address from, to;
    coop_udp *sender = bound("127.0.0.1:0", 0, 4608, &from), *receiver = bound("127.0.0.1:0", 8 << 20, 0, &to);
    static unsigned char bytes[60000];
    coop_datagram run = {bytes, sizeof bytes, to, 1000, 0};
    coop_datagram in[64];
    size_t sent = 0, refused = 0, taken = 0, got = 0, count = 0;
    while (taken < 20 || got < 20 * 60) {
        if (taken < 20) {
            CHECK_OK(coop_udp_send(sender, &run, 1, &sent, &refused));
            CHECK_EQ(refused, 0);
            taken += sent;
        } else {
            CHECK_OK(coop_udp_send(sender, NULL, 0, &sent, &refused)); /* the rest of the last one */
        }
        do {
            CHECK_OK(coop_udp_receive(receiver, in, 64, &count));
            for (size_t i = 0; i < count; i++) CHECK_EQ(in[i].length, 1000);
            got += count;
        } while (count > 0);
    }
    CHECK(taken == 20 && got == 20 * 60);
    coop_udp_free(sender);
    coop_udp_free(receiver);
}

/* Each datagram says when it came, joined by the kernel or not, and also when the array is smaller than what came. */
static void receive_times(void) {
    coop_udp_options options = {sizeof options, "127.0.0.1:0", 11, 0, 0, 0, 0, 0, 0, 1, 0};
    coop_address from, to;
    coop_udp *sender = bound("127.0.0.1:0", 0, 0, &from), *receiver = NULL;
    static unsigned char bytes[10 * 500];
    coop_datagram in[4];
    int64_t times[4], last = 0;
    size_t sent, count, got = 0;
    struct timespec now;
    CHECK_OK(coop_udp_new(&options, &receiver));
    CHECK_OK(coop_udp_local_address(receiver, &to));
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t before = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    for (int round = 0; round < 3; round++) {
        coop_datagram run = {bytes, sizeof bytes, to, 500, 0};
        CHECK_OK(coop_udp_send(sender, &run, 1, &sent, NULL));
    }
    while (got < 30) {
        await(receiver, POLLIN);
        do {
            CHECK_OK(coop_udp_receive(receiver, in, 4, &count));
            CHECK_OK(coop_udp_receive_times(receiver, times, count));
            for (size_t i = 0; i < count; i++) {
                CHECK(times[i] >= before && times[i] >= last);
                last = times[i];
            }
            CHECK_SAYS(coop_udp_receive_times(receiver, times, count + 1), COOP_E_INVALID, "the last receive gave");
            got += count;
        } while (count > 0);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK(last <= now.tv_sec * INT64_C(1000000000) + now.tv_nsec);
    CHECK_SAYS(coop_udp_receive_times(sender, times, 0), COOP_E_INVALID, "without receive_times");
    CHECK_STATUS(coop_udp_receive_times(receiver, NULL, 1), COOP_E_NULL);
    coop_udp_free(sender);
    coop_udp_free(receiver);
}

static void addresses(void) {
    coop_address address;
    char text[COOP_ADDRESS_TEXT];
    struct sockaddr_in by_system;
    CHECK_OK(coop_address_parse("127.0.0.1:7000", 14, &address));
    CHECK_EQ(address.length, sizeof by_system);
    memcpy(&by_system, address.bytes, sizeof by_system);
    CHECK(by_system.sin_family == AF_INET && ntohs(by_system.sin_port) == 7000);
    CHECK(ntohl(by_system.sin_addr.s_addr) == INADDR_LOOPBACK);
    CHECK_OK(coop_address_text(&address, text, 15));
    CHECK(strcmp(text, "127.0.0.1:7000") == 0);
    CHECK_STATUS(coop_address_text(&address, text, 14), COOP_E_INVALID);
    CHECK_OK(coop_address_parse("[fe80::1%2]:9", 13, &address));
    CHECK_EQ(address.length, sizeof(struct sockaddr_in6));
    CHECK_OK(coop_address_text(&address, text, sizeof text));
    CHECK(strcmp(text, "[fe80::1%2]:9") == 0);
}

typedef struct {
    coop_udp *udp;
    coop_datagram datagram;
    int count;
} resender;

static void send_more(void *arg, int32_t level, const char *message) {
    resender *r = arg;
    size_t sent = 0;
    (void)level, (void)message;
    r->count++;
    CHECK_OK(coop_udp_send(r->udp, &r->datagram, 1, &sent, NULL));
    CHECK_EQ(sent, 1);
}

/* What the log is told of a send, it is told when others may send: also whoever is told. */
static void a_log_that_sends(void) {
#ifdef SO_NO_CHECK
    static char bytes[1000];
    coop_address from, to;
    coop_udp *sender = bound("127.0.0.1:0", 0, 0, &from), *receiver = bound("127.0.0.1:0", 0, 0, &to);
    const coop_datagram run = {bytes, sizeof bytes, to, 100, 0};
    resender r = {sender, {"more", 4, to, 0, 0}, 0};
    const coop_log_callback to_sender = {send_more, &r, NULL}, none = {NULL, NULL, NULL};
    const int without_checksums = 1;
    size_t sent = 0;
    CHECK_OK(coop_set_log(COOP_LOG_DEBUG, to_sender));
    /* The system refuses to cut what it does not sum up. */
    CHECK(setsockopt(coop_udp_fd(sender), SOL_SOCKET, SO_NO_CHECK, &without_checksums, sizeof without_checksums) == 0);
    CHECK_OK(coop_udp_send(sender, &run, 1, &sent, NULL));
    CHECK(sent == 1 && r.count == 1);
    CHECK_OK(coop_set_log(COOP_LOG_OFF, none));
    coop_udp_free(sender);
    coop_udp_free(receiver);
#endif
}

int main(void) {
    a_log_that_sends();
    many_through_a_small_array();
    segments_and_a_peer();
    a_full_buffer();
    receive_times();
    addresses();
    return 0;
}
