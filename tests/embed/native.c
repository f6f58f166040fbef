/* Native handlers from C: the example's library as a port, and what is refused in which words. */
#include "check.h"

#include <dlfcn.h>
#include <poll.h>

static char text[4096];

static coop_status load(const char *library, const char *symbol, coop_port_handler *out) {
    snprintf(text, sizeof text, "%s:%s", library, symbol);
    return coop_port_handler_load(text, strlen(text), "> ", 2, out);
}

static void echo(const char *library, int32_t mode) {
    coop_port_handler handler = {0};
    coop_port port = {sizeof port, "ECHO", 4, NULL, {0, {0}}, {0, {0}}};
    coop_port_set_options options = {sizeof options, mode, 0, NULL, 0};
    coop_event_loop *loop = new_loop();
    coop_port_set *set = NULL;
    coop_udp *client = NULL;
    coop_address address;
    coop_datagram ping = {"ping", 4, {0, {0}}, 0, 0}, answer;
    struct pollfd readable = {-1, POLLIN, 0};
    size_t count = 0;

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
    CHECK_SAYS(load(odd, "of_a_later_version", &handler), COOP_E_UNSUPPORTED, "coop_port_handler has 72 bytes");
    CHECK_SAYS(load(odd, "", &handler), COOP_E_INVALID, "\"path/lib.so:symbol\"");
    CHECK_SAYS(coop_port_handler_load("nocolon", 7, NULL, 0, &handler), COOP_E_INVALID, "native handler \"nocolon\"");
    CHECK_SAYS(coop_port_handler_load(NULL, 7, NULL, 0, &handler), COOP_E_NULL, "name");
    CHECK_SAYS(coop_port_handler_load("a:b", 3, NULL, 1, &handler), COOP_E_NULL, "args");
    CHECK(handler.size == 0);
    CHECK_EQ(__atomic_load_n(odd_drops, __ATOMIC_SEQ_CST), 0);

    /* Loaded, but refused where a port is made of it: the argument is still the caller's. */
    coop_port port = {sizeof port, "A", 1, &handler, {0, {0}}, {0, {0}}};
    coop_port_set_options options = {sizeof options, COOP_MODE_THREAD, 0, NULL, 0};
    coop_port_set *set = NULL;
    CHECK_OK(load(odd, "without_on_batch", &handler));
    CHECK_SAYS(coop_port_set_new(&options, &port, 1, &set), COOP_E_NULL, "on_batch");
    CHECK_EQ(__atomic_load_n(odd_drops, __ATOMIC_SEQ_CST), 0);
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
    refused(argv[2]);
    return 0;
}
