/* Native handlers from C: the example's library as a port, and what is refused in which words. */
#include "check.h"

#include <dlfcn.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>

static char text[4096];

static coop_status load(const char *library, const char *symbol, coop_port_handler *out) {
    snprintf(text, sizeof text, "%s:%s", library, symbol);
    return coop_port_handler_load(text, strlen(text), "> ", 2, out);
}

static void echo(const char *library, int32_t mode) {
    coop_port_handler handler = {0};
    coop_port port = {.size = sizeof port, .name = "ECHO", .name_length = 4};
    coop_port_set_options options = {.size = sizeof options, .mode = mode};
    coop_event_loop *loop = new_loop();
    coop_port_set *set = NULL;
    coop_udp *client = NULL;
    coop_address address;
    coop_datagram ping = {"ping", 4, {0, {0}}, 0, 0}, answer;
    struct pollfd readable = {-1, POLLIN, 0};
    size_t count = 0;

    handler.size = sizeof handler;
    CHECK_OK(load(library, "echo_handler", &handler));
    CHECK(handler.size == sizeof handler && handler.arg != NULL && handler.on_message != NULL);
    port.handler = &handler;
    CHECK_OK(coop_event_loop_start(loop));
    options.event_loop = mode == COOP_MODE_SINGLE ? loop : NULL;
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    CHECK_OK(coop_port_set_address(set, "ECHO", 4, &address));
    CHECK_OK(coop_udp_new(NULL, &client));
    CHECK_OK(coop_udp_connect(client, &address));
    CHECK_OK(coop_udp_send(client, &ping, 1, &count, NULL));
    readable.fd = coop_udp_fd(client);
    CHECK(poll(&readable, 1, (int)(LONG_NS / 1000000)) == 1);
    CHECK_OK(coop_udp_receive(client, &answer, 1, &count));
    CHECK(count == 1 && answer.length == 6 && memcmp(answer.data, "> ping", 6) == 0);
    coop_port_set_free(set);
    coop_event_loop_free(loop);
    coop_udp_free(client);
}

/* The same handler at a port that takes connections; and as it is handed to a caller that knows how large it is. */
static void stream_echo(const char *library) {
    coop_port_handler handler = {.size = sizeof handler};
    coop_port port = {.size = sizeof port, .name = "ECHO", .name_length = 4, .handler = &handler, .kind = COOP_PORT_TCP};
    coop_port_set_options options = {.size = sizeof options, .mode = COOP_MODE_THREAD};
    coop_port_set *set = NULL;
    coop_address address;
    char answer[8];
    CHECK_OK(load(library, "echo_handler", &handler));
    CHECK(handler.size == sizeof handler && handler.arg != NULL && handler.on_data != NULL);
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    CHECK_OK(coop_port_set_start(set));
    CHECK_OK(coop_port_set_address(set, "ECHO", 4, &address));
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(connect(client, (const struct sockaddr *)address.bytes, address.length) == 0);
    CHECK(send(client, "ping", 4, MSG_NOSIGNAL) == 4);
    CHECK(recv(client, answer, 6, MSG_WAITALL) == 6 && memcmp(answer, "> ping", 6) == 0);
    close(client);
    coop_port_set_free(set);
}

static void refused(const char *odd) {
    coop_port_handler handler = {0};
    void *library = dlopen(odd, RTLD_NOW);
    int *odd_drops;
    CHECK(library != NULL);
    odd_drops = dlsym(library, "odd_drops");
    CHECK(odd_drops != NULL);

    CHECK_SAYS(load("/nowhere/at all.so", "x", &handler), COOP_E_FAILED, "\"/nowhere/at all.so:x\": its library cannot be loaded");
    CHECK_SAYS(load(odd, "no_such_thing", &handler), COOP_E_FAILED, "no_such_thing\": its library has no such symbol");
    CHECK_SAYS(load(odd, "refuses", &handler), COOP_E_FAILED, "refuses\": its function answered COOP_E_INVALID (-1)");
    CHECK_SAYS(load(odd, "fills_nothing", &handler), COOP_E_INVALID, "coop_port_handler.size is 0");
    CHECK_SAYS(load(odd, "of_a_later_version", &handler), COOP_E_UNSUPPORTED, "is not 0: this libcoop");
    CHECK_SAYS(load(odd, "", &handler), COOP_E_INVALID, "\"path/lib.so:symbol\"");
    CHECK_SAYS(coop_port_handler_load("nocolon", 7, NULL, 0, &handler), COOP_E_INVALID, "native handler \"nocolon\"");
    CHECK_SAYS(coop_port_handler_load(NULL, 7, NULL, 0, &handler), COOP_E_NULL, "name");
    CHECK_SAYS(coop_port_handler_load("a:b", 3, NULL, 1, &handler), COOP_E_NULL, "args");
    CHECK(handler.size == 0);
    handler.size = 8;
    CHECK_SAYS(load(odd, "fine", &handler), COOP_E_INVALID, "coop_port_handler.size is 8");
    handler.size = 0;
    CHECK_EQ(__atomic_load_n(odd_drops, __ATOMIC_SEQ_CST), 0);

    /* Loaded, but refused where a port is made of it: the argument is still the caller's. */
    coop_port port = {.size = sizeof port, .name = "A", .name_length = 1, .handler = &handler};
    coop_port_set_options options = {.size = sizeof options, .mode = COOP_MODE_THREAD};
    coop_port_set *set = NULL;
    CHECK_OK(load(odd, "without_on_batch", &handler));
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_NULL, "on_batch");
    CHECK_EQ(__atomic_load_n(odd_drops, __ATOMIC_SEQ_CST), 0);
    /* A caller that cannot be handed all of it: it is dropped. */
    handler.size = 0;
    CHECK_SAYS(load(odd, "of_connections", &handler), COOP_E_UNSUPPORTED, "coop_port_handler.size, 64, has room for");
    CHECK_EQ(__atomic_exchange_n(odd_drops, 0, __ATOMIC_SEQ_CST), 1);
    CHECK_OK(load(odd, "fine", &handler));
    CHECK_OK(coop_port_set_new(&options, &port, 1, &set));
    coop_port_set_free(set);
    CHECK_EQ(__atomic_load_n(odd_drops, __ATOMIC_SEQ_CST), 1);
}

int main(int argc, char **argv) {
    CHECK_EQ(argc, 3);
    CHECK(coop_api_get() == coop_api_get() && coop_api_get()->size == sizeof(coop_api));
    CHECK(coop_api_get()->major == COOP_VERSION_MAJOR && coop_api_get()->minor == COOP_VERSION_MINOR);
    echo(argv[1], COOP_MODE_SINGLE);
    echo(argv[1], COOP_MODE_THREAD);
    stream_echo(argv[1]);
    refused(argv[2]);
    return 0;
}
