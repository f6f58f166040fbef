/* coop::event_loop inside a foreign loop. */
#include "expect.hpp"

#include <poll.h>

int main() {
    coop::event_loop loop = MUST(coop::event_loop::create());
    pollfd fd{MUST(loop.backend_fd()), POLLIN, 0};
    CHECK(poll(&fd, 1, 0) == 0);
    CHECK(MUST(loop.backend_timeout()) == -1ns);
    bool ran = false;
    MUST(loop.post([&] { ran = true; }));
    CHECK(MUST(loop.backend_timeout()) == 0ns);
    CHECK(poll(&fd, 1, 30000) == 1);
    const auto before = MUST(loop.now());
    MUST(loop.run(coop::run_mode::nowait));
    CHECK(ran);
    CHECK(MUST(loop.now()) >= before);
    MUST(loop.stop());
    REFUSED(coop::errc::closed, loop.backend_timeout());
    return 0;
}
