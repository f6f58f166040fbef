/* A handler of a port as a shared library: it runs without an interpreter, also where Python makes the port set. It is not linked
 * with libcoop, but given the functions of the copy that loads it.
 *
 *     cc -shared -fPIC native_handler.c $(pkg-config --cflags coop) -o native_handler.so
 *
 * In Python:  libcoop.PortSet([libcoop.Port("ECHO", "./native_handler.so:echo_handler", [b"echo: "], listen=("127.0.0.1", 7000))])
 * In C:       coop_port_handler_load("./native_handler.so:echo_handler", 32, "echo: ", 6, &handler) */
#include <coop.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const coop_api *api;
    size_t prefix_length;
    char bytes[65507];
} echo;

/* Sends back each datagram with the prefix before it. Each port has an echo of its own, so the bytes need no lock. */
static void on_batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    echo *self = arg;
    for (size_t i = 0; i < count; i++) {
        coop_datagram answer = datagrams[i];
        if (answer.length > sizeof self->bytes - self->prefix_length) continue;
        memcpy(self->bytes + self->prefix_length, answer.data, answer.length);
        answer.data = self->bytes;
        answer.length += self->prefix_length;
        answer.flags = 0;
        /* It fails when the peer is slower than we are (COOP_E_QUEUE_FULL): a datagram may be lost. */
        (void)self->api->port_context_send(context, &answer, 1, NULL);
    }
}

/* The same at a port that takes connections: what has come of one goes back with the prefix before it. */
static coop_status on_data(void *arg, coop_port_context *context, coop_connection_id connection, const void *data, size_t length) {
    echo *self = arg;
    coop_status status = self->api->port_context_write(context, connection, self->bytes, self->prefix_length);
    return status == COOP_OK ? self->api->port_context_write(context, connection, data, length) : status;
}

/* A message from another port: it goes back to where it came from. One from outside the set has no sender, and no answer. */
static void on_message(void *arg, coop_port_context *context, const char *sender, size_t sender_length, const void *data,
                       size_t length) {
    if (sender_length > 0)
        (void)((echo *)arg)->api->port_context_send_message(context, sender, sender_length, data, length);
}

coop_status echo_handler(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    echo *self;
    if (api->size < sizeof(coop_api)) return COOP_E_UNSUPPORTED; /* an older library than this header */
    if (length > 1000) return COOP_E_INVALID;
    self = calloc(1, sizeof *self);
    if (self == NULL) return COOP_E_FAILED;
    self->api = api;
    self->prefix_length = length;
    if (length > 0) memcpy(self->bytes, args, length);
    *out = (coop_port_handler){
        .size = sizeof *out, .arg = self, .on_batch = on_batch, .on_data = on_data, .on_message = on_message, .drop = free};
    return COOP_OK;
}
