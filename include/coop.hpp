/* libcoop for C++20: header-only, over the C functions of coop.h and nothing else. Link with libcoop.
 *
 *     auto pool = coop::pool::create({.workers = 2}).value();
 *     auto loop = coop::event_loop::create().value();
 *     pool.submit([&] { loop.post([&] { loop.stop().value(); }).value(); }).value();
 *     loop.run().value();
 *
 * Names are those of C: coop_pool_submit is coop::pool::submit, COOP_E_QUEUE_FULL is coop::errc::queue_full. coop_x_new is
 * coop::x::create, and coop_x_free the destructor. Enumerators are COOP_* in lower case: COOP_RUN_ONCE is
 * coop::run_mode::once; those that C++ keeps for itself have a _ behind. What is no object in C (timers, watches) has a
 * name that is copied here. What a function answers and from where it may be called is said in coop.h once, for both.
 *
 * - coop::result<T> is a value or an error; coop::errc is the error, a std::error_code.     coop/result.hpp, coop/errc.hpp
 * - Callables of any type are callbacks: moved in, destroyed once, exceptions caught.       coop/callback.hpp
 * - Durations are std::chrono's, or coop::forever.                                          coop/time.hpp
 * - coop::task_handle is a task of a pool, to wait for it or to take it back.              coop/task_handle.hpp
 * - coop::task<T> is a coroutine, and pools, loops, timers and descriptors are awaited.    coop/coroutine.hpp
 * - Events, the ends of children and datagrams are awaited, too.                           coop/source_awaitable.hpp
 * - coop::stream and coop::listener are connections; coop::connect makes them.            coop/stream.hpp, coop/listener.hpp
 * - coop::dag is a graph of tasks, in the pool and on the loop.                            coop/dag.hpp
 * - coop::host keeps services alive: programs, and functions.                            coop/host.hpp, coop/service.hpp
 * - coop::workers is a program that is its own services, in processes of their own.       coop/workers.hpp
 * - coop::redis makes calls to a server of redis, awaited or with callables.              coop/redis.hpp
 * - Objects are move-only and free what they own. One that was moved from answers errc::null.
 *
 * It works with -fno-exceptions and -fno-rtti, and with libstdc++ and libc++. */
#ifndef COOP_HPP
#define COOP_HPP

#include <coop.h>

#include <coop/address.hpp>
#include <coop/api.hpp>
#include <coop/async.hpp>
#include <coop/callback.hpp>
#include <coop/child.hpp>
#include <coop/connect.hpp>
#include <coop/coroutine.hpp>
#include <coop/cpu_set.hpp>
#include <coop/dag.hpp>
#include <coop/dag_builder.hpp>
#include <coop/dag_node.hpp>
#include <coop/dag_run.hpp>
#include <coop/datagram.hpp>
#include <coop/errc.hpp>
#include <coop/event_loop.hpp>
#include <coop/event_object.hpp>
#include <coop/host.hpp>
#include <coop/io_watch.hpp>
#include <coop/listener.hpp>
#include <coop/log.hpp>
#include <coop/observer.hpp>
#include <coop/parent_observer.hpp>
#include <coop/pool.hpp>
#include <coop/pool_options.hpp>
#include <coop/port.hpp>
#include <coop/port_context.hpp>
#include <coop/port_handlers.hpp>
#include <coop/port_set.hpp>
#include <coop/priority.hpp>
#include <coop/redis.hpp>
#include <coop/redis_call.hpp>
#include <coop/redis_command.hpp>
#include <coop/redis_options.hpp>
#include <coop/redis_reply.hpp>
#include <coop/redis_subscriber.hpp>
#include <coop/result.hpp>
#include <coop/runtime.hpp>
#include <coop/scoped.hpp>
#include <coop/service.hpp>
#include <coop/signal.hpp>
#include <coop/source_awaitable.hpp>
#include <coop/source_options.hpp>
#include <coop/stream.hpp>
#include <coop/stream_awaitable.hpp>
#include <coop/supervisor.hpp>
#include <coop/systemd.hpp>
#include <coop/task_handle.hpp>
#include <coop/time.hpp>
#include <coop/timer.hpp>
#include <coop/udp.hpp>
#include <coop/version.hpp>
#include <coop/workers.hpp>

#endif  // COOP_HPP
