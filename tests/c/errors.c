/* Names of statuses, the last message of each thread, and the version. */
#include <errno.h>

#include "check.h"

static void *other_thread(void *arg) {
    (void)arg;
    CHECK(strcmp(coop_last_error(), "") == 0);
    CHECK_STATUS(coop_pool_close(NULL), COOP_E_NULL);
    return NULL;
}

int main(void) {
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", COOP_VERSION_MAJOR, COOP_VERSION_MINOR, COOP_VERSION_PATCH);
    CHECK(strcmp(coop_version(), version) == 0);
    CHECK(strcmp(coop_version(), COOP_VERSION_STRING) == 0);
    CHECK_OK(COOP_CHECK_VERSION());

    CHECK(strcmp(coop_status_str(COOP_OK), "COOP_OK") == 0);
    CHECK(strcmp(coop_status_str(COOP_E_WOULD_DEADLOCK), "COOP_E_WOULD_DEADLOCK") == 0);
    CHECK(strcmp(coop_status_str(COOP_E_FAILED), "COOP_E_FAILED") == 0);
    CHECK(coop_status_str(1) != NULL && coop_status_str(INT32_MIN) != NULL);

    CHECK(strcmp(coop_last_error(), "") == 0);
    CHECK_EQ(coop_last_os_errno(), 0);
    coop_event_loop *loop = new_loop();
    CHECK_STATUS(coop_timer_cancel(loop, 9), COOP_E_STALE);
    CHECK(strcmp(coop_last_error(), "stale id: this timer has ended or was cancelled") == 0);
    /* Another thread's failures and this one's successes leave it alone. */
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK_OK(coop_event_loop_stop(loop));
    CHECK(strstr(coop_last_error(), "stale id") != NULL);
    coop_event_loop_free(loop);

    coop_udp_options options = {sizeof options, "127.0.0.1:0", 11, 0, 0, 0, 0, 0, 0, 0, 0};
    coop_udp *first = NULL, *second = NULL;
    coop_address address;
    char text[COOP_ADDRESS_TEXT];
    CHECK_OK(coop_udp_new(&options, &first));
    CHECK_OK(coop_udp_local_address(first, &address));
    CHECK_OK(coop_address_text(&address, text, sizeof text));
    options.address = text;
    options.address_length = strlen(text);
    errno = 0;
    CHECK_SAYS(coop_udp_new(&options, &second), COOP_E_OS, text);
    CHECK_EQ(coop_last_os_errno(), EADDRINUSE);
    CHECK_STATUS(coop_udp_connect(first, NULL), COOP_E_NULL);
    CHECK_EQ(coop_last_os_errno(), 0);
    coop_udp_free(first);

    CHECK_SAYS(coop_version_check(COOP_VERSION_MAJOR, COOP_VERSION_MINOR + 1), COOP_E_UNSUPPORTED, COOP_VERSION_STRING);
    CHECK_STATUS(coop_version_check(COOP_VERSION_MAJOR + 1, COOP_VERSION_MINOR), COOP_E_UNSUPPORTED);
    CHECK_STATUS(coop_version_check(-1, INT32_MIN), COOP_E_UNSUPPORTED);
    return 0;
}
