/* A value outside what is allowed is refused, and the message names it. Refused callbacks are not dropped. */
#include "check.h"

static probe p;

static void of_pools(void) {
    coop_pool *pool = NULL;
    coop_pool_options options = {.size = sizeof options, .workers = 1025};
    CHECK_SAYS(coop_pool_new(&options, &pool), COOP_E_INVALID, "1025 workers");
    options.workers = SIZE_MAX;
    CHECK_STATUS(coop_pool_new(&options, &pool), COOP_E_INVALID);
    options.workers = 1;
    options.no_pin = 2;
    CHECK_SAYS(coop_pool_new(&options, &pool), COOP_E_INVALID, "no_pin is 2");
    options.no_pin = 0;
    options.ageing = -2;
    CHECK_SAYS(coop_pool_new(&options, &pool), COOP_E_INVALID, "ageing is -2");
    options.ageing = COOP_NONE;
    options.name = "a\0b";
    options.name_length = 3;
    CHECK_SAYS(coop_pool_new(&options, &pool), COOP_E_INVALID, "NUL at byte 1");
    options.name = "ab\xff";
    CHECK_SAYS(coop_pool_new(&options, &pool), COOP_E_INVALID, "not UTF-8 at byte 2");
    CHECK(pool == NULL);
    options.name = "sørvis";
    options.name_length = strlen(options.name);
    CHECK_OK(coop_pool_new(&options, &pool));

    coop_submit_options submit = {.size = sizeof submit, .priority = 7};
    CHECK_SAYS(coop_pool_submit(pool, &submit, counted(&p)), COOP_E_INVALID, "priority 7");
    submit.priority = INT32_MIN;
    CHECK_STATUS(coop_pool_submit(pool, &submit, counted(&p)), COOP_E_INVALID);
    submit.priority = 0;
    submit.continues = 2;
    CHECK_SAYS(coop_pool_submit(pool, &submit, counted(&p)), COOP_E_INVALID, "continues is 2");
    CHECK_SAYS(coop_pool_shutdown(pool, 2, 0), COOP_E_INVALID, "shutdown mode 2");
    CHECK_SAYS(coop_pool_shutdown(pool, COOP_SHUTDOWN_DRAIN, -2), COOP_E_INVALID, "timeout_ns is -2");
    CHECK_SAYS(coop_pool_join(pool, -2), COOP_E_INVALID, "timeout_ns is -2");
    int32_t cpu = 77;
    CHECK_SAYS(coop_pool_worker_cpu(pool, 1, &cpu), COOP_E_INVALID, "worker 1");
    CHECK_EQ(cpu, 77);
    coop_pool_free(pool);
}

static void of_loops(void) {
    coop_event_loop *loop = new_loop();
    CHECK_SAYS(coop_event_loop_run(loop, 4), COOP_E_INVALID, "run mode 4");
    CHECK_SAYS(coop_event_loop_run(loop, -1), COOP_E_INVALID, "run mode -1");
    CHECK_SAYS(coop_event_loop_join(loop, -5), COOP_E_INVALID, "timeout_ns is -5");

    coop_timer_options timer = {.size = sizeof timer, .after_ns = -1};
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&p), NULL), COOP_E_INVALID, "after_ns is -1");
    timer.after_ns = 0;
    timer.every_ns = -1;
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&p), NULL), COOP_E_INVALID, "every_ns is -1");
    timer.every_ns = 0;
    timer.on = 3;
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&p), NULL), COOP_E_INVALID, "on 3");
    timer.on = COOP_ON_LOOP;
    timer.priority = COOP_PRIORITY_HIGH;
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&p), NULL), COOP_E_INVALID, "priority 1");
    timer.priority = COOP_PRIORITY_NORMAL;
    const uint64_t first = 1;
    timer.cpus.words = &first;
    timer.cpus.count = 1;
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&p), NULL), COOP_E_INVALID, "a CPU set beside on 1");
    timer.on = COOP_ON_POOL;
    CHECK_SAYS(coop_event_loop_timer(loop, &timer, counted_timer(&p), NULL), COOP_E_INVALID, "no pool");

    int fds[2];
    CHECK(pipe(fds) == 0);
    coop_io_watch_options watch = {.size = sizeof watch, .interest = 4};
    CHECK_SAYS(coop_event_loop_watch(loop, fds[0], &watch, counted_watch(&p), NULL), COOP_E_INVALID, "interest 4");
    watch.interest = COOP_IO_READ;
    watch.edge = -1;
    CHECK_SAYS(coop_event_loop_watch(loop, fds[0], &watch, counted_watch(&p), NULL), COOP_E_INVALID, "edge is -1");
    watch.edge = 1;
    watch.unref = 2;
    CHECK_SAYS(coop_event_loop_watch(loop, fds[0], &watch, counted_watch(&p), NULL), COOP_E_INVALID, "unref is 2");
    watch.unref = 0;
    watch.reserved = -1;
    CHECK_SAYS(coop_event_loop_watch(loop, fds[0], &watch, counted_watch(&p), NULL), COOP_E_UNSUPPORTED, "reserved is -1");
    watch.reserved = 0;
    CHECK_SAYS(coop_event_loop_watch(loop, -1, &watch, counted_watch(&p), NULL), COOP_E_INVALID, "-1");
    CHECK_STATUS(coop_event_loop_watch(loop, 1000000, &watch, counted_watch(&p), NULL), COOP_E_OS);
    CHECK(coop_last_os_errno() != 0);
    coop_event_loop_free(loop);
    close(fds[0]);
    close(fds[1]);

    coop_event_loop_options named = {sizeof named, "a\0", 2};
    CHECK_SAYS(coop_event_loop_new(&named, &loop), COOP_E_INVALID, "NUL at byte 1");
}

static void of_runtimes_and_logs(void) {
    coop_runtime *runtime = new_runtime();
    CHECK_SAYS(coop_runtime_start(runtime, 2), COOP_E_INVALID, "start mode 2");
    CHECK_SAYS(coop_runtime_stop(runtime, INT64_MIN), COOP_E_INVALID, "timeout_ns");
    coop_runtime_free(runtime);
    coop_log_callback some = {(void (*)(void *, int32_t, const char *))abort, &p, count_drop};
    CHECK_SAYS(coop_set_log(6, some), COOP_E_INVALID, "log level 6");
    CHECK_SAYS(coop_set_log(-1, some), COOP_E_INVALID, "log level -1");
    CHECK_STATUS(coop_set_log(COOP_LOG_OFF, some), COOP_E_INVALID);
}

static void of_sockets(void) {
    coop_udp *udp = NULL;
    coop_udp_options options = {sizeof options, "localhost:1", 11, 0, 0, 0, 0, 0, 0, 0, 0};
    CHECK_SAYS(coop_udp_new(&options, &udp), COOP_E_INVALID, "\"localhost:1\"");
    options.address_length = 0;
    options.reuse_port = 3;
    CHECK_SAYS(coop_udp_new(&options, &udp), COOP_E_INVALID, "reuse_port is 3");
    options.reuse_port = 0;
    options.recv_buffer = SIZE_MAX;
    CHECK_SAYS(coop_udp_new(&options, &udp), COOP_E_INVALID, "recv_buffer");
    CHECK(udp == NULL);
    coop_address address = {5, {0}};
    CHECK_SAYS(coop_address_parse("1.2.3.4", 7, &address), COOP_E_INVALID, "1.2.3.4");
    CHECK_EQ(address.length, 5);
    char text[4];
    CHECK_SAYS(coop_address_text(&address, text, sizeof text), COOP_E_INVALID, "5 bytes");
    CHECK_OK(coop_address_parse("[::1]:80", 8, &address));
    CHECK_SAYS(coop_address_text(&address, text, sizeof text), COOP_E_INVALID, "9 are needed");
}

int main(void) {
    of_pools();
    of_loops();
    of_runtimes_and_logs();
    of_sockets();
    CHECK_EQ(runs(&p) + drops(&p), 0);
    return 0;
}
