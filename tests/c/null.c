/* NULL where it is not allowed is COOP_E_NULL, and names the parameter. */
#include "check.h"

static const coop_callback none = {NULL, NULL, NULL};

static void no_piece(void *arg, size_t begin, size_t end) { FAIL("ran %zu to %zu of %p", begin, end, arg); }

static void null_objects(void) {
    probe p = {0, 0};
    coop_address address = {0, {0}};
    coop_datagram datagram;
    size_t count = 77;
    int32_t cpu = 77;
    coop_task_id id = 77;

    CHECK_SAYS(coop_pool_new(NULL, NULL), COOP_E_NULL, "out must not be NULL");
    coop_pool_free(NULL);
    CHECK_SAYS(coop_pool_submit(NULL, NULL, counted(&p)), COOP_E_NULL, "pool must not be NULL");
    CHECK_STATUS(coop_pool_workers(NULL, &count), COOP_E_NULL);
    CHECK_STATUS(coop_pool_worker_cpu(NULL, 0, &cpu), COOP_E_NULL);
    CHECK(!coop_pool_is_worker_thread(NULL));
    CHECK_STATUS(coop_pool_close(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_pool_shutdown(NULL, COOP_SHUTDOWN_DRAIN, 0), COOP_E_NULL);
    CHECK_STATUS(coop_pool_join(NULL, 0), COOP_E_NULL);
    CHECK_STATUS(coop_pool_submit_batch(NULL, NULL, &none, 1, &count), COOP_E_NULL);
    CHECK_STATUS(coop_pool_submit_task(NULL, NULL, counted(&p), &id), COOP_E_NULL);
    CHECK_STATUS(coop_task_join(NULL, 1, 0), COOP_E_NULL);
    CHECK_STATUS(coop_task_cancel(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_task_release(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_pool_stats(NULL, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_pool_worker_stats(NULL, 0, NULL), COOP_E_NULL);
    CHECK(!coop_pool_may_run_here(NULL, NULL));
    CHECK_STATUS(coop_pool_parallel_for(NULL, NULL, 0, 1, 0, no_piece, NULL), COOP_E_NULL);

    CHECK_STATUS(coop_event_loop_new(NULL, NULL), COOP_E_NULL);
    coop_event_loop_free(NULL);
    CHECK_SAYS(coop_event_loop_post(NULL, counted(&p)), COOP_E_NULL, "event_loop must not be NULL");
    CHECK_STATUS(coop_event_loop_post_and_wait(NULL, counted(&p), 0), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_timer(NULL, NULL, counted_timer(&p), NULL), COOP_E_NULL);
    CHECK_STATUS(coop_timer_cancel(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_watch(NULL, 0, NULL, counted_watch(&p), NULL), COOP_E_NULL);
    CHECK_STATUS(coop_io_watch_cancel(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_run(NULL, COOP_RUN_NOWAIT), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_start(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_stop(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_interrupt(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_join(NULL, 0), COOP_E_NULL);
    CHECK(!coop_event_loop_is_loop_thread(NULL));

    CHECK_SAYS(coop_port_set_new(NULL, NULL, 0, NULL), COOP_E_NULL, "out must not be NULL");
    coop_port_set_free(NULL);
    CHECK_STATUS(coop_port_set_start(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_stop(NULL, 0), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_join(NULL, 0), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_address(NULL, "A", 1, &address), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_stats(NULL, "A", 1, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_send(NULL, NULL, 0, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_set_timer(NULL, 0, 0, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_cancel_timer(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_stop(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_send_message(NULL, "A", 1, NULL, 0), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_name(NULL, NULL, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_address(NULL, &address), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_backlog(NULL, &count), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_send_message(NULL, "A", 1, NULL, 0), COOP_E_NULL);
    CHECK_SAYS(coop_port_handler_load(NULL, 0, NULL, 0, NULL), COOP_E_NULL, "out must not be NULL");
    CHECK_STATUS(coop_event_loop_backend_fd(NULL, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_backend_timeout(NULL, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_now(NULL, NULL), COOP_E_NULL);

    CHECK_STATUS(coop_runtime_new(NULL, NULL), COOP_E_NULL);
    coop_runtime_free(NULL);
    CHECK_STATUS(coop_runtime_start(NULL, COOP_START_RETURN), COOP_E_NULL);
    CHECK_STATUS(coop_runtime_stop(NULL, 0), COOP_E_NULL);
    CHECK(coop_runtime_pool(NULL) == NULL && coop_runtime_event_loop(NULL) == NULL);

    CHECK_STATUS(coop_udp_new(NULL, NULL), COOP_E_NULL);
    coop_udp_free(NULL);
    CHECK_STATUS(coop_udp_connect(NULL, &address), COOP_E_NULL);
    CHECK_STATUS(coop_udp_local_address(NULL, &address), COOP_E_NULL);
    CHECK_EQ(coop_udp_fd(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_udp_receive(NULL, &datagram, 1, &count), COOP_E_NULL);
    CHECK_STATUS(coop_udp_send(NULL, &datagram, 0, &count, NULL), COOP_E_NULL);

    CHECK_EQ(runs(&p) + drops(&p), 0);
    CHECK(count == 77 && cpu == 77 && id == 77);
}

static void null_arguments(void) {
    coop_pool *pool = new_pool(1);
    coop_event_loop *loop = new_loop();
    coop_udp *udp = NULL;
    coop_address address;
    coop_datagram datagram = {NULL, 3, {0, {0}}, 0, 0};
    coop_submit_options on_cpus = {.size = sizeof on_cpus, .cpus = {NULL, 1}};
    coop_pool_options named = {.size = sizeof named, .name_length = 4};
    coop_timer_callback no_timer = {NULL, NULL, NULL};
    coop_io_watch_callback no_watch = {NULL, NULL, NULL};
    coop_log_callback no_log = {NULL, NULL, NULL};
    coop_pool *other = NULL;
    probe p = {0, 0};
    size_t count = 0;
    coop_task_id id = 0;
    char text[COOP_ADDRESS_TEXT];

    CHECK_SAYS(coop_pool_submit(pool, NULL, none), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_pool_submit(pool, &on_cpus, counted(&p)), COOP_E_NULL, "cpus.words");
    CHECK_SAYS(coop_pool_new(&named, &other), COOP_E_NULL, "coop_pool_options.name");
    CHECK(other == NULL);
    CHECK_STATUS(coop_pool_workers(pool, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_pool_worker_cpu(pool, 0, NULL), COOP_E_NULL);
    coop_callback two[2] = {counted(&p), none};
    CHECK_SAYS(coop_pool_submit_task(pool, NULL, none, &id), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_pool_submit_task(pool, NULL, counted(&p), NULL), COOP_E_NULL, "id");
    CHECK_SAYS(coop_pool_submit_batch(pool, NULL, NULL, 2, &count), COOP_E_NULL, "tasks");
    CHECK_SAYS(coop_pool_submit_batch(pool, NULL, two, 2, NULL), COOP_E_NULL, "accepted");
    CHECK_SAYS(coop_pool_submit_batch(pool, NULL, two, 2, &count), COOP_E_NULL, "tasks[1].fn");
    CHECK_SAYS(coop_pool_stats(pool, NULL), COOP_E_NULL, "out");
    CHECK_SAYS(coop_pool_parallel_for(pool, NULL, 0, 1, 0, NULL, NULL), COOP_E_NULL, "run");
    CHECK_SAYS(coop_pool_worker_stats(pool, 0, NULL), COOP_E_NULL, "out");

    CHECK_SAYS(coop_event_loop_post(loop, none), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_event_loop_post_and_wait(loop, none, 0), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_event_loop_timer(loop, NULL, no_timer, NULL), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_event_loop_watch(loop, 0, NULL, no_watch, NULL), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_set_log(COOP_LOG_ERROR, no_log), COOP_E_NULL, "callback.fn");

    CHECK_OK(coop_udp_new(NULL, &udp));
    CHECK_SAYS(coop_udp_connect(udp, NULL), COOP_E_NULL, "peer");
    CHECK_STATUS(coop_udp_local_address(udp, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_udp_receive(udp, NULL, 1, &count), COOP_E_NULL);
    CHECK_STATUS(coop_udp_receive(udp, &datagram, 1, NULL), COOP_E_NULL);
    CHECK_SAYS(coop_udp_send(udp, NULL, 1, &count, NULL), COOP_E_NULL, "datagrams");
    CHECK_SAYS(coop_udp_send(udp, &datagram, 1, &count, NULL), COOP_E_NULL, "datagram.data");
    CHECK_STATUS(coop_udp_send(udp, &datagram, 1, NULL, NULL), COOP_E_NULL);
    CHECK_OK(coop_udp_local_address(udp, &address));

    CHECK_STATUS(coop_address_parse(NULL, 0, &address), COOP_E_NULL);
    CHECK_STATUS(coop_address_parse(NULL, 9, &address), COOP_E_NULL);
    CHECK_STATUS(coop_address_parse("127.0.0.1:1", 11, NULL), COOP_E_NULL);
    CHECK_STATUS(coop_address_text(NULL, text, sizeof text), COOP_E_NULL);
    CHECK_STATUS(coop_address_text(&address, NULL, sizeof text), COOP_E_NULL);

    coop_udp_free(udp);
    coop_event_loop_free(loop);
    coop_pool_free(pool);
    CHECK_EQ(runs(&p) + drops(&p), 0);
}

int main(void) {
    null_objects();
    null_arguments();
    return 0;
}
