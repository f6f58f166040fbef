/* A line service over TCP: each line comes back in capitals. The mode is one argument, and in the mode PROCESS, as here, a crash of the service is
 * nothing that the next client sees.
 *
 *     cc port_lines.c $(pkg-config --cflags --libs coop) -o port_lines */
#include <arpa/inet.h>
#include <coop.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void must(coop_status status, const char *what) {
    if (status == COOP_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, coop_status_str(status), coop_last_error());
    exit(1);
}

/* A line that has begun, of one connection: bytes come as the network cuts them. */
typedef struct line {
    struct line *next;
    coop_connection_id connection;
    size_t length;
    char text[256];
} line;

static line **find(line **lines, coop_connection_id connection) {
    while (*lines != NULL && (*lines)->connection != connection) lines = &(*lines)->next;
    return lines;
}

static coop_status on_connect(void *arg, coop_port_context *context, coop_connection_id connection) {
    line **lines = arg, *made = calloc(1, sizeof *made);
    (void)context;
    if (made == NULL) return COOP_E_FAILED; /* It is closed at once. */
    made->connection = connection;
    made->next = *lines;
    *lines = made;
    return COOP_OK;
}

/* Any other answer than COOP_OK closes the connection: a peer that reads nothing (COOP_E_QUEUE_FULL), or a line without an end. */
static coop_status on_data(void *arg, coop_port_context *context, coop_connection_id connection, const void *data, size_t length) {
    line *begun = *find(arg, connection);
    for (size_t at = 0; at < length; at++) {
        if (begun->length == sizeof begun->text) return COOP_E_INVALID;
        begun->text[begun->length++] = (char)toupper(((const unsigned char *)data)[at]);
        if (((const char *)data)[at] != '\n') continue;
        if (strncmp(begun->text, "CRASH\n", 6) == 0) abort();
        coop_status status = coop_port_context_write(context, connection, begun->text, begun->length);
        if (status != COOP_OK) return status;
        begun->length = 0;
    }
    return COOP_OK;
}

static void on_close(void *arg, coop_port_context *context, coop_connection_id connection, int32_t why, const coop_error *error) {
    line **found = find(arg, connection), *gone = *found;
    (void)context, (void)why, (void)error;
    *found = gone->next;
    free(gone);
}

/* Called in the port's own process, and the same in every other mode. on_end is not wanted: a connection whose peer has sent all is closed. */
static coop_status make_lines(const void *args, size_t length, coop_port_handler *out) {
    (void)args, (void)length;
    *out = (coop_port_handler){.size = sizeof *out, .arg = calloc(1, sizeof(line *)), .drop = free,
                               .on_connect = on_connect, .on_data = on_data, .on_close = on_close};
    return out->arg != NULL ? COOP_OK : COOP_E_FAILED;
}

/* A client: sends a line, and prints what comes back until the end. */
static void talk(const coop_address *server, const char *text) {
    char answer[256];
    ssize_t length;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)server->bytes, server->length) != 0) exit(1);
    if (send(fd, text, strlen(text), 0) < 0 || shutdown(fd, SHUT_WR) != 0) exit(1);
    while ((length = recv(fd, answer, sizeof answer, 0)) > 0) fwrite(answer, 1, (size_t)length, stdout);
    close(fd);
}

int main(void) {
    const coop_named_handler handlers[] = {{.size = sizeof *handlers, .name = "lines", .name_length = 5, .init = make_lines}};
    int32_t status;
    must(coop_port_worker_main(handlers, 1, &status), "worker");
    if (status != COOP_NONE) return status; /* This was a worker, and its port has ended. */

    coop_port port = {.size = sizeof port, .name = "LINES", .name_length = 5, .kind = COOP_PORT_TCP,
                      .handler_name = "lines", .handler_name_length = 5};
    coop_port_set_options options = {
        .size = sizeof options, .mode = COOP_MODE_PROCESS, .handlers = handlers, .handler_count = 1};
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set;
    coop_address server;
    must(coop_port_set_new(&options, &port, 1, &set), "new port set");
    must(coop_port_set_start(set), "start");
    must(coop_port_set_address(set, "LINES", 5, &server), "address");

    talk(&server, "one\ntwo\n");
    talk(&server, "crash\n");
    talk(&server, "after a crash\n");

    must(coop_port_set_stop(set, 10000000000), "stop");
    must(coop_port_set_stats(set, "LINES", 5, &stats), "stats");
    printf("%llu connections, %llu restart\n", (unsigned long long)stats.accepted, (unsigned long long)stats.restarts);
    coop_port_set_free(set);
    return 0;
}
