/* Native handlers that do something wrong, each in its own way, and one that says that it was dropped. */
#include <coop.h>
#include <stdlib.h>
#include <string.h>

int odd_drops = 0;

static void on_batch(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count) {
    (void)arg, (void)context, (void)datagrams, (void)count;
}

static void drop(void *arg) {
    (void)arg;
    __atomic_add_fetch(&odd_drops, 1, __ATOMIC_SEQ_CST);
}

static coop_status fill(coop_port_handler *out) {
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->on_batch = on_batch;
    out->drop = drop;
    return COOP_OK;
}

coop_status fine(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length;
    return fill(out);
}

static coop_status on_data(void *arg, coop_port_context *context, coop_connection_id connection, const void *data, size_t length) {
    (void)arg, (void)context, (void)connection, (void)data, (void)length;
    return COOP_OK;
}

coop_status of_connections(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length;
    fill(out);
    out->on_data = on_data;
    return COOP_OK;
}

coop_status refuses(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length;
    fill(out);
    return COOP_E_INVALID;
}

coop_status fills_nothing(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length, (void)out;
    return COOP_OK;
}

coop_status without_on_batch(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    (void)api, (void)args, (void)length;
    fill(out);
    out->on_batch = NULL;
    return COOP_OK;
}

/* Compiled with a later header, whose handler has a function more. */
coop_status of_a_later_version(const coop_api *api, const void *args, size_t length, coop_port_handler *out) {
    struct {
        coop_port_handler known;
        coop_status (*later)(const coop_api *, const void *, size_t, coop_port_handler *);
    } newer;
    (void)api, (void)args, (void)length;
    fill(&newer.known);
    newer.known.size = sizeof newer;
    newer.later = fine;
    memcpy(out, &newer, sizeof newer);
    return COOP_OK;
}
