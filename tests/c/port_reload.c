/* Workers that take over from others: what the new one finds, what the old one may still do, and what is refused. */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* Keeps a number; answers words, each of 8 bytes with 8 bytes. */
typedef struct {
    uint64_t number;
    int must_not_start;
} keeper;

enum { WORD = 8 };

static coop_status keeper_start(void *arg, coop_port_context *context) {
    keeper *k = arg;
    size_t length = 0;
    const char *refuse = getenv("COOP_TEST_REFUSE");
    if (refuse != NULL && access(refuse, F_OK) == 0) return COOP_E_FAILED;
    CHECK_OK(coop_port_context_saved(context, &k->number, sizeof k->number, &length));
    return COOP_OK;
}

static coop_status keeper_data(void *arg, coop_port_context *context, coop_connection_id connection, const void *data, size_t length) {
    keeper *k = arg;
    char answer[WORD + 1];
    uint64_t run = 0;
    CHECK_EQ(length, WORD);
    if (memcmp(data, "add     ", WORD) == 0) {
        snprintf(answer, sizeof answer, "%8d", (int)++k->number);
    } else if (memcmp(data, "run     ", WORD) == 0) {
        CHECK_OK(coop_port_context_run(context, &run));
        snprintf(answer, sizeof answer, "%8d", (int)run);
    } else {
        snprintf(answer, sizeof answer, "%8d", (int)coop_port_context_save(context, &k->number, sizeof k->number));
    }
    return coop_port_context_write(context, connection, answer, WORD);
}

static void keeper_hand_over(void *arg, coop_port_context *context) {
    keeper *k = arg;
    CHECK_OK(coop_port_context_save(context, &k->number, sizeof k->number));
}

static coop_status make_keeper(const void *args, size_t length, coop_port_handler *out) {
    (void)args, (void)length;
    out->size = sizeof *out;
    out->arg = calloc(1, sizeof(keeper));
    out->on_start = keeper_start;
    out->on_data = keeper_data;
    out->on_hand_over = keeper_hand_over;
    out->drop = free;
    return COOP_OK;
}

static const coop_named_handler HANDLERS[] = {{sizeof(coop_named_handler), "keeper", 6, make_keeper}};

static coop_port_set *set_of(int32_t mode, coop_event_loop *loop) {
    coop_port port = {.size = sizeof port, .name = "WEB", .name_length = 3, .kind = COOP_PORT_TCP};
    coop_port_set_options options = {.size = sizeof options, .mode = mode, .handlers = HANDLERS, .handler_count = 1};
    coop_port_set *set = NULL;
    port.handler_name = "keeper";
    port.handler_name_length = 6;
    options.event_loop = mode == COOP_MODE_SINGLE ? loop : NULL;
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    return set;
}

static int client_of(coop_port_set *set) {
    coop_address address;
    const struct timeval limit = {60, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_OK(coop_port_set_address(set, "WEB", 3, &address));
    CHECK(fd >= 0 && connect(fd, (const void *)address.bytes, address.length) == 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    return fd;
}

static int ask(int fd, const char *word) {
    char answer[WORD + 1] = "";
    size_t got = 0;
    CHECK_EQ(send(fd, word, WORD, MSG_NOSIGNAL), WORD);
    while (got < WORD) {
        const ssize_t more = recv(fd, answer + got, WORD - got, 0);
        if (more < 0 && errno == EINTR) continue;
        CHECK(more > 0);
        got += (size_t)more;
    }
    return atoi(answer);
}

static void takes_over(void) {
    coop_port_set *set = set_of(COOP_MODE_PROCESS, NULL);
    coop_port_stats stats = {.size = sizeof stats};
    char refuse[] = "/tmp/coop-port-reload-XXXXXX";
    int old, new, newer, end;
    ssize_t ended;
    char byte;
    CHECK_STATUS(coop_port_set_reload(set, NULL, 0, COOP_FOREVER), COOP_E_INVALID);
    /* A name for a file that is not there yet. */
    end = mkstemp(refuse);
    CHECK(end >= 0);
    close(end);
    unlink(refuse);
    CHECK(setenv("COOP_TEST_REFUSE", refuse, 1) == 0);
    CHECK_OK(coop_port_set_start(set));
    old = client_of(set);
    CHECK_EQ(ask(old, "add     "), 1);
    CHECK_EQ(ask(old, "add     "), 2);
    CHECK_OK(coop_port_set_reload(set, "WEB", 3, COOP_FOREVER));
    new = client_of(set);
    CHECK_EQ(ask(new, "add     "), 3);
    CHECK_EQ(ask(new, "run     "), 2);
    CHECK_EQ(ask(new, "save    "), COOP_OK);
    /* The old one has its connection still, and nothing else. */
    CHECK_EQ(ask(old, "run     "), 1);
    CHECK_EQ(ask(old, "save    "), COOP_E_CLOSED);
    close(old);
    /* One that cannot start leaves the one that is there as it was. */
    end = open(refuse, O_CREAT | O_WRONLY, 0600);
    CHECK(end >= 0);
    close(end);
    CHECK_SAYS(coop_port_set_reload(set, NULL, 0, 0), COOP_E_FAILED, "WEB");
    unlink(refuse);
    CHECK_EQ(ask(new, "save    "), COOP_OK);
    CHECK_SAYS(coop_port_set_reload(set, "NONE", 4, 0), COOP_E_INVALID, "WEB");
    CHECK_SAYS(coop_port_set_reload(set, "", 0, 0), COOP_E_INVALID, "no port \"\" in this set: its ports are WEB");
    CHECK_STATUS(coop_port_set_reload(set, NULL, 3, 0), COOP_E_NULL);
    CHECK_SAYS(coop_port_set_reload(set, "WEB", 3, -2), COOP_E_INVALID, "drain_ns");
    CHECK_STATUS(coop_port_set_reload(NULL, "WEB", 3, 0), COOP_E_NULL);
    /* No time: what is open is closed. */
    CHECK_OK(coop_port_set_reload(set, NULL, 0, 0));
    do {
        ended = recv(new, &byte, 1, 0);
    } while (ended < 0 && errno == EINTR);
    CHECK_EQ(ended, 0);
    close(new);
    newer = client_of(set);
    CHECK_EQ(ask(newer, "add     "), 4);
    close(newer);
    CHECK_OK(coop_port_set_stop(set, LONG_NS));
    CHECK_OK(coop_port_set_stats(set, "WEB", 3, &stats));
    CHECK_EQ(stats.accepted, 3);
    CHECK_EQ(stats.errors, 1);
    CHECK_STATUS(coop_port_set_reload(set, "WEB", 3, 0), COOP_E_CLOSED);
    coop_port_set_free(set);
}

/* There is no worker to be replaced. */
static void unsupported(int32_t mode, const char *name) {
    coop_event_loop *loop = new_loop();
    coop_port_set *set = set_of(mode, loop);
    CHECK_OK(coop_event_loop_start(loop));
    CHECK_OK(coop_port_set_start(set));
    CHECK_SAYS(coop_port_set_reload(set, "WEB", 3, 0), COOP_E_UNSUPPORTED, name);
    CHECK_OK(coop_port_set_stop(set, LONG_NS));
    coop_port_set_free(set);
    coop_event_loop_free(loop);
}

int main(void) {
    int32_t status = 0;
    CHECK_OK(coop_port_worker_main(HANDLERS, 1, &status));
    if (status != COOP_NONE) return status;
    takes_over();
    unsupported(COOP_MODE_SINGLE, "SINGLE");
    unsupported(COOP_MODE_THREAD, "THREAD");
    return 0;
}
