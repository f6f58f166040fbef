// A C++20 program outside the tree; see program.c.
#include <coop.h>

#include <cstdio>
#include <span>

int main() {
    int ran = 0;
    coop_event_loop *loop = nullptr;
    coop_callback post{[](void *arg) { ++*static_cast<int *>(arg); }, &ran, nullptr};
    if (coop_event_loop_new(nullptr, &loop) || coop_event_loop_post(loop, post) ||
        coop_event_loop_run(loop, COOP_RUN_UNTIL_IDLE)) {
        std::fprintf(stderr, "%s\n", coop_last_error());
        return 1;
    }
    coop_event_loop_free(loop);
    std::printf("C++: %zu post, coop %s\n", std::span(&ran, 1).size(), coop_version());
    return ran != 1;
}
