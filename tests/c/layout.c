/* The structs of the interface have no padding, and the fields that every version has are where they were. */
#include "check.h"

#define FIRST(type, field) _Static_assert(offsetof(type, field) == 0, #type " begins with " #field)
#define NEXT(type, before, field)                                                                          \
    _Static_assert(offsetof(type, field) == offsetof(type, before) + sizeof(((type *)0)->before),          \
                   "padding before " #type "." #field)
#define LAST(type, field, bytes)                                                                           \
    _Static_assert(offsetof(type, field) + sizeof(((type *)0)->field) == sizeof(type), "padding after " #type); \
    _Static_assert(sizeof(type) == (bytes), "the size of " #type)

FIRST(coop_callback, fn);
NEXT(coop_callback, fn, arg);
NEXT(coop_callback, arg, drop);
LAST(coop_callback, drop, 24);

FIRST(coop_timer_callback, fn);
NEXT(coop_timer_callback, fn, arg);
NEXT(coop_timer_callback, arg, drop);
LAST(coop_timer_callback, drop, 24);

FIRST(coop_io_watch_callback, fn);
NEXT(coop_io_watch_callback, fn, arg);
NEXT(coop_io_watch_callback, arg, drop);
LAST(coop_io_watch_callback, drop, 24);

FIRST(coop_event_callback, fn);
NEXT(coop_event_callback, fn, arg);
NEXT(coop_event_callback, arg, drop);
LAST(coop_event_callback, drop, 24);

FIRST(coop_async_callback, fn);
NEXT(coop_async_callback, fn, arg);
NEXT(coop_async_callback, arg, drop);
LAST(coop_async_callback, drop, 24);

FIRST(coop_child_callback, fn);
NEXT(coop_child_callback, fn, arg);
NEXT(coop_child_callback, arg, drop);
LAST(coop_child_callback, drop, 24);

FIRST(coop_signal_callback, fn);
NEXT(coop_signal_callback, fn, arg);
NEXT(coop_signal_callback, arg, drop);
LAST(coop_signal_callback, drop, 24);

FIRST(coop_source_options, size);
NEXT(coop_source_options, size, on);
NEXT(coop_source_options, on, priority);
NEXT(coop_source_options, priority, cpus);
LAST(coop_source_options, cpus, 32);

FIRST(coop_event_options, size);
NEXT(coop_event_options, size, manual_reset);
NEXT(coop_event_options, manual_reset, reserved);
LAST(coop_event_options, reserved, 16);

FIRST(coop_exit_status, size);
NEXT(coop_exit_status, size, pid);
NEXT(coop_exit_status, pid, code);
NEXT(coop_exit_status, code, signal);
NEXT(coop_exit_status, signal, core_dumped);
LAST(coop_exit_status, core_dumped, 24);
FIRST(coop_io_callback, fn);
NEXT(coop_io_callback, fn, arg);
NEXT(coop_io_callback, arg, drop);
LAST(coop_io_callback, drop, 24);

FIRST(coop_stream_callback, fn);
NEXT(coop_stream_callback, fn, arg);
NEXT(coop_stream_callback, arg, drop);
LAST(coop_stream_callback, drop, 24);

FIRST(coop_resolve_callback, fn);
NEXT(coop_resolve_callback, fn, arg);
NEXT(coop_resolve_callback, arg, drop);
LAST(coop_resolve_callback, drop, 24);

FIRST(coop_error, status);
NEXT(coop_error, status, os_errno);
NEXT(coop_error, os_errno, message);
LAST(coop_error, message, 16);

FIRST(coop_stream_options, size);
NEXT(coop_stream_options, size, on);
NEXT(coop_stream_options, on, priority);
NEXT(coop_stream_options, priority, cpus);
NEXT(coop_stream_options, cpus, nodelay);
NEXT(coop_stream_options, nodelay, reserved);
NEXT(coop_stream_options, reserved, keepalive_ns);
NEXT(coop_stream_options, keepalive_ns, recv_buffer);
NEXT(coop_stream_options, recv_buffer, send_buffer);
LAST(coop_stream_options, send_buffer, 64);

FIRST(coop_connect_options, size);
NEXT(coop_connect_options, size, timeout_ns);
NEXT(coop_connect_options, timeout_ns, local);
NEXT(coop_connect_options, local, local_length);
NEXT(coop_connect_options, local_length, stream);
LAST(coop_connect_options, stream, 40);

FIRST(coop_listener_options, size);
NEXT(coop_listener_options, size, address);
NEXT(coop_listener_options, address, address_length);
NEXT(coop_listener_options, address_length, path);
NEXT(coop_listener_options, path, path_length);
NEXT(coop_listener_options, path_length, backlog);
NEXT(coop_listener_options, backlog, reuse_port);
NEXT(coop_listener_options, reuse_port, no_reuse_address);
NEXT(coop_listener_options, no_reuse_address, replace);
NEXT(coop_listener_options, replace, stream);
LAST(coop_listener_options, stream, 64);

FIRST(coop_log_callback, fn);
NEXT(coop_log_callback, fn, arg);
NEXT(coop_log_callback, arg, drop);
LAST(coop_log_callback, drop, 24);

FIRST(coop_cpu_set, words);
NEXT(coop_cpu_set, words, count);
LAST(coop_cpu_set, count, 16);

FIRST(coop_pool_options, size);
NEXT(coop_pool_options, size, workers);
NEXT(coop_pool_options, workers, no_pin);
NEXT(coop_pool_options, no_pin, ageing);
NEXT(coop_pool_options, ageing, name);
NEXT(coop_pool_options, name, name_length);
NEXT(coop_pool_options, name_length, capacity);
LAST(coop_pool_options, capacity, 48);

FIRST(coop_submit_options, size);
NEXT(coop_submit_options, size, priority);
NEXT(coop_submit_options, priority, continues);
NEXT(coop_submit_options, continues, cpus);
NEXT(coop_submit_options, cpus, timeout_ns);
LAST(coop_submit_options, timeout_ns, 40);

FIRST(coop_pool_statistics, size);
NEXT(coop_pool_statistics, size, workers);
NEXT(coop_pool_statistics, workers, capacity);
NEXT(coop_pool_statistics, capacity, depth_high);
NEXT(coop_pool_statistics, depth_high, depth_normal);
NEXT(coop_pool_statistics, depth_normal, depth_low);
NEXT(coop_pool_statistics, depth_low, executed);
NEXT(coop_pool_statistics, executed, stolen);
NEXT(coop_pool_statistics, stolen, parked);
NEXT(coop_pool_statistics, parked, wait_samples);
NEXT(coop_pool_statistics, wait_samples, wait_mean_ns);
NEXT(coop_pool_statistics, wait_mean_ns, wait_p50_ns);
NEXT(coop_pool_statistics, wait_p50_ns, wait_p99_ns);
NEXT(coop_pool_statistics, wait_p99_ns, wait_max_ns);
LAST(coop_pool_statistics, wait_max_ns, 112);

FIRST(coop_worker_statistics, size);
NEXT(coop_worker_statistics, size, cpu);
NEXT(coop_worker_statistics, cpu, reserved);
NEXT(coop_worker_statistics, reserved, executed);
NEXT(coop_worker_statistics, executed, stolen);
NEXT(coop_worker_statistics, stolen, parked);
LAST(coop_worker_statistics, parked, 40);

FIRST(coop_event_loop_options, size);
NEXT(coop_event_loop_options, size, name);
NEXT(coop_event_loop_options, name, name_length);
LAST(coop_event_loop_options, name_length, 24);

FIRST(coop_port_handler, size);
NEXT(coop_port_handler, size, arg);
NEXT(coop_port_handler, arg, on_start);
NEXT(coop_port_handler, on_start, on_batch);
NEXT(coop_port_handler, on_batch, on_timer);
NEXT(coop_port_handler, on_timer, on_stop);
NEXT(coop_port_handler, on_stop, drop);
NEXT(coop_port_handler, drop, on_message);
NEXT(coop_port_handler, on_message, on_connect);
NEXT(coop_port_handler, on_connect, on_data);
NEXT(coop_port_handler, on_data, on_end);
NEXT(coop_port_handler, on_end, on_close);
NEXT(coop_port_handler, on_close, on_hand_over);
NEXT(coop_port_handler, on_hand_over, on_drained);
NEXT(coop_port_handler, on_hand_over, on_drained);
LAST(coop_port_handler, on_drained, 112);

FIRST(coop_port, size);
NEXT(coop_port, size, name);
NEXT(coop_port, name, name_length);
NEXT(coop_port, name_length, handler);
NEXT(coop_port, handler, bind);
NEXT(coop_port, bind, connect);
NEXT(coop_port, connect, handler_name);
NEXT(coop_port, handler_name, handler_name_length);
NEXT(coop_port, handler_name_length, args);
NEXT(coop_port, args, args_length);
NEXT(coop_port, args_length, kind);
NEXT(coop_port, kind, fd);
NEXT(coop_port, fd, path);
NEXT(coop_port, path, path_length);
LAST(coop_port, path_length, 152);

FIRST(coop_port_set_options, size);
NEXT(coop_port_set_options, size, mode);
NEXT(coop_port_set_options, mode, reserved);
NEXT(coop_port_set_options, reserved, event_loop);
NEXT(coop_port_set_options, event_loop, buffer_bytes);
NEXT(coop_port_set_options, buffer_bytes, handlers);
NEXT(coop_port_set_options, handlers, handler_count);
NEXT(coop_port_set_options, handler_count, command);
NEXT(coop_port_set_options, command, host);
NEXT(coop_port_set_options, host, supervisor);
NEXT(coop_port_set_options, supervisor, name);
NEXT(coop_port_set_options, name, name_length);
NEXT(coop_port_set_options, name_length, saved_bytes);
NEXT(coop_port_set_options, saved_bytes, ring_bytes);
NEXT(coop_port_set_options, ring_bytes, ready_ns);
NEXT(coop_port_set_options, ready_ns, liveness_ns);
NEXT(coop_port_set_options, liveness_ns, shutdown_ns);
NEXT(coop_port_set_options, shutdown_ns, connections);
LAST(coop_port_set_options, connections, 136);

FIRST(coop_named_handler, size);
NEXT(coop_named_handler, size, name);
NEXT(coop_named_handler, name, name_length);
NEXT(coop_named_handler, name_length, init);
LAST(coop_named_handler, init, 32);

FIRST(coop_port_stats, size);
NEXT(coop_port_stats, size, received);
NEXT(coop_port_stats, received, received_bytes);
NEXT(coop_port_stats, errors, messages);
NEXT(coop_port_stats, messages, restarts);
NEXT(coop_port_stats, restarts, accepted);
NEXT(coop_port_stats, accepted, open);
NEXT(coop_port_stats, open, refused);
LAST(coop_port_stats, refused, 128);

/* Of the functions the first one and one of the last at the time: they are appended to and never moved. */
FIRST(coop_api, size);
NEXT(coop_api, size, major);
NEXT(coop_api, major, minor);
NEXT(coop_api, minor, address_parse);
NEXT(coop_api, address_parse, address_text);
_Static_assert(offsetof(coop_api, version) == 16 + 61 * sizeof(void *), "coop_api.version has moved");

FIRST(coop_timer_options, size);
NEXT(coop_timer_options, size, after_ns);
NEXT(coop_timer_options, after_ns, every_ns);
NEXT(coop_timer_options, every_ns, on);
NEXT(coop_timer_options, on, priority);
NEXT(coop_timer_options, priority, cpus);
NEXT(coop_timer_options, cpus, unref);
NEXT(coop_timer_options, unref, reserved);
LAST(coop_timer_options, reserved, 56);

FIRST(coop_slow_callback, fn);
NEXT(coop_slow_callback, fn, arg);
NEXT(coop_slow_callback, arg, drop);
LAST(coop_slow_callback, drop, 24);

FIRST(coop_lag_callback, fn);
NEXT(coop_lag_callback, fn, arg);
NEXT(coop_lag_callback, arg, drop);
LAST(coop_lag_callback, drop, 24);

FIRST(coop_event_loop_statistics, size);
NEXT(coop_event_loop_statistics, size, iterations);
NEXT(coop_event_loop_statistics, iterations, events);
NEXT(coop_event_loop_statistics, events, posts);
NEXT(coop_event_loop_statistics, posts, timers_fired);
NEXT(coop_event_loop_statistics, timers_fired, timers);
NEXT(coop_event_loop_statistics, timers, watches);
NEXT(coop_event_loop_statistics, watches, longest_callback_ns);
NEXT(coop_event_loop_statistics, longest_callback_ns, lag_ns);
NEXT(coop_event_loop_statistics, lag_ns, longest_lag_ns);
NEXT(coop_event_loop_statistics, longest_lag_ns, at_hand_ns);
LAST(coop_event_loop_statistics, at_hand_ns, 88);

FIRST(coop_io_watch_options, size);
NEXT(coop_io_watch_options, size, interest);
NEXT(coop_io_watch_options, interest, edge);
NEXT(coop_io_watch_options, edge, on);
NEXT(coop_io_watch_options, on, priority);
NEXT(coop_io_watch_options, priority, unref);
NEXT(coop_io_watch_options, unref, reserved);
NEXT(coop_io_watch_options, reserved, cpus);
LAST(coop_io_watch_options, cpus, 48);

FIRST(coop_runtime_options, size);
NEXT(coop_runtime_options, size, pool);
NEXT(coop_runtime_options, pool, event_loop);
LAST(coop_runtime_options, event_loop, 24);

FIRST(coop_udp_options, size);
NEXT(coop_udp_options, size, address);
NEXT(coop_udp_options, address, address_length);
NEXT(coop_udp_options, address_length, recv_buffer);
NEXT(coop_udp_options, recv_buffer, send_buffer);
NEXT(coop_udp_options, send_buffer, reuse_port);
NEXT(coop_udp_options, reuse_port, no_gro);
NEXT(coop_udp_options, no_gro, no_gso);
NEXT(coop_udp_options, no_gso, reserved);
NEXT(coop_udp_options, reserved, receive_times);
NEXT(coop_udp_options, receive_times, reserved_too);
LAST(coop_udp_options, reserved_too, 64);

FIRST(coop_address, length);
NEXT(coop_address, length, bytes);
LAST(coop_address, bytes, 32);

FIRST(coop_datagram, data);
NEXT(coop_datagram, data, length);
NEXT(coop_datagram, length, address);
NEXT(coop_datagram, address, segment_size);
NEXT(coop_datagram, segment_size, flags);
LAST(coop_datagram, flags, 56);

FIRST(coop_text, data);
NEXT(coop_text, data, length);
LAST(coop_text, length, 16);

FIRST(coop_limit, resource);
NEXT(coop_limit, resource, reserved);
NEXT(coop_limit, reserved, soft);
NEXT(coop_limit, soft, hard);
LAST(coop_limit, hard, 24);

FIRST(coop_descriptor, fd);
NEXT(coop_descriptor, fd, number);
LAST(coop_descriptor, number, 8);

FIRST(coop_listen_socket, name);
NEXT(coop_listen_socket, name, name_length);
NEXT(coop_listen_socket, name_length, fd);
NEXT(coop_listen_socket, fd, reserved);
LAST(coop_listen_socket, reserved, 24);

FIRST(coop_line, size);
NEXT(coop_line, size, time_ns);
NEXT(coop_line, time_ns, service);
NEXT(coop_line, service, text);
NEXT(coop_line, text, dropped);
NEXT(coop_line, dropped, pid);
NEXT(coop_line, pid, stream);
NEXT(coop_line, stream, goes_on);
NEXT(coop_line, goes_on, reserved);
LAST(coop_line, reserved, 72);

FIRST(coop_line_callback, fn);
NEXT(coop_line_callback, fn, arg);
NEXT(coop_line_callback, arg, drop);
LAST(coop_line_callback, drop, 24);

FIRST(coop_command, size);
NEXT(coop_command, size, argv);
NEXT(coop_command, argv, env);
NEXT(coop_command, env, directory);
NEXT(coop_command, directory, directory_length);
NEXT(coop_command, directory_length, groups);
NEXT(coop_command, groups, groups_count);
NEXT(coop_command, groups_count, limits);
NEXT(coop_command, limits, limits_count);
NEXT(coop_command, limits_count, descriptors);
NEXT(coop_command, descriptors, descriptors_count);
NEXT(coop_command, descriptors_count, listen);
NEXT(coop_command, listen, listen_count);
NEXT(coop_command, listen_count, cpus);
NEXT(coop_command, cpus, has);
NEXT(coop_command, has, uid);
NEXT(coop_command, uid, gid);
NEXT(coop_command, gid, umask);
NEXT(coop_command, umask, nice);
NEXT(coop_command, nice, stop_signal);
NEXT(coop_command, stop_signal, env_clear);
NEXT(coop_command, env_clear, new_session);
NEXT(coop_command, new_session, output);
NEXT(coop_command, output, tail);
NEXT(coop_command, tail, output_fd);
NEXT(coop_command, output_fd, reserved);
NEXT(coop_command, reserved, on_line);
LAST(coop_command, on_line, 192);

FIRST(coop_backoff, delay_ns);
NEXT(coop_backoff, delay_ns, cap_ns);
NEXT(coop_backoff, cap_ns, calm_ns);
NEXT(coop_backoff, calm_ns, growth);
NEXT(coop_backoff, growth, jitter_per_mille);
LAST(coop_backoff, jitter_per_mille, 32);

FIRST(coop_thread_service, fn);
NEXT(coop_thread_service, fn, arg);
NEXT(coop_thread_service, arg, drop);
LAST(coop_thread_service, drop, 24);

FIRST(coop_async_service, start);
NEXT(coop_async_service, start, stop);
NEXT(coop_async_service, stop, arg);
NEXT(coop_async_service, arg, drop);
LAST(coop_async_service, drop, 32);

FIRST(coop_service_options, size);
NEXT(coop_service_options, size, id);
NEXT(coop_service_options, id, id_length);
NEXT(coop_service_options, id_length, command);
NEXT(coop_service_options, command, worker);
NEXT(coop_service_options, worker, worker_length);
NEXT(coop_service_options, worker_length, thread);
NEXT(coop_service_options, thread, async);
NEXT(coop_service_options, async, normal_exits);
NEXT(coop_service_options, normal_exits, normal_exits_count);
NEXT(coop_service_options, normal_exits_count, shutdown_ns);
NEXT(coop_service_options, shutdown_ns, ready_timeout_ns);
NEXT(coop_service_options, ready_timeout_ns, watchdog_ns);
NEXT(coop_service_options, watchdog_ns, liveness_ns);
NEXT(coop_service_options, liveness_ns, backoff);
NEXT(coop_service_options, backoff, restart);
NEXT(coop_service_options, restart, significant);
NEXT(coop_service_options, significant, ready);
NEXT(coop_service_options, ready, park);
NEXT(coop_service_options, park, park_at_start);
NEXT(coop_service_options, park_at_start, reserved);
LAST(coop_service_options, reserved, 208);

FIRST(coop_worker, size);
NEXT(coop_worker, size, name);
NEXT(coop_worker, name, name_length);
NEXT(coop_worker, name_length, async);
NEXT(coop_worker, async, thread);
LAST(coop_worker, thread, 80);

FIRST(coop_listen_callback, fn);
NEXT(coop_listen_callback, fn, arg);
NEXT(coop_listen_callback, arg, drop);
LAST(coop_listen_callback, drop, 24);

FIRST(coop_supervisor_options, size);
NEXT(coop_supervisor_options, size, strategy);
NEXT(coop_supervisor_options, strategy, auto_shutdown);
NEXT(coop_supervisor_options, auto_shutdown, intensity);
NEXT(coop_supervisor_options, intensity, no_restarts);
NEXT(coop_supervisor_options, no_restarts, period_ns);
NEXT(coop_supervisor_options, period_ns, shutdown_ns);
NEXT(coop_supervisor_options, shutdown_ns, restart);
NEXT(coop_supervisor_options, restart, significant);
LAST(coop_supervisor_options, significant, 48);

FIRST(coop_host_options, size);
NEXT(coop_host_options, size, name);
NEXT(coop_host_options, name, name_length);
NEXT(coop_host_options, name_length, root);
NEXT(coop_host_options, root, event_loop);
NEXT(coop_host_options, event_loop, history);
LAST(coop_host_options, history, 48);

FIRST(coop_child_args, size);
NEXT(coop_child_args, size, argv);
NEXT(coop_child_args, argv, value);
NEXT(coop_child_args, value, drop);
LAST(coop_child_args, drop, 32);

FIRST(coop_child_info, size);
NEXT(coop_child_info, size, id);
NEXT(coop_child_info, id, name);
NEXT(coop_child_info, name, path);
NEXT(coop_child_info, path, executor);
NEXT(coop_child_info, executor, run);
NEXT(coop_child_info, run, state);
NEXT(coop_child_info, state, pid);
LAST(coop_child_info, pid, 80);

FIRST(coop_child_info_callback, fn);
NEXT(coop_child_info_callback, fn, arg);
NEXT(coop_child_info_callback, arg, drop);
LAST(coop_child_info_callback, drop, 24);

FIRST(coop_child_counts, size);
NEXT(coop_child_counts, size, specs);
NEXT(coop_child_counts, specs, active);
NEXT(coop_child_counts, active, supervisors);
NEXT(coop_child_counts, supervisors, workers);
LAST(coop_child_counts, workers, 40);

FIRST(coop_child_spec, size);
NEXT(coop_child_spec, size, name);
NEXT(coop_child_spec, name, executor);
NEXT(coop_child_spec, executor, normal_exits);
NEXT(coop_child_spec, normal_exits, normal_exits_count);
NEXT(coop_child_spec, normal_exits_count, shutdown_ns);
NEXT(coop_child_spec, shutdown_ns, ready_timeout_ns);
NEXT(coop_child_spec, ready_timeout_ns, watchdog_ns);
NEXT(coop_child_spec, watchdog_ns, liveness_ns);
NEXT(coop_child_spec, liveness_ns, backoff);
NEXT(coop_child_spec, backoff, period_ns);
NEXT(coop_child_spec, period_ns, intensity);
NEXT(coop_child_spec, intensity, restart);
NEXT(coop_child_spec, restart, significant);
NEXT(coop_child_spec, significant, park);
NEXT(coop_child_spec, park, park_at_start);
NEXT(coop_child_spec, park_at_start, strategy);
NEXT(coop_child_spec, strategy, auto_shutdown);
LAST(coop_child_spec, auto_shutdown, 160);

FIRST(coop_child_spec_callback, fn);
NEXT(coop_child_spec_callback, fn, arg);
NEXT(coop_child_spec_callback, arg, drop);
LAST(coop_child_spec_callback, drop, 24);

FIRST(coop_observer_options, size);
NEXT(coop_observer_options, size, path);
NEXT(coop_observer_options, path, path_length);
NEXT(coop_observer_options, path_length, queue);
NEXT(coop_observer_options, queue, replay);
NEXT(coop_observer_options, replay, event_loop);
NEXT(coop_observer_options, event_loop, kinds);
NEXT(coop_observer_options, kinds, json);
LAST(coop_observer_options, json, 56);

FIRST(coop_service_event, size);
NEXT(coop_service_event, size, number);
NEXT(coop_service_event, number, time_ns);
NEXT(coop_service_event, time_ns, id);
NEXT(coop_service_event, id, run);
NEXT(coop_service_event, run, path);
NEXT(coop_service_event, path, text);
NEXT(coop_service_event, text, json);
NEXT(coop_service_event, json, tail);
NEXT(coop_service_event, tail, tail_count);
NEXT(coop_service_event, tail_count, uptime_ns);
NEXT(coop_service_event, uptime_ns, delay_ns);
NEXT(coop_service_event, delay_ns, restarts);
NEXT(coop_service_event, restarts, lost);
NEXT(coop_service_event, lost, kind);
NEXT(coop_service_event, kind, exit);
NEXT(coop_service_event, exit, code);
NEXT(coop_service_event, code, signal);
NEXT(coop_service_event, signal, core_dumped);
NEXT(coop_service_event, core_dumped, normal);
NEXT(coop_service_event, normal, because);
NEXT(coop_service_event, because, pid);
NEXT(coop_service_event, pid, details);
LAST(coop_service_event, details, 184);

FIRST(coop_service_event_callback, fn);
NEXT(coop_service_event_callback, fn, arg);
NEXT(coop_service_event_callback, arg, drop);
LAST(coop_service_event_callback, drop, 24);
FIRST(coop_dag_value, value);
NEXT(coop_dag_value, value, drop);
LAST(coop_dag_value, drop, 16);

FIRST(coop_dag_ref, node);
NEXT(coop_dag_ref, node, name);
NEXT(coop_dag_ref, name, name_length);
LAST(coop_dag_ref, name_length, 24);

FIRST(coop_dag_function, fn);
NEXT(coop_dag_function, fn, arg);
NEXT(coop_dag_function, arg, drop);
LAST(coop_dag_function, drop, 24);

FIRST(coop_dag_io_function, fn);
NEXT(coop_dag_io_function, fn, arg);
NEXT(coop_dag_io_function, arg, drop);
LAST(coop_dag_io_function, drop, 24);

FIRST(coop_dag_predicate, fn);
NEXT(coop_dag_predicate, fn, arg);
NEXT(coop_dag_predicate, arg, drop);
LAST(coop_dag_predicate, drop, 24);

FIRST(coop_dag_run_callback, fn);
NEXT(coop_dag_run_callback, fn, arg);
NEXT(coop_dag_run_callback, arg, drop);
LAST(coop_dag_run_callback, drop, 24);

FIRST(coop_dag_builder_options, size);
NEXT(coop_dag_builder_options, size, nodes);
LAST(coop_dag_builder_options, nodes, 16);

FIRST(coop_dag_binding, input);
NEXT(coop_dag_binding, input, input_length);
NEXT(coop_dag_binding, input_length, node);
LAST(coop_dag_binding, node, 40);

FIRST(coop_dag_input, node);
NEXT(coop_dag_input, node, value);
LAST(coop_dag_input, value, 40);

FIRST(coop_dag_run_options, size);
NEXT(coop_dag_run_options, size, timeout_ns);
NEXT(coop_dag_run_options, timeout_ns, on_failure);
NEXT(coop_dag_run_options, on_failure, trace);
LAST(coop_dag_run_options, trace, 24);

FIRST(coop_text_callback, fn);
NEXT(coop_text_callback, fn, arg);
NEXT(coop_text_callback, arg, drop);
LAST(coop_text_callback, drop, 24);

FIRST(coop_dag_statistics, size);
NEXT(coop_dag_statistics, size, count);
NEXT(coop_dag_statistics, count, failures);
NEXT(coop_dag_statistics, failures, waited_total_ns);
NEXT(coop_dag_statistics, waited_total_ns, waited_mean_ns);
NEXT(coop_dag_statistics, waited_mean_ns, waited_min_ns);
NEXT(coop_dag_statistics, waited_min_ns, waited_max_ns);
NEXT(coop_dag_statistics, waited_max_ns, ran_total_ns);
NEXT(coop_dag_statistics, ran_total_ns, ran_mean_ns);
NEXT(coop_dag_statistics, ran_mean_ns, ran_min_ns);
NEXT(coop_dag_statistics, ran_min_ns, ran_max_ns);
LAST(coop_dag_statistics, ran_max_ns, 88);

FIRST(coop_dag_node_options, size);
NEXT(coop_dag_node_options, size, reads);
NEXT(coop_dag_node_options, reads, read_count);
NEXT(coop_dag_node_options, read_count, after);
NEXT(coop_dag_node_options, after, after_count);
NEXT(coop_dag_node_options, after_count, priority);
NEXT(coop_dag_node_options, priority, retries);
NEXT(coop_dag_node_options, retries, backoff_ns);
NEXT(coop_dag_node_options, backoff_ns, timeout_ns);
NEXT(coop_dag_node_options, timeout_ns, cpus);
NEXT(coop_dag_node_options, cpus, only_if);
NEXT(coop_dag_node_options, only_if, even_if_skipped);
NEXT(coop_dag_node_options, even_if_skipped, keep);
LAST(coop_dag_node_options, keep, 96);

FIRST(coop_redis_options, size);
NEXT(coop_redis_options, size, user);
NEXT(coop_redis_options, user, user_length);
NEXT(coop_redis_options, user_length, password);
NEXT(coop_redis_options, password, password_length);
NEXT(coop_redis_options, password_length, client_name);
NEXT(coop_redis_options, client_name, client_name_length);
NEXT(coop_redis_options, client_name_length, tls_authorities);
NEXT(coop_redis_options, tls_authorities, tls_authorities_length);
NEXT(coop_redis_options, tls_authorities_length, tls_certificates);
NEXT(coop_redis_options, tls_certificates, tls_certificates_length);
NEXT(coop_redis_options, tls_certificates_length, tls_key);
NEXT(coop_redis_options, tls_key, tls_key_length);
NEXT(coop_redis_options, tls_key_length, tls_server_name);
NEXT(coop_redis_options, tls_server_name, tls_server_name_length);
NEXT(coop_redis_options, tls_server_name_length, connections);
NEXT(coop_redis_options, connections, max_calls);
NEXT(coop_redis_options, max_calls, max_queued_bytes);
NEXT(coop_redis_options, max_queued_bytes, max_reply_bytes);
NEXT(coop_redis_options, max_reply_bytes, connect_timeout_ns);
NEXT(coop_redis_options, connect_timeout_ns, timeout_ns);
NEXT(coop_redis_options, timeout_ns, patience_ns);
NEXT(coop_redis_options, patience_ns, stalled_after_ns);
NEXT(coop_redis_options, stalled_after_ns, backoff_ns);
NEXT(coop_redis_options, backoff_ns, backoff_cap_ns);
NEXT(coop_redis_options, backoff_cap_ns, database);
NEXT(coop_redis_options, database, protocol);
NEXT(coop_redis_options, protocol, max_own);
LAST(coop_redis_options, max_own, 216);

FIRST(coop_redis_callback, fn);
NEXT(coop_redis_callback, fn, arg);
NEXT(coop_redis_callback, arg, drop);
LAST(coop_redis_callback, drop, 24);

FIRST(coop_redis_words, words);
NEXT(coop_redis_words, words, lengths);
NEXT(coop_redis_words, lengths, count);
LAST(coop_redis_words, count, 24);

FIRST(coop_redis_call_options, size);
NEXT(coop_redis_call_options, size, timeout_ns);
LAST(coop_redis_call_options, timeout_ns, 16);

FIRST(coop_redis_message, channel);
NEXT(coop_redis_message, channel, channel_length);
NEXT(coop_redis_message, channel_length, payload);
NEXT(coop_redis_message, payload, payload_length);
NEXT(coop_redis_message, payload_length, pattern);
NEXT(coop_redis_message, pattern, pattern_length);
NEXT(coop_redis_message, pattern_length, by);
NEXT(coop_redis_message, by, reserved);
LAST(coop_redis_message, reserved, 56);

FIRST(coop_redis_message_callback, fn);
NEXT(coop_redis_message_callback, fn, arg);
NEXT(coop_redis_message_callback, arg, drop);
LAST(coop_redis_message_callback, drop, 24);

FIRST(coop_redis_statistics, size);
NEXT(coop_redis_statistics, size, calls);
NEXT(coop_redis_statistics, calls, refused);
NEXT(coop_redis_statistics, refused, answered);
NEXT(coop_redis_statistics, answered, server_errors);
NEXT(coop_redis_statistics, server_errors, timed_out);
NEXT(coop_redis_statistics, timed_out, cancelled);
NEXT(coop_redis_statistics, cancelled, lost);
NEXT(coop_redis_statistics, lost, pushes);
NEXT(coop_redis_statistics, pushes, connects);
NEXT(coop_redis_statistics, connects, connect_failures);
NEXT(coop_redis_statistics, connect_failures, disconnects);
NEXT(coop_redis_statistics, disconnects, writes);
NEXT(coop_redis_statistics, writes, reads);
NEXT(coop_redis_statistics, reads, bytes_out);
NEXT(coop_redis_statistics, bytes_out, bytes_in);
NEXT(coop_redis_statistics, bytes_in, queued);
NEXT(coop_redis_statistics, queued, in_flight);
NEXT(coop_redis_statistics, in_flight, connected);
LAST(coop_redis_statistics, connected, 152);

int main(void) { return 0; }
