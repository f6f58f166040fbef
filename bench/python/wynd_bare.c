/* What a loopback takes: packets of one size from one socket to another, by plain system calls and nothing else.
 *
 *     wynd_bare receive SECONDS GRO           prints the port it is bound to, then the packets that came within SECONDS of the first
 *     wynd_bare send SECONDS SEGMENTS PORT    sends for SECONDS, SEGMENTS packets a datagram (1: no segmentation offload)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum { PACKET = 938, BATCH = 64, BUFFER = 16 << 20, LARGEST = 1 << 16 };

static char memory[BATCH][LARGEST];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(int holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static int bound(struct sockaddr_in *address) {
    int fd = socket(AF_INET, SOCK_DGRAM, 0), bytes = BUFFER;
    socklen_t length = sizeof *address;
    must(fd >= 0, "socket");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        must(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) == 0, "SO_RCVBUF");
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    must(bind(fd, (struct sockaddr *)address, sizeof *address) == 0, "bind");
    must(getsockname(fd, (struct sockaddr *)address, &length) == 0, "getsockname");
    return fd;
}

static void receive(double seconds, int gro) {
    struct sockaddr_in address;
    struct timeval patience = {.tv_usec = 100000};
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    int fd = bound(&address);
    uint64_t bytes = 0;
    double end = 0;
    if (gro) must(setsockopt(fd, IPPROTO_UDP, UDP_GRO, &gro, sizeof gro) == 0, "UDP_GRO");
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0, "SO_RCVTIMEO");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    for (double waiting = now() + 30; end == 0 ? now() < waiting : now() < end;) {
        memset(messages, 0, sizeof messages);
        for (int at = 0; at < BATCH; at++) {
            pieces[at] = (struct iovec){memory[at], LARGEST};
            messages[at].msg_hdr.msg_iov = &pieces[at];
            messages[at].msg_hdr.msg_iovlen = 1;
        }
        int count = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        if (count > 0 && end == 0) end = now() + seconds;
        for (int at = 0; at < count; at++) bytes += messages[at].msg_len;
    }
    printf("%llu\n", (unsigned long long)(bytes / PACKET));
}

static void transmit(double seconds, int segments, int port) {
    struct sockaddr_in address, to;
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    int fd = bound(&address), size = PACKET;
    to = address;
    to.sin_port = htons((uint16_t)port);
    must(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    if (segments > 1) must(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) == 0, "UDP_SEGMENT");
    memset(messages, 0, sizeof messages);
    int batch = segments > 1 ? 8 : BATCH; /* about as many packets in a call as wynd gives */
    for (int at = 0; at < batch; at++) {
        pieces[at] = (struct iovec){memory[at], (size_t)(PACKET * segments)};
        messages[at].msg_hdr.msg_iov = &pieces[at];
        messages[at].msg_hdr.msg_iovlen = 1;
    }
    for (double end = now() + seconds; now() < end;) (void)sendmmsg(fd, messages, (unsigned)batch, 0);
}

int main(int count, char **words) {
    must(count >= 4, "arguments");
    if (strcmp(words[1], "receive") == 0)
        receive(atof(words[2]), atoi(words[3]));
    else
        transmit(atof(words[2]), atoi(words[3]), atoi(words[4]));
    return 0;
}
