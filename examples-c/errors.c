/* Errors: a number to decide by, its name, this thread's last message in words, and the system's errno where there is one.
 *
 *     cc errors.c $(pkg-config --cflags --libs coop) -o errors */
#include <coop.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints what there is to know of a failure, and says whether it is the one that was expected. */
static int failed_as(coop_status status, coop_status expected) {
    printf("%s (%d): %s\n", coop_status_str(status), (int)status, coop_last_error());
    if (status == COOP_E_OS) printf("    the system says: %s\n", strerror(coop_last_os_errno()));
    return status == expected;
}

int main(void) {
    coop_pool *pool = NULL;
    coop_udp *first, *second = NULL;
    coop_address address;
    char text[COOP_ADDRESS_TEXT];

    /* An option out of range. Outputs are written on success only: pool is still NULL. */
    coop_pool_options too_many = {.size = sizeof too_many, .workers = 5000};
    if (!failed_as(coop_pool_new(&too_many, &pool), COOP_E_INVALID) || pool != NULL) return 1;

    /* A size that was not set: options of an unknown version are not guessed at. */
    coop_pool_options no_size = {.workers = 1};
    if (!failed_as(coop_pool_new(&no_size, &pool), COOP_E_INVALID)) return 1;

    /* NULL where something must be. */
    if (!failed_as(coop_pool_close(NULL), COOP_E_NULL)) return 1;

    /* The system refuses: the address is taken. */
    if (coop_udp_new(NULL, &first) != COOP_OK || coop_udp_local_address(first, &address) != COOP_OK) return 1;
    if (coop_address_text(&address, text, sizeof text) != COOP_OK) return 1;
    coop_udp_options same = {.size = sizeof same, .address = text, .address_length = strlen(text)};
    if (!failed_as(coop_udp_new(&same, &second), COOP_E_OS) || coop_last_os_errno() != EADDRINUSE) return 1;

    /* Calls that succeed leave the message as it is: look at the status first. */
    coop_udp_free(first);
    return strstr(coop_last_error(), text) != NULL ? 0 : 1;
}
