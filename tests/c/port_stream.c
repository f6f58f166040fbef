/* Ports that take connections: the same service in each mode, at each kind of socket; who waits, who ends, and what a worker that is killed takes
 * along. */
#include "port_stream.h"

#include <sys/stat.h>
#include <sys/wait.h>

static const coop_named_handler HANDLERS[] = {{sizeof(coop_named_handler), "service", 7, make_service}};

static coop_port port_of(int32_t kind) {
    coop_port made = {.size = sizeof made, .kind = kind};
    made.name = "WORDS";
    made.name_length = 5;
    made.handler_name = "service";
    made.handler_name_length = 7;
    return made;
}

static coop_port_set_options options_of(int32_t mode, coop_event_loop *loop) {
    coop_port_set_options options = {.size = sizeof options, .mode = mode};
    options.event_loop = mode == COOP_MODE_SINGLE ? loop : NULL;
    options.handlers = HANDLERS;
    options.handler_count = 1;
    options.buffer_bytes = 1 << 20;
    options.liveness_ns = COOP_NONE;
    return options;
}

static coop_port_set *started(const coop_port_set_options *options, const coop_port *port) {
    coop_port_set *set = NULL;
    CHECK_OK(coop_port_set_new(options, port, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    return set;
}

/* Each way that a connection ends, and what its handler is told. */
static void ends(coop_port_set *set) {
    const struct linger reset = {1, 0};
    int control = client_of(set, "WORDS"), other = client_of(set, "WORDS");
    ask(other, "echo", "echo");
    ask_until(control, "count", 2);
    ask(other, "close", "bye");
    CHECK_EQ(ended(other, 0), 0);
    ask_until(control, "closed", COOP_CLOSED_ASKED);

    other = client_of(set, "WORDS");
    say(other, "abort");
    CHECK_EQ(ended(other, 1), 0);
    ask_until(control, "closed", COOP_CLOSED_ABORTED);

    other = client_of(set, "WORDS");
    say(other, "fault");
    CHECK_EQ(ended(other, 1), 0);
    ask_until(control, "closed", COOP_CLOSED_FAULT);

    /* The peer has ended its side; all that it sent before is answered. */
    other = client_of(set, "WORDS");
    say(other, "the end");
    CHECK(shutdown(other, SHUT_WR) == 0);
    CHECK_EQ(ended(other, 0), 7);
    ask_until(control, "closed", COOP_CLOSED_ENDED);

    /* One that is not done yet. */
    ask(control, "stay", "stays");
    other = client_of(set, "WORDS");
    CHECK(shutdown(other, SHUT_WR) == 0);
    hear(other, "later");
    CHECK_EQ(ended(other, 0), 0);

    /* The service has ended its side, and still hears. */
    other = client_of(set, "WORDS");
    ask(other, "half", "half");
    CHECK_EQ(received(other, &(char[8]){0}, 8), 0);
    say(other, "deny");
    while (ask_number(control, "denies") != 1) usleep(1000);
    close(other);
    other = client_of(set, "WORDS");
    CHECK_EQ(ended(other, 1), 0);
    ask_until(control, "count", 1);

    other = client_of(set, "WORDS");
    ask(other, "here", "here");
    CHECK(setsockopt(other, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    close(other);
    ask_until(control, "closed", COOP_CLOSED_LOST);

    ask_until(control, "count", 1);
    close(control);
}

/* What waits, and for whom. */
static void waits(coop_port_set *set) {
    int control = client_of(set, "WORDS"), other = client_of(set, "WORDS");
    size_t flooded;
    ask(other, "pause", "paused");
    say(other, "meanwhile");
    hear(other, "resumed meanwhile");
    ask(other, "thread", "from a thread");
    CHECK_OK(coop_port_set_send_message(set, "WORDS", 5, "pushed", 6));
    hear(other, "pushed");
    ask(control, "misuse", "refused");
    say(other, "fill");
    skip(other, 128 << 10);
    hear(other, "room");
    ask(control, "drained", "drained 1");
    say(other, "flood");
    ask_until(control, "flooded", 128 << 10);
    flooded = ended(other, 0);
    CHECK_EQ(flooded, 128 << 10);
    ask(control, "drained", "drained 1"); /* it was closed, and is not told */
    close(control);
}

/* The same program in each mode. */
static void in_each_mode(int32_t mode) {
    coop_event_loop *loop = new_loop();
    const coop_port_set_options options = options_of(mode, loop);
    const coop_port port = port_of(COOP_PORT_TCP);
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set;
    size_t length = 0;
    int client, last;
    CHECK_OK(coop_event_loop_start(loop));
    set = started(&options, &port);
    CHECK_SAYS(coop_port_set_path(set, "WORDS", 5, NULL, 0, &length), COOP_E_UNSUPPORTED, "127.0.0.1");
    client = client_of(set, "WORDS");
    ask(client, "run", "run 1");
    ask(client, "where", "127.0.0.1:");
    CHECK(received(client, &(char[8]){0}, 8) > 0);
    close(client);
    ends(set);
    waits(set);
    do {
        CHECK_OK(coop_port_set_stats(set, "WORDS", 5, &stats));
    } while (stats.open > 0);
    CHECK_EQ(stats.accepted, 12);
    CHECK_EQ(stats.refused, 1);
    CHECK_EQ(stats.errors, 2);
    CHECK(stats.received_bytes > 100 && stats.sent_bytes > (128 << 10) && stats.received == 0 && stats.restarts == 0);

    /* Who is there at the end is told so, after what is on its way. */
    client = client_of(set, "WORDS");
    ask(client, "here", "here");
    last = client_of(set, "WORDS");
    say(last, "stop");
    hear(client, "stopped");
    CHECK_EQ(ended(client, 0), 0);
    ended(last, 1);
    CHECK_OK(coop_port_set_join(set, LONG_NS));
    CHECK_OK(coop_port_set_stop(set, LONG_NS));
    coop_port_set_free(set);
    coop_event_loop_free(loop);
}

/* More than may be open wait, and are served when one has gone. */
static void limited(int32_t mode) {
    coop_event_loop *loop = new_loop();
    coop_port_set_options options = options_of(mode, loop);
    const coop_port port = port_of(COOP_PORT_TCP);
    coop_port_set *set;
    int first, second;
    CHECK_OK(coop_event_loop_start(loop));
    options.connections = 1;
    set = started(&options, &port);
    first = client_of(set, "WORDS");
    ask(first, "count", "count 1");
    second = client_of(set, "WORDS");
    say(second, "count");
    ask(first, "count", "count 1");
    CHECK(recv(second, &(char[8]){0}, 8, MSG_DONTWAIT) < 0 && errno == EAGAIN);
    close(first);
    hear(second, "count 1");
    close(second);
    coop_port_set_free(set);
    coop_event_loop_free(loop);
}

static coop_port_set *at_path(const coop_port_set_options *options, const char *path, size_t length) {
    coop_port port = port_of(COOP_PORT_UNIX);
    port.path = path;
    port.path_length = length;
    return started(options, &port);
}

static void places(int32_t mode) {
    static const char NAME[] = "\0coop-test-port-stream";
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    coop_event_loop *loop = new_loop();
    const coop_port_set_options options = options_of(mode, loop);
    coop_port port = port_of(COOP_PORT_LISTENING);
    coop_port_set *set;
    coop_address address;
    struct stat stats;
    char directory[] = "/tmp/coop-test-XXXXXX", path[64], name[64];
    size_t length;
    int client;
    CHECK_OK(coop_event_loop_start(loop));

    CHECK(mkdtemp(directory) != NULL);
    snprintf(path, sizeof path, "%s/words", directory);
    set = at_path(&options, path, strlen(path));
    CHECK_SAYS(coop_port_set_address(set, "WORDS", 5, &address), COOP_E_UNSUPPORTED, "path");
    client = unix_client_of(set, "WORDS");
    ask(client, "where", path);
    CHECK_OK(coop_port_set_path(set, "WORDS", 5, NULL, 0, &length));
    CHECK_EQ(length, strlen(path));
    CHECK_SAYS(coop_port_set_path(set, "NONE", 4, NULL, 0, &length), COOP_E_INVALID, "WORDS");
    close(client);
    coop_port_set_free(set);
    CHECK(stat(path, &stats) < 0 && rmdir(directory) == 0);

    length = (size_t)snprintf(name, sizeof name, "%c%s-%d", 0, NAME + 1, (int)getpid());
    set = at_path(&options, name, length);
    client = unix_client_of(set, "WORDS");
    name[0] = '@';
    ask(client, "where", name);
    close(client);
    coop_port_set_free(set);

    port.fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(port.fd, (const struct sockaddr *)&any, sizeof any) == 0 && listen(port.fd, 8) == 0);
    set = NULL;
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    close(port.fd);
    CHECK_OK(coop_port_set_start(set));
    client = client_of(set, "WORDS");
    ask(client, "run", "run 1");
    close(client);
    coop_port_set_free(set);
    coop_event_loop_free(loop);
}

/* kill -9 of the worker takes its connections along, and nothing else: nobody is refused meanwhile. */
static void killed(void) {
    const coop_port_set_options options = options_of(COOP_MODE_PROCESS, NULL);
    const coop_port port = port_of(COOP_PORT_TCP);
    coop_port_stats stats = {.size = sizeof stats};
    coop_port_set *set = started(&options, &port);
    int run, client, next;
    for (run = 1; run <= 3; run++) {
        client = client_of(set, "WORDS");
        CHECK_EQ(ask_number(client, "run"), run);
        CHECK(kill((pid_t)ask_number(client, "pid"), SIGKILL) == 0);
        /* The worker's end is what this client reads; the next one was accepted by its successor, however early it came. */
        CHECK_EQ(ended(client, 1), 0);
        next = client_of(set, "WORDS");
        CHECK_EQ(ask_number(next, "run"), run + 1);
        close(next);
    }
    do {
        CHECK_OK(coop_port_set_stats(set, "WORDS", 5, &stats));
    } while (stats.restarts < 3);
    CHECK_EQ(stats.restarts, 3);
    coop_port_set_free(set);
}

/* In a program that was started with a listening socket, as systemd does it. */
static int passed(void) {
    coop_port port = port_of(COOP_PORT_PASSED);
    coop_port_set_options options = options_of(COOP_MODE_THREAD, NULL);
    coop_port_set *set = NULL;
    int client;
    port.path = "unknown";
    port.path_length = 7;
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    CHECK_SAYS(coop_port_set_start(set), COOP_E_INVALID, "\"web\"");
    coop_port_set_free(set);
    for (int by_name = 0; by_name < 2; by_name++) {
        port.path = by_name ? "web" : "0";
        port.path_length = strlen(port.path);
        options.mode = by_name ? COOP_MODE_PROCESS : COOP_MODE_THREAD;
        set = started(&options, &port);
        client = client_of(set, "WORDS");
        ask(client, "run", "run 1");
        close(client);
        coop_port_set_free(set);
    }
    return 0;
}

static void start_passed(char *program) {
    const struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char *argv[] = {program, "passed", NULL}, pid[16];
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = -1;
    CHECK(bind(fd, (const struct sockaddr *)&any, sizeof any) == 0 && listen(fd, 8) == 0);
    const pid_t child = fork();
    if (child == 0) {
        snprintf(pid, sizeof pid, "%d", (int)getpid());
        if (setenv("LISTEN_PID", pid, 1) != 0 || setenv("LISTEN_FDS", "1", 1) != 0 || setenv("LISTEN_FDNAMES", "web", 1) != 0) _exit(9);
        if (fd != 3 && dup2(fd, 3) != 3) _exit(9);
        execv(program, argv);
        _exit(9);
    }
    close(fd);
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(int argc, char **argv) {
    int32_t status = 0;
    CHECK_OK(coop_port_worker_main(HANDLERS, 1, &status));
    if (status != COOP_NONE) return status;
    if (argc > 1) return passed();
    start_passed(argv[0]);
    for (int32_t mode = COOP_MODE_SINGLE; mode <= COOP_MODE_PROCESS; mode++) {
        in_each_mode(mode);
        limited(mode);
        places(mode);
    }
    killed();
    return 0;
}
