/* NULL where it is not allowed is COOP_E_NULL, and names the parameter. */
#include "check.h"

#include <sys/socket.h>

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
    CHECK_STATUS(coop_port_context_path(NULL, NULL, 0, &count), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_write(NULL, 1, "x", 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_backlog_of(NULL, 1, &count), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_close(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_abort(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_shutdown_write(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_pause(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_resume(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_peer(NULL, 1, &address), COOP_E_NULL);
    CHECK_STATUS(coop_port_context_connections(NULL, &count), COOP_E_NULL);
    CHECK_STATUS(coop_port_set_path(NULL, "A", 1, NULL, 0, &count), COOP_E_NULL);
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

static void never_io(void *arg, const coop_error *error, size_t count) { FAIL("told %p %p %zu", arg, (const void *)error, count); }
static void never_stream(void *arg, const coop_error *error, coop_stream *s) { FAIL("told %p %p %p", arg, (const void *)error, (void *)s); }
static void never_signal(void *arg, int32_t signum, uint64_t times) { FAIL("told %p %d %d", arg, (int)signum, (int)times); }
static void never_found(void *arg, const coop_error *error, const coop_address *at, size_t count) {
    FAIL("told %p %p %p %zu", arg, (const void *)error, (const void *)at, count);
}
static void never_child(void *arg, const coop_error *error, const coop_exit_status *status) {
    FAIL("told %p %p %p", arg, (const void *)error, (const void *)status);
}

/* Streams, listeners and what else a loop waits for. */
static void null_sources(void) {
    probe p = {0, 0};
    coop_event_loop *loop = new_loop();
    coop_event *event = NULL;
    coop_stream *stream = NULL;
    coop_listener *listener = NULL;
    coop_address address;
    char byte = 0;
    size_t count = 77;
    int32_t fd = 77;
    uint64_t id = 77;
    coop_io_callback io = {never_io, &p, count_drop}, no_io = {NULL, &p, count_drop};
    coop_stream_callback opens = {never_stream, &p, count_drop}, no_opens = {NULL, &p, count_drop};
    coop_event_callback signalled = {count_run, &p, count_drop}, no_signalled = {NULL, &p, count_drop};
    coop_signal_callback told = {never_signal, &p, count_drop}, no_told = {NULL, &p, count_drop};
    coop_resolve_callback found = {never_found, &p, count_drop}, no_found = {NULL, &p, count_drop};
    coop_child_callback gone = {never_child, &p, count_drop}, no_gone = {NULL, &p, count_drop};
    coop_slow_callback no_slow = {NULL, NULL, NULL};
    coop_lag_callback no_lag = {NULL, NULL, NULL};
    coop_event_loop_statistics stats = {.size = sizeof stats};
    coop_listener_options here = {.size = sizeof here, .address = "127.0.0.1:0", .address_length = 11};

    CHECK_SAYS(coop_event_new(NULL, NULL), COOP_E_NULL, "out");
    coop_event_free(NULL);
    CHECK_SAYS(coop_event_signal(NULL), COOP_E_NULL, "event must not be NULL");
    CHECK_STATUS(coop_event_reset(NULL), COOP_E_NULL);
    CHECK(!coop_event_is_signaled(NULL));
    CHECK_EQ(coop_event_fd(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_event_watch(NULL, loop, NULL, signalled, &id), COOP_E_NULL);
    CHECK_OK(coop_event_new(NULL, &event));
    CHECK_SAYS(coop_event_watch(event, NULL, NULL, signalled, &id), COOP_E_NULL, "event_loop");
    CHECK_SAYS(coop_event_watch(event, loop, NULL, no_signalled, &id), COOP_E_NULL, "callback.fn");
    coop_event_free(event);

    CHECK_STATUS(coop_event_loop_signal(NULL, 1, NULL, told, &id), COOP_E_NULL);
    CHECK_SAYS(coop_event_loop_signal(loop, 1, NULL, no_told, &id), COOP_E_NULL, "callback.fn");
    CHECK_STATUS(coop_signal_cancel(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_child(NULL, 1, NULL, gone, &id), COOP_E_NULL);
    CHECK_SAYS(coop_event_loop_child(loop, 1, NULL, no_gone, &id), COOP_E_NULL, "callback.fn");
    CHECK_STATUS(coop_child_cancel(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_stats(NULL, &stats), COOP_E_NULL);
    CHECK_SAYS(coop_event_loop_stats(loop, NULL), COOP_E_NULL, "out");
    CHECK_STATUS(coop_event_loop_set_slow_hook(NULL, 1, no_slow), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_set_lag_hook(NULL, 1, no_lag), COOP_E_NULL);
    CHECK_STATUS(coop_event_loop_timer_local(NULL, NULL, counted_timer(&p), &id), COOP_E_NULL);
    CHECK_STATUS(coop_timer_cancel_local(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_timer_ref(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_timer_unref(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_io_watch_ref(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_io_watch_unref(NULL, 1), COOP_E_NULL);
    CHECK_STATUS(coop_io_watch_set_interest(NULL, 1, COOP_IO_READ), COOP_E_NULL);
    CHECK_STATUS(coop_udp_receive_times(NULL, NULL, 0), COOP_E_NULL);

    CHECK_STATUS(coop_event_loop_connect(NULL, NULL, "::1", 3, 1, opens), COOP_E_NULL);
    CHECK_SAYS(coop_event_loop_connect(loop, NULL, NULL, 3, 1, opens), COOP_E_NULL, "host");
    CHECK_SAYS(coop_event_loop_connect(loop, NULL, "::1", 3, 1, no_opens), COOP_E_NULL, "callback.fn");
    CHECK_STATUS(coop_event_loop_connect_unix(NULL, NULL, "/x", 2, opens), COOP_E_NULL);
    CHECK_SAYS(coop_event_loop_connect_unix(loop, NULL, NULL, 2, opens), COOP_E_NULL, "path");
    CHECK_SAYS(coop_event_loop_connect_unix(loop, NULL, "/x", 2, no_opens), COOP_E_NULL, "callback.fn");
    CHECK_STATUS(coop_event_loop_resolve(NULL, NULL, "::1", 3, 1, found), COOP_E_NULL);
    CHECK_SAYS(coop_event_loop_resolve(loop, NULL, NULL, 3, 1, found), COOP_E_NULL, "host");
    CHECK_SAYS(coop_event_loop_resolve(loop, NULL, "::1", 3, 1, no_found), COOP_E_NULL, "callback.fn");
    CHECK_STATUS(coop_listener_new(NULL, &here, opens, &listener), COOP_E_NULL);
    CHECK_SAYS(coop_listener_new(loop, &here, opens, NULL), COOP_E_NULL, "out");
    coop_listener_free(NULL);
    CHECK_SAYS(coop_listener_accept(NULL, opens), COOP_E_NULL, "listener must not be NULL");
    CHECK_STATUS(coop_listener_cancel(NULL), COOP_E_NULL);
    CHECK_STATUS(coop_listener_address(NULL, &address), COOP_E_NULL);
    CHECK_EQ(coop_listener_fd(NULL), COOP_E_NULL);
    CHECK_OK(coop_listener_new(loop, &here, no_opens, &listener));
    CHECK_SAYS(coop_listener_accept(listener, no_opens), COOP_E_NULL, "callback.fn");
    CHECK_SAYS(coop_listener_address(listener, NULL), COOP_E_NULL, "out");
    coop_listener_free(listener);

    CHECK_STATUS(coop_stream_new(NULL, NULL, 0, &stream), COOP_E_NULL);
    CHECK_SAYS(coop_stream_new(loop, NULL, 0, NULL), COOP_E_NULL, "out");
    coop_stream_free(NULL);
    for (int there = 0; there < 2; there++) {
        int pair[2];
        if (there) {
            CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
            CHECK_OK(coop_stream_new(loop, NULL, pair[0], &stream));
        }
        coop_stream *s = stream; /* NULL at first, then with arguments that are */
        void *room = there ? NULL : &byte;
        CHECK_STATUS(coop_stream_read(s, room, 1, io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_read_exactly(s, room, 1, io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_write(s, room, 1, io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_read(s, &byte, 1, there ? no_io : io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_write(s, &byte, 1, there ? no_io : io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_try_read(s, room, 1, &count), COOP_E_NULL);
        CHECK_STATUS(coop_stream_try_read(s, &byte, 1, there ? NULL : &count), COOP_E_NULL);
        CHECK_STATUS(coop_stream_try_write(s, room, 1, &count), COOP_E_NULL);
        CHECK_STATUS(coop_stream_try_write(s, &byte, 1, there ? NULL : &count), COOP_E_NULL);
        CHECK_STATUS(coop_stream_local_address(s, there ? NULL : &address), COOP_E_NULL);
        CHECK_STATUS(coop_stream_peer_address(s, there ? NULL : &address), COOP_E_NULL);
        CHECK_STATUS(coop_stream_send_descriptors(s, &byte, 1, there ? NULL : &fd, 1, io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_receive_descriptors(s, &byte, 1, there ? NULL : &fd, 1, &count, io), COOP_E_NULL);
        CHECK_STATUS(coop_stream_receive_descriptors(s, &byte, 1, &fd, 1, there ? NULL : &count, io), COOP_E_NULL);
        if (there) close(pair[1]);
        else {
            CHECK_SAYS(coop_stream_cancel(s, COOP_IO_READ), COOP_E_NULL, "stream must not be NULL");
            CHECK_STATUS(coop_stream_shutdown(s), COOP_E_NULL);
            CHECK_STATUS(coop_stream_set_nodelay(s, 1), COOP_E_NULL);
            CHECK_STATUS(coop_stream_set_keepalive(s, 0), COOP_E_NULL);
            CHECK_STATUS(coop_stream_set_linger(s, 0), COOP_E_NULL);
            CHECK_EQ(coop_stream_fd(s), COOP_E_NULL);
        }
    }
    coop_stream_free(stream);

    coop_event_loop_free(loop);
    CHECK_EQ(runs(&p) + drops(&p), 0);
    CHECK(count == 77 && fd == 77 && id == 77);
}

int main(void) {
    null_objects();
    null_sources();
    null_arguments();
    return 0;
}
