//! Made by .ci/api of the functions that ffi/ exports: run `.ci/api --write` after a change of them. Its order is ABI: what is new
//! comes at the end.

#![allow(unused_imports, reason = "every module of the crate: which of them have a type for a parameter changes")]

use std::ffi::{c_char, c_void};

use crate::{
    address::*, api::*, async_signal::*, child::*, child_info::*, command::*, connect::*, cpu_set::*, dag::*,
    dag_builder::*, dag_call::*, dag_completer::*, dag_node::*, dag_outcome::*, dag_run::*, dag_trace::*, dag_value::*,
    error::*, event::*, event_loop::*, host::*, io_watch::*, listener::*, log::*, loop_stats::*, native::*,
    observer::*, parallel_for::*, parent_observer::*, pool::*, pool_stats::*, port::*, port_connection::*,
    port_context::*, port_handler::*, port_place::*, port_process::*, port_set::*, redis::*, redis_call::*,
    redis_options::*, redis_reply::*, redis_stats::*, redis_subscriber::*, runtime::*, service::*, service_context::*,
    service_event::*, signal::*, source::*, status::*, stream::*, stream_io::*, stream_settings::*, stream_transfer::*,
    supervisor::*, supervisor_options::*, systemd::*, task::*, timer::*, udp::*, version::*, worker::*, *,
};

/// The functions of one copy of the library, for code that is not linked with it: native handlers of ports. Each field is the
/// function of that name with coop_ before it.
///
/// New functions come at the end, and the struct grows: a field is there if it ends within size. Until 1.0, tables of another
/// minor version may differ in everything but the first three fields.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct coop_api {
    /// The bytes of the library's table. Greater than or equal to sizeof(coop_api): every field of this header is there.
    pub size: usize,
    /// The library's COOP_VERSION_MAJOR.
    pub major: i32,
    /// The library's COOP_VERSION_MINOR.
    pub minor: i32,
    /// coop_address_parse.
    pub address_parse:
        unsafe extern "C" fn(text: *const c_char, text_length: usize, out: *mut coop_address) -> coop_status,
    /// coop_address_text.
    pub address_text:
        unsafe extern "C" fn(address: *const coop_address, buffer: *mut c_char, capacity: usize) -> coop_status,
    /// coop_event_loop_backend_fd.
    pub event_loop_backend_fd: unsafe extern "C" fn(event_loop: *mut coop_event_loop, out: *mut i32) -> coop_status,
    /// coop_event_loop_backend_timeout.
    pub event_loop_backend_timeout:
        unsafe extern "C" fn(event_loop: *const coop_event_loop, out_ns: *mut i64) -> coop_status,
    /// coop_event_loop_free.
    pub event_loop_free: unsafe extern "C" fn(event_loop: *mut coop_event_loop),
    /// coop_event_loop_interrupt.
    pub event_loop_interrupt: unsafe extern "C" fn(event_loop: *mut coop_event_loop) -> coop_status,
    /// coop_event_loop_is_loop_thread.
    pub event_loop_is_loop_thread: unsafe extern "C" fn(event_loop: *const coop_event_loop) -> bool,
    /// coop_event_loop_join.
    pub event_loop_join: unsafe extern "C" fn(event_loop: *mut coop_event_loop, timeout_ns: i64) -> coop_status,
    /// coop_event_loop_new.
    pub event_loop_new:
        unsafe extern "C" fn(options: *const coop_event_loop_options, out: *mut *mut coop_event_loop) -> coop_status,
    /// coop_event_loop_now.
    pub event_loop_now: unsafe extern "C" fn(event_loop: *const coop_event_loop, out_ns: *mut i64) -> coop_status,
    /// coop_event_loop_post.
    pub event_loop_post: unsafe extern "C" fn(event_loop: *mut coop_event_loop, callback: coop_callback) -> coop_status,
    /// coop_event_loop_run.
    pub event_loop_run: unsafe extern "C" fn(event_loop: *mut coop_event_loop, mode: i32) -> coop_status,
    /// coop_event_loop_start.
    pub event_loop_start: unsafe extern "C" fn(event_loop: *mut coop_event_loop) -> coop_status,
    /// coop_event_loop_stop.
    pub event_loop_stop: unsafe extern "C" fn(event_loop: *mut coop_event_loop) -> coop_status,
    /// coop_event_loop_timer.
    pub event_loop_timer: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_timer_options,
        callback: coop_timer_callback,
        id: *mut coop_timer_id,
    ) -> coop_status,
    /// coop_event_loop_watch.
    pub event_loop_watch: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        fd: i32,
        options: *const coop_io_watch_options,
        callback: coop_io_watch_callback,
        id: *mut coop_io_watch_id,
    ) -> coop_status,
    /// coop_io_watch_cancel.
    pub io_watch_cancel: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_io_watch_id) -> coop_status,
    /// coop_last_error.
    pub last_error: unsafe extern "C" fn() -> *const c_char,
    /// coop_last_os_errno.
    pub last_os_errno: unsafe extern "C" fn() -> i32,
    /// coop_pool_close.
    pub pool_close: unsafe extern "C" fn(pool: *mut coop_pool) -> coop_status,
    /// coop_pool_free.
    pub pool_free: unsafe extern "C" fn(pool: *mut coop_pool),
    /// coop_pool_is_worker_thread.
    pub pool_is_worker_thread: unsafe extern "C" fn(pool: *const coop_pool) -> bool,
    /// coop_pool_join.
    pub pool_join: unsafe extern "C" fn(pool: *mut coop_pool, timeout_ns: i64) -> coop_status,
    /// coop_pool_new.
    pub pool_new: unsafe extern "C" fn(options: *const coop_pool_options, out: *mut *mut coop_pool) -> coop_status,
    /// coop_pool_shutdown.
    pub pool_shutdown: unsafe extern "C" fn(pool: *mut coop_pool, mode: i32, timeout_ns: i64) -> coop_status,
    /// coop_pool_submit.
    pub pool_submit: unsafe extern "C" fn(
        pool: *mut coop_pool,
        options: *const coop_submit_options,
        task: coop_callback,
    ) -> coop_status,
    /// coop_pool_worker_cpu.
    pub pool_worker_cpu: unsafe extern "C" fn(pool: *const coop_pool, index: usize, out: *mut i32) -> coop_status,
    /// coop_pool_workers.
    pub pool_workers: unsafe extern "C" fn(pool: *const coop_pool, out: *mut usize) -> coop_status,
    /// coop_port_context_address.
    pub port_context_address:
        unsafe extern "C" fn(context: *const coop_port_context, out: *mut coop_address) -> coop_status,
    /// coop_port_context_backlog.
    pub port_context_backlog: unsafe extern "C" fn(context: *const coop_port_context, out: *mut usize) -> coop_status,
    /// coop_port_context_cancel_timer.
    pub port_context_cancel_timer:
        unsafe extern "C" fn(context: *mut coop_port_context, timer: coop_timer_id) -> coop_status,
    /// coop_port_context_name.
    pub port_context_name: unsafe extern "C" fn(
        context: *const coop_port_context,
        name: *mut *const c_char,
        length: *mut usize,
    ) -> coop_status,
    /// coop_port_context_send.
    pub port_context_send: unsafe extern "C" fn(
        context: *mut coop_port_context,
        datagrams: *const coop_datagram,
        count: usize,
        sent: *mut usize,
    ) -> coop_status,
    /// coop_port_context_send_message.
    pub port_context_send_message: unsafe extern "C" fn(
        context: *mut coop_port_context,
        port: *const c_char,
        port_length: usize,
        data: *const c_void,
        length: usize,
    ) -> coop_status,
    /// coop_port_context_set_timer.
    pub port_context_set_timer: unsafe extern "C" fn(
        context: *mut coop_port_context,
        after_ns: i64,
        every_ns: i64,
        out: *mut coop_timer_id,
    ) -> coop_status,
    /// coop_port_context_stop.
    pub port_context_stop: unsafe extern "C" fn(context: *mut coop_port_context) -> coop_status,
    /// coop_port_handler_load.
    pub port_handler_load: unsafe extern "C" fn(
        name: *const c_char,
        name_length: usize,
        args: *const c_void,
        length: usize,
        out: *mut coop_port_handler,
    ) -> coop_status,
    /// coop_port_set_address.
    pub port_set_address: unsafe extern "C" fn(
        set: *const coop_port_set,
        name: *const c_char,
        name_length: usize,
        out: *mut coop_address,
    ) -> coop_status,
    /// coop_port_set_free.
    pub port_set_free: unsafe extern "C" fn(set: *mut coop_port_set),
    /// coop_port_set_join.
    pub port_set_join: unsafe extern "C" fn(set: *mut coop_port_set, timeout_ns: i64) -> coop_status,
    /// coop_port_set_new.
    pub port_set_new: unsafe extern "C" fn(
        options: *const coop_port_set_options,
        ports: *const coop_port,
        count: usize,
        out: *mut *mut coop_port_set,
    ) -> coop_status,
    /// coop_port_set_send_message.
    pub port_set_send_message: unsafe extern "C" fn(
        set: *mut coop_port_set,
        port: *const c_char,
        port_length: usize,
        data: *const c_void,
        length: usize,
    ) -> coop_status,
    /// coop_port_set_start.
    pub port_set_start: unsafe extern "C" fn(set: *mut coop_port_set) -> coop_status,
    /// coop_port_set_stats.
    pub port_set_stats: unsafe extern "C" fn(
        set: *const coop_port_set,
        name: *const c_char,
        name_length: usize,
        out: *mut coop_port_stats,
    ) -> coop_status,
    /// coop_port_set_stop.
    pub port_set_stop: unsafe extern "C" fn(set: *mut coop_port_set, timeout_ns: i64) -> coop_status,
    /// coop_runtime_event_loop.
    pub runtime_event_loop: unsafe extern "C" fn(runtime: *mut coop_runtime) -> *mut coop_event_loop,
    /// coop_runtime_free.
    pub runtime_free: unsafe extern "C" fn(runtime: *mut coop_runtime),
    /// coop_runtime_new.
    pub runtime_new:
        unsafe extern "C" fn(options: *const coop_runtime_options, out: *mut *mut coop_runtime) -> coop_status,
    /// coop_runtime_pool.
    pub runtime_pool: unsafe extern "C" fn(runtime: *mut coop_runtime) -> *mut coop_pool,
    /// coop_runtime_start.
    pub runtime_start: unsafe extern "C" fn(runtime: *mut coop_runtime, mode: i32) -> coop_status,
    /// coop_runtime_stop.
    pub runtime_stop: unsafe extern "C" fn(runtime: *mut coop_runtime, timeout_ns: i64) -> coop_status,
    /// coop_set_log.
    pub set_log: unsafe extern "C" fn(level: i32, callback: coop_log_callback) -> coop_status,
    /// coop_status_str.
    pub status_str: unsafe extern "C" fn(status: coop_status) -> *const c_char,
    /// coop_timer_cancel.
    pub timer_cancel: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status,
    /// coop_udp_connect.
    pub udp_connect: unsafe extern "C" fn(udp: *mut coop_udp, peer: *const coop_address) -> coop_status,
    /// coop_udp_fd.
    pub udp_fd: unsafe extern "C" fn(udp: *const coop_udp) -> i32,
    /// coop_udp_free.
    pub udp_free: unsafe extern "C" fn(udp: *mut coop_udp),
    /// coop_udp_local_address.
    pub udp_local_address: unsafe extern "C" fn(udp: *const coop_udp, out: *mut coop_address) -> coop_status,
    /// coop_udp_new.
    pub udp_new: unsafe extern "C" fn(options: *const coop_udp_options, out: *mut *mut coop_udp) -> coop_status,
    /// coop_udp_receive.
    pub udp_receive: unsafe extern "C" fn(
        udp: *mut coop_udp,
        out: *mut coop_datagram,
        capacity: usize,
        count: *mut usize,
    ) -> coop_status,
    /// coop_udp_send.
    pub udp_send: unsafe extern "C" fn(
        udp: *mut coop_udp,
        datagrams: *const coop_datagram,
        count: usize,
        sent: *mut usize,
        refused: *mut usize,
    ) -> coop_status,
    /// coop_version.
    pub version: unsafe extern "C" fn() -> *const c_char,
    /// coop_pool_may_run_here.
    pub pool_may_run_here: unsafe extern "C" fn(pool: *const coop_pool, options: *const coop_submit_options) -> bool,
    /// coop_pool_parallel_for.
    pub pool_parallel_for: unsafe extern "C" fn(
        pool: *mut coop_pool,
        options: *const coop_submit_options,
        begin: usize,
        end: usize,
        grain: usize,
        run: coop_range_fn,
        arg: *mut c_void,
    ) -> coop_status,
    /// coop_pool_stats.
    pub pool_stats: unsafe extern "C" fn(pool: *const coop_pool, out: *mut coop_pool_statistics) -> coop_status,
    /// coop_pool_submit_batch.
    pub pool_submit_batch: unsafe extern "C" fn(
        pool: *mut coop_pool,
        options: *const coop_submit_options,
        tasks: *const coop_callback,
        count: usize,
        accepted: *mut usize,
    ) -> coop_status,
    /// coop_pool_submit_task.
    pub pool_submit_task: unsafe extern "C" fn(
        pool: *mut coop_pool,
        options: *const coop_submit_options,
        task: coop_callback,
        id: *mut coop_task_id,
    ) -> coop_status,
    /// coop_pool_worker_stats.
    pub pool_worker_stats:
        unsafe extern "C" fn(pool: *const coop_pool, index: usize, out: *mut coop_worker_statistics) -> coop_status,
    /// coop_task_cancel.
    pub task_cancel: unsafe extern "C" fn(pool: *mut coop_pool, id: coop_task_id) -> coop_status,
    /// coop_task_join.
    pub task_join: unsafe extern "C" fn(pool: *mut coop_pool, id: coop_task_id, timeout_ns: i64) -> coop_status,
    /// coop_task_release.
    pub task_release: unsafe extern "C" fn(pool: *mut coop_pool, id: coop_task_id) -> coop_status,
    /// coop_version_check.
    pub version_check: unsafe extern "C" fn(major: i32, minor: i32) -> coop_status,
    /// coop_event_loop_set_lag_hook.
    pub event_loop_set_lag_hook: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        threshold_ns: i64,
        callback: coop_lag_callback,
    ) -> coop_status,
    /// coop_event_loop_set_slow_hook.
    pub event_loop_set_slow_hook: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        threshold_ns: i64,
        callback: coop_slow_callback,
    ) -> coop_status,
    /// coop_event_loop_stats.
    pub event_loop_stats:
        unsafe extern "C" fn(event_loop: *const coop_event_loop, out: *mut coop_event_loop_statistics) -> coop_status,
    /// coop_event_loop_timer_local.
    pub event_loop_timer_local: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_timer_options,
        callback: coop_timer_callback,
        id: *mut coop_timer_id,
    ) -> coop_status,
    /// coop_io_watch_ref.
    pub io_watch_ref: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_io_watch_id) -> coop_status,
    /// coop_io_watch_unref.
    pub io_watch_unref: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_io_watch_id) -> coop_status,
    /// coop_timer_cancel_local.
    pub timer_cancel_local: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status,
    /// coop_timer_ref.
    pub timer_ref: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status,
    /// coop_timer_unref.
    pub timer_unref: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_timer_id) -> coop_status,
    /// coop_event_loop_connect.
    pub event_loop_connect: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_connect_options,
        host: *const c_char,
        host_length: usize,
        port: u16,
        callback: coop_stream_callback,
    ) -> coop_status,
    /// coop_event_loop_connect_unix.
    pub event_loop_connect_unix: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_connect_options,
        path: *const c_char,
        path_length: usize,
        callback: coop_stream_callback,
    ) -> coop_status,
    /// coop_event_loop_resolve.
    pub event_loop_resolve: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_source_options,
        host: *const c_char,
        host_length: usize,
        port: u16,
        callback: coop_resolve_callback,
    ) -> coop_status,
    /// coop_listener_accept.
    pub listener_accept:
        unsafe extern "C" fn(listener: *mut coop_listener, callback: coop_stream_callback) -> coop_status,
    /// coop_listener_address.
    pub listener_address: unsafe extern "C" fn(listener: *const coop_listener, out: *mut coop_address) -> coop_status,
    /// coop_listener_cancel.
    pub listener_cancel: unsafe extern "C" fn(listener: *mut coop_listener) -> coop_status,
    /// coop_listener_fd.
    pub listener_fd: unsafe extern "C" fn(listener: *const coop_listener) -> i32,
    /// coop_listener_free.
    pub listener_free: unsafe extern "C" fn(listener: *mut coop_listener),
    /// coop_listener_new.
    pub listener_new: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_listener_options,
        callback: coop_stream_callback,
        out: *mut *mut coop_listener,
    ) -> coop_status,
    /// coop_stream_cancel.
    pub stream_cancel: unsafe extern "C" fn(stream: *mut coop_stream, which: u32) -> coop_status,
    /// coop_stream_fd.
    pub stream_fd: unsafe extern "C" fn(stream: *const coop_stream) -> i32,
    /// coop_stream_free.
    pub stream_free: unsafe extern "C" fn(stream: *mut coop_stream),
    /// coop_stream_local_address.
    pub stream_local_address: unsafe extern "C" fn(stream: *const coop_stream, out: *mut coop_address) -> coop_status,
    /// coop_stream_new.
    pub stream_new: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_stream_options,
        fd: i32,
        out: *mut *mut coop_stream,
    ) -> coop_status,
    /// coop_stream_peer_address.
    pub stream_peer_address: unsafe extern "C" fn(stream: *const coop_stream, out: *mut coop_address) -> coop_status,
    /// coop_stream_read.
    pub stream_read: unsafe extern "C" fn(
        stream: *mut coop_stream,
        buffer: *mut c_void,
        length: usize,
        callback: coop_io_callback,
    ) -> coop_status,
    /// coop_stream_read_exactly.
    pub stream_read_exactly: unsafe extern "C" fn(
        stream: *mut coop_stream,
        buffer: *mut c_void,
        length: usize,
        callback: coop_io_callback,
    ) -> coop_status,
    /// coop_stream_set_keepalive.
    pub stream_set_keepalive: unsafe extern "C" fn(stream: *mut coop_stream, idle_ns: i64) -> coop_status,
    /// coop_stream_set_linger.
    pub stream_set_linger: unsafe extern "C" fn(stream: *mut coop_stream, linger_ns: i64) -> coop_status,
    /// coop_stream_set_nodelay.
    pub stream_set_nodelay: unsafe extern "C" fn(stream: *mut coop_stream, nodelay: i32) -> coop_status,
    /// coop_stream_shutdown.
    pub stream_shutdown: unsafe extern "C" fn(stream: *mut coop_stream) -> coop_status,
    /// coop_stream_try_read.
    pub stream_try_read: unsafe extern "C" fn(
        stream: *mut coop_stream,
        buffer: *mut c_void,
        length: usize,
        count: *mut usize,
    ) -> coop_status,
    /// coop_stream_try_write.
    pub stream_try_write: unsafe extern "C" fn(
        stream: *mut coop_stream,
        data: *const c_void,
        length: usize,
        count: *mut usize,
    ) -> coop_status,
    /// coop_stream_write.
    pub stream_write: unsafe extern "C" fn(
        stream: *mut coop_stream,
        data: *const c_void,
        length: usize,
        callback: coop_io_callback,
    ) -> coop_status,
    /// coop_child_cancel.
    pub child_cancel: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_child_id) -> coop_status,
    /// coop_event_fd.
    pub event_fd: unsafe extern "C" fn(event: *const coop_event) -> i32,
    /// coop_event_free.
    pub event_free: unsafe extern "C" fn(event: *mut coop_event),
    /// coop_event_is_signaled.
    pub event_is_signaled: unsafe extern "C" fn(event: *const coop_event) -> bool,
    /// coop_event_loop_child.
    pub event_loop_child: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        pid: i32,
        options: *const coop_source_options,
        callback: coop_child_callback,
        id: *mut coop_child_id,
    ) -> coop_status,
    /// coop_event_loop_signal.
    pub event_loop_signal: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        signum: i32,
        options: *const coop_source_options,
        callback: coop_signal_callback,
        id: *mut coop_signal_id,
    ) -> coop_status,
    /// coop_event_new.
    pub event_new: unsafe extern "C" fn(options: *const coop_event_options, out: *mut *mut coop_event) -> coop_status,
    /// coop_event_reset.
    pub event_reset: unsafe extern "C" fn(event: *mut coop_event) -> coop_status,
    /// coop_event_signal.
    pub event_signal: unsafe extern "C" fn(event: *mut coop_event) -> coop_status,
    /// coop_event_watch.
    pub event_watch: unsafe extern "C" fn(
        event: *mut coop_event,
        event_loop: *mut coop_event_loop,
        options: *const coop_source_options,
        callback: coop_event_callback,
        id: *mut coop_io_watch_id,
    ) -> coop_status,
    /// coop_io_watch_set_interest.
    pub io_watch_set_interest:
        unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_io_watch_id, interest: u32) -> coop_status,
    /// coop_signal_cancel.
    pub signal_cancel: unsafe extern "C" fn(event_loop: *mut coop_event_loop, id: coop_signal_id) -> coop_status,
    /// coop_udp_receive_times.
    pub udp_receive_times: unsafe extern "C" fn(udp: *mut coop_udp, out_ns: *mut i64, count: usize) -> coop_status,
    /// coop_stream_receive_descriptors.
    pub stream_receive_descriptors: unsafe extern "C" fn(
        stream: *mut coop_stream,
        buffer: *mut c_void,
        length: usize,
        descriptors: *mut i32,
        capacity: usize,
        count: *mut usize,
        callback: coop_io_callback,
    ) -> coop_status,
    /// coop_stream_send_descriptors.
    pub stream_send_descriptors: unsafe extern "C" fn(
        stream: *mut coop_stream,
        data: *const c_void,
        length: usize,
        descriptors: *const i32,
        count: usize,
        callback: coop_io_callback,
    ) -> coop_status,
    /// coop_async_free.
    pub async_free: unsafe extern "C" fn(r#async: *mut coop_async),
    /// coop_async_new.
    pub async_new: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_source_options,
        callback: coop_async_callback,
        out: *mut *mut coop_async,
    ) -> coop_status,
    /// coop_async_send.
    pub async_send: unsafe extern "C" fn(r#async: *mut coop_async) -> coop_status,
    /// coop_event_loop_post_and_wait.
    pub event_loop_post_and_wait:
        unsafe extern "C" fn(event_loop: *mut coop_event_loop, callback: coop_callback, timeout_ns: i64) -> coop_status,
    /// coop_dag_builder_after.
    pub dag_builder_after:
        unsafe extern "C" fn(builder: *mut coop_dag_builder, later: coop_dag_ref, earlier: coop_dag_ref) -> coop_status,
    /// coop_dag_builder_build.
    pub dag_builder_build: unsafe extern "C" fn(builder: *mut coop_dag_builder, out: *mut *mut coop_dag) -> coop_status,
    /// coop_dag_builder_cpu.
    pub dag_builder_cpu: unsafe extern "C" fn(
        builder: *mut coop_dag_builder,
        name: *const c_char,
        length: usize,
        options: *const coop_dag_node_options,
        function: coop_dag_function,
        node: *mut coop_dag_node_id,
    ) -> coop_status,
    /// coop_dag_builder_free.
    pub dag_builder_free: unsafe extern "C" fn(builder: *mut coop_dag_builder),
    /// coop_dag_builder_input.
    pub dag_builder_input: unsafe extern "C" fn(
        builder: *mut coop_dag_builder,
        name: *const c_char,
        length: usize,
        node: *mut coop_dag_node_id,
    ) -> coop_status,
    /// coop_dag_builder_insert.
    pub dag_builder_insert: unsafe extern "C" fn(
        builder: *mut coop_dag_builder,
        prefix: *const c_char,
        length: usize,
        graph: *const coop_dag,
        bindings: *const coop_dag_binding,
        count: usize,
    ) -> coop_status,
    /// coop_dag_builder_io.
    pub dag_builder_io: unsafe extern "C" fn(
        builder: *mut coop_dag_builder,
        name: *const c_char,
        length: usize,
        options: *const coop_dag_node_options,
        function: coop_dag_io_function,
        node: *mut coop_dag_node_id,
    ) -> coop_status,
    /// coop_dag_builder_new.
    pub dag_builder_new:
        unsafe extern "C" fn(options: *const coop_dag_builder_options, out: *mut *mut coop_dag_builder) -> coop_status,
    /// coop_dag_call_attempt.
    pub dag_call_attempt: unsafe extern "C" fn(call: *const coop_dag_call) -> u32,
    /// coop_dag_call_cancel.
    pub dag_call_cancel: unsafe extern "C" fn(call: *const coop_dag_call) -> coop_status,
    /// coop_dag_call_fail.
    pub dag_call_fail: unsafe extern "C" fn(
        call: *const coop_dag_call,
        status: coop_status,
        os_errno: i32,
        message: *const c_char,
        message_length: usize,
        cause: coop_dag_value,
    ) -> coop_status,
    /// coop_dag_call_is_ended.
    pub dag_call_is_ended: unsafe extern "C" fn(call: *const coop_dag_call) -> bool,
    /// coop_dag_call_name.
    pub dag_call_name:
        unsafe extern "C" fn(call: *const coop_dag_call, name: *mut *const c_char, length: *mut usize) -> coop_status,
    /// coop_dag_call_reads.
    pub dag_call_reads: unsafe extern "C" fn(call: *const coop_dag_call) -> usize,
    /// coop_dag_call_take.
    pub dag_call_take:
        unsafe extern "C" fn(call: *const coop_dag_call, index: usize, value: *mut coop_dag_value) -> coop_status,
    /// coop_dag_call_value.
    pub dag_call_value:
        unsafe extern "C" fn(call: *const coop_dag_call, index: usize, value: *mut *mut c_void) -> coop_status,
    /// coop_dag_completer_complete.
    pub dag_completer_complete: unsafe extern "C" fn(
        completer: *mut coop_dag_completer,
        status: coop_status,
        value: coop_dag_value,
    ) -> coop_status,
    /// coop_dag_completer_fail.
    pub dag_completer_fail: unsafe extern "C" fn(
        completer: *mut coop_dag_completer,
        status: coop_status,
        os_errno: i32,
        message: *const c_char,
        message_length: usize,
        cause: coop_dag_value,
    ) -> coop_status,
    /// coop_dag_completer_free.
    pub dag_completer_free: unsafe extern "C" fn(completer: *mut coop_dag_completer),
    /// coop_dag_completer_is_ended.
    pub dag_completer_is_ended: unsafe extern "C" fn(completer: *const coop_dag_completer) -> bool,
    /// coop_dag_completer_on_cancel.
    pub dag_completer_on_cancel:
        unsafe extern "C" fn(completer: *mut coop_dag_completer, callback: coop_callback) -> coop_status,
    /// coop_dag_free.
    pub dag_free: unsafe extern "C" fn(dag: *mut coop_dag),
    /// coop_dag_index.
    pub dag_index: unsafe extern "C" fn(
        dag: *const coop_dag,
        name: *const c_char,
        length: usize,
        node: *mut coop_dag_node_id,
    ) -> coop_status,
    /// coop_dag_len.
    pub dag_len: unsafe extern "C" fn(dag: *const coop_dag, nodes: *mut usize) -> coop_status,
    /// coop_dag_name.
    pub dag_name: unsafe extern "C" fn(
        dag: *const coop_dag,
        node: coop_dag_node_id,
        name: *mut *const c_char,
        length: *mut usize,
    ) -> coop_status,
    /// coop_dag_outcome_cause.
    pub dag_outcome_cause: unsafe extern "C" fn(
        outcome: *const coop_dag_outcome,
        node: coop_dag_node_id,
        cause: *mut *mut c_void,
    ) -> coop_status,
    /// coop_dag_outcome_failure.
    pub dag_outcome_failure:
        unsafe extern "C" fn(outcome: *const coop_dag_outcome, node: coop_dag_node_id) -> coop_status,
    /// coop_dag_outcome_free.
    pub dag_outcome_free: unsafe extern "C" fn(outcome: *mut coop_dag_outcome),
    /// coop_dag_outcome_result.
    pub dag_outcome_result: unsafe extern "C" fn(outcome: *const coop_dag_outcome) -> coop_status,
    /// coop_dag_outcome_state.
    pub dag_outcome_state:
        unsafe extern "C" fn(outcome: *const coop_dag_outcome, node: coop_dag_node_id, state: *mut i32) -> coop_status,
    /// coop_dag_outcome_take.
    pub dag_outcome_take: unsafe extern "C" fn(
        outcome: *const coop_dag_outcome,
        node: coop_dag_node_id,
        value: *mut coop_dag_value,
    ) -> coop_status,
    /// coop_dag_outcome_value.
    pub dag_outcome_value: unsafe extern "C" fn(
        outcome: *const coop_dag_outcome,
        node: coop_dag_node_id,
        value: *mut *mut c_void,
    ) -> coop_status,
    /// coop_dag_run.
    pub dag_run: unsafe extern "C" fn(
        dag: *const coop_dag,
        pool: *mut coop_pool,
        event_loop: *mut coop_event_loop,
        options: *const coop_dag_run_options,
        inputs: *const coop_dag_input,
        count: usize,
        callback: coop_dag_run_callback,
        id: *mut coop_dag_run_id,
    ) -> coop_status,
    /// coop_dag_run_cancel.
    pub dag_run_cancel: unsafe extern "C" fn(dag: *const coop_dag, id: coop_dag_run_id) -> coop_status,
    /// coop_dag_run_join.
    pub dag_run_join: unsafe extern "C" fn(
        dag: *const coop_dag,
        id: coop_dag_run_id,
        timeout_ns: i64,
        out: *mut *mut coop_dag_outcome,
    ) -> coop_status,
    /// coop_dag_run_release.
    pub dag_run_release: unsafe extern "C" fn(dag: *const coop_dag, id: coop_dag_run_id) -> coop_status,
    /// coop_dag_run_then.
    pub dag_run_then:
        unsafe extern "C" fn(dag: *const coop_dag, id: coop_dag_run_id, callback: coop_dag_run_callback) -> coop_status,
    /// coop_host_free.
    pub host_free: unsafe extern "C" fn(host: *mut coop_host),
    /// coop_host_join.
    pub host_join: unsafe extern "C" fn(host: *mut coop_host, timeout_ns: i64) -> coop_status,
    /// coop_host_kill.
    pub host_kill: unsafe extern "C" fn(host: *mut coop_host) -> coop_status,
    /// coop_host_new.
    pub host_new: unsafe extern "C" fn(options: *const coop_host_options, out: *mut *mut coop_host) -> coop_status,
    /// coop_host_observe.
    pub host_observe: unsafe extern "C" fn(
        host: *mut coop_host,
        options: *const coop_observer_options,
        callback: coop_service_event_callback,
        id: *mut coop_observer_id,
    ) -> coop_status,
    /// coop_host_root.
    pub host_root: unsafe extern "C" fn(host: *const coop_host) -> coop_service_id,
    /// coop_host_shutdown.
    pub host_shutdown: unsafe extern "C" fn(host: *mut coop_host, timeout_ns: i64) -> coop_status,
    /// coop_host_start.
    pub host_start: unsafe extern "C" fn(host: *mut coop_host) -> coop_status,
    /// coop_host_stop.
    pub host_stop: unsafe extern "C" fn(host: *mut coop_host) -> coop_status,
    /// coop_host_wait.
    pub host_wait: unsafe extern "C" fn(host: *mut coop_host) -> coop_status,
    /// coop_observer_cancel.
    pub observer_cancel: unsafe extern "C" fn(host: *mut coop_host, id: coop_observer_id) -> coop_status,
    /// coop_observer_next.
    pub observer_next: unsafe extern "C" fn(
        host: *mut coop_host,
        id: coop_observer_id,
        timeout_ns: i64,
        out: *mut *const coop_service_event,
    ) -> coop_status,
    /// coop_service_context_beat.
    pub service_context_beat: unsafe extern "C" fn(context: *mut coop_service_context) -> coop_status,
    /// coop_service_context_end.
    pub service_context_end: unsafe extern "C" fn(
        context: *mut coop_service_context,
        status: coop_status,
        message: *const c_char,
        message_length: usize,
    ) -> coop_status,
    /// coop_service_context_extend.
    pub service_context_extend: unsafe extern "C" fn(context: *mut coop_service_context, time_ns: i64) -> coop_status,
    /// coop_service_context_id.
    pub service_context_id: unsafe extern "C" fn(context: *const coop_service_context) -> coop_service_id,
    /// coop_service_context_ignore.
    pub service_context_ignore: unsafe extern "C" fn(context: *mut coop_service_context) -> coop_status,
    /// coop_service_context_is_stopping.
    pub service_context_is_stopping: unsafe extern "C" fn(context: *const coop_service_context) -> bool,
    /// coop_service_context_ready.
    pub service_context_ready: unsafe extern "C" fn(context: *mut coop_service_context) -> coop_status,
    /// coop_service_context_run.
    pub service_context_run: unsafe extern "C" fn(context: *const coop_service_context) -> u64,
    /// coop_service_context_status.
    pub service_context_status: unsafe extern "C" fn(
        context: *mut coop_service_context,
        text: *const c_char,
        text_length: usize,
    ) -> coop_status,
    /// coop_service_context_stopping_fd.
    pub service_context_stopping_fd: unsafe extern "C" fn(context: *mut coop_service_context) -> i32,
    /// coop_service_context_value.
    pub service_context_value: unsafe extern "C" fn(context: *const coop_service_context) -> *mut c_void,
    /// coop_service_context_wait_stopping.
    pub service_context_wait_stopping:
        unsafe extern "C" fn(context: *mut coop_service_context, timeout_ns: i64) -> coop_status,
    /// coop_supervisor_add.
    pub supervisor_add: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        options: *const coop_service_options,
        id: *mut coop_service_id,
    ) -> coop_status,
    /// coop_supervisor_count_children.
    pub supervisor_count_children: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        out: *mut coop_child_counts,
    ) -> coop_status,
    /// coop_supervisor_delete_child.
    pub supervisor_delete_child:
        unsafe extern "C" fn(host: *mut coop_host, supervisor: coop_service_id, child: coop_service_id) -> coop_status,
    /// coop_supervisor_find.
    pub supervisor_find: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        name: *const c_char,
        name_length: usize,
        id: *mut coop_service_id,
    ) -> coop_status,
    /// coop_supervisor_get_childspec.
    pub supervisor_get_childspec: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        child: coop_service_id,
        callback: coop_child_spec_callback,
    ) -> coop_status,
    /// coop_supervisor_replace_child.
    pub supervisor_replace_child:
        unsafe extern "C" fn(host: *mut coop_host, supervisor: coop_service_id, child: coop_service_id) -> coop_status,
    /// coop_supervisor_restart_child.
    pub supervisor_restart_child:
        unsafe extern "C" fn(host: *mut coop_host, supervisor: coop_service_id, child: coop_service_id) -> coop_status,
    /// coop_supervisor_start_child.
    pub supervisor_start_child: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        options: *const coop_service_options,
        id: *mut coop_service_id,
    ) -> coop_status,
    /// coop_supervisor_start_child_with.
    pub supervisor_start_child_with: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        args: *const coop_child_args,
        id: *mut coop_service_id,
    ) -> coop_status,
    /// coop_supervisor_supervisor.
    pub supervisor_supervisor: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        name: *const c_char,
        name_length: usize,
        options: *const coop_supervisor_options,
        id: *mut coop_service_id,
    ) -> coop_status,
    /// coop_supervisor_template.
    pub supervisor_template: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        options: *const coop_service_options,
    ) -> coop_status,
    /// coop_supervisor_terminate_child.
    pub supervisor_terminate_child:
        unsafe extern "C" fn(host: *mut coop_host, supervisor: coop_service_id, child: coop_service_id) -> coop_status,
    /// coop_supervisor_which_children.
    pub supervisor_which_children: unsafe extern "C" fn(
        host: *mut coop_host,
        supervisor: coop_service_id,
        callback: coop_child_info_callback,
    ) -> coop_status,
    /// coop_dag_dot.
    pub dag_dot: unsafe extern "C" fn(dag: *const coop_dag, callback: coop_text_callback) -> coop_status,
    /// coop_dag_outcome_trace.
    pub dag_outcome_trace: unsafe extern "C" fn(
        outcome: *const coop_dag_outcome,
        format: i32,
        callback: coop_text_callback,
    ) -> coop_status,
    /// coop_dag_stats.
    pub dag_stats: unsafe extern "C" fn(
        dag: *const coop_dag,
        node: coop_dag_node_id,
        out: *mut coop_dag_statistics,
    ) -> coop_status,
    /// coop_parent_observer_free.
    pub parent_observer_free: unsafe extern "C" fn(observer: *mut coop_parent_observer),
    /// coop_parent_observer_new.
    pub parent_observer_new: unsafe extern "C" fn(
        options: *const coop_observer_options,
        callback: coop_service_event_callback,
        out: *mut *mut coop_parent_observer,
    ) -> coop_status,
    /// coop_parent_observer_next.
    pub parent_observer_next: unsafe extern "C" fn(
        observer: *mut coop_parent_observer,
        timeout_ns: i64,
        out: *mut *const coop_service_event,
    ) -> coop_status,
    /// coop_service_context_argv.
    pub service_context_argv: unsafe extern "C" fn(context: *mut coop_service_context) -> *const *const c_char,
    /// coop_service_context_event_loop.
    pub service_context_event_loop: unsafe extern "C" fn(context: *mut coop_service_context) -> *mut coop_event_loop,
    /// coop_systemd_beat.
    pub systemd_beat: unsafe extern "C" fn() -> coop_status,
    /// coop_systemd_extend.
    pub systemd_extend: unsafe extern "C" fn(time_ns: i64) -> coop_status,
    /// coop_systemd_listen_fds.
    pub systemd_listen_fds: unsafe extern "C" fn(callback: coop_listen_callback) -> coop_status,
    /// coop_systemd_ready.
    pub systemd_ready: unsafe extern "C" fn() -> coop_status,
    /// coop_systemd_status.
    pub systemd_status: unsafe extern "C" fn(message: *const c_char, length: usize) -> coop_status,
    /// coop_systemd_stopping.
    pub systemd_stopping: unsafe extern "C" fn() -> coop_status,
    /// coop_systemd_watchdog.
    pub systemd_watchdog: unsafe extern "C" fn(out_ns: *mut i64) -> coop_status,
    /// coop_workers_run.
    pub workers_run: unsafe extern "C" fn(workers: *const coop_worker, count: usize, status: *mut i32) -> coop_status,
    /// coop_redis_call.
    pub redis_call: unsafe extern "C" fn(
        redis: *mut coop_redis,
        options: *const coop_redis_call_options,
        words: *const *const c_char,
        lengths: *const usize,
        count: usize,
        out: *mut *mut coop_redis_reply,
    ) -> coop_status,
    /// coop_redis_cancel.
    pub redis_cancel: unsafe extern "C" fn(redis: *mut coop_redis, id: coop_redis_call_id) -> coop_status,
    /// coop_redis_close.
    pub redis_close: unsafe extern "C" fn(redis: *mut coop_redis) -> coop_status,
    /// coop_redis_command.
    pub redis_command: unsafe extern "C" fn(
        redis: *mut coop_redis,
        options: *const coop_redis_call_options,
        words: *const *const c_char,
        lengths: *const usize,
        count: usize,
        callback: coop_redis_callback,
        id: *mut coop_redis_call_id,
    ) -> coop_status,
    /// coop_redis_drain.
    pub redis_drain: unsafe extern "C" fn(redis: *mut coop_redis, timeout_ns: i64) -> coop_status,
    /// coop_redis_free.
    pub redis_free: unsafe extern "C" fn(redis: *mut coop_redis),
    /// coop_redis_new.
    pub redis_new: unsafe extern "C" fn(
        event_loop: *mut coop_event_loop,
        options: *const coop_redis_options,
        url: *const c_char,
        length: usize,
        out: *mut *mut coop_redis,
    ) -> coop_status,
    /// coop_redis_own.
    pub redis_own: unsafe extern "C" fn(redis: *mut coop_redis, out: *mut *mut coop_redis) -> coop_status,
    /// coop_redis_pipeline.
    pub redis_pipeline: unsafe extern "C" fn(
        redis: *mut coop_redis,
        options: *const coop_redis_call_options,
        commands: *const coop_redis_words,
        count: usize,
        callback: coop_redis_callback,
        id: *mut coop_redis_call_id,
    ) -> coop_status,
    /// coop_redis_reply_at.
    pub redis_reply_at: unsafe extern "C" fn(reply: *const coop_redis_reply, index: usize) -> *const coop_redis_reply,
    /// coop_redis_reply_double.
    pub redis_reply_double: unsafe extern "C" fn(reply: *const coop_redis_reply, out: *mut f64) -> coop_status,
    /// coop_redis_reply_error_code.
    pub redis_reply_error_code: unsafe extern "C" fn(
        reply: *const coop_redis_reply,
        data: *mut *const c_char,
        length: *mut usize,
    ) -> coop_status,
    /// coop_redis_reply_free.
    pub redis_reply_free: unsafe extern "C" fn(reply: *mut coop_redis_reply),
    /// coop_redis_reply_integer.
    pub redis_reply_integer: unsafe extern "C" fn(reply: *const coop_redis_reply, out: *mut i64) -> coop_status,
    /// coop_redis_reply_keep.
    pub redis_reply_keep:
        unsafe extern "C" fn(reply: *mut coop_redis_reply, out: *mut *mut coop_redis_reply) -> coop_status,
    /// coop_redis_reply_key.
    pub redis_reply_key: unsafe extern "C" fn(reply: *const coop_redis_reply, index: usize) -> *const coop_redis_reply,
    /// coop_redis_reply_length.
    pub redis_reply_length: unsafe extern "C" fn(reply: *const coop_redis_reply) -> usize,
    /// coop_redis_reply_pairs.
    pub redis_reply_pairs: unsafe extern "C" fn(reply: *const coop_redis_reply) -> usize,
    /// coop_redis_reply_string.
    pub redis_reply_string: unsafe extern "C" fn(
        reply: *const coop_redis_reply,
        data: *mut *const c_char,
        length: *mut usize,
    ) -> coop_status,
    /// coop_redis_reply_type.
    pub redis_reply_type: unsafe extern "C" fn(reply: *const coop_redis_reply) -> i32,
    /// coop_redis_reply_value.
    pub redis_reply_value:
        unsafe extern "C" fn(reply: *const coop_redis_reply, index: usize) -> *const coop_redis_reply,
    /// coop_redis_script.
    pub redis_script: unsafe extern "C" fn(
        redis: *mut coop_redis,
        options: *const coop_redis_call_options,
        source: *const c_char,
        length: usize,
        keys: coop_redis_words,
        args: coop_redis_words,
        callback: coop_redis_callback,
        id: *mut coop_redis_call_id,
    ) -> coop_status,
    /// coop_redis_stats.
    pub redis_stats: unsafe extern "C" fn(redis: *mut coop_redis, out: *mut coop_redis_statistics) -> coop_status,
    /// coop_redis_subscribe.
    pub redis_subscribe: unsafe extern "C" fn(
        subscriber: *mut coop_redis_subscriber,
        by: i32,
        names: coop_redis_words,
        callback: coop_redis_callback,
    ) -> coop_status,
    /// coop_redis_subscriber_free.
    pub redis_subscriber_free: unsafe extern "C" fn(subscriber: *mut coop_redis_subscriber),
    /// coop_redis_subscriber_new.
    pub redis_subscriber_new: unsafe extern "C" fn(
        redis: *mut coop_redis,
        callback: coop_redis_message_callback,
        out: *mut *mut coop_redis_subscriber,
    ) -> coop_status,
    /// coop_redis_transaction.
    pub redis_transaction: unsafe extern "C" fn(
        redis: *mut coop_redis,
        options: *const coop_redis_call_options,
        commands: *const coop_redis_words,
        count: usize,
        callback: coop_redis_callback,
        id: *mut coop_redis_call_id,
    ) -> coop_status,
    /// coop_redis_unsubscribe.
    pub redis_unsubscribe: unsafe extern "C" fn(
        subscriber: *mut coop_redis_subscriber,
        by: i32,
        names: coop_redis_words,
        callback: coop_redis_callback,
    ) -> coop_status,
    /// coop_port_context_run.
    pub port_context_run: unsafe extern "C" fn(context: *const coop_port_context, out: *mut u64) -> coop_status,
    /// coop_port_context_save.
    pub port_context_save:
        unsafe extern "C" fn(context: *mut coop_port_context, data: *const c_void, length: usize) -> coop_status,
    /// coop_port_context_saved.
    pub port_context_saved: unsafe extern "C" fn(
        context: *const coop_port_context,
        buffer: *mut c_void,
        capacity: usize,
        length: *mut usize,
    ) -> coop_status,
    /// coop_port_worker_main.
    pub port_worker_main:
        unsafe extern "C" fn(handlers: *const coop_named_handler, count: usize, status: *mut i32) -> coop_status,
    /// coop_port_context_abort.
    pub port_context_abort:
        unsafe extern "C" fn(context: *mut coop_port_context, connection: coop_connection_id) -> coop_status,
    /// coop_port_context_backlog_of.
    pub port_context_backlog_of: unsafe extern "C" fn(
        context: *const coop_port_context,
        connection: coop_connection_id,
        out: *mut usize,
    ) -> coop_status,
    /// coop_port_context_close.
    pub port_context_close:
        unsafe extern "C" fn(context: *mut coop_port_context, connection: coop_connection_id) -> coop_status,
    /// coop_port_context_connections.
    pub port_context_connections:
        unsafe extern "C" fn(context: *const coop_port_context, out: *mut usize) -> coop_status,
    /// coop_port_context_path.
    pub port_context_path: unsafe extern "C" fn(
        context: *const coop_port_context,
        buffer: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> coop_status,
    /// coop_port_context_pause.
    pub port_context_pause:
        unsafe extern "C" fn(context: *mut coop_port_context, connection: coop_connection_id) -> coop_status,
    /// coop_port_context_peer.
    pub port_context_peer: unsafe extern "C" fn(
        context: *const coop_port_context,
        connection: coop_connection_id,
        out: *mut coop_address,
    ) -> coop_status,
    /// coop_port_context_resume.
    pub port_context_resume:
        unsafe extern "C" fn(context: *mut coop_port_context, connection: coop_connection_id) -> coop_status,
    /// coop_port_context_shutdown_write.
    pub port_context_shutdown_write:
        unsafe extern "C" fn(context: *mut coop_port_context, connection: coop_connection_id) -> coop_status,
    /// coop_port_context_write.
    pub port_context_write: unsafe extern "C" fn(
        context: *mut coop_port_context,
        connection: coop_connection_id,
        data: *const c_void,
        length: usize,
    ) -> coop_status,
    /// coop_port_set_path.
    pub port_set_path: unsafe extern "C" fn(
        set: *const coop_port_set,
        name: *const c_char,
        name_length: usize,
        buffer: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> coop_status,
    /// coop_port_set_reload.
    pub port_set_reload: unsafe extern "C" fn(
        set: *mut coop_port_set,
        port: *const c_char,
        port_length: usize,
        drain_ns: i64,
    ) -> coop_status,
}

/// The table of this copy of the library.
pub(crate) static TABLE: coop_api = coop_api {
    size: size_of::<coop_api>(),
    major: COOP_VERSION_MAJOR,
    minor: COOP_VERSION_MINOR,
    address_parse: coop_address_parse,
    address_text: coop_address_text,
    event_loop_backend_fd: coop_event_loop_backend_fd,
    event_loop_backend_timeout: coop_event_loop_backend_timeout,
    event_loop_free: coop_event_loop_free,
    event_loop_interrupt: coop_event_loop_interrupt,
    event_loop_is_loop_thread: coop_event_loop_is_loop_thread,
    event_loop_join: coop_event_loop_join,
    event_loop_new: coop_event_loop_new,
    event_loop_now: coop_event_loop_now,
    event_loop_post: coop_event_loop_post,
    event_loop_run: coop_event_loop_run,
    event_loop_start: coop_event_loop_start,
    event_loop_stop: coop_event_loop_stop,
    event_loop_timer: coop_event_loop_timer,
    event_loop_watch: coop_event_loop_watch,
    io_watch_cancel: coop_io_watch_cancel,
    last_error: coop_last_error,
    last_os_errno: coop_last_os_errno,
    pool_close: coop_pool_close,
    pool_free: coop_pool_free,
    pool_is_worker_thread: coop_pool_is_worker_thread,
    pool_join: coop_pool_join,
    pool_new: coop_pool_new,
    pool_shutdown: coop_pool_shutdown,
    pool_submit: coop_pool_submit,
    pool_worker_cpu: coop_pool_worker_cpu,
    pool_workers: coop_pool_workers,
    port_context_address: coop_port_context_address,
    port_context_backlog: coop_port_context_backlog,
    port_context_cancel_timer: coop_port_context_cancel_timer,
    port_context_name: coop_port_context_name,
    port_context_send: coop_port_context_send,
    port_context_send_message: coop_port_context_send_message,
    port_context_set_timer: coop_port_context_set_timer,
    port_context_stop: coop_port_context_stop,
    port_handler_load: coop_port_handler_load,
    port_set_address: coop_port_set_address,
    port_set_free: coop_port_set_free,
    port_set_join: coop_port_set_join,
    port_set_new: coop_port_set_new,
    port_set_send_message: coop_port_set_send_message,
    port_set_start: coop_port_set_start,
    port_set_stats: coop_port_set_stats,
    port_set_stop: coop_port_set_stop,
    runtime_event_loop: coop_runtime_event_loop,
    runtime_free: coop_runtime_free,
    runtime_new: coop_runtime_new,
    runtime_pool: coop_runtime_pool,
    runtime_start: coop_runtime_start,
    runtime_stop: coop_runtime_stop,
    set_log: coop_set_log,
    status_str: coop_status_str,
    timer_cancel: coop_timer_cancel,
    udp_connect: coop_udp_connect,
    udp_fd: coop_udp_fd,
    udp_free: coop_udp_free,
    udp_local_address: coop_udp_local_address,
    udp_new: coop_udp_new,
    udp_receive: coop_udp_receive,
    udp_send: coop_udp_send,
    version: coop_version,
    pool_may_run_here: coop_pool_may_run_here,
    pool_parallel_for: coop_pool_parallel_for,
    pool_stats: coop_pool_stats,
    pool_submit_batch: coop_pool_submit_batch,
    pool_submit_task: coop_pool_submit_task,
    pool_worker_stats: coop_pool_worker_stats,
    task_cancel: coop_task_cancel,
    task_join: coop_task_join,
    task_release: coop_task_release,
    version_check: coop_version_check,
    event_loop_set_lag_hook: coop_event_loop_set_lag_hook,
    event_loop_set_slow_hook: coop_event_loop_set_slow_hook,
    event_loop_stats: coop_event_loop_stats,
    event_loop_timer_local: coop_event_loop_timer_local,
    io_watch_ref: coop_io_watch_ref,
    io_watch_unref: coop_io_watch_unref,
    timer_cancel_local: coop_timer_cancel_local,
    timer_ref: coop_timer_ref,
    timer_unref: coop_timer_unref,
    event_loop_connect: coop_event_loop_connect,
    event_loop_connect_unix: coop_event_loop_connect_unix,
    event_loop_resolve: coop_event_loop_resolve,
    listener_accept: coop_listener_accept,
    listener_address: coop_listener_address,
    listener_cancel: coop_listener_cancel,
    listener_fd: coop_listener_fd,
    listener_free: coop_listener_free,
    listener_new: coop_listener_new,
    stream_cancel: coop_stream_cancel,
    stream_fd: coop_stream_fd,
    stream_free: coop_stream_free,
    stream_local_address: coop_stream_local_address,
    stream_new: coop_stream_new,
    stream_peer_address: coop_stream_peer_address,
    stream_read: coop_stream_read,
    stream_read_exactly: coop_stream_read_exactly,
    stream_set_keepalive: coop_stream_set_keepalive,
    stream_set_linger: coop_stream_set_linger,
    stream_set_nodelay: coop_stream_set_nodelay,
    stream_shutdown: coop_stream_shutdown,
    stream_try_read: coop_stream_try_read,
    stream_try_write: coop_stream_try_write,
    stream_write: coop_stream_write,
    child_cancel: coop_child_cancel,
    event_fd: coop_event_fd,
    event_free: coop_event_free,
    event_is_signaled: coop_event_is_signaled,
    event_loop_child: coop_event_loop_child,
    event_loop_signal: coop_event_loop_signal,
    event_new: coop_event_new,
    event_reset: coop_event_reset,
    event_signal: coop_event_signal,
    event_watch: coop_event_watch,
    io_watch_set_interest: coop_io_watch_set_interest,
    signal_cancel: coop_signal_cancel,
    udp_receive_times: coop_udp_receive_times,
    stream_receive_descriptors: coop_stream_receive_descriptors,
    stream_send_descriptors: coop_stream_send_descriptors,
    async_free: coop_async_free,
    async_new: coop_async_new,
    async_send: coop_async_send,
    event_loop_post_and_wait: coop_event_loop_post_and_wait,
    dag_builder_after: coop_dag_builder_after,
    dag_builder_build: coop_dag_builder_build,
    dag_builder_cpu: coop_dag_builder_cpu,
    dag_builder_free: coop_dag_builder_free,
    dag_builder_input: coop_dag_builder_input,
    dag_builder_insert: coop_dag_builder_insert,
    dag_builder_io: coop_dag_builder_io,
    dag_builder_new: coop_dag_builder_new,
    dag_call_attempt: coop_dag_call_attempt,
    dag_call_cancel: coop_dag_call_cancel,
    dag_call_fail: coop_dag_call_fail,
    dag_call_is_ended: coop_dag_call_is_ended,
    dag_call_name: coop_dag_call_name,
    dag_call_reads: coop_dag_call_reads,
    dag_call_take: coop_dag_call_take,
    dag_call_value: coop_dag_call_value,
    dag_completer_complete: coop_dag_completer_complete,
    dag_completer_fail: coop_dag_completer_fail,
    dag_completer_free: coop_dag_completer_free,
    dag_completer_is_ended: coop_dag_completer_is_ended,
    dag_completer_on_cancel: coop_dag_completer_on_cancel,
    dag_free: coop_dag_free,
    dag_index: coop_dag_index,
    dag_len: coop_dag_len,
    dag_name: coop_dag_name,
    dag_outcome_cause: coop_dag_outcome_cause,
    dag_outcome_failure: coop_dag_outcome_failure,
    dag_outcome_free: coop_dag_outcome_free,
    dag_outcome_result: coop_dag_outcome_result,
    dag_outcome_state: coop_dag_outcome_state,
    dag_outcome_take: coop_dag_outcome_take,
    dag_outcome_value: coop_dag_outcome_value,
    dag_run: coop_dag_run,
    dag_run_cancel: coop_dag_run_cancel,
    dag_run_join: coop_dag_run_join,
    dag_run_release: coop_dag_run_release,
    dag_run_then: coop_dag_run_then,
    host_free: coop_host_free,
    host_join: coop_host_join,
    host_kill: coop_host_kill,
    host_new: coop_host_new,
    host_observe: coop_host_observe,
    host_root: coop_host_root,
    host_shutdown: coop_host_shutdown,
    host_start: coop_host_start,
    host_stop: coop_host_stop,
    host_wait: coop_host_wait,
    observer_cancel: coop_observer_cancel,
    observer_next: coop_observer_next,
    service_context_beat: coop_service_context_beat,
    service_context_end: coop_service_context_end,
    service_context_extend: coop_service_context_extend,
    service_context_id: coop_service_context_id,
    service_context_ignore: coop_service_context_ignore,
    service_context_is_stopping: coop_service_context_is_stopping,
    service_context_ready: coop_service_context_ready,
    service_context_run: coop_service_context_run,
    service_context_status: coop_service_context_status,
    service_context_stopping_fd: coop_service_context_stopping_fd,
    service_context_value: coop_service_context_value,
    service_context_wait_stopping: coop_service_context_wait_stopping,
    supervisor_add: coop_supervisor_add,
    supervisor_count_children: coop_supervisor_count_children,
    supervisor_delete_child: coop_supervisor_delete_child,
    supervisor_find: coop_supervisor_find,
    supervisor_get_childspec: coop_supervisor_get_childspec,
    supervisor_replace_child: coop_supervisor_replace_child,
    supervisor_restart_child: coop_supervisor_restart_child,
    supervisor_start_child: coop_supervisor_start_child,
    supervisor_start_child_with: coop_supervisor_start_child_with,
    supervisor_supervisor: coop_supervisor_supervisor,
    supervisor_template: coop_supervisor_template,
    supervisor_terminate_child: coop_supervisor_terminate_child,
    supervisor_which_children: coop_supervisor_which_children,
    dag_dot: coop_dag_dot,
    dag_outcome_trace: coop_dag_outcome_trace,
    dag_stats: coop_dag_stats,
    parent_observer_free: coop_parent_observer_free,
    parent_observer_new: coop_parent_observer_new,
    parent_observer_next: coop_parent_observer_next,
    service_context_argv: coop_service_context_argv,
    service_context_event_loop: coop_service_context_event_loop,
    systemd_beat: coop_systemd_beat,
    systemd_extend: coop_systemd_extend,
    systemd_listen_fds: coop_systemd_listen_fds,
    systemd_ready: coop_systemd_ready,
    systemd_status: coop_systemd_status,
    systemd_stopping: coop_systemd_stopping,
    systemd_watchdog: coop_systemd_watchdog,
    workers_run: coop_workers_run,
    redis_call: coop_redis_call,
    redis_cancel: coop_redis_cancel,
    redis_close: coop_redis_close,
    redis_command: coop_redis_command,
    redis_drain: coop_redis_drain,
    redis_free: coop_redis_free,
    redis_new: coop_redis_new,
    redis_own: coop_redis_own,
    redis_pipeline: coop_redis_pipeline,
    redis_reply_at: coop_redis_reply_at,
    redis_reply_double: coop_redis_reply_double,
    redis_reply_error_code: coop_redis_reply_error_code,
    redis_reply_free: coop_redis_reply_free,
    redis_reply_integer: coop_redis_reply_integer,
    redis_reply_keep: coop_redis_reply_keep,
    redis_reply_key: coop_redis_reply_key,
    redis_reply_length: coop_redis_reply_length,
    redis_reply_pairs: coop_redis_reply_pairs,
    redis_reply_string: coop_redis_reply_string,
    redis_reply_type: coop_redis_reply_type,
    redis_reply_value: coop_redis_reply_value,
    redis_script: coop_redis_script,
    redis_stats: coop_redis_stats,
    redis_subscribe: coop_redis_subscribe,
    redis_subscriber_free: coop_redis_subscriber_free,
    redis_subscriber_new: coop_redis_subscriber_new,
    redis_transaction: coop_redis_transaction,
    redis_unsubscribe: coop_redis_unsubscribe,
    port_context_run: coop_port_context_run,
    port_context_save: coop_port_context_save,
    port_context_saved: coop_port_context_saved,
    port_worker_main: coop_port_worker_main,
    port_context_abort: coop_port_context_abort,
    port_context_backlog_of: coop_port_context_backlog_of,
    port_context_close: coop_port_context_close,
    port_context_connections: coop_port_context_connections,
    port_context_path: coop_port_context_path,
    port_context_pause: coop_port_context_pause,
    port_context_peer: coop_port_context_peer,
    port_context_resume: coop_port_context_resume,
    port_context_shutdown_write: coop_port_context_shutdown_write,
    port_context_write: coop_port_context_write,
    port_set_path: coop_port_set_path,
    port_set_reload: coop_port_set_reload,
};
