/* In a forked child what was made before answers so, and may end. Also built with: -fno-exceptions -fno-rtti */
#include "expect.hpp"

#include <sys/wait.h>

int main() {
    counts c;
    coop::pool pool = MUST(coop::pool::create({.workers = 1}));
    coop::event_loop loop = MUST(coop::event_loop::create());
    MUST(loop.post(counted(c)));
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        REFUSED(coop::errc::forked, pool.submit(counted(c)));
        REFUSED(coop::errc::forked, loop.post(counted(c)));
        REFUSED(coop::errc::forked, pool.shutdown());
        REFUSED(coop::errc::forked, loop.run());
        CHECK(c.runs == 0 && c.drops == 2);
        pool.free();
        loop.free();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    MUST(loop.run(coop::run_mode::until_idle));
    CHECK(c.runs == 1 && c.drops == 1);
}
