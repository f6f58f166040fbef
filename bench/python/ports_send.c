/* Offers datagrams to ports of the loopback at a fixed rate, in runs that the kernel cuts up (UDP_SEGMENT): the least that sending can
 * take of a CPU. It keeps to the time: what it is late with follows at once.
 *
 *     ports_send RATE SECONDS PORT...         RATE a second, to all ports together; prints how many it has sent
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
#include <time.h>

enum { SIZE = 100, RUN = 64, PORTS = 16, TICK = 500 * 1000 };

static char memory[SIZE * RUN];

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void must(int holds, const char *what) {
    if (!holds) {
        perror(what);
        exit(1);
    }
}

static int connected(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), size = SIZE;
    must(fd >= 0, "socket");
    must(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    must(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) == 0, "UDP_SEGMENT");
    return fd;
}

int main(int count, char **words) {
    int fds[PORTS], ports = count - 3;
    must(ports >= 1 && ports <= PORTS, "arguments");
    double rate = atof(words[1]) / ports / 1e9;
    int64_t length = (int64_t)(atof(words[2]) * 1e9);
    for (int at = 0; at < ports; at++) fds[at] = connected(atoi(words[3 + at]));
    uint64_t each = 0; /* sent to every port */
    int64_t began = now();
    for (int64_t tick = TICK; tick <= length; tick += TICK) {
        int64_t wake = began + tick;
        struct timespec until = {.tv_sec = wake / 1000000000, .tv_nsec = wake % 1000000000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) continue;
        for (uint64_t due = (uint64_t)((double)tick * rate); each < due;) {
            uint64_t run = due - each < RUN ? due - each : RUN;
            for (int at = 0; at < ports; at++) must(send(fds[at], memory, run * SIZE, 0) >= 0, "send");
            each += run;
        }
    }
    printf("%llu\n", (unsigned long long)(each * (uint64_t)ports));
    return 0;
}
