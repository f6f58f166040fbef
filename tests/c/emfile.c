/* A process that has no file descriptor left is told so, leaks none, and goes on when there are some again. */
#include <errno.h>
#include <sys/resource.h>

#include "check.h"

static int lowest_free(void) {
    int fd = dup(2);
    CHECK(fd >= 0);
    close(fd);
    return fd;
}

int main(void) {
    coop_event_loop *loop = NULL;
    coop_runtime *runtime = NULL;
    coop_udp *udp = NULL;
    coop_event_loop_free(new_loop()); /* what is opened once and kept is open now */
    int before = lowest_free();
    struct rlimit old, tight;
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    tight = old;
    /* None, one, two, until a loop can be made. */
    int failures = 0;
    for (int room = 0;; room++) {
        tight.rlim_cur = (rlim_t)(before + room);
        CHECK(setrlimit(RLIMIT_NOFILE, &tight) == 0);
        coop_status status = coop_event_loop_new(NULL, &loop);
        if (status == COOP_OK) break;
        CHECK_SAYS(status, COOP_E_OS, "make an event loop");
        CHECK_EQ(coop_last_os_errno(), EMFILE);
        CHECK(loop == NULL);
        failures++;
    }
    CHECK(failures >= 1);
    CHECK_SAYS(coop_udp_new(NULL, &udp), COOP_E_OS, "0.0.0.0:0");
    CHECK_EQ(coop_last_os_errno(), EMFILE);
    CHECK_STATUS(coop_runtime_new(NULL, &runtime), COOP_E_OS);
    CHECK(udp == NULL && runtime == NULL);
    coop_event_loop_free(loop);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK_EQ(lowest_free(), before);
    coop_event_loop_free(new_loop());
    return 0;
}
