/* libcoop's host, as a program in C would have it.
 *
 *     libcoop COUNT PROGRAM */
#include <coop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(coop_status status, const char *what) {
    if (status != COOP_OK) {
        fprintf(stderr, "%s: %s\n", what, coop_last_error());
        exit(1);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: libcoop COUNT PROGRAM\n");
        return 2;
    }
    int count = atoi(argv[1]);
    coop_supervisor_options root = {.size = sizeof root, .intensity = COOP_NONE};
    coop_host_options options = {.size = sizeof options, .root = &root};
    coop_host *host = NULL;
    must(coop_host_new(&options, &host), "coop_host_new");
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "service-%d", i);
        coop_command command = {.size = sizeof command, .argv = (const char *const[]){argv[2], NULL}};
        coop_service_options service = {.size = sizeof service, .id = id, .id_length = strlen(id), .command = &command};
        must(coop_supervisor_add(host, 0, &service, NULL), id);
    }
    must(coop_host_start(host), "coop_host_start");
    must(coop_host_wait(host), "coop_host_wait");
    coop_host_free(host);
    return 0;
}
