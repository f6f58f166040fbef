/* libcoop: an event loop, a pinned priority pool, and datagrams in batches.
 *
 * Objects (coop_pool *, coop_event_loop *, ...) have one owner, who frees them; using one after that is undefined, as in
 * any C library. Small things (timers, watches, tasks) are ids, and a stale id is answered COOP_E_STALE. Every function may be
 * called from any thread, but not from a signal handler.
 *
 * Functions that can fail answer a coop_status, and coop_last_error() has the reason in words. Outputs are written only
 * on success. Times are nanoseconds. Texts are UTF-8, with their length. Options begin with their size; zero in a field is
 * its default, and NULL for all of them is all defaults:
 *
 *     coop_pool_options options = {.size = sizeof options, .workers = 2};
 *
 * After fork(), in the child, every object that was made before answers COOP_E_FORKED; it may be freed, and new ones may
 * be made. */

#ifndef COOP_H
#define COOP_H

/* Made by cbindgen from ffi/: change it there, then run .ci/header --write. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The version that this header is of, as text. */
#define COOP_VERSION_STRING "0.1.0"

/* COOP_OK if the library that is loaded goes with this header. */
#define COOP_CHECK_VERSION() coop_version_check(COOP_VERSION_MAJOR, COOP_VERSION_MINOR)

/*
 The bytes of a buffer that every address fits into as text, with its NUL.
 */
#define COOP_ADDRESS_TEXT 64

/*
 It does not run: not started yet, terminated, or one that is not restarted.
 */
#define COOP_CHILD_TERMINATED 0

/*
 It is not ready yet.
 */
#define COOP_CHILD_STARTING 1

/*
 It is ready.
 */
#define COOP_CHILD_RUNNING 2

/*
 It was asked to stop.
 */
#define COOP_CHILD_STOPPING 3

/*
 It waits for its restart.
 */
#define COOP_CHILD_RESTARTING 4

/*
 It rests: coop_service_options.park.
 */
#define COOP_CHILD_PARKED 5

/*
 It ignored its deadline, and goes on by itself.
 */
#define COOP_CHILD_UNRESPONSIVE 6

/*
 coop_command.uid holds.
 */
#define COOP_COMMAND_UID 1

/*
 coop_command.gid holds.
 */
#define COOP_COMMAND_GID 2

/*
 coop_command.groups holds, also if there are none.
 */
#define COOP_COMMAND_GROUPS 4

/*
 coop_command.umask holds.
 */
#define COOP_COMMAND_UMASK 8

/*
 coop_command.nice holds.
 */
#define COOP_COMMAND_NICE 16

/*
 What a process writes goes to output_fd, each line after its service's name: "root/web | text".
 */
#define COOP_OUTPUT_PREFIXED 0

/*
 What a process writes goes to output_fd, each line as an object of JSON.
 */
#define COOP_OUTPUT_JSON 1

/*
 What a process writes goes nowhere; the last lines are kept for the event of its end.
 */
#define COOP_OUTPUT_NULL 2

/*
 A process writes where this one does, and nothing is kept.
 */
#define COOP_OUTPUT_INHERIT 3

/*
 Each line that a process writes is handed to on_line.
 */
#define COOP_OUTPUT_LINES 4

/*
 What depends on a node that fails is cancelled, and the rest runs; the run then ends with the first failure.
 */
#define COOP_DAG_CANCEL_DEPENDENTS 0

/*
 A run ends with the first failure at once.
 */
#define COOP_DAG_FAIL_FAST 1

/*
 A node has no result: the run ended before it did, or what it depends on failed.
 */
#define COOP_DAG_CANCELLED 0

/*
 It runs in the pool, although its run has ended; its result will be dropped.
 */
#define COOP_DAG_RUNNING 1

/*
 It has a result.
 */
#define COOP_DAG_DONE 2

/*
 It was skipped.
 */
#define COOP_DAG_SKIPPED 3

/*
 It has failed.
 */
#define COOP_DAG_FAILED 4

/*
 A trace as JSON that chrome://tracing and Perfetto show: CPU nodes on the threads that ran them, I/O nodes each on a line of its own.
 */
#define COOP_DAG_CHROME_JSON 0

/*
 A trace as a graph for Graphviz, with how long each node ran, and how long it was ready before that.
 */
#define COOP_DAG_DOT 1

/*
 Runs until the loop is stopped.
 */
#define COOP_RUN_DEFAULT 0

/*
 One turn that waits for something to do.
 */
#define COOP_RUN_ONCE 1

/*
 One turn of what is ready now, without waiting.
 */
#define COOP_RUN_NOWAIT 2

/*
 Runs until no post, timer or watch (but for those that are unref) is left.
 */
#define COOP_RUN_UNTIL_IDLE 3

/*
 A source's callbacks run on the loop's thread; a runtime's loop: in the runtime's pool, at normal priority.
 */
#define COOP_ON_DEFAULT 0

/*
 They run on the loop's thread.
 */
#define COOP_ON_LOOP 1

/*
 They run in the runtime's pool, at the priority and on the CPUs given beside it. Callbacks of one source do not overlap there
 either.
 */
#define COOP_ON_POOL 2

/*
 A read would not block. In options: tell so.
 */
#define COOP_IO_READ 1

/*
 A write would not block. In options: tell so.
 */
#define COOP_IO_WRITE 2

/*
 The descriptor has an error to fetch. Told unasked.
 */
#define COOP_IO_ERROR 4

/*
 The other side has closed, or shut down its writing half. Told unasked.
 */
#define COOP_IO_HANG_UP 8

/*
 No messages.
 */
#define COOP_LOG_OFF 0

/*
 Something was lost: a callback failed, a source ended.
 */
#define COOP_LOG_ERROR 1

/*
 The program does something that it probably does not mean.
 */
#define COOP_LOG_WARN 2

/*
 What an operator wants to know.
 */
#define COOP_LOG_INFO 3

/*
 What a developer wants to know.
 */
#define COOP_LOG_DEBUG 4

/*
 Everything.
 */
#define COOP_LOG_TRACE 5

/*
 A slow callback was a post, or what was woken by one.
 */
#define COOP_CALLBACK_POST 0

/*
 A timer's.
 */
#define COOP_CALLBACK_TIMER 1

/*
 A watch's, a socket's, or that of another source that a descriptor stands for.
 */
#define COOP_CALLBACK_WATCH 2

/*
 When there is nothing better to do.
 */
#define COOP_PRIORITY_LOW -1

/*
 What most tasks are.
 */
#define COOP_PRIORITY_NORMAL 0

/*
 Before everything else.
 */
#define COOP_PRIORITY_HIGH 1

/*
 What is queued runs, and so do the tasks that it submits.
 */
#define COOP_SHUTDOWN_DRAIN 0

/*
 What is queued is dropped.
 */
#define COOP_SHUTDOWN_DISCARD 1

/*
 The handler has closed the connection: coop_port_context_close.
 */
#define COOP_CLOSED_ASKED 0

/*
 The peer had ended its side, and the handler, or the port where it has no on_end, then closed the connection.
 */
#define COOP_CLOSED_ENDED 1

/*
 The handler has aborted the connection: coop_port_context_abort.
 */
#define COOP_CLOSED_ABORTED 2

/*
 A function of the handler answered another status than COOP_OK for the connection.
 */
#define COOP_CLOSED_FAULT 3

/*
 The port ends. What is written now is still sent as far as the system takes it.
 */
#define COOP_CLOSED_STOPPED 4

/*
 The connection was reset, or has failed otherwise: on_close has the error.
 */
#define COOP_CLOSED_LOST 5

/*
 A UDP socket, bound to coop_port.bind: on_batch.
 */
#define COOP_PORT_UDP 0

/*
 A TCP socket that listens at coop_port.bind: on_data.
 */
#define COOP_PORT_TCP 1

/*
 A Unix socket that listens at coop_port.path: on_data.
 */
#define COOP_PORT_UNIX 2

/*
 A socket that listens already, coop_port.fd, TCP or Unix: on_data.
 */
#define COOP_PORT_LISTENING 3

/*
 A listening socket that this process was started with (LISTEN_FDS), named by coop_port.path: on_data.
 */
#define COOP_PORT_PASSED 4

/*
 All ports of the set run on the loop that its options name.
 */
#define COOP_MODE_SINGLE 0

/*
 Each port has a thread for its handler, and another one that only receives.
 */
#define COOP_MODE_THREAD 1

/*
 Each port has a process of its own, which is started again when it ends. Handlers have names: coop_port.handler_name.
 */
#define COOP_MODE_PROCESS 2

/*
 The third version of the protocol, or the second with a server that does not know it; the URL's, if that says one.
 */
#define COOP_REDIS_NEWEST 0

/*
 The second version of the protocol.
 */
#define COOP_REDIS_RESP2 2

/*
 The third version of the protocol; a server that does not know it is an error.
 */
#define COOP_REDIS_RESP3 3

/*
 A reply is nothing: no such key, or a transaction whose watched keys had changed.
 */
#define COOP_REDIS_NULL 0

/*
 A reply is an integer: coop_redis_reply_integer.
 */
#define COOP_REDIS_INTEGER 1

/*
 A reply is bytes, with whatever in them: coop_redis_reply_string.
 */
#define COOP_REDIS_STRING 2

/*
 A reply is one line, such as OK: coop_redis_reply_string.
 */
#define COOP_REDIS_STATUS 3

/*
 The server refused, or failed; coop_redis_reply_string has its line, and coop_redis_reply_error_code its first word.
 */
#define COOP_REDIS_ERROR 4

/*
 A reply is a row of replies: coop_redis_reply_length, coop_redis_reply_at.
 */
#define COOP_REDIS_ARRAY 5

/*
 A reply is pairs (RESP3; an array in RESP2): coop_redis_reply_pairs, coop_redis_reply_key, coop_redis_reply_value.
 */
#define COOP_REDIS_MAP 6

/*
 A reply is replies without an order (RESP3; an array in RESP2), read like an array.
 */
#define COOP_REDIS_SET 7

/*
 A reply is a number (RESP3; a string in RESP2): coop_redis_reply_double.
 */
#define COOP_REDIS_DOUBLE 8

/*
 A reply is yes or no (RESP3; an integer in RESP2): coop_redis_reply_integer has 1 or 0.
 */
#define COOP_REDIS_BOOLEAN 9

/*
 A reply is a text for people (RESP3; a string in RESP2): coop_redis_reply_string.
 */
#define COOP_REDIS_VERBATIM 10

/*
 A reply is an integer of any length (RESP3; a string in RESP2): coop_redis_reply_string has its digits.
 */
#define COOP_REDIS_BIG_NUMBER 11

/*
 What no call has asked for, inside a reply (RESP3): read like an array.
 */
#define COOP_REDIS_PUSH 12

/*
 A channel of this name.
 */
#define COOP_REDIS_CHANNEL 0

/*
 All channels whose name fits a pattern, as news.*.
 */
#define COOP_REDIS_PATTERN 1

/*
 A channel of a shard of a cluster.
 */
#define COOP_REDIS_SHARD 2

/*
 coop_runtime_start runs the loop in the calling thread, until the runtime is stopped.
 */
#define COOP_START_WAIT 0

/*
 coop_runtime_start has a thread of its own run the loop, and returns.
 */
#define COOP_START_RETURN 1

/*
 A service is ready as soon as it runs.
 */
#define COOP_READY_AT_ONCE 0

/*
 A service is ready when it says so: coop_service_context_ready, sd_notify("READY=1") of a process.
 */
#define COOP_READY_NOTIFY 1

/*
 The same delay before each restart.
 */
#define COOP_GROWTH_FIXED 0

/*
 One more delay_ns before each restart.
 */
#define COOP_GROWTH_LINEAR 1

/*
 Twice as long before each restart.
 */
#define COOP_GROWTH_EXPONENTIAL 2

/*
 Its specification was added.
 */
#define COOP_SERVICE_ADDED 1

/*
 Its specification was removed.
 */
#define COOP_SERVICE_REMOVED 2

/*
 A run begins.
 */
#define COOP_SERVICE_STARTING 4

/*
 Its process is there: pid.
 */
#define COOP_SERVICE_SPAWNED 8

/*
 It is ready.
 */
#define COOP_SERVICE_READY 16

/*
 What it says of itself: text.
 */
#define COOP_SERVICE_STATUS 32

/*
 A run did not get ready: text, tail, details.
 */
#define COOP_SERVICE_START_FAILED 64

/*
 Its start asked not to be run.
 */
#define COOP_SERVICE_IGNORED 128

/*
 It is asked to stop.
 */
#define COOP_SERVICE_STOPPING 256

/*
 A run ended: exit, code, signal, core_dumped, normal, because, uptime_ns, restarts, tail, details.
 */
#define COOP_SERVICE_ENDED 512

/*
 It is started again after delay_ns.
 */
#define COOP_SERVICE_BACKOFF 1024

/*
 It rests for delay_ns, where its supervisor would give up.
 */
#define COOP_SERVICE_PARKED 2048

/*
 It ignored its deadline and cannot be ended: it goes on, and is not restarted before it ends.
 */
#define COOP_SERVICE_UNRESPONSIVE 4096

/*
 A supervisor had more restarts than its intensity allows, and ends.
 */
#define COOP_SERVICE_GAVE_UP 8192

/*
 A supervisor shuts itself down, since significant children have ended.
 */
#define COOP_SERVICE_AUTO_SHUTDOWN 16384

/*
 The observer was too slow: lost events are missing before the next one. Of no service; its number is 0.
 */
#define COOP_SERVICE_EVENTS_LOST 32768

/*
 Its function returned.
 */
#define COOP_EXIT_RETURNED 1

/*
 Its process exited: code.
 */
#define COOP_EXIT_EXITED 2

/*
 A signal ended its process: signal, core_dumped.
 */
#define COOP_EXIT_SIGNALED 3

/*
 Its function ended with an error: text.
 */
#define COOP_EXIT_FAILED 4

/*
 Its function panicked: text.
 */
#define COOP_EXIT_PANICKED 5

/*
 Reason shutdown: a supervisor that gave up or shut itself down, a service that was cancelled.
 */
#define COOP_EXIT_SHUTDOWN 6

/*
 How is not known: somebody else has taken its status.
 */
#define COOP_EXIT_LOST 7

/*
 It was asked to stop: by its supervisor, or by a verb.
 */
#define COOP_BECAUSE_ASKED 1

/*
 It did not stop within its shutdown_ns.
 */
#define COOP_BECAUSE_SHUTDOWN_DEADLINE 2

/*
 It was not ready within its ready_timeout_ns.
 */
#define COOP_BECAUSE_READY_DEADLINE 3

/*
 It did not beat within its watchdog_ns.
 */
#define COOP_BECAUSE_WATCHDOG 4

/*
 Its successor is ready.
 */
#define COOP_BECAUSE_HAND_OVER 5

/*
 Its process did not show that it runs within its liveness_ns.
 */
#define COOP_BECAUSE_LIVENESS 6

/*
 Zero or off, where a field's zero means "the default" and off has a meaning.
 */
#define COOP_NONE -1

/*
 A timeout that never comes.
 */
#define COOP_FOREVER -1

/*
 How many descriptors go with one coop_stream_send_descriptors.
 */
#define COOP_STREAM_DESCRIPTORS 253

/*
 A child is restarted whenever it ends.
 */
#define COOP_RESTART_PERMANENT 0

/*
 A child is restarted when it ends otherwise than normally.
 */
#define COOP_RESTART_TRANSIENT 1

/*
 A child is never restarted, and forgotten when it ends.
 */
#define COOP_RESTART_TEMPORARY 2

/*
 No sibling goes with a child that has ended.
 */
#define COOP_STRATEGY_ONE_FOR_ONE 0

/*
 All siblings go with it, and are started again with it.
 */
#define COOP_STRATEGY_ONE_FOR_ALL 1

/*
 Those that were started after it go with it.
 */
#define COOP_STRATEGY_REST_FOR_ONE 2

/*
 As one for one; all children are made of one template, by coop_supervisor_start_child_with.
 */
#define COOP_STRATEGY_SIMPLE_ONE_FOR_ONE 3

/*
 A supervisor does not end by itself.
 */
#define COOP_AUTO_SHUTDOWN_NEVER 0

/*
 A supervisor ends when any significant child has ended by itself.
 */
#define COOP_AUTO_SHUTDOWN_ANY_SIGNIFICANT 1

/*
 A supervisor ends when the last significant child has ended by itself.
 */
#define COOP_AUTO_SHUTDOWN_ALL_SIGNIFICANT 2

/*
 For shutdown_ns: it is not asked to stop, but ended at once.
 */
#define COOP_BRUTAL_KILL -2

/*
 In coop_datagram.flags, of one that came: it was longer than the library takes and is cut.
 */
#define COOP_DATAGRAM_TRUNCATED 1

/*
 The version that this header is of; coop_version() is the library's.
 */
#define COOP_VERSION_MAJOR 0

/*
 Until 1.0 a new minor version may change the ABI, and the library's SONAME changes with it.
 */
#define COOP_VERSION_MINOR 1

/*
 Versions that differ in it only are compatible.
 */
#define COOP_VERSION_PATCH 0

/*
 What a signal handler may wake a loop with.
 */
typedef struct coop_async coop_async;

/*
 A graph that was checked. It does not change, and runs any number of times, also at once.
 */
typedef struct coop_dag coop_dag;

/*
 Collects the nodes and edges of a graph, and checks them.
 */
typedef struct coop_dag_builder coop_dag_builder;

/*
 One call of the function of a node: the values that the node reads, in the order of its options, and a way to its run. It is there
 until the function returns, and only for the thread that the function is called on.
 */
typedef struct coop_dag_call coop_dag_call;

/*
 The end of one attempt at an I/O node, which the node's function is given: one of coop_dag_completer_complete,
 coop_dag_completer_fail and coop_dag_completer_free is called with it, once, by any thread, then or later.
 */
typedef struct coop_dag_completer coop_dag_completer;

/*
 How a run ended, and the results that nobody has taken. It outlives its graph.
 */
typedef struct coop_dag_outcome coop_dag_outcome;

/*
 An event: not signalled, or signalled. Its descriptor is readable while it is signalled.
 */
typedef struct coop_event coop_event;

/*
 An event loop: posts, timers and watches of file descriptors, on one thread.
 */
typedef struct coop_event_loop coop_event_loop;

/*
 A tree of supervisors and services, on a thread of its own.
 */
typedef struct coop_host coop_host;

/*
 A listening socket, TCP or Unix, that accepts what comes.
 */
typedef struct coop_listener coop_listener;

/*
 An observer of the host that this process is a service of.
 */
typedef struct coop_parent_observer coop_parent_observer;

/*
 A pool of worker threads, pinned to CPUs, that run short tasks: the higher priority first, each task inside its
 CPU set.
 */
typedef struct coop_pool coop_pool;

/*
 A handler's way to its port, from any thread until the handler's drop is called.
 */
typedef struct coop_port_context coop_port_context;

/*
 Named sockets, of datagrams or of connections, each with a handler of its own, served in a mode.
 */
typedef struct coop_port_set coop_port_set;

/*
 A way to a server of redis: calls of which thousands are in flight at once, on one connection or a few, all on the thread of one loop.
 */
typedef struct coop_redis coop_redis;

/*
 A reply of a server, or a part of one. It does not change: any number of threads may read it.
 */
typedef struct coop_redis_reply coop_redis_reply;

/*
 A connection for messages of channels.
 */
typedef struct coop_redis_subscriber coop_redis_subscriber;

/*
 An event loop and a pool as one: the loop's timers and watches run their callbacks in the pool unless they say
 otherwise, posts run on the loop's thread.
 */
typedef struct coop_runtime coop_runtime;

/*
 A run of a service, to the service itself.
 */
typedef struct coop_service_context coop_service_context;

/*
 A connected stream socket, TCP or Unix. It never blocks; its descriptor is closed on exec.

 What waits ends in a callback: one read and one write may be under way at a time, each with a buffer of the caller's that stays where
 it is until the callback is told. What is not read stays in the system, so a fast sender waits for a slow reader.
 */
typedef struct coop_stream coop_stream;

/*
 A UDP socket that receives and sends in batches: up to 64 messages per system call, and many datagrams per
 message where the kernel has GRO and GSO. It never blocks; its descriptor is closed on exec.
 */
typedef struct coop_udp coop_udp;

/*
 What a function answers: COOP_OK (0), or a negative COOP_E_* number. Numbers are never reused.
 */
typedef int32_t coop_status;

/*
 The address of an IPv4 or IPv6 socket: the bytes of a struct sockaddr_in or struct sockaddr_in6, and how many
 they are. It is copied by assignment, and in and out of the system's functions by memcpy. length 0 is no
 address.
 */
typedef struct {
    /*
     sizeof(struct sockaddr_in), sizeof(struct sockaddr_in6), or 0.
     */
    uint32_t length;
    /*
     The struct; aligned for it.
     */
    uint8_t bytes[28];
} coop_address;

/*
 How a loop is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_event_loop_options).
     */
    size_t size;
    /*
     What the loop's own thread is called, if coop_event_loop_start makes one: UTF-8, copied. NULL: "coop-loop".
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
} coop_event_loop_options;

/*
 A function that runs once, with its argument.

 When a call takes it (answers COOP_OK), drop(arg) is called exactly once: after fn has run, or instead of it;
 on any thread, with no lock held, so that it may call the library. When the call fails, neither is called and
 arg is still the caller's. Neither function may throw or longjmp out of the library.
 */
typedef struct {
    /*
     Must not be NULL.
     */
    void (*fn)(void *arg);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL: then nothing is called when arg is not needed any more.
     */
    void (*drop)(void *arg);
} coop_callback;

/*
 A set of CPU numbers, 0 to 1023: bit b of words[w] is CPU 64 * w + b. words NULL (and count 0) is "any CPU"; a
 set that is present and empty is COOP_E_INVALID. The library copies it.
 */
typedef struct {
    /*
     The bits, or NULL.
     */
    const uint64_t *words;
    /*
     How many words.
     */
    size_t count;
} coop_cpu_set;

/*
 When a timer fires and where its callback runs. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_timer_options).
     */
    size_t size;
    /*
     Nanoseconds from now to the first time; 0 is the loop's next turn. The clock is monotonic; a timer never
     fires early.
     */
    int64_t after_ns;
    /*
     Nanoseconds from one time to the next, without drift; 0 is once.
     */
    int64_t every_ns;
    /*
     One of COOP_ON_*.
     */
    int32_t on;
    /*
     One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
     */
    int32_t priority;
    /*
     On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
     */
    coop_cpu_set cpus;
    /*
     1: a COOP_RUN_UNTIL_IDLE does not wait for this timer.
     */
    int32_t unref;
    /*
     Must be 0.
     */
    int32_t reserved;
} coop_timer_options;

/*
 A function that runs at its times. drop(arg) is called once: after the only run of a timer that does not
 repeat, when the timer is cancelled, or when the loop has finished, stopped or
 freed. See coop_callback.
 */
typedef struct {
    /*
     expirations: how many of the timer's times have come, 1, and more if times of a repeating timer were
     missed. Must not be NULL.
     */
    void (*fn)(void *arg, uint64_t expirations);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_timer_callback;

/*
 Names a timer of one loop; never 0, and never used again for another one.
 */
typedef uint64_t coop_timer_id;

/*
 How to watch a descriptor. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_io_watch_options).
     */
    size_t size;
    /*
     COOP_IO_READ, COOP_IO_WRITE or both; 0 is COOP_IO_READ.
     */
    uint32_t interest;
    /*
     1 tells once for each change: read or write until it would block. 0 tells for as long as the descriptor is
     ready.
     */
    int32_t edge;
    /*
     One of COOP_ON_*.
     */
    int32_t on;
    /*
     One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
     */
    int32_t priority;
    /*
     1: a COOP_RUN_UNTIL_IDLE does not wait for this watch.
     */
    int32_t unref;
    /*
     Must be 0.
     */
    int32_t reserved;
    /*
     On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
     */
    coop_cpu_set cpus;
} coop_io_watch_options;

/*
 A function that runs when a descriptor is ready. drop(arg) is called once: when the watch is cancelled, or when
 the loop has finished, stopped or freed. See coop_callback.
 */
typedef struct {
    /*
     ready: COOP_IO_* bits. Must not be NULL.
     */
    void (*fn)(void *arg, uint32_t ready);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_io_watch_callback;

/*
 Names a watch of one loop; never 0, and never used again for another one.
 */
typedef uint64_t coop_io_watch_id;

/*
 How a pool is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_pool_options).
     */
    size_t size;
    /*
     How many workers, up to 1024. 0: as many as this process has CPUs to use, at least 4 (a runtime's pool:
     half, at least 4).
     */
    size_t workers;
    /*
     1 leaves the workers where the system puts them; such a pool takes no CPU sets. 0 pins each to a CPU.
     */
    int32_t no_pin;
    /*
     After how many tasks above a priority one of it runs, if it has one. 0: 64. COOP_NONE: never, the order is
     strict.
     */
    int32_t ageing;
    /*
     What the threads are called, "name-0", "name-1" and so on: UTF-8, copied. NULL: "coop-pool".
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     How many tasks may be queued at once; a pool that is full refuses tasks, or has the submitter wait (timeout_ns of
     coop_submit_options). 0: as many as there is memory for.
     */
    size_t capacity;
} coop_pool_options;

/*
 How a task is to run. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_submit_options).
     */
    size_t size;
    /*
     One of COOP_PRIORITY_*.
     */
    int32_t priority;
    /*
     1: it goes on with what the pool took before, as a coroutine does, so a pool that is full takes it all the same. Else 0.
     For coop_pool_submit only; the others answer COOP_E_UNSUPPORTED.
     */
    int32_t continues;
    /*
     Where it may run: on the workers whose CPU is in the set. CPUs without a worker do no harm beside one that
     has one.
     */
    coop_cpu_set cpus;
    /*
     How long to wait for room in a pool that is full, in nanoseconds. 0: not at all. COOP_FOREVER: as long as it takes.
     */
    int64_t timeout_ns;
} coop_submit_options;

/*
 A datagram that came or is to be sent. This struct does not grow.
 */
typedef struct {
    /*
     Its bytes; may be NULL if there are none. Of one that came: the library's, valid until the next
     coop_udp_receive on this socket.
     */
    const void *data;
    /*
     How many bytes, 0 to 65507 over IPv4.
     */
    size_t length;
    /*
     Who sent it, or who it is for; no address is the peer of coop_udp_connect.
     */
    coop_address address;
    /*
     When sending: if not 0, data holds datagrams of this size back to back, the last one perhaps shorter, as
     many as one likes. 0 in one that came.
     */
    uint32_t segment_size;
    /*
     COOP_DATAGRAM_* in one that came; 0 when sending.
     */
    uint32_t flags;
} coop_datagram;

/*
 A connection of a port. 0 is none; after on_close it is stale.
 */
typedef uint64_t coop_connection_id;

/*
 Why something failed that a callback is told of. The library makes it; it is there until the callback returns. Later versions may
 add fields at its end.
 */
typedef struct {
    /*
     One of COOP_E_*.
     */
    coop_status status;
    /*
     The system's error number (ECONNRESET, EMFILE, ...) beside COOP_E_OS; else 0.
     */
    int32_t os_errno;
    /*
     Why, in words: UTF-8, never NULL.
     */
    const char *message;
} coop_error;

/*
 What a port runs. Its functions run on one thread, one at a time, the same in every mode; those that are NULL do
 nothing. None may throw or longjmp out of the library.

 Once coop_port_set_new answered COOP_OK the set owns arg: drop(arg) is called once, after on_stop, or instead of
 all of them.
 */
typedef struct {
    /*
     sizeof(coop_port_handler).
     */
    size_t size;
    /*
     Handed to every function; may be NULL.
     */
    void *arg;
    /*
     Before anything else. Another answer than COOP_OK fails the start of the whole set.
     */
    coop_status (*on_start)(void *arg, coop_port_context *context);
    /*
     Datagrams have come: all since the last call, in their order. Must not be NULL for a port of datagrams. They are the library's, and lie
     where they are until this returns.
     */
    void (*on_batch)(void *arg, coop_port_context *context, const coop_datagram *datagrams, size_t count);
    /*
     A timer of coop_port_context_set_timer has come.
     */
    void (*on_timer)(void *arg, coop_port_context *context, coop_timer_id timer);
    /*
     After everything else, if on_start was well. What it sends is still sent.
     */
    void (*on_stop)(void *arg, coop_port_context *context);
    /*
     Called once when arg is not needed any more, on any thread.
     */
    void (*drop)(void *arg);
    /*
     A message has come: from another port of the set (coop_port_context_send_message), whose name sender is, or from outside
     it (coop_port_set_send_message), and then sender_length is 0. Both texts are the library's, without a NUL at their end,
     and lie where they are until this returns. NULL: messages are dropped.
     */
    void (*on_message)(void *arg,
                       coop_port_context *context,
                       const char *sender,
                       size_t sender_length,
                       const void *data,
                       size_t length);
    /*
     Of a port that takes connections: a peer has connected. Another answer than COOP_OK closes the connection at once, and nothing more is
     told of it. NULL: each is welcome.
     */
    coop_status (*on_connect)(void *arg, coop_port_context *context, coop_connection_id connection);
    /*
     Bytes have come from a connection, in their order; where they are cut means nothing. They are the library's, and lie where they are until
     this returns. Another answer than COOP_OK closes the connection. Must not be NULL for a port that takes connections.
     */
    coop_status (*on_data)(void *arg,
                           coop_port_context *context,
                           coop_connection_id connection,
                           const void *data,
                           size_t length);
    /*
     The peer sends nothing more, but may still read. Another answer than COOP_OK closes the connection. NULL: it is closed when all that was
     written is sent; with this function it stays open until coop_port_context_close.
     */
    coop_status (*on_end)(void *arg, coop_port_context *context, coop_connection_id connection);
    /*
     A connection is no more, once for each whose on_connect was well; its id is stale from here on. why: one of COOP_CLOSED_*. error: beside
     COOP_CLOSED_LOST what happened, the library's, until this returns; else NULL.
     */
    void (*on_close)(void *arg,
                     coop_port_context *context,
                     coop_connection_id connection,
                     int32_t why,
                     const coop_error *error);
    /*
     Another worker of the port is about to take over (coop_port_set_reload): what it is to find must be saved now, and messages to other ports
     sent; from here on both are COOP_E_CLOSED. Connections, timers and what is sent to peers go on, until on_stop. If the other one cannot start,
     this one has the port again.
     */
    void (*on_hand_over)(void *arg, coop_port_context *context);
    /*
     A connection has room again: a write to it was COOP_E_QUEUE_FULL, or its peer had fallen behind by more than a quarter of what may wait for one
     connection (which is an eighth of buffer_bytes), and now no more than that waits. Once for each time; not of a connection that is written to no
     more, and never after on_close. Another answer than COOP_OK closes the connection. NULL: nobody is told.
     */
    coop_status (*on_drained)(void *arg, coop_port_context *context, coop_connection_id connection);
} coop_port_handler;

/*
 A handler of the program: what coop_port.handler_name names.
 */
typedef struct {
    /*
     sizeof(coop_named_handler), in each of an array.
     */
    size_t size;
    /*
     Its name in this program: UTF-8, copied. Must be there.
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     Makes it, inside the port's worker. args, length: the port's, the library's. out: all zeros; to be filled as the handler of a coop_port
     is, with its size. On COOP_OK the port owns out->arg; any other answer fails the start of the set, and nothing is owned. Must
     not be NULL.
     */
    coop_status (*init)(const void *args, size_t length, coop_port_handler *out);
} coop_named_handler;

/*
 A limit of a process: setrlimit(2).
 */
typedef struct {
    /*
     RLIMIT_NOFILE, RLIMIT_CORE, ...
     */
    int32_t resource;
    /*
     Must be 0.
     */
    int32_t reserved;
    /*
     What holds; COOP_NONE is unlimited.
     */
    int64_t soft;
    /*
     How far the process may raise it; COOP_NONE is unlimited.
     */
    int64_t hard;
} coop_limit;

/*
 A descriptor that a process is given.
 */
typedef struct {
    /*
     The caller's: duplicated by the call, and still the caller's.
     */
    int32_t fd;
    /*
     Its number in the process. As 0 it is its input; 1 and 2 are then not captured.
     */
    int32_t number;
} coop_descriptor;

/*
 A socket that a process is to serve, told to it as systemd tells it.
 */
typedef struct {
    /*
     What it is called in LISTEN_FDNAMES: printable ASCII without ':' and spaces.
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     The caller's: duplicated by the call, and still the caller's.
     */
    int32_t fd;
    /*
     Must be 0.
     */
    int32_t reserved;
} coop_listen_socket;

/*
 A text of the library's: UTF-8, a NUL follows its last byte.
 */
typedef struct {
    /*
     Its bytes; never NULL.
     */
    const char *data;
    /*
     How many, without the NUL.
     */
    size_t length;
} coop_text;

/*
 A line that a process has written. It is there until the function returns. Later versions may add fields at its end.
 */
typedef struct {
    /*
     The bytes of this struct that the library has filled in.
     */
    size_t size;
    /*
     When it was read: nanoseconds since 1970, by the system's clock.
     */
    int64_t time_ns;
    /*
     The service's names from the root down, joined by '/'.
     */
    coop_text service;
    /*
     Without its newline; what is no UTF-8 is replaced.
     */
    coop_text text;
    /*
     So many lines were dropped here, as on_line was too slow, which text says too; 0 for a line of the process's.
     */
    uint64_t dropped;
    /*
     The process.
     */
    int32_t pid;
    /*
     1 for its output, 2 for its error output.
     */
    int32_t stream;
    /*
     1: it was cut here, and the next line of this stream goes on with it.
     */
    int32_t goes_on;
    /*
     0.
     */
    int32_t reserved;
} coop_line;

/*
 Called with each line of a process, from a thread of the library's, one after another. drop(arg) is called once, when the service was
 forgotten; never when the call that took it failed. See coop_callback.
 */
typedef struct {
    /*
     line: there until the function returns.
     */
    void (*fn)(void *arg, const coop_line *line);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_line_callback;

/*
 A program to be run as a process. All of it is copied. Zero in any field but size and argv is the default.

 Unless told otherwise the process has this one's environment at the time of each start, its directory, identity and limits, the
 CPUs that it had at first, no signal blocked or ignored, /dev/null as its input, and no other descriptor than those named here.
 It leads a process group of its own, and ends with the host.
 */
typedef struct {
    /*
     sizeof(coop_command).
     */
    size_t size;
    /*
     As execv(3) takes it: C strings, the last followed by NULL. The first is the program: a path if it has a '/' in it, else looked
     for in the PATH of the process's environment. NULL: this program without arguments, which only a worker may be.
     */
    const char *const *argv;
    /*
     "NAME=VALUE" sets a variable, "NAME" takes it away; the last followed by NULL. NULL: as it is.
     */
    const char *const *env;
    /*
     Its working directory; NULL is this process's.
     */
    const char *directory;
    /*
     The bytes of directory.
     */
    size_t directory_length;
    /*
     Its supplementary groups, if has says so.
     */
    const uint32_t *groups;
    /*
     How many.
     */
    size_t groups_count;
    /*
     Its limits.
     */
    const coop_limit *limits;
    /*
     How many.
     */
    size_t limits_count;
    /*
     Descriptors that it is given.
     */
    const coop_descriptor *descriptors;
    /*
     How many.
     */
    size_t descriptors_count;
    /*
     Sockets that it is to serve: in their order from number 3, with LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES in its environment.
     */
    const coop_listen_socket *listen;
    /*
     How many.
     */
    size_t listen_count;
    /*
     Which CPUs it may use; words NULL is any that this process had at first.
     */
    coop_cpu_set cpus;
    /*
     Which of the next fields (and groups) hold, where zero has a meaning: COOP_COMMAND_* or'ed.
     */
    uint32_t has;
    /*
     Run it as this user; then it has no supplementary groups unless they are given.
     */
    uint32_t uid;
    /*
     Run it as this group.
     */
    uint32_t gid;
    /*
     Which permissions its new files do not get.
     */
    uint32_t umask;
    /*
     How nice it is to others: -20 to 19.
     */
    int32_t nice;
    /*
     The signal that asks it to stop. 0: SIGTERM.
     */
    int32_t stop_signal;
    /*
     1: its environment holds what env sets, and nothing else.
     */
    int32_t env_clear;
    /*
     1: it leads a session of its own, without a terminal.
     */
    int32_t new_session;
    /*
     What becomes of what it writes: one of COOP_OUTPUT_*.
     */
    int32_t output;
    /*
     How many of its last lines the event of its end has. 0: 20. COOP_NONE: none.
     */
    int32_t tail;
    /*
     Beside COOP_OUTPUT_PREFIXED and COOP_OUTPUT_JSON: where to, duplicated by the call. 0: this process's error output.
     */
    int32_t output_fd;
    /*
     Must be 0.
     */
    int32_t reserved;
    /*
     Beside COOP_OUTPUT_LINES: what is called with each line.
     */
    coop_line_callback on_line;
} coop_command;

/*
 Names a service, or a supervisor, of one host; never 0, and never used again for another one.
 */
typedef uint64_t coop_service_id;

/*
 How a set is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_port_set_options).
     */
    size_t size;
    /*
     COOP_MODE_SINGLE, which needs event_loop, COOP_MODE_THREAD, or COOP_MODE_PROCESS.
     */
    int32_t mode;
    /*
     Must be 0.
     */
    int32_t reserved;
    /*
     The loop that a SINGLE set is served on. It stays the caller's, who frees it after the set.
     */
    coop_event_loop *event_loop;
    /*
     Bytes that each port may hold of what came, and of what is to be sent; what comes above is dropped and counted. 0: 64 MiB.
     */
    size_t buffer_bytes;
    /*
     The program's handlers: what coop_port.handler_name names. In mode PROCESS those that the workers' program hands to
     coop_port_worker_main are used.
     */
    const coop_named_handler *handlers;
    /*
     How many.
     */
    size_t handler_count;
    /*
     In mode PROCESS the workers' program, environment, limits and output; without argv it is this program, entered again. NULL: this program. It
     must call coop_port_worker_main. on_line is not for these.
     */
    const coop_command *command;
    /*
     In mode PROCESS a host that supervises the workers, below supervisor; events of them are its. It must outlive the set. NULL: the
     set has one of its own.
     */
    const coop_host *host;
    /*
     Beside host: which of its supervisors. 0: the root.
     */
    coop_service_id supervisor;
    /*
     In mode PROCESS what the set is called below that supervisor, and in the workers' output: UTF-8, copied; NULL is "ports".
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     Bytes that each handler may save. 0: 1 MiB.
     */
    size_t saved_bytes;
    /*
     What messages that wait may take, from each port to each and from outside to each, in every mode: a power of two, 64 to 2^31. A message takes 8
     bytes and its own, up to the next multiple of 8. 0: 1 MiB.
     */
    size_t ring_bytes;
    /*
     In mode PROCESS how long a worker may take to start, in nanoseconds. 0: 60 s.
     */
    int64_t ready_ns;
    /*
     In mode PROCESS: a worker whose process did not run for so long is replaced, in nanoseconds. 0: 2 s. COOP_NONE: none is.
     */
    int64_t liveness_ns;
    /*
     In mode PROCESS how long a worker may take to stop where nobody says anything else, in nanoseconds. 0: 1 s.
     */
    int64_t shutdown_ns;
    /*
     How many connections a port may have at once: more of them wait in the system until one has gone. 0: 10,000.
     */
    size_t connections;
} coop_port_set_options;

/*
 A port to be.
 */
typedef struct {
    /*
     sizeof(coop_port), in each of an array.
     */
    size_t size;
    /*
     Unique in its set: UTF-8, copied.
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     What it runs: copied. Must not be NULL, but for a handler_name.
     */
    const coop_port_handler *handler;
    /*
     Where the socket of COOP_PORT_UDP or COOP_PORT_TCP is bound: coop_address_parse makes one. No address: any free port of 127.0.0.1.
     */
    coop_address bind;
    /*
     The only peer, or no address: then everybody is heard, and datagrams need an address. Not for a port that takes connections.
     */
    coop_address connect;
    /*
     In the place of handler, which is NULL then: the name of what makes it, inside the port's worker. One of
     coop_port_set_options.handlers, or "path/lib.so:symbol". UTF-8, copied; or NULL. Mode PROCESS needs it.
     */
    const char *handler_name;
    /*
     The bytes of handler_name.
     */
    size_t handler_name_length;
    /*
     What the named handler's function is handed: copied; NULL if there is none.
     */
    const void *args;
    /*
     The bytes of args.
     */
    size_t args_length;
    /*
     What socket it is, and so whether it takes datagrams (on_batch) or connections (on_data): one of COOP_PORT_*.
     */
    int32_t kind;
    /*
     The socket of COOP_PORT_LISTENING. It stays the caller's, who may close it when the set was made; it is made non-blocking.
     */
    int32_t fd;
    /*
     The path of COOP_PORT_UNIX, without a NUL at its end: a file that nobody listens at any more is replaced, and it is removed with the set; on
     Linux a name that begins with a NUL is one of the abstract kind, which is no file. Of COOP_PORT_PASSED the socket's name, or, if none has
     that, its number from 0. Copied.
     */
    const char *path;
    /*
     The bytes of path.
     */
    size_t path_length;
} coop_port;

/*
 What a port has counted since its start.
 */
typedef struct {
    /*
     sizeof(coop_port_stats), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     Datagrams taken from the socket and kept.
     */
    uint64_t received;
    /*
     Their bytes, or those of connections.
     */
    uint64_t received_bytes;
    /*
     Datagrams taken from the socket and dropped, because the buffer was full.
     */
    uint64_t dropped;
    /*
     What the kernel dropped before, because its own buffer was full; in its units, a coalesced run may be one.
     */
    uint64_t kernel_dropped;
    /*
     Of those received: longer than the library takes, and cut.
     */
    uint64_t truncated;
    /*
     Datagrams that the system took.
     */
    uint64_t sent;
    /*
     Their bytes, or those of connections.
     */
    uint64_t sent_bytes;
    /*
     Datagrams that the system refused, or that were still queued at the end.
     */
    uint64_t send_dropped;
    /*
     Errors that the system told of earlier datagrams (a peer that is gone).
     */
    uint64_t peer_errors;
    /*
     Faults of the handler.
     */
    uint64_t errors;
    /*
     Messages given to the handler.
     */
    uint64_t messages;
    /*
     How often its process was started again.
     */
    uint64_t restarts;
    /*
     Connections accepted.
     */
    uint64_t accepted;
    /*
     Connections that are open now; of a port that was reloaded, those of its newest worker.
     */
    uint64_t open;
    /*
     Of those accepted: closed at once, because on_connect was not well.
     */
    uint64_t refused;
} coop_port_stats;

/*
 How a runtime is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_runtime_options).
     */
    size_t size;
    /*
     Its pool, with its own size; NULL is all defaults.
     */
    const coop_pool_options *pool;
    /*
     Its loop, with its own size; NULL is all defaults.
     */
    const coop_event_loop_options *event_loop;
} coop_runtime_options;

/*
 Called with each message. drop(arg) is called once, when the function is replaced and its last call has returned.
 */
typedef struct {
    /*
     level is one of COOP_LOG_ERROR to COOP_LOG_TRACE. message is UTF-8, ends with a NUL and is valid during the
     call.
     */
    void (*fn)(void *arg, int32_t level, const char *message);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_log_callback;

/*
 How a socket is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_udp_options).
     */
    size_t size;
    /*
     Where to bind: "127.0.0.1:7000", "[::1]:7000"; port 0 takes a free one. NULL: "0.0.0.0:0".
     */
    const char *address;
    /*
     The bytes of address.
     */
    size_t address_length;
    /*
     Bytes that the kernel may hold until they are received; it may allow less. 0 is the system's default.
     */
    size_t recv_buffer;
    /*
     Bytes that the kernel may hold of what is sent; it may allow less. 0 is the system's default.
     */
    size_t send_buffer;
    /*
     1: several sockets may bind this address, and the kernel spreads the senders over them.
     */
    int32_t reuse_port;
    /*
     1: the kernel never joins datagrams that it received.
     */
    int32_t no_gro;
    /*
     1: the kernel is never asked to cut what is sent.
     */
    int32_t no_gso;
    /*
     Must be 0.
     */
    int32_t reserved;
    /*
     1: the kernel tells of each datagram when it came: coop_udp_receive_times.
     */
    int32_t receive_times;
    /*
     Must be 0.
     */
    int32_t reserved_too;
} coop_udp_options;

/*
 Does one piece of a loop: the numbers from begin up to, and without, end. Called by several threads at the same
 time. It must not throw or longjmp out of the library.
 */
typedef void (*coop_range_fn)(void *arg, size_t begin, size_t end);

/*
 What a pool did since it was made, and what waits in it, at a moment while others go on.
 */
typedef struct {
    /*
     sizeof(coop_pool_statistics), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     How many workers there are.
     */
    size_t workers;
    /*
     How many tasks may be queued at once; 0: as many as there is memory for.
     */
    size_t capacity;
    /*
     How many tasks of COOP_PRIORITY_HIGH wait.
     */
    size_t depth_high;
    /*
     How many of COOP_PRIORITY_NORMAL.
     */
    size_t depth_normal;
    /*
     How many of COOP_PRIORITY_LOW.
     */
    size_t depth_low;
    /*
     Of all workers: the tasks they have begun.
     */
    uint64_t executed;
    /*
     Of all workers: the tasks they took from what another one had claimed.
     */
    uint64_t stolen;
    /*
     Of all workers: how often they went to sleep.
     */
    uint64_t parked;
    /*
     From submission to start, of every 64th task: how many were timed.
     */
    uint64_t wait_samples;
    /*
     Their mean, in nanoseconds.
     */
    int64_t wait_mean_ns;
    /*
     Half of them waited no longer; up to an eighth too much.
     */
    int64_t wait_p50_ns;
    /*
     99 of 100 waited no longer; up to an eighth too much.
     */
    int64_t wait_p99_ns;
    /*
     The longest.
     */
    int64_t wait_max_ns;
} coop_pool_statistics;

/*
 Names a task of one pool; never 0, and never used again for another one. It lives until a coop_task_join that saw
 the task's end, a coop_task_cancel that won, a coop_task_release, or until the pool is freed; from then on it is
 stale.
 */
typedef uint64_t coop_task_id;

/*
 What one worker did since the pool was made.
 */
typedef struct {
    /*
     sizeof(coop_worker_statistics), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     The CPU that it is pinned to; COOP_NONE if the pool was made with no_pin.
     */
    int32_t cpu;
    /*
     0.
     */
    int32_t reserved;
    /*
     The tasks it has begun.
     */
    uint64_t executed;
    /*
     The tasks it took from what another worker had claimed.
     */
    uint64_t stolen;
    /*
     How often it went to sleep.
     */
    uint64_t parked;
} coop_worker_statistics;

/*
 A function that is told how long what was ready in a turn of the loop has waited. It runs on the loop's thread, after
 that turn, with no lock held. drop(arg) is called once: when the hook is replaced or taken away, or when the loop is
 freed. See coop_callback.
 */
typedef struct {
    /*
     lag_ns: from when the loop woke up to when the turn's last callback began, in nanoseconds.
     */
    void (*fn)(void *arg, int64_t lag_ns);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_lag_callback;

/*
 A function that is told of a callback that took too long. It runs on the loop's thread, after that callback, with no
 lock held. drop(arg) is called once: when the hook is replaced or taken away, or when the loop is freed. See
 coop_callback.
 */
typedef struct {
    /*
     what: one of COOP_CALLBACK_*. took_ns: how long it ran, in nanoseconds.
     */
    void (*fn)(void *arg, int32_t what, int64_t took_ns);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_slow_callback;

/*
 What an event loop did since it was made. The times are of callbacks on the loop's thread, and are measured from the
 first coop_event_loop_stats of the loop on, or while it has a hook: until then they are 0.
 */
typedef struct {
    /*
     sizeof(coop_event_loop_statistics), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     Turns.
     */
    uint64_t iterations;
    /*
     Descriptors that were ready.
     */
    uint64_t events;
    /*
     Posts that have begun.
     */
    uint64_t posts;
    /*
     Timers that have fired, each repetition anew.
     */
    uint64_t timers_fired;
    /*
     Timers there are.
     */
    size_t timers;
    /*
     Watches there are, and sockets of streams.
     */
    size_t watches;
    /*
     The longest that a callback has run, in nanoseconds.
     */
    int64_t longest_callback_ns;
    /*
     In the last turn: from when the loop woke up to when its last callback began, which is how long the last of what
     was ready waited.
     */
    int64_t lag_ns;
    /*
     The longest such time of all turns.
     */
    int64_t longest_lag_ns;
    /*
     For how long the callback at hand has run so far; 0 if there is none. This tells of one that never returns.
     */
    int64_t at_hand_ns;
} coop_event_loop_statistics;

/*
 How a stream is, and where its callbacks run. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_stream_options).
     */
    size_t size;
    /*
     One of COOP_ON_*.
     */
    int32_t on;
    /*
     One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
     */
    int32_t priority;
    /*
     On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
     */
    coop_cpu_set cpus;
    /*
     1: what is written goes out at once, instead of waiting a little for more (TCP_NODELAY). Of no meaning for Unix sockets.
     */
    int32_t nodelay;
    /*
     Must be 0.
     */
    int32_t reserved;
    /*
     Nanoseconds of silence after which the system asks whether the peer is still there; it counts seconds, rounded up. 0 never
     asks. Of no meaning for Unix sockets.
     */
    int64_t keepalive_ns;
    /*
     Bytes that the system may hold of what has come; it may allow less. 0 is the system's default, which grows by itself.
     */
    size_t recv_buffer;
    /*
     Bytes that the system may hold of what is to go; it may allow less. 0 is the system's default, which grows by itself.
     */
    size_t send_buffer;
} coop_stream_options;

/*
 How to connect. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_connect_options).
     */
    size_t size;
    /*
     Nanoseconds for all of it, the look-up of the name too; then it is COOP_E_TIMEOUT. 0: as long as the system tries.
     */
    int64_t timeout_ns;
    /*
     The address to connect from: "192.0.2.1:0"; port 0 is any. NULL: any.
     */
    const char *local;
    /*
     The bytes of local.
     */
    size_t local_length;
    /*
     How the stream is, and where its callbacks run; the one that is handed the stream, too. NULL is all defaults.
     */
    const coop_stream_options *stream;
} coop_connect_options;

/*
 A function that is handed a stream. drop(arg) is called once: after the only run when one connects, and when the listener is freed. See
 coop_callback.
 */
typedef struct {
    /*
     error: NULL if there is a stream. stream: the callback's, who frees it; NULL beside an error. Callbacks of the stream are not told
     before this one has returned. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_error *error, coop_stream *stream);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_stream_callback;

/*
 Where the callback of an event, a child, a signal, a coop_async or a look-up runs. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_source_options).
     */
    size_t size;
    /*
     One of COOP_ON_*.
     */
    int32_t on;
    /*
     One of COOP_PRIORITY_*; 0 unless on is COOP_ON_POOL.
     */
    int32_t priority;
    /*
     On which CPUs; words NULL is on any. Only beside COOP_ON_POOL.
     */
    coop_cpu_set cpus;
} coop_source_options;

/*
 A function that is told once where a name is; then drop(arg) is called. See coop_callback.
 */
typedef struct {
    /*
     error: NULL if there are addresses. addresses, count: in the order in which to try them, until the callback returns; NULL and 0 beside
     an error. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_error *error, const coop_address *addresses, size_t count);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_resolve_callback;

/*
 Where to listen, and how. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_listener_options).
     */
    size_t size;
    /*
     Where: "127.0.0.1:7000", "[::1]:7000"; port 0 takes a free one. One of address and path must be there.
     */
    const char *address;
    /*
     The bytes of address.
     */
    size_t address_length;
    /*
     Or a Unix socket: a path, whose file is removed when the listener is freed; on Linux a name that begins with a NUL is one of the
     abstract kind, which is no file.
     */
    const char *path;
    /*
     The bytes of path.
     */
    size_t path_length;
    /*
     How many connections may wait in the system; it may allow fewer. 0: 4096.
     */
    uint32_t backlog;
    /*
     1: several sockets may listen at this address, and the kernel spreads the connections over them.
     */
    int32_t reuse_port;
    /*
     1: the address is refused while connections of an earlier listener linger there.
     */
    int32_t no_reuse_address;
    /*
     1: a Unix socket's file that nobody listens at any more is replaced, instead of refused.
     */
    int32_t replace;
    /*
     How the streams are, and where their callbacks run; that of the listener, too. NULL is all defaults.
     */
    const coop_stream_options *stream;
} coop_listener_options;

/*
 A function that is told once how a read or a write ended; then drop(arg) is called. See coop_callback.
 */
typedef struct {
    /*
     error: NULL if it was done. count: how many bytes were moved, also beside an error. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_error *error, size_t count);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_io_callback;

/*
 Names a wait for a child of one loop; never 0, and never used again for another one.
 */
typedef uint64_t coop_child_id;

/*
 How a child ended. Later versions may add fields at its end.
 */
typedef struct {
    /*
     The bytes of this struct that the library has filled in.
     */
    size_t size;
    /*
     The child's process id, which the system may give to another process from now on.
     */
    int32_t pid;
    /*
     What it gave to exit(), 0 to 255; -1 if a signal ended it.
     */
    int32_t code;
    /*
     The signal that ended it; 0 if it exited.
     */
    int32_t signal;
    /*
     1: it left a core dump.
     */
    int32_t core_dumped;
} coop_exit_status;

/*
 A function that runs once, when a child has ended. drop(arg) is called once: after that, when the wait is cancelled, or
 with its loop. See coop_callback.
 */
typedef struct {
    /*
     error: NULL, and status says how the child ended; or why that is not known (somebody else has reaped it), and
     status is NULL. Both are there until the function returns. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_error *error, const coop_exit_status *status);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_child_callback;

/*
 A function that runs when the process has got a signal: not in a signal handler, so it may do anything. drop(arg) is
 called once: when the watcher is cancelled, or with its loop. See coop_callback.
 */
typedef struct {
    /*
     signum: which. times: how many of it have come since the last call, from 1. Must not be NULL.
     */
    void (*fn)(void *arg, int32_t signum, uint64_t times);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_signal_callback;

/*
 Names a watcher of a signal of one loop; never 0, and never used again for another one.
 */
typedef uint64_t coop_signal_id;

/*
 How an event is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_event_options).
     */
    size_t size;
    /*
     0: each signal lets one waiter through and is taken by it; while nobody waits, signals do not add up. 1: it stays
     signalled until coop_event_reset, and lets all through.
     */
    int32_t manual_reset;
    /*
     Must be 0.
     */
    int32_t reserved;
} coop_event_options;

/*
 A function that runs whenever an event is signalled. drop(arg) is called once: when the watch is cancelled, or with its
 loop. See coop_callback.
 */
typedef struct {
    /*
     Must not be NULL.
     */
    void (*fn)(void *arg);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_event_callback;

/*
 A function that runs after coop_async_send. drop(arg) is called once: after coop_async_free, or with the loop. See
 coop_callback.
 */
typedef struct {
    /*
     Must not be NULL.
     */
    void (*fn)(void *arg);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_async_callback;

/*
 Names a node of one builder, and of the graph that it builds; never 0.
 */
typedef uint64_t coop_dag_node_id;

/*
 A node that another one reads or waits for, or that is asked about.
 */
typedef struct {
    /*
     The node; 0: by its name, which may be that of a node that is added later.
     */
    coop_dag_node_id node;
    /*
     Its name, beside node 0: UTF-8, copied.
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
} coop_dag_ref;

/*
 Looks at what a node reads, and says whether the node runs. Otherwise as coop_dag_function.
 */
typedef struct {
    /*
     True: the node runs. False: it is skipped, with all that depends on it. Must not be NULL.
     */
    bool (*fn)(void *arg, coop_dag_call *call);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_dag_predicate;

/*
 How a node is run. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_dag_node_options).
     */
    size_t size;
    /*
     The nodes whose results it is given, in this order; copied. It begins when they have ended.
     */
    const coop_dag_ref *reads;
    /*
     How many.
     */
    size_t read_count;
    /*
     Nodes that must have ended before, though their results are not read; copied.
     */
    const coop_dag_ref *after;
    /*
     How many.
     */
    size_t after_count;
    /*
     One of COOP_PRIORITY_*; of no meaning for an I/O node.
     */
    int32_t priority;
    /*
     How often the node is tried again when it fails.
     */
    uint32_t retries;
    /*
     Nanoseconds to wait before the first of these, and twice as long before each one more. Needs a loop, unless it is 0.
     */
    int64_t backoff_ns;
    /*
     Nanoseconds that the node may take from its beginning, all its attempts together; then it has failed with COOP_E_TIMEOUT. A function
     that runs in the pool goes on, and its result is dropped. Needs a loop. 0 and COOP_FOREVER: as long as it takes.
     */
    int64_t timeout_ns;
    /*
     On which CPUs a CPU node may run; words NULL is on any.
     */
    coop_cpu_set cpus;
    /*
     Asked before the node runs, where it would run; NULL: it runs. The builder owns only_if.arg if the function that takes these options
     answers COOP_OK.
     */
    const coop_dag_predicate *only_if;
    /*
     1: runs also when what it reads or waits for was skipped. The values of those are not there: COOP_E_CANCELLED.
     */
    int32_t even_if_skipped;
    /*
     1: its result is kept for the outcome, although other nodes read it. The result of a node that nobody reads always is.
     */
    int32_t keep;
} coop_dag_node_options;

/*
 A value that is handed over: whoever has it calls drop(value) once, or hands it on. The library calls it when nobody needs the value
 any more: after its last reader, on any thread, with no lock held.
 */
typedef struct {
    /*
     What it is: a pointer to anything, which several threads may read at the same time. May be NULL.
     */
    void *value;
    /*
     May be NULL: then nothing is called when value is not needed any more.
     */
    void (*drop)(void *value);
} coop_dag_value;

/*
 What a CPU node does: called by a worker of the pool, once in a run and for each retry. One graph runs many times at once, so several
 threads call it at the same time. drop(arg) is called once, when the graph, its builder, the graphs that it was inserted into
 and their runs are gone. See coop_callback.
 */
typedef struct {
    /*
     call: what the node reads. result: empty; set to the node's result, which is the library's if fn answers COOP_OK. Answers COOP_OK,
     COOP_DAG_SKIP, or a COOP_E_* for a node that has failed. Must not be NULL.
     */
    coop_status (*fn)(void *arg, coop_dag_call *call, coop_dag_value *result);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_dag_function;

/*
 A node that stands for an input of a graph that is inserted.
 */
typedef struct {
    /*
     The input's name in that graph: UTF-8.
     */
    const char *input;
    /*
     The bytes of input.
     */
    size_t input_length;
    /*
     The node here.
     */
    coop_dag_ref node;
} coop_dag_binding;

/*
 What an I/O node does. Called on the loop's thread, once in a run and for each retry, so it must not wait; otherwise as
 coop_dag_function.
 */
typedef struct {
    /*
     call: what the node reads; there until fn returns, but its values until the completer is used. completer: the function's, who
     hands it to whatever it begins. Must not be NULL.
     */
    void (*fn)(void *arg, coop_dag_call *call, coop_dag_completer *completer);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_dag_io_function;

/*
 How a builder is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_dag_builder_options).
     */
    size_t size;
    /*
     For how many nodes it has room from the beginning. It grows.
     */
    size_t nodes;
} coop_dag_builder_options;

/*
 How a graph is run. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_dag_run_options).
     */
    size_t size;
    /*
     Nanoseconds after which the run ends with COOP_E_TIMEOUT. Needs a loop. 0 and COOP_FOREVER: as long as it takes.
     */
    int64_t timeout_ns;
    /*
     One of COOP_DAG_*: what becomes of the rest when a node fails.
     */
    int32_t on_failure;
    /*
     1: takes the time of each node, for coop_dag_outcome_trace and coop_dag_stats.
     */
    int32_t trace;
} coop_dag_run_options;

/*
 A value for an input of a graph.
 */
typedef struct {
    /*
     The input.
     */
    coop_dag_ref node;
    /*
     Its value; the run's if coop_dag_run answers COOP_OK.
     */
    coop_dag_value value;
} coop_dag_input;

/*
 A function that is told once how a run ended; then drop(arg) is called. See coop_callback.
 */
typedef struct {
    /*
     error: NULL if all nodes have ended well, or were skipped; there until fn returns. outcome: what the nodes have made; the function's,
     who frees it with coop_dag_outcome_free, then or later.
     */
    void (*fn)(void *arg, const coop_error *error, coop_dag_outcome *outcome);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_dag_run_callback;

/*
 Names a run of one graph; never 0, and never used again for another one. It lives until coop_dag_run_release, a coop_dag_run_join that
 saw the run's end, or until the graph is freed; from then on it is stale.
 */
typedef uint64_t coop_dag_run_id;

/*
 What a supervisor is. Zero in any field but size is the default, which is OTP's.
 */
typedef struct {
    /*
     sizeof(coop_supervisor_options).
     */
    size_t size;
    /*
     One of COOP_STRATEGY_*.
     */
    int32_t strategy;
    /*
     One of COOP_AUTO_SHUTDOWN_*.
     */
    int32_t auto_shutdown;
    /*
     More restarts than this within period_ns, and it stops its children and ends. 0: 1. COOP_NONE: any number.
     */
    int32_t intensity;
    /*
     1: the first restart is one too many; intensity must be 0.
     */
    int32_t no_restarts;
    /*
     Nanoseconds. 0: 5 s.
     */
    int64_t period_ns;
    /*
     How long it may take to stop, in nanoseconds; COOP_BRUTAL_KILL does not ask. 0 and COOP_FOREVER: as long as it takes.
     */
    int64_t shutdown_ns;
    /*
     Whether its own supervisor restarts it: one of COOP_RESTART_*. Of no meaning for a host's root.
     */
    int32_t restart;
    /*
     1: its end counts for its own supervisor's auto_shutdown.
     */
    int32_t significant;
} coop_supervisor_options;

/*
 How a host is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_host_options).
     */
    size_t size;
    /*
     The root's name, which every path begins with: UTF-8, without '/'; copied. NULL: "root".
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     The root, with its own size; NULL is all defaults.
     */
    const coop_supervisor_options *root;
    /*
     The main loop, which async services run on; NULL: there are none. It stays the caller's, who frees it after the host.
     */
    coop_event_loop *event_loop;
    /*
     How many events are kept for observers that come late. 0: 256. COOP_NONE: none.
     */
    int64_t history;
} coop_host_options;

/*
 How to observe. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_observer_options).
     */
    size_t size;
    /*
     Events of these services and supervisors, and of what is below them; NULL is all. In a name '*' stands for any text and '?' for one
     character: "root/web*" is root/web and root/web-2, and what is below each.
     */
    const char *path;
    /*
     The bytes of path.
     */
    size_t path_length;
    /*
     How many events may wait for the function, or to be asked for; the oldest go first, and are counted. 0: 1024.
     */
    size_t queue;
    /*
     How many of the events before are told first, as far as the host has kept them.
     */
    size_t replay;
    /*
     The function is called on this loop's thread; NULL: on a thread of the observer's own.
     */
    coop_event_loop *event_loop;
    /*
     COOP_SERVICE_* or'ed: events of these kinds. 0: of all.
     */
    int32_t kinds;
    /*
     1: each event has itself as JSON, too.
     */
    int32_t json;
} coop_observer_options;

/*
 A change of a service or a supervisor. What it points to is there as long as it is. Later versions may add fields at its end.
 */
typedef struct {
    /*
     The bytes of this struct that the library has filled in.
     */
    size_t size;
    /*
     From 1, without a gap in one host.
     */
    uint64_t number;
    /*
     When: nanoseconds since 1970, by the system's clock.
     */
    int64_t time_ns;
    /*
     Of which service or supervisor.
     */
    uint64_t id;
    /*
     Which run of it, from 1; 0 before the first.
     */
    uint64_t run;
    /*
     Its names from the root down, joined by '/'.
     */
    coop_text path;
    /*
     What changed, in words: "ended by SIGKILL".
     */
    coop_text text;
    /*
     All of it as JSON, one line; empty unless the observer asked for it.
     */
    coop_text json;
    /*
     The last lines that the run wrote.
     */
    const coop_text *tail;
    /*
     How many.
     */
    size_t tail_count;
    /*
     How long the run went, in nanoseconds.
     */
    int64_t uptime_ns;
    /*
     When it starts again, in nanoseconds from then.
     */
    int64_t delay_ns;
    /*
     Its restarts so far.
     */
    uint64_t restarts;
    /*
     Beside COOP_SERVICE_EVENTS_LOST: how many.
     */
    uint64_t lost;
    /*
     What changed: one of COOP_SERVICE_*.
     */
    int32_t kind;
    /*
     How a run ended: one of COOP_EXIT_*; 0 unless kind is COOP_SERVICE_ENDED, as all that follow but pid.
     */
    int32_t exit;
    /*
     What the process gave to exit(), 0 to 255; -1 if it did not.
     */
    int32_t code;
    /*
     The signal that ended the process.
     */
    int32_t signal;
    /*
     1: it left a core dump.
     */
    int32_t core_dumped;
    /*
     1: that was a normal end.
     */
    int32_t normal;
    /*
     What the library had to do with it: one of COOP_BECAUSE_*, or 0.
     */
    int32_t because;
    /*
     Beside COOP_SERVICE_SPAWNED: the process.
     */
    int32_t pid;
    /*
     Beside COOP_SERVICE_ENDED and COOP_SERVICE_START_FAILED: what the run left to explain that, of several lines; mostly empty.
     */
    coop_text details;
} coop_service_event;

/*
 Called with one event after another. drop(arg) is called once, after the last. See coop_callback.
 */
typedef struct {
    /*
     event: there until the function returns.
     */
    void (*fn)(void *arg, const coop_service_event *event);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_service_event_callback;

/*
 Names an observer of one host; never 0, and never used again for another one.
 */
typedef uint64_t coop_observer_id;

/*
 A service that is a function, on a thread of its own for each run.
 */
typedef struct {
    /*
     Runs until it returns, which it should when coop_service_context_is_stopping. context: this run's, until it returns. During
     a hand-over two runs go at once.
     */
    void (*fn)(void *arg, coop_service_context *context);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     Called once, when the service was forgotten and its last run has returned; never when the call that took it failed. May be NULL.
     */
    void (*drop)(void *arg);
} coop_thread_service;

/*
 A service that lives on the host's main loop: it begins in one call, is told to stop in another, and ends when it says so.
 */
typedef struct {
    /*
     Called on the main loop's thread to begin a run, and returns at once. context: this run's, until coop_service_context_end ends it.
     */
    void (*start)(void *arg, coop_service_context *context);
    /*
     Called on the main loop's thread, once, to ask a run to end. May be NULL: then a run that is to stop has ended at once.
     */
    void (*stop)(void *arg, coop_service_context *context);
    /*
     Handed to all functions; may be NULL.
     */
    void *arg;
    /*
     Called once, when the service was forgotten and its last run has ended; never when the call that took it failed. May be NULL.
     */
    void (*drop)(void *arg);
} coop_async_service;

/*
 A delay before a restart; all zeros: none.
 */
typedef struct {
    /*
     Before the first restart, in nanoseconds.
     */
    int64_t delay_ns;
    /*
     At most so long. 0: a minute, or delay_ns if that is longer.
     */
    int64_t cap_ns;
    /*
     After so long without an end, the first delay again. 0: a minute.
     */
    int64_t calm_ns;
    /*
     One of COOP_GROWTH_*.
     */
    int32_t growth;
    /*
     Each delay is shortened by a random part of itself, up to this many thousandths: 0 to 1000.
     */
    int32_t jitter_per_mille;
} coop_backoff;

/*
 What is said of a service. All but arguments is copied. Zero in any field but size and id is the default, which is OTP's. Exactly one of
 command, worker, thread and async must be there, but that a worker may have a command.
 */
typedef struct {
    /*
     sizeof(coop_service_options).
     */
    size_t size;
    /*
     Its name among its siblings: UTF-8, without '/'. Must be there.
     */
    const char *id;
    /*
     The bytes of id.
     */
    size_t id_length;
    /*
     It is a process; or NULL.
     */
    const coop_command *command;
    /*
     It is a process with a main loop: the entry of this name that the program hands to coop_workers_run, in a process of its own for
     each run. The program is this one, unless command has an argv. UTF-8; or NULL.
     */
    const char *worker;
    /*
     The bytes of worker.
     */
    size_t worker_length;
    /*
     It is a function on a thread; or fn is NULL.
     */
    coop_thread_service thread;
    /*
     It lives on the host's main loop; or start is NULL.
     */
    coop_async_service async;
    /*
     Exit statuses beside 0 that are a normal end of its process.
     */
    const int32_t *normal_exits;
    /*
     How many.
     */
    size_t normal_exits_count;
    /*
     How long it may take to stop, in nanoseconds; then it is ended. 0: 5 s. COOP_FOREVER: as long as it takes. COOP_BRUTAL_KILL: it is not
     asked. A thread and an async service cannot be ended: one that ignores this goes on, is told of as unresponsive, and is not
     started again before it ends.
     */
    int64_t shutdown_ns;
    /*
     Beside COOP_READY_NOTIFY: how long it may take, in nanoseconds. 0: 60 s.
     */
    int64_t ready_timeout_ns;
    /*
     It must beat (coop_service_context_beat, sd_notify("WATCHDOG=1")) at least so often, in nanoseconds, or is ended. 0: it need not.
     */
    int64_t watchdog_ns;
    /*
     Of a worker: its process must show that it runs at least so often, in nanoseconds, which the library does for it, or it is ended.
     0: it need not.
     */
    int64_t liveness_ns;
    /*
     How its restarts are delayed.
     */
    coop_backoff backoff;
    /*
     One of COOP_RESTART_*.
     */
    int32_t restart;
    /*
     1: its end counts for its supervisor's auto_shutdown; then restart is not COOP_RESTART_PERMANENT.
     */
    int32_t significant;
    /*
     One of COOP_READY_*.
     */
    int32_t ready;
    /*
     1: where its supervisor would give up, it rests for its longest backoff and is tried again.
     */
    int32_t park;
    /*
     1: so it does when its first start fails.
     */
    int32_t park_at_start;
    /*
     Must be 0.
     */
    int32_t reserved;
} coop_service_options;

/*
 How many children a supervisor has.
 */
typedef struct {
    /*
     sizeof(coop_child_counts), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     Specifications; one under simple one for one.
     */
    uint64_t specs;
    /*
     Children that run.
     */
    uint64_t active;
    /*
     Children that are supervisors, running or not.
     */
    uint64_t supervisors;
    /*
     Children that are not, running or not.
     */
    uint64_t workers;
} coop_child_counts;

/*
 What a supervisor knows of a child, with every default filled in. Later versions may add fields at its end.
 */
typedef struct {
    /*
     The bytes of this struct that the library has filled in.
     */
    size_t size;
    /*
     Its name among its siblings.
     */
    coop_text name;
    /*
     What runs it: "process", "async process", "thread", "async"; "supervisor" for a supervisor.
     */
    coop_text executor;
    /*
     Exit statuses beside 0 that are a normal end.
     */
    const int32_t *normal_exits;
    /*
     How many.
     */
    size_t normal_exits_count;
    /*
     How long it may take to stop, in nanoseconds; COOP_FOREVER, COOP_BRUTAL_KILL.
     */
    int64_t shutdown_ns;
    /*
     How long it may take to say that it is ready; 0: it counts as ready at once.
     */
    int64_t ready_timeout_ns;
    /*
     It must beat at least so often; 0: it need not.
     */
    int64_t watchdog_ns;
    /*
     Its process must show that it runs at least so often; 0: it need not.
     */
    int64_t liveness_ns;
    /*
     How its restarts are delayed; all 0: not at all.
     */
    coop_backoff backoff;
    /*
     Of a supervisor: nanoseconds that intensity counts in; else 0.
     */
    int64_t period_ns;
    /*
     Of a supervisor: so many restarts are allowed within period_ns; COOP_NONE: any number.
     */
    int64_t intensity;
    /*
     One of COOP_RESTART_*.
     */
    int32_t restart;
    /*
     1: its end counts for its supervisor's auto_shutdown.
     */
    int32_t significant;
    /*
     1: it rests where its supervisor would give up.
     */
    int32_t park;
    /*
     1: it rests also when its first start fails.
     */
    int32_t park_at_start;
    /*
     Of a supervisor: one of COOP_STRATEGY_*; else COOP_NONE.
     */
    int32_t strategy;
    /*
     Of a supervisor: one of COOP_AUTO_SHUTDOWN_*; else 0.
     */
    int32_t auto_shutdown;
} coop_child_spec;

/*
 Called with a child's specification. drop(arg) is called once, after that. See coop_callback.
 */
typedef struct {
    /*
     spec: there until the function returns. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_child_spec *spec);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_child_spec_callback;

/*
 What one child of a template is given. Zero in any field but size is nothing.
 */
typedef struct {
    /*
     sizeof(coop_child_args).
     */
    size_t size;
    /*
     For a process: behind the arguments of the template's command; C strings, the last followed by NULL. Copied.
     */
    const char *const *argv;
    /*
     For a function, in the place of argv: what coop_service_context_value answers.
     */
    void *value;
    /*
     Called once with value, when the child is forgotten; never when the call that took it failed. May be NULL.
     */
    void (*drop)(void *value);
} coop_child_args;

/*
 A child of a supervisor. Later versions may add fields at its end.
 */
typedef struct {
    /*
     The bytes of this struct that the library has filled in.
     */
    size_t size;
    /*
     Its id.
     */
    uint64_t id;
    /*
     Its name among its siblings.
     */
    coop_text name;
    /*
     Its names from the root down, joined by '/'.
     */
    coop_text path;
    /*
     What runs it: "process", "async process", "thread", "async"; "supervisor" for a supervisor.
     */
    coop_text executor;
    /*
     Which run of it this is, or was the last; 0 before the first.
     */
    uint64_t run;
    /*
     What it does: one of COOP_CHILD_*.
     */
    int32_t state;
    /*
     Its process, if it has one of its own; else 0.
     */
    int32_t pid;
} coop_child_info;

/*
 Called for each child. drop(arg) is called once, after the last. See coop_callback.
 */
typedef struct {
    /*
     child: there until the function returns. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_child_info *child);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_child_info_callback;

/*
 A function that is handed a text: once, by the thread that asks for it, before the call returns. Then drop(arg) is called. See
 coop_callback.
 */
typedef struct {
    /*
     text, length: UTF-8 without a NUL behind it, there until fn returns. Must not be NULL.
     */
    void (*fn)(void *arg, const char *text, size_t length);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_text_callback;

/*
 What a node took, over the runs of its graph that were traced (coop_dag_run_options.trace) and have ended.
 */
typedef struct {
    /*
     sizeof(coop_dag_statistics), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     In how many runs it ran to its end, well or not.
     */
    uint64_t count;
    /*
     In how many it failed.
     */
    uint64_t failures;
    /*
     From being ready to its beginning, all together, in nanoseconds.
     */
    int64_t waited_total_ns;
    /*
     The mean.
     */
    int64_t waited_mean_ns;
    /*
     The least.
     */
    int64_t waited_min_ns;
    /*
     The greatest.
     */
    int64_t waited_max_ns;
    /*
     From its beginning to its end, with all attempts and what is waited between them, all together, in nanoseconds.
     */
    int64_t ran_total_ns;
    /*
     The mean.
     */
    int64_t ran_mean_ns;
    /*
     The least.
     */
    int64_t ran_min_ns;
    /*
     The greatest.
     */
    int64_t ran_max_ns;
} coop_dag_statistics;

/*
 Called with each socket. drop(arg) is called once, after the last. See coop_callback.
 */
typedef struct {
    /*
     socket: there until the function returns; the descriptor is the caller's from then on. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_listen_socket *socket);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_listen_callback;

/*
 An entry of a program: what coop_service_options.worker names. Exactly one of async and thread must be there.
 */
typedef struct {
    /*
     sizeof(coop_worker), in each of an array.
     */
    size_t size;
    /*
     Its name in this program: UTF-8, copied. Must be there.
     */
    const char *name;
    /*
     The bytes of name.
     */
    size_t name_length;
    /*
     It lives on the process's main loop, coop_service_context_event_loop, which coop_workers_run runs; or start is NULL.
     */
    coop_async_service async;
    /*
     It is a function on a thread of its own, beside the main loop; or fn is NULL.
     */
    coop_thread_service thread;
} coop_worker;

/*
 How a call is made. Zero in any field but size is the default.
 */
typedef struct {
    /*
     sizeof(coop_redis_call_options).
     */
    size_t size;
    /*
     Nanoseconds after which the call ends with COOP_E_TIMEOUT. 0: the client's default. COOP_FOREVER: as long as it takes.
     */
    int64_t timeout_ns;
} coop_redis_call_options;

/*
 Names a call of one client; never 0. It is stale when the call has ended.
 */
typedef uint64_t coop_redis_call_id;

/*
 A function that is told once how a call ended, on the loop's thread; then drop(arg) is called. See coop_callback.
 */
typedef struct {
    /*
     error: NULL if there is a reply, which may be an error of the server's (COOP_REDIS_ERROR); there until fn returns. reply: there until fn returns,
     unless coop_redis_reply_keep takes it; NULL beside an error. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_error *error, coop_redis_reply *reply);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_redis_callback;

/*
 How to speak to a server. Zero in any field but size is the default, or what the URL says.
 */
typedef struct {
    /*
     sizeof(coop_redis_options).
     */
    size_t size;
    /*
     The user's name, UTF-8; NULL: the URL's, or the default user.
     */
    const char *user;
    /*
     The bytes of user.
     */
    size_t user_length;
    /*
     The password, UTF-8; NULL: the URL's, or no authentication.
     */
    const char *password;
    /*
     The bytes of password.
     */
    size_t password_length;
    /*
     What the server lists the connection as, UTF-8; NULL: the URL's, or nothing.
     */
    const char *client_name;
    /*
     The bytes of client_name.
     */
    size_t client_name_length;
    /*
     With a rediss:// URL: the authorities that are trusted: a file in PEM, or what would be in one, from its -----BEGIN on; NULL: the system's.
     */
    const char *tls_authorities;
    /*
     The bytes of tls_authorities.
     */
    size_t tls_authorities_length;
    /*
     With a rediss:// URL: the certificate that is shown to a server that asks for one, and those between it and its authority, as tls_authorities.
     NULL: none. Goes with tls_key.
     */
    const char *tls_certificates;
    /*
     The bytes of tls_certificates.
     */
    size_t tls_certificates_length;
    /*
     The certificate's key, as tls_authorities.
     */
    const char *tls_key;
    /*
     The bytes of tls_key.
     */
    size_t tls_key_length;
    /*
     With a rediss:// URL: the name that the server's certificate must be for, UTF-8; NULL: the URL's.
     */
    const char *tls_server_name;
    /*
     The bytes of tls_server_name.
     */
    size_t tls_server_name_length;
    /*
     How many connections the calls are spread over, up to 64: with more than one, calls of one thread may overtake each other. 0: 1.
     */
    size_t connections;
    /*
     How many calls may wait for an end, those included that were cancelled and whose replies are still to come: one more is COOP_E_QUEUE_FULL.
     0: 100000.
     */
    size_t max_calls;
    /*
     How many bytes of commands may wait to be sent: a command that does not fit beside others is COOP_E_QUEUE_FULL. 0: 64 MiB.
     */
    size_t max_queued_bytes;
    /*
     How large a reply may be, in memory; a larger one ends the connection when it is announced. 0: 64 MiB.
     */
    size_t max_reply_bytes;
    /*
     How long a connection may take to be made, the server's welcome included, in nanoseconds. 0: 3 s. COOP_FOREVER.
     */
    int64_t connect_timeout_ns;
    /*
     How long a call that says nothing else may take, in nanoseconds. 0 and COOP_FOREVER: as long as it takes.
     */
    int64_t timeout_ns;
    /*
     How long a call waits for a connection while there is none, in nanoseconds; then it ends with the error that the last attempt had. 0: 5 s.
     COOP_FOREVER: until its own deadline.
     */
    int64_t patience_ns;
    /*
     A connection that owes the reply of a call that has ended, and says nothing for so long, is given up; one for messages that says nothing for so long
     is sent a PING, and given up if it says nothing for so long again: nanoseconds. 0: 30 s. COOP_FOREVER: never.
     */
    int64_t stalled_after_ns;
    /*
     The first pause between two attempts to connect, in nanoseconds; it doubles. 0: 20 ms.
     */
    int64_t backoff_ns;
    /*
     The longest such pause, in nanoseconds. 0: 2 s.
     */
    int64_t backoff_cap_ns;
    /*
     The database's number. 0: the URL's.
     */
    int32_t database;
    /*
     One of COOP_REDIS_NEWEST, COOP_REDIS_RESP2 and COOP_REDIS_RESP3.
     */
    int32_t protocol;
    /*
     How many connections of one's own (coop_redis_own) there may be at once: one more is COOP_E_QUEUE_FULL. 0: 128.
     */
    size_t max_own;
} coop_redis_options;

/*
 Words of a command, or what belongs to one: keys, arguments, channels.
 */
typedef struct {
    /*
     The words, which are bytes with whatever in them.
     */
    const char *const *words;
    /*
     How long each is; NULL: up to its NUL.
     */
    const size_t *lengths;
    /*
     How many there are.
     */
    size_t count;
} coop_redis_words;

/*
 What a client has done so far, over all of its connections but those of one's own and for messages. Every call that was accepted is, when it has ended, one
 of answered, timed_out, cancelled and lost.
 */
typedef struct {
    /*
     sizeof(coop_redis_statistics), set by the caller: at most that many bytes are written.
     */
    size_t size;
    /*
     Calls that were accepted.
     */
    uint64_t calls;
    /*
     Calls that were refused: no room, or closed.
     */
    uint64_t refused;
    /*
     Calls that ended with a reply, the server's errors included.
     */
    uint64_t answered;
    /*
     Those of them that ended with an error of the server's.
     */
    uint64_t server_errors;
    /*
     Calls that ended at their deadline.
     */
    uint64_t timed_out;
    /*
     Calls that were cancelled.
     */
    uint64_t cancelled;
    /*
     Calls that ended with a connection, with the wait for one, or with the client.
     */
    uint64_t lost;
    /*
     Messages and other things that the server said unasked.
     */
    uint64_t pushes;
    /*
     Connections that were made.
     */
    uint64_t connects;
    /*
     Attempts to connect that failed.
     */
    uint64_t connect_failures;
    /*
     Connections that ended otherwise than by a close.
     */
    uint64_t disconnects;
    /*
     System calls that wrote.
     */
    uint64_t writes;
    /*
     System calls that read.
     */
    uint64_t reads;
    /*
     Bytes that were written.
     */
    uint64_t bytes_out;
    /*
     Bytes that were read.
     */
    uint64_t bytes_in;
    /*
     Calls that wait to be sent, now.
     */
    uint64_t queued;
    /*
     Calls that were sent and wait for their replies, now; cancelled ones included.
     */
    uint64_t in_flight;
    /*
     Connections that are there, now.
     */
    uint64_t connected;
} coop_redis_statistics;

/*
 What was published. Its bytes are there until the callback returns. Later versions may add fields at its end.
 */
typedef struct {
    /*
     The channel's name.
     */
    const char *channel;
    /*
     The bytes of channel.
     */
    size_t channel_length;
    /*
     What was said.
     */
    const char *payload;
    /*
     The bytes of payload.
     */
    size_t payload_length;
    /*
     The pattern that it came by; NULL for the others.
     */
    const char *pattern;
    /*
     The bytes of pattern.
     */
    size_t pattern_length;
    /*
     What it came by: one of COOP_REDIS_CHANNEL, COOP_REDIS_PATTERN and COOP_REDIS_SHARD.
     */
    int32_t by;
    /*
     0.
     */
    int32_t reserved;
} coop_redis_message;

/*
 A function that is told messages, one after another, on the loop's thread. drop(arg) is called once, when the connection has ended after
 coop_redis_subscriber_free or with its loop. See coop_callback.
 */
typedef struct {
    /*
     message: there until fn returns. Must not be NULL.
     */
    void (*fn)(void *arg, const coop_redis_message *message);
    /*
     Handed to both functions; may be NULL.
     */
    void *arg;
    /*
     May be NULL.
     */
    void (*drop)(void *arg);
} coop_redis_message_callback;

/*
 The functions of one copy of the library, for code that is not linked with it: native handlers of ports. Each field is the
 function of that name with coop_ before it.

 New functions come at the end, and the struct grows: a field is there if it ends within size. Until 1.0, tables of another
 minor version may differ in everything but the first three fields.
 */
typedef struct {
    /*
     The bytes of the library's table. Greater than or equal to sizeof(coop_api): every field of this header is there.
     */
    size_t size;
    /*
     The library's COOP_VERSION_MAJOR.
     */
    int32_t major;
    /*
     The library's COOP_VERSION_MINOR.
     */
    int32_t minor;
    /*
     coop_address_parse.
     */
    coop_status (*address_parse)(const char *text, size_t text_length, coop_address *out);
    /*
     coop_address_text.
     */
    coop_status (*address_text)(const coop_address *address, char *buffer, size_t capacity);
    /*
     coop_event_loop_backend_fd.
     */
    coop_status (*event_loop_backend_fd)(coop_event_loop *event_loop, int32_t *out);
    /*
     coop_event_loop_backend_timeout.
     */
    coop_status (*event_loop_backend_timeout)(const coop_event_loop *event_loop, int64_t *out_ns);
    /*
     coop_event_loop_free.
     */
    void (*event_loop_free)(coop_event_loop *event_loop);
    /*
     coop_event_loop_interrupt.
     */
    coop_status (*event_loop_interrupt)(coop_event_loop *event_loop);
    /*
     coop_event_loop_is_loop_thread.
     */
    bool (*event_loop_is_loop_thread)(const coop_event_loop *event_loop);
    /*
     coop_event_loop_join.
     */
    coop_status (*event_loop_join)(coop_event_loop *event_loop, int64_t timeout_ns);
    /*
     coop_event_loop_new.
     */
    coop_status (*event_loop_new)(const coop_event_loop_options *options, coop_event_loop **out);
    /*
     coop_event_loop_now.
     */
    coop_status (*event_loop_now)(const coop_event_loop *event_loop, int64_t *out_ns);
    /*
     coop_event_loop_post.
     */
    coop_status (*event_loop_post)(coop_event_loop *event_loop, coop_callback callback);
    /*
     coop_event_loop_run.
     */
    coop_status (*event_loop_run)(coop_event_loop *event_loop, int32_t mode);
    /*
     coop_event_loop_start.
     */
    coop_status (*event_loop_start)(coop_event_loop *event_loop);
    /*
     coop_event_loop_stop.
     */
    coop_status (*event_loop_stop)(coop_event_loop *event_loop);
    /*
     coop_event_loop_timer.
     */
    coop_status (*event_loop_timer)(coop_event_loop *event_loop,
                                    const coop_timer_options *options,
                                    coop_timer_callback callback,
                                    coop_timer_id *id);
    /*
     coop_event_loop_watch.
     */
    coop_status (*event_loop_watch)(coop_event_loop *event_loop,
                                    int32_t fd,
                                    const coop_io_watch_options *options,
                                    coop_io_watch_callback callback,
                                    coop_io_watch_id *id);
    /*
     coop_io_watch_cancel.
     */
    coop_status (*io_watch_cancel)(coop_event_loop *event_loop, coop_io_watch_id id);
    /*
     coop_last_error.
     */
    const char *(*last_error)(void);
    /*
     coop_last_os_errno.
     */
    int32_t (*last_os_errno)(void);
    /*
     coop_pool_close.
     */
    coop_status (*pool_close)(coop_pool *pool);
    /*
     coop_pool_free.
     */
    void (*pool_free)(coop_pool *pool);
    /*
     coop_pool_is_worker_thread.
     */
    bool (*pool_is_worker_thread)(const coop_pool *pool);
    /*
     coop_pool_join.
     */
    coop_status (*pool_join)(coop_pool *pool, int64_t timeout_ns);
    /*
     coop_pool_new.
     */
    coop_status (*pool_new)(const coop_pool_options *options, coop_pool **out);
    /*
     coop_pool_shutdown.
     */
    coop_status (*pool_shutdown)(coop_pool *pool, int32_t mode, int64_t timeout_ns);
    /*
     coop_pool_submit.
     */
    coop_status (*pool_submit)(coop_pool *pool, const coop_submit_options *options, coop_callback task);
    /*
     coop_pool_worker_cpu.
     */
    coop_status (*pool_worker_cpu)(const coop_pool *pool, size_t index, int32_t *out);
    /*
     coop_pool_workers.
     */
    coop_status (*pool_workers)(const coop_pool *pool, size_t *out);
    /*
     coop_port_context_address.
     */
    coop_status (*port_context_address)(const coop_port_context *context, coop_address *out);
    /*
     coop_port_context_backlog.
     */
    coop_status (*port_context_backlog)(const coop_port_context *context, size_t *out);
    /*
     coop_port_context_cancel_timer.
     */
    coop_status (*port_context_cancel_timer)(coop_port_context *context, coop_timer_id timer);
    /*
     coop_port_context_name.
     */
    coop_status (*port_context_name)(const coop_port_context *context, const char **name, size_t *length);
    /*
     coop_port_context_send.
     */
    coop_status (*port_context_send)(coop_port_context *context,
                                     const coop_datagram *datagrams,
                                     size_t count,
                                     size_t *sent);
    /*
     coop_port_context_send_message.
     */
    coop_status (*port_context_send_message)(coop_port_context *context,
                                             const char *port,
                                             size_t port_length,
                                             const void *data,
                                             size_t length);
    /*
     coop_port_context_set_timer.
     */
    coop_status (*port_context_set_timer)(coop_port_context *context,
                                          int64_t after_ns,
                                          int64_t every_ns,
                                          coop_timer_id *out);
    /*
     coop_port_context_stop.
     */
    coop_status (*port_context_stop)(coop_port_context *context);
    /*
     coop_port_handler_load.
     */
    coop_status (*port_handler_load)(const char *name,
                                     size_t name_length,
                                     const void *args,
                                     size_t length,
                                     coop_port_handler *out);
    /*
     coop_port_set_address.
     */
    coop_status (*port_set_address)(const coop_port_set *set, const char *name, size_t name_length, coop_address *out);
    /*
     coop_port_set_free.
     */
    void (*port_set_free)(coop_port_set *set);
    /*
     coop_port_set_join.
     */
    coop_status (*port_set_join)(coop_port_set *set, int64_t timeout_ns);
    /*
     coop_port_set_new.
     */
    coop_status (*port_set_new)(const coop_port_set_options *options,
                                const coop_port *ports,
                                size_t count,
                                coop_port_set **out);
    /*
     coop_port_set_send_message.
     */
    coop_status (*port_set_send_message)(coop_port_set *set,
                                         const char *port,
                                         size_t port_length,
                                         const void *data,
                                         size_t length);
    /*
     coop_port_set_start.
     */
    coop_status (*port_set_start)(coop_port_set *set);
    /*
     coop_port_set_stats.
     */
    coop_status (*port_set_stats)(const coop_port_set *set, const char *name, size_t name_length, coop_port_stats *out);
    /*
     coop_port_set_stop.
     */
    coop_status (*port_set_stop)(coop_port_set *set, int64_t timeout_ns);
    /*
     coop_runtime_event_loop.
     */
    coop_event_loop *(*runtime_event_loop)(coop_runtime *runtime);
    /*
     coop_runtime_free.
     */
    void (*runtime_free)(coop_runtime *runtime);
    /*
     coop_runtime_new.
     */
    coop_status (*runtime_new)(const coop_runtime_options *options, coop_runtime **out);
    /*
     coop_runtime_pool.
     */
    coop_pool *(*runtime_pool)(coop_runtime *runtime);
    /*
     coop_runtime_start.
     */
    coop_status (*runtime_start)(coop_runtime *runtime, int32_t mode);
    /*
     coop_runtime_stop.
     */
    coop_status (*runtime_stop)(coop_runtime *runtime, int64_t timeout_ns);
    /*
     coop_set_log.
     */
    coop_status (*set_log)(int32_t level, coop_log_callback callback);
    /*
     coop_status_str.
     */
    const char *(*status_str)(coop_status status);
    /*
     coop_timer_cancel.
     */
    coop_status (*timer_cancel)(coop_event_loop *event_loop, coop_timer_id id);
    /*
     coop_udp_connect.
     */
    coop_status (*udp_connect)(coop_udp *udp, const coop_address *peer);
    /*
     coop_udp_fd.
     */
    int32_t (*udp_fd)(const coop_udp *udp);
    /*
     coop_udp_free.
     */
    void (*udp_free)(coop_udp *udp);
    /*
     coop_udp_local_address.
     */
    coop_status (*udp_local_address)(const coop_udp *udp, coop_address *out);
    /*
     coop_udp_new.
     */
    coop_status (*udp_new)(const coop_udp_options *options, coop_udp **out);
    /*
     coop_udp_receive.
     */
    coop_status (*udp_receive)(coop_udp *udp, coop_datagram *out, size_t capacity, size_t *count);
    /*
     coop_udp_send.
     */
    coop_status (*udp_send)(coop_udp *udp, const coop_datagram *datagrams, size_t count, size_t *sent, size_t *refused);
    /*
     coop_version.
     */
    const char *(*version)(void);
    /*
     coop_pool_may_run_here.
     */
    bool (*pool_may_run_here)(const coop_pool *pool, const coop_submit_options *options);
    /*
     coop_pool_parallel_for.
     */
    coop_status (*pool_parallel_for)(coop_pool *pool,
                                     const coop_submit_options *options,
                                     size_t begin,
                                     size_t end,
                                     size_t grain,
                                     coop_range_fn run,
                                     void *arg);
    /*
     coop_pool_stats.
     */
    coop_status (*pool_stats)(const coop_pool *pool, coop_pool_statistics *out);
    /*
     coop_pool_submit_batch.
     */
    coop_status (*pool_submit_batch)(coop_pool *pool,
                                     const coop_submit_options *options,
                                     const coop_callback *tasks,
                                     size_t count,
                                     size_t *accepted);
    /*
     coop_pool_submit_task.
     */
    coop_status (*pool_submit_task)(coop_pool *pool,
                                    const coop_submit_options *options,
                                    coop_callback task,
                                    coop_task_id *id);
    /*
     coop_pool_worker_stats.
     */
    coop_status (*pool_worker_stats)(const coop_pool *pool, size_t index, coop_worker_statistics *out);
    /*
     coop_task_cancel.
     */
    coop_status (*task_cancel)(coop_pool *pool, coop_task_id id);
    /*
     coop_task_join.
     */
    coop_status (*task_join)(coop_pool *pool, coop_task_id id, int64_t timeout_ns);
    /*
     coop_task_release.
     */
    coop_status (*task_release)(coop_pool *pool, coop_task_id id);
    /*
     coop_version_check.
     */
    coop_status (*version_check)(int32_t major, int32_t minor);
    /*
     coop_event_loop_set_lag_hook.
     */
    coop_status (*event_loop_set_lag_hook)(coop_event_loop *event_loop, int64_t threshold_ns, coop_lag_callback callback);
    /*
     coop_event_loop_set_slow_hook.
     */
    coop_status (*event_loop_set_slow_hook)(coop_event_loop *event_loop,
                                            int64_t threshold_ns,
                                            coop_slow_callback callback);
    /*
     coop_event_loop_stats.
     */
    coop_status (*event_loop_stats)(const coop_event_loop *event_loop, coop_event_loop_statistics *out);
    /*
     coop_event_loop_timer_local.
     */
    coop_status (*event_loop_timer_local)(coop_event_loop *event_loop,
                                          const coop_timer_options *options,
                                          coop_timer_callback callback,
                                          coop_timer_id *id);
    /*
     coop_io_watch_ref.
     */
    coop_status (*io_watch_ref)(coop_event_loop *event_loop, coop_io_watch_id id);
    /*
     coop_io_watch_unref.
     */
    coop_status (*io_watch_unref)(coop_event_loop *event_loop, coop_io_watch_id id);
    /*
     coop_timer_cancel_local.
     */
    coop_status (*timer_cancel_local)(coop_event_loop *event_loop, coop_timer_id id);
    /*
     coop_timer_ref.
     */
    coop_status (*timer_ref)(coop_event_loop *event_loop, coop_timer_id id);
    /*
     coop_timer_unref.
     */
    coop_status (*timer_unref)(coop_event_loop *event_loop, coop_timer_id id);
    /*
     coop_event_loop_connect.
     */
    coop_status (*event_loop_connect)(coop_event_loop *event_loop,
                                      const coop_connect_options *options,
                                      const char *host,
                                      size_t host_length,
                                      uint16_t port,
                                      coop_stream_callback callback);
    /*
     coop_event_loop_connect_unix.
     */
    coop_status (*event_loop_connect_unix)(coop_event_loop *event_loop,
                                           const coop_connect_options *options,
                                           const char *path,
                                           size_t path_length,
                                           coop_stream_callback callback);
    /*
     coop_event_loop_resolve.
     */
    coop_status (*event_loop_resolve)(coop_event_loop *event_loop,
                                      const coop_source_options *options,
                                      const char *host,
                                      size_t host_length,
                                      uint16_t port,
                                      coop_resolve_callback callback);
    /*
     coop_listener_accept.
     */
    coop_status (*listener_accept)(coop_listener *listener, coop_stream_callback callback);
    /*
     coop_listener_address.
     */
    coop_status (*listener_address)(const coop_listener *listener, coop_address *out);
    /*
     coop_listener_cancel.
     */
    coop_status (*listener_cancel)(coop_listener *listener);
    /*
     coop_listener_fd.
     */
    int32_t (*listener_fd)(const coop_listener *listener);
    /*
     coop_listener_free.
     */
    void (*listener_free)(coop_listener *listener);
    /*
     coop_listener_new.
     */
    coop_status (*listener_new)(coop_event_loop *event_loop,
                                const coop_listener_options *options,
                                coop_stream_callback callback,
                                coop_listener **out);
    /*
     coop_stream_cancel.
     */
    coop_status (*stream_cancel)(coop_stream *stream, uint32_t which);
    /*
     coop_stream_fd.
     */
    int32_t (*stream_fd)(const coop_stream *stream);
    /*
     coop_stream_free.
     */
    void (*stream_free)(coop_stream *stream);
    /*
     coop_stream_local_address.
     */
    coop_status (*stream_local_address)(const coop_stream *stream, coop_address *out);
    /*
     coop_stream_new.
     */
    coop_status (*stream_new)(coop_event_loop *event_loop,
                              const coop_stream_options *options,
                              int32_t fd,
                              coop_stream **out);
    /*
     coop_stream_peer_address.
     */
    coop_status (*stream_peer_address)(const coop_stream *stream, coop_address *out);
    /*
     coop_stream_read.
     */
    coop_status (*stream_read)(coop_stream *stream, void *buffer, size_t length, coop_io_callback callback);
    /*
     coop_stream_read_exactly.
     */
    coop_status (*stream_read_exactly)(coop_stream *stream, void *buffer, size_t length, coop_io_callback callback);
    /*
     coop_stream_set_keepalive.
     */
    coop_status (*stream_set_keepalive)(coop_stream *stream, int64_t idle_ns);
    /*
     coop_stream_set_linger.
     */
    coop_status (*stream_set_linger)(coop_stream *stream, int64_t linger_ns);
    /*
     coop_stream_set_nodelay.
     */
    coop_status (*stream_set_nodelay)(coop_stream *stream, int32_t nodelay);
    /*
     coop_stream_shutdown.
     */
    coop_status (*stream_shutdown)(coop_stream *stream);
    /*
     coop_stream_try_read.
     */
    coop_status (*stream_try_read)(coop_stream *stream, void *buffer, size_t length, size_t *count);
    /*
     coop_stream_try_write.
     */
    coop_status (*stream_try_write)(coop_stream *stream, const void *data, size_t length, size_t *count);
    /*
     coop_stream_write.
     */
    coop_status (*stream_write)(coop_stream *stream, const void *data, size_t length, coop_io_callback callback);
    /*
     coop_child_cancel.
     */
    coop_status (*child_cancel)(coop_event_loop *event_loop, coop_child_id id);
    /*
     coop_event_fd.
     */
    int32_t (*event_fd)(const coop_event *event);
    /*
     coop_event_free.
     */
    void (*event_free)(coop_event *event);
    /*
     coop_event_is_signaled.
     */
    bool (*event_is_signaled)(const coop_event *event);
    /*
     coop_event_loop_child.
     */
    coop_status (*event_loop_child)(coop_event_loop *event_loop,
                                    int32_t pid,
                                    const coop_source_options *options,
                                    coop_child_callback callback,
                                    coop_child_id *id);
    /*
     coop_event_loop_signal.
     */
    coop_status (*event_loop_signal)(coop_event_loop *event_loop,
                                     int32_t signum,
                                     const coop_source_options *options,
                                     coop_signal_callback callback,
                                     coop_signal_id *id);
    /*
     coop_event_new.
     */
    coop_status (*event_new)(const coop_event_options *options, coop_event **out);
    /*
     coop_event_reset.
     */
    coop_status (*event_reset)(coop_event *event);
    /*
     coop_event_signal.
     */
    coop_status (*event_signal)(coop_event *event);
    /*
     coop_event_watch.
     */
    coop_status (*event_watch)(coop_event *event,
                               coop_event_loop *event_loop,
                               const coop_source_options *options,
                               coop_event_callback callback,
                               coop_io_watch_id *id);
    /*
     coop_io_watch_set_interest.
     */
    coop_status (*io_watch_set_interest)(coop_event_loop *event_loop, coop_io_watch_id id, uint32_t interest);
    /*
     coop_signal_cancel.
     */
    coop_status (*signal_cancel)(coop_event_loop *event_loop, coop_signal_id id);
    /*
     coop_udp_receive_times.
     */
    coop_status (*udp_receive_times)(coop_udp *udp, int64_t *out_ns, size_t count);
    /*
     coop_stream_receive_descriptors.
     */
    coop_status (*stream_receive_descriptors)(coop_stream *stream,
                                              void *buffer,
                                              size_t length,
                                              int32_t *descriptors,
                                              size_t capacity,
                                              size_t *count,
                                              coop_io_callback callback);
    /*
     coop_stream_send_descriptors.
     */
    coop_status (*stream_send_descriptors)(coop_stream *stream,
                                           const void *data,
                                           size_t length,
                                           const int32_t *descriptors,
                                           size_t count,
                                           coop_io_callback callback);
    /*
     coop_async_free.
     */
    void (*async_free)(coop_async *async);
    /*
     coop_async_new.
     */
    coop_status (*async_new)(coop_event_loop *event_loop,
                             const coop_source_options *options,
                             coop_async_callback callback,
                             coop_async **out);
    /*
     coop_async_send.
     */
    coop_status (*async_send)(coop_async *async);
    /*
     coop_event_loop_post_and_wait.
     */
    coop_status (*event_loop_post_and_wait)(coop_event_loop *event_loop, coop_callback callback, int64_t timeout_ns);
    /*
     coop_dag_builder_after.
     */
    coop_status (*dag_builder_after)(coop_dag_builder *builder, coop_dag_ref later, coop_dag_ref earlier);
    /*
     coop_dag_builder_build.
     */
    coop_status (*dag_builder_build)(coop_dag_builder *builder, coop_dag **out);
    /*
     coop_dag_builder_cpu.
     */
    coop_status (*dag_builder_cpu)(coop_dag_builder *builder,
                                   const char *name,
                                   size_t length,
                                   const coop_dag_node_options *options,
                                   coop_dag_function function,
                                   coop_dag_node_id *node);
    /*
     coop_dag_builder_free.
     */
    void (*dag_builder_free)(coop_dag_builder *builder);
    /*
     coop_dag_builder_input.
     */
    coop_status (*dag_builder_input)(coop_dag_builder *builder, const char *name, size_t length, coop_dag_node_id *node);
    /*
     coop_dag_builder_insert.
     */
    coop_status (*dag_builder_insert)(coop_dag_builder *builder,
                                      const char *prefix,
                                      size_t length,
                                      const coop_dag *graph,
                                      const coop_dag_binding *bindings,
                                      size_t count);
    /*
     coop_dag_builder_io.
     */
    coop_status (*dag_builder_io)(coop_dag_builder *builder,
                                  const char *name,
                                  size_t length,
                                  const coop_dag_node_options *options,
                                  coop_dag_io_function function,
                                  coop_dag_node_id *node);
    /*
     coop_dag_builder_new.
     */
    coop_status (*dag_builder_new)(const coop_dag_builder_options *options, coop_dag_builder **out);
    /*
     coop_dag_call_attempt.
     */
    uint32_t (*dag_call_attempt)(const coop_dag_call *call);
    /*
     coop_dag_call_cancel.
     */
    coop_status (*dag_call_cancel)(const coop_dag_call *call);
    /*
     coop_dag_call_fail.
     */
    coop_status (*dag_call_fail)(const coop_dag_call *call,
                                 coop_status status,
                                 int32_t os_errno,
                                 const char *message,
                                 size_t message_length,
                                 coop_dag_value cause);
    /*
     coop_dag_call_is_ended.
     */
    bool (*dag_call_is_ended)(const coop_dag_call *call);
    /*
     coop_dag_call_name.
     */
    coop_status (*dag_call_name)(const coop_dag_call *call, const char **name, size_t *length);
    /*
     coop_dag_call_reads.
     */
    size_t (*dag_call_reads)(const coop_dag_call *call);
    /*
     coop_dag_call_take.
     */
    coop_status (*dag_call_take)(const coop_dag_call *call, size_t index, coop_dag_value *value);
    /*
     coop_dag_call_value.
     */
    coop_status (*dag_call_value)(const coop_dag_call *call, size_t index, void **value);
    /*
     coop_dag_completer_complete.
     */
    coop_status (*dag_completer_complete)(coop_dag_completer *completer, coop_status status, coop_dag_value value);
    /*
     coop_dag_completer_fail.
     */
    coop_status (*dag_completer_fail)(coop_dag_completer *completer,
                                      coop_status status,
                                      int32_t os_errno,
                                      const char *message,
                                      size_t message_length,
                                      coop_dag_value cause);
    /*
     coop_dag_completer_free.
     */
    void (*dag_completer_free)(coop_dag_completer *completer);
    /*
     coop_dag_completer_is_ended.
     */
    bool (*dag_completer_is_ended)(const coop_dag_completer *completer);
    /*
     coop_dag_completer_on_cancel.
     */
    coop_status (*dag_completer_on_cancel)(coop_dag_completer *completer, coop_callback callback);
    /*
     coop_dag_free.
     */
    void (*dag_free)(coop_dag *dag);
    /*
     coop_dag_index.
     */
    coop_status (*dag_index)(const coop_dag *dag, const char *name, size_t length, coop_dag_node_id *node);
    /*
     coop_dag_len.
     */
    coop_status (*dag_len)(const coop_dag *dag, size_t *nodes);
    /*
     coop_dag_name.
     */
    coop_status (*dag_name)(const coop_dag *dag, coop_dag_node_id node, const char **name, size_t *length);
    /*
     coop_dag_outcome_cause.
     */
    coop_status (*dag_outcome_cause)(const coop_dag_outcome *outcome, coop_dag_node_id node, void **cause);
    /*
     coop_dag_outcome_failure.
     */
    coop_status (*dag_outcome_failure)(const coop_dag_outcome *outcome, coop_dag_node_id node);
    /*
     coop_dag_outcome_free.
     */
    void (*dag_outcome_free)(coop_dag_outcome *outcome);
    /*
     coop_dag_outcome_result.
     */
    coop_status (*dag_outcome_result)(const coop_dag_outcome *outcome);
    /*
     coop_dag_outcome_state.
     */
    coop_status (*dag_outcome_state)(const coop_dag_outcome *outcome, coop_dag_node_id node, int32_t *state);
    /*
     coop_dag_outcome_take.
     */
    coop_status (*dag_outcome_take)(const coop_dag_outcome *outcome, coop_dag_node_id node, coop_dag_value *value);
    /*
     coop_dag_outcome_value.
     */
    coop_status (*dag_outcome_value)(const coop_dag_outcome *outcome, coop_dag_node_id node, void **value);
    /*
     coop_dag_run.
     */
    coop_status (*dag_run)(const coop_dag *dag,
                           coop_pool *pool,
                           coop_event_loop *event_loop,
                           const coop_dag_run_options *options,
                           const coop_dag_input *inputs,
                           size_t count,
                           coop_dag_run_callback callback,
                           coop_dag_run_id *id);
    /*
     coop_dag_run_cancel.
     */
    coop_status (*dag_run_cancel)(const coop_dag *dag, coop_dag_run_id id);
    /*
     coop_dag_run_join.
     */
    coop_status (*dag_run_join)(const coop_dag *dag, coop_dag_run_id id, int64_t timeout_ns, coop_dag_outcome **out);
    /*
     coop_dag_run_release.
     */
    coop_status (*dag_run_release)(const coop_dag *dag, coop_dag_run_id id);
    /*
     coop_dag_run_then.
     */
    coop_status (*dag_run_then)(const coop_dag *dag, coop_dag_run_id id, coop_dag_run_callback callback);
    /*
     coop_host_free.
     */
    void (*host_free)(coop_host *host);
    /*
     coop_host_join.
     */
    coop_status (*host_join)(coop_host *host, int64_t timeout_ns);
    /*
     coop_host_kill.
     */
    coop_status (*host_kill)(coop_host *host);
    /*
     coop_host_new.
     */
    coop_status (*host_new)(const coop_host_options *options, coop_host **out);
    /*
     coop_host_observe.
     */
    coop_status (*host_observe)(coop_host *host,
                                const coop_observer_options *options,
                                coop_service_event_callback callback,
                                coop_observer_id *id);
    /*
     coop_host_root.
     */
    coop_service_id (*host_root)(const coop_host *host);
    /*
     coop_host_shutdown.
     */
    coop_status (*host_shutdown)(coop_host *host, int64_t timeout_ns);
    /*
     coop_host_start.
     */
    coop_status (*host_start)(coop_host *host);
    /*
     coop_host_stop.
     */
    coop_status (*host_stop)(coop_host *host);
    /*
     coop_host_wait.
     */
    coop_status (*host_wait)(coop_host *host);
    /*
     coop_observer_cancel.
     */
    coop_status (*observer_cancel)(coop_host *host, coop_observer_id id);
    /*
     coop_observer_next.
     */
    coop_status (*observer_next)(coop_host *host,
                                 coop_observer_id id,
                                 int64_t timeout_ns,
                                 const coop_service_event **out);
    /*
     coop_service_context_beat.
     */
    coop_status (*service_context_beat)(coop_service_context *context);
    /*
     coop_service_context_end.
     */
    coop_status (*service_context_end)(coop_service_context *context,
                                       coop_status status,
                                       const char *message,
                                       size_t message_length);
    /*
     coop_service_context_extend.
     */
    coop_status (*service_context_extend)(coop_service_context *context, int64_t time_ns);
    /*
     coop_service_context_id.
     */
    coop_service_id (*service_context_id)(const coop_service_context *context);
    /*
     coop_service_context_ignore.
     */
    coop_status (*service_context_ignore)(coop_service_context *context);
    /*
     coop_service_context_is_stopping.
     */
    bool (*service_context_is_stopping)(const coop_service_context *context);
    /*
     coop_service_context_ready.
     */
    coop_status (*service_context_ready)(coop_service_context *context);
    /*
     coop_service_context_run.
     */
    uint64_t (*service_context_run)(const coop_service_context *context);
    /*
     coop_service_context_status.
     */
    coop_status (*service_context_status)(coop_service_context *context, const char *text, size_t text_length);
    /*
     coop_service_context_stopping_fd.
     */
    int32_t (*service_context_stopping_fd)(coop_service_context *context);
    /*
     coop_service_context_value.
     */
    void *(*service_context_value)(const coop_service_context *context);
    /*
     coop_service_context_wait_stopping.
     */
    coop_status (*service_context_wait_stopping)(coop_service_context *context, int64_t timeout_ns);
    /*
     coop_supervisor_add.
     */
    coop_status (*supervisor_add)(coop_host *host,
                                  coop_service_id supervisor,
                                  const coop_service_options *options,
                                  coop_service_id *id);
    /*
     coop_supervisor_count_children.
     */
    coop_status (*supervisor_count_children)(coop_host *host, coop_service_id supervisor, coop_child_counts *out);
    /*
     coop_supervisor_delete_child.
     */
    coop_status (*supervisor_delete_child)(coop_host *host, coop_service_id supervisor, coop_service_id child);
    /*
     coop_supervisor_find.
     */
    coop_status (*supervisor_find)(coop_host *host,
                                   coop_service_id supervisor,
                                   const char *name,
                                   size_t name_length,
                                   coop_service_id *id);
    /*
     coop_supervisor_get_childspec.
     */
    coop_status (*supervisor_get_childspec)(coop_host *host,
                                            coop_service_id supervisor,
                                            coop_service_id child,
                                            coop_child_spec_callback callback);
    /*
     coop_supervisor_replace_child.
     */
    coop_status (*supervisor_replace_child)(coop_host *host, coop_service_id supervisor, coop_service_id child);
    /*
     coop_supervisor_restart_child.
     */
    coop_status (*supervisor_restart_child)(coop_host *host, coop_service_id supervisor, coop_service_id child);
    /*
     coop_supervisor_start_child.
     */
    coop_status (*supervisor_start_child)(coop_host *host,
                                          coop_service_id supervisor,
                                          const coop_service_options *options,
                                          coop_service_id *id);
    /*
     coop_supervisor_start_child_with.
     */
    coop_status (*supervisor_start_child_with)(coop_host *host,
                                               coop_service_id supervisor,
                                               const coop_child_args *args,
                                               coop_service_id *id);
    /*
     coop_supervisor_supervisor.
     */
    coop_status (*supervisor_supervisor)(coop_host *host,
                                         coop_service_id supervisor,
                                         const char *name,
                                         size_t name_length,
                                         const coop_supervisor_options *options,
                                         coop_service_id *id);
    /*
     coop_supervisor_template.
     */
    coop_status (*supervisor_template)(coop_host *host, coop_service_id supervisor, const coop_service_options *options);
    /*
     coop_supervisor_terminate_child.
     */
    coop_status (*supervisor_terminate_child)(coop_host *host, coop_service_id supervisor, coop_service_id child);
    /*
     coop_supervisor_which_children.
     */
    coop_status (*supervisor_which_children)(coop_host *host,
                                             coop_service_id supervisor,
                                             coop_child_info_callback callback);
    /*
     coop_dag_dot.
     */
    coop_status (*dag_dot)(const coop_dag *dag, coop_text_callback callback);
    /*
     coop_dag_outcome_trace.
     */
    coop_status (*dag_outcome_trace)(const coop_dag_outcome *outcome, int32_t format, coop_text_callback callback);
    /*
     coop_dag_stats.
     */
    coop_status (*dag_stats)(const coop_dag *dag, coop_dag_node_id node, coop_dag_statistics *out);
    /*
     coop_parent_observer_free.
     */
    void (*parent_observer_free)(coop_parent_observer *observer);
    /*
     coop_parent_observer_new.
     */
    coop_status (*parent_observer_new)(const coop_observer_options *options,
                                       coop_service_event_callback callback,
                                       coop_parent_observer **out);
    /*
     coop_parent_observer_next.
     */
    coop_status (*parent_observer_next)(coop_parent_observer *observer,
                                        int64_t timeout_ns,
                                        const coop_service_event **out);
    /*
     coop_service_context_argv.
     */
    const char *const *(*service_context_argv)(coop_service_context *context);
    /*
     coop_service_context_event_loop.
     */
    coop_event_loop *(*service_context_event_loop)(coop_service_context *context);
    /*
     coop_systemd_beat.
     */
    coop_status (*systemd_beat)(void);
    /*
     coop_systemd_extend.
     */
    coop_status (*systemd_extend)(int64_t time_ns);
    /*
     coop_systemd_listen_fds.
     */
    coop_status (*systemd_listen_fds)(coop_listen_callback callback);
    /*
     coop_systemd_ready.
     */
    coop_status (*systemd_ready)(void);
    /*
     coop_systemd_status.
     */
    coop_status (*systemd_status)(const char *message, size_t length);
    /*
     coop_systemd_stopping.
     */
    coop_status (*systemd_stopping)(void);
    /*
     coop_systemd_watchdog.
     */
    coop_status (*systemd_watchdog)(int64_t *out_ns);
    /*
     coop_workers_run.
     */
    coop_status (*workers_run)(const coop_worker *workers, size_t count, int32_t *status);
    /*
     coop_redis_call.
     */
    coop_status (*redis_call)(coop_redis *redis,
                              const coop_redis_call_options *options,
                              const char *const *words,
                              const size_t *lengths,
                              size_t count,
                              coop_redis_reply **out);
    /*
     coop_redis_cancel.
     */
    coop_status (*redis_cancel)(coop_redis *redis, coop_redis_call_id id);
    /*
     coop_redis_close.
     */
    coop_status (*redis_close)(coop_redis *redis);
    /*
     coop_redis_command.
     */
    coop_status (*redis_command)(coop_redis *redis,
                                 const coop_redis_call_options *options,
                                 const char *const *words,
                                 const size_t *lengths,
                                 size_t count,
                                 coop_redis_callback callback,
                                 coop_redis_call_id *id);
    /*
     coop_redis_drain.
     */
    coop_status (*redis_drain)(coop_redis *redis, int64_t timeout_ns);
    /*
     coop_redis_free.
     */
    void (*redis_free)(coop_redis *redis);
    /*
     coop_redis_new.
     */
    coop_status (*redis_new)(coop_event_loop *event_loop,
                             const coop_redis_options *options,
                             const char *url,
                             size_t length,
                             coop_redis **out);
    /*
     coop_redis_own.
     */
    coop_status (*redis_own)(coop_redis *redis, coop_redis **out);
    /*
     coop_redis_pipeline.
     */
    coop_status (*redis_pipeline)(coop_redis *redis,
                                  const coop_redis_call_options *options,
                                  const coop_redis_words *commands,
                                  size_t count,
                                  coop_redis_callback callback,
                                  coop_redis_call_id *id);
    /*
     coop_redis_reply_at.
     */
    const coop_redis_reply *(*redis_reply_at)(const coop_redis_reply *reply, size_t index);
    /*
     coop_redis_reply_double.
     */
    coop_status (*redis_reply_double)(const coop_redis_reply *reply, double *out);
    /*
     coop_redis_reply_error_code.
     */
    coop_status (*redis_reply_error_code)(const coop_redis_reply *reply, const char **data, size_t *length);
    /*
     coop_redis_reply_free.
     */
    void (*redis_reply_free)(coop_redis_reply *reply);
    /*
     coop_redis_reply_integer.
     */
    coop_status (*redis_reply_integer)(const coop_redis_reply *reply, int64_t *out);
    /*
     coop_redis_reply_keep.
     */
    coop_status (*redis_reply_keep)(coop_redis_reply *reply, coop_redis_reply **out);
    /*
     coop_redis_reply_key.
     */
    const coop_redis_reply *(*redis_reply_key)(const coop_redis_reply *reply, size_t index);
    /*
     coop_redis_reply_length.
     */
    size_t (*redis_reply_length)(const coop_redis_reply *reply);
    /*
     coop_redis_reply_pairs.
     */
    size_t (*redis_reply_pairs)(const coop_redis_reply *reply);
    /*
     coop_redis_reply_string.
     */
    coop_status (*redis_reply_string)(const coop_redis_reply *reply, const char **data, size_t *length);
    /*
     coop_redis_reply_type.
     */
    int32_t (*redis_reply_type)(const coop_redis_reply *reply);
    /*
     coop_redis_reply_value.
     */
    const coop_redis_reply *(*redis_reply_value)(const coop_redis_reply *reply, size_t index);
    /*
     coop_redis_script.
     */
    coop_status (*redis_script)(coop_redis *redis,
                                const coop_redis_call_options *options,
                                const char *source,
                                size_t length,
                                coop_redis_words keys,
                                coop_redis_words args,
                                coop_redis_callback callback,
                                coop_redis_call_id *id);
    /*
     coop_redis_stats.
     */
    coop_status (*redis_stats)(coop_redis *redis, coop_redis_statistics *out);
    /*
     coop_redis_subscribe.
     */
    coop_status (*redis_subscribe)(coop_redis_subscriber *subscriber,
                                   int32_t by,
                                   coop_redis_words names,
                                   coop_redis_callback callback);
    /*
     coop_redis_subscriber_free.
     */
    void (*redis_subscriber_free)(coop_redis_subscriber *subscriber);
    /*
     coop_redis_subscriber_new.
     */
    coop_status (*redis_subscriber_new)(coop_redis *redis,
                                        coop_redis_message_callback callback,
                                        coop_redis_subscriber **out);
    /*
     coop_redis_transaction.
     */
    coop_status (*redis_transaction)(coop_redis *redis,
                                     const coop_redis_call_options *options,
                                     const coop_redis_words *commands,
                                     size_t count,
                                     coop_redis_callback callback,
                                     coop_redis_call_id *id);
    /*
     coop_redis_unsubscribe.
     */
    coop_status (*redis_unsubscribe)(coop_redis_subscriber *subscriber,
                                     int32_t by,
                                     coop_redis_words names,
                                     coop_redis_callback callback);
    /*
     coop_port_context_run.
     */
    coop_status (*port_context_run)(const coop_port_context *context, uint64_t *out);
    /*
     coop_port_context_save.
     */
    coop_status (*port_context_save)(coop_port_context *context, const void *data, size_t length);
    /*
     coop_port_context_saved.
     */
    coop_status (*port_context_saved)(const coop_port_context *context, void *buffer, size_t capacity, size_t *length);
    /*
     coop_port_worker_main.
     */
    coop_status (*port_worker_main)(const coop_named_handler *handlers, size_t count, int32_t *status);
    /*
     coop_port_context_abort.
     */
    coop_status (*port_context_abort)(coop_port_context *context, coop_connection_id connection);
    /*
     coop_port_context_backlog_of.
     */
    coop_status (*port_context_backlog_of)(const coop_port_context *context, coop_connection_id connection, size_t *out);
    /*
     coop_port_context_close.
     */
    coop_status (*port_context_close)(coop_port_context *context, coop_connection_id connection);
    /*
     coop_port_context_connections.
     */
    coop_status (*port_context_connections)(const coop_port_context *context, size_t *out);
    /*
     coop_port_context_path.
     */
    coop_status (*port_context_path)(const coop_port_context *context, char *buffer, size_t capacity, size_t *length);
    /*
     coop_port_context_pause.
     */
    coop_status (*port_context_pause)(coop_port_context *context, coop_connection_id connection);
    /*
     coop_port_context_peer.
     */
    coop_status (*port_context_peer)(const coop_port_context *context, coop_connection_id connection, coop_address *out);
    /*
     coop_port_context_resume.
     */
    coop_status (*port_context_resume)(coop_port_context *context, coop_connection_id connection);
    /*
     coop_port_context_shutdown_write.
     */
    coop_status (*port_context_shutdown_write)(coop_port_context *context, coop_connection_id connection);
    /*
     coop_port_context_write.
     */
    coop_status (*port_context_write)(coop_port_context *context,
                                      coop_connection_id connection,
                                      const void *data,
                                      size_t length);
    /*
     coop_port_set_path.
     */
    coop_status (*port_set_path)(const coop_port_set *set,
                                 const char *name,
                                 size_t name_length,
                                 char *buffer,
                                 size_t capacity,
                                 size_t *length);
    /*
     coop_port_set_reload.
     */
    coop_status (*port_set_reload)(coop_port_set *set, const char *port, size_t port_length, int64_t drain_ns);
} coop_api;

/*
 What a shared library exports, under any name, to make a handler of a port: "lib.so:symbol".

 api: the functions of the library that calls; they are to be used, and none that the shared library may be linked with: objects
 of one copy mean nothing to another. A function of this header is there if it ends within api->size. args, length:
 the port's argument, the caller's. out: all zeros; to be filled as the handler of a coop_port is, with its size.

 On COOP_OK the port owns out->arg. Any other answer fails the start of the set, and nothing is owned.
 */
typedef coop_status (*coop_port_handler_init)(const coop_api *api,
                                              const void *args,
                                              size_t length,
                                              coop_port_handler *out);

/*
 What the function of a node answers instead of COOP_OK if the node is to be skipped, with all that depends on it.
 */
#define COOP_DAG_SKIP 1

/*
 It was done.
 */
#define COOP_OK 0

/*
 An argument is outside what is allowed.
 */
#define COOP_E_INVALID -1

/*
 A pointer or a function that must be there is NULL.
 */
#define COOP_E_NULL -2

/*
 The id names something that has ended or was cancelled.
 */
#define COOP_E_STALE -3

/*
 The object was stopped, shut down or closed.
 */
#define COOP_E_CLOSED -4

/*
 A bounded queue has no room.
 */
#define COOP_E_QUEUE_FULL -5

/*
 The deadline passed first.
 */
#define COOP_E_TIMEOUT -6

/*
 A CPU set names no worker, or a CPU that this process may not use.
 */
#define COOP_E_AFFINITY -7

/*
 The call would wait for itself.
 */
#define COOP_E_WOULD_DEADLOCK -8

/*
 The object was made before fork(), and this is the child.
 */
#define COOP_E_FORKED -9

/*
 This build, this version or this system cannot do it.
 */
#define COOP_E_UNSUPPORTED -10

/*
 A defect inside the library was caught at its edge.
 */
#define COOP_E_PANIC -11

/*
 The operating system refused; coop_last_os_errno() says why.
 */
#define COOP_E_OS -12

/*
 There is one already.
 */
#define COOP_E_EXISTS -13

/*
 A handler's start failed.
 */
#define COOP_E_FAILED -14

/*
 The task was cancelled before it began, or the operation before it ended.
 */
#define COOP_E_CANCELLED -15

/*
 A call that does not wait would have to: wait until the descriptor is ready, and call again.
 */
#define COOP_E_WOULD_BLOCK -16

/*
 A host's name has no address, or could not be looked up.
 */
#define COOP_E_RESOLVE -17

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Reads an address: "127.0.0.1:7000", "[::1]:7000". Names are not looked up.

 text, text_length: UTF-8 and its bytes. out: set to the address. Any thread. COOP_E_NULL, COOP_E_INVALID for
 another text.
 */
coop_status coop_address_parse(const char *text, size_t text_length, coop_address *out);

/*
 Writes an address as text: "127.0.0.1:7000", "[::1]:7000", and a NUL.

 buffer, capacity: where to, and its bytes; COOP_ADDRESS_TEXT are always enough. Any thread. COOP_E_NULL,
 COOP_E_INVALID for no address or a buffer that is too small.
 */
coop_status coop_address_text(const coop_address *address, char *buffer, size_t capacity);

/*
 The functions of this copy of the library: those that a program calls by their names, in a table that it can hand on. In
 Python it is the capsule libcoop._libcoop.coop_api, named "libcoop.coop_api", of the copy in the wheel.

 The table is the library's and lives as long as the program. Any thread.
 */
const coop_api *coop_api_get(void);

/*
 Makes what a signal handler may wake the loop with.

 options: copied; NULL is all defaults. callback: called after each coop_async_send, or once after several; not in the
 handler, so that it may do anything. The loop owns callback.arg if this answers COOP_OK. out: set to the object, which the caller frees with
 coop_async_free.

 Any thread, also the loop's own callbacks; not from a signal handler. COOP_E_NULL, COOP_E_INVALID for place or priority,
 COOP_E_AFFINITY for a CPU set without a worker, COOP_E_OS if the process has no file descriptor left, COOP_E_UNSUPPORTED for
 options and on other systems than Linux, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_async_new(coop_event_loop *event_loop,
                           const coop_source_options *options,
                           coop_async_callback callback,
                           coop_async **out);

/*
 Has the callback called soon. Sends before it begins are one call; a send while it runs is another one. Sends are in no order with posts.
 After the loop's end they do nothing.

 Any thread, and any signal handler: it is async-signal-safe, takes no lock, allocates nothing and leaves errno alone. For that it
 leaves coop_last_error alone, too. COOP_E_NULL; COOP_E_FORKED in a forked child, where it does nothing.
 */
coop_status coop_async_send(coop_async *async);

/*
 Ends it: the callback does not begin any more, and its argument is dropped now, or when it returns if it is running. NULL does
 nothing.

 Any thread, also the callback itself; before the loop's end or after it. Once, with no send begun after it or under way: the
 signal's handler is put back before, and no thread may be in it.
 */
void coop_async_free(coop_async *async);

/*
 Has the loop reap a child when it ends, and call the function with how it did.

 pid: a child of this process; one that has ended already, and was not reaped, is told at once. options: copied; NULL is
 all defaults. callback: the loop owns callback.arg if this answers COOP_OK. id: set to the wait's id, for
 coop_child_cancel; may be NULL. The function may run before id is set.

 Exactly this child is reaped, once, without a handler of SIGCHLD: no other child is touched. A program that has SIGCHLD
 ignored, or that reaps whatever ends (wait, waitpid(-1)), takes the status away; then the function is told so.

 Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for pid, place or priority, COOP_E_AFFINITY for
 a CPU set without a worker, COOP_E_OS: ESRCH if there is no such process (any more), ECHILD if it is not this
 process's child, EMFILE; COOP_E_UNSUPPORTED for options, and on a system without pidfd_open (Linux before 5.4),
 COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_child(coop_event_loop *event_loop,
                                  int32_t pid,
                                  const coop_source_options *options,
                                  coop_child_callback callback,
                                  coop_child_id *id);

/*
 Ends the wait for a child, which is then the caller's to reap; the argument is dropped.

 Any thread, also the loop's own callbacks. COOP_E_STALE if the child has been reaped (the function has begun, or has
 run), the wait was cancelled, or the id is of no child of this loop; COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_child_cancel(coop_event_loop *event_loop, coop_child_id id);

/*
 Connects to a host over TCP. A name is looked up beside the loop, and its addresses are tried in turn, IPv6 and IPv4 in overlap.

 options: copied; NULL is all defaults. host, host_length: a name, "127.0.0.1" or "::1"; UTF-8, copied. port: from 1. callback: told once,
 after this call, with the stream or the error; the loop owns callback.arg if this answers COOP_OK.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a text, a time, a place or a priority, COOP_E_AFFINITY for a CPU set without a worker,
 COOP_E_UNSUPPORTED for options, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED. The callback is told COOP_E_RESOLVE for a name
 that has no address, COOP_E_OS (ECONNREFUSED, ...) of the last address tried, COOP_E_TIMEOUT, and COOP_E_CLOSED if the loop ends before.
 */
coop_status coop_event_loop_connect(coop_event_loop *event_loop,
                                    const coop_connect_options *options,
                                    const char *host,
                                    size_t host_length,
                                    uint16_t port,
                                    coop_stream_callback callback);

/*
 Connects to a Unix socket.

 path, path_length: a path; on Linux a name that begins with a NUL is one of the abstract kind, which is no file. Copied. Otherwise as
 coop_event_loop_connect; options.local must not be there.
 */
coop_status coop_event_loop_connect_unix(coop_event_loop *event_loop,
                                         const coop_connect_options *options,
                                         const char *path,
                                         size_t path_length,
                                         coop_stream_callback callback);

/*
 Looks up the addresses of a host, beside the loop.

 options: copied; NULL is all defaults. host, host_length: a name, "127.0.0.1" or "::1"; UTF-8, copied. port: the one in the addresses.
 callback: told once, after this call; the loop owns callback.arg if this answers COOP_OK.

 Any thread. As coop_event_loop_connect. The callback is told COOP_E_RESOLVE for a name that has no address.
 */
coop_status coop_event_loop_resolve(coop_event_loop *event_loop,
                                    const coop_source_options *options,
                                    const char *host,
                                    size_t host_length,
                                    uint16_t port,
                                    coop_resolve_callback callback);

/*
 Releases the graph. Runs that are under way go on, and the ids of all its runs are stale from now on; what its nodes' functions hold is
 dropped when the last run has ended. NULL does nothing.

 Any thread; once, with no call begun after it.
 */
void coop_dag_free(coop_dag *dag);

/*
 How many nodes the graph has.

 Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_dag_len(const coop_dag *dag, size_t *nodes);

/*
 Which node has this name: also one that was inserted.

 name, length: UTF-8. node: set to the node.

 Any thread. COOP_E_NULL, COOP_E_INVALID if none has, COOP_E_FORKED.
 */
coop_status coop_dag_index(const coop_dag *dag, const char *name, size_t length, coop_dag_node_id *node);

/*
 The name of a node.

 name, length: set to its bytes, which are UTF-8 without a NUL behind them, and there as long as the graph is.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
 */
coop_status coop_dag_name(const coop_dag *dag, coop_dag_node_id node, const char **name, size_t *length);

/*
 Starts a run. Its CPU nodes run in the pool, and what waits on the loop. In a bounded pool it counts as one task when it starts; what
 goes on then is never refused for want of room.

 The run ends once: with all results; with the first failure; by coop_dag_run_cancel; at its deadline; or with COOP_E_CLOSED when its
 pool or its loop is stopped or freed under it. One that ends early does so at once: no node begins any more, I/O nodes are given up
 (coop_dag_completer_on_cancel), and a function that runs in the pool goes on, and its result is dropped when it comes.

 event_loop: NULL for a graph without I/O nodes, deadlines and waits before retries. options: copied; NULL is all defaults. inputs,
 count: a value for each input; the values are the run's if this answers COOP_OK, else all are the caller's. callback: told the end,
 once, by the thread that ends the run, perhaps before this returns; the run owns callback.arg if this answers COOP_OK. With fn NULL
 there is none, and callback.arg stays the caller's. id: set to the run's id, before the callback is told, which ends with
 coop_dag_run_release or a coop_dag_run_join that saw the end; NULL if nobody wants it.

 Any thread, also nodes of other runs. COOP_E_NULL, COOP_E_INVALID for an input that is missing, unknown or given twice, and where a
 loop is needed and there is none; COOP_E_AFFINITY for a node's CPU set without a worker, COOP_E_QUEUE_FULL, COOP_E_CLOSED,
 COOP_E_UNSUPPORTED for options, COOP_E_FORKED. Nothing has run then.
 */
coop_status coop_dag_run(const coop_dag *dag,
                         coop_pool *pool,
                         coop_event_loop *event_loop,
                         const coop_dag_run_options *options,
                         const coop_dag_input *inputs,
                         size_t count,
                         coop_dag_run_callback callback,
                         coop_dag_run_id *id);

/*
 Makes a builder without nodes.

 options: copied; NULL is all defaults. out: set to the builder, which the caller frees with coop_dag_builder_free.

 Any thread. COOP_E_NULL without out, COOP_E_INVALID for more nodes than a graph may have (2^28) or there is memory for,
 COOP_E_UNSUPPORTED for options.
 */
coop_status coop_dag_builder_new(const coop_dag_builder_options *options, coop_dag_builder **out);

/*
 Releases the builder, and drops the functions of nodes that are in no graph. NULL does nothing.

 Any thread; once, with no call begun after it.
 */
void coop_dag_builder_free(coop_dag_builder *builder);

/*
 Adds a node whose value each run is given.

 name, length: UTF-8, copied; not empty, and no other node's. node: set to the node; may be NULL.

 Any thread. COOP_E_NULL, COOP_E_INVALID for the name, and for one node more than a graph may have, COOP_E_EXISTS for the name of another
 node, COOP_E_CLOSED after coop_dag_builder_build, COOP_E_FORKED.
 */
coop_status coop_dag_builder_input(coop_dag_builder *builder,
                                   const char *name,
                                   size_t length,
                                   coop_dag_node_id *node);

/*
 Adds a node that a worker of the pool runs.

 name, length: UTF-8, copied; not empty, and no other node's. options: copied; NULL is all defaults. function: the builder owns
 function.arg if this answers COOP_OK. node: set to the node; may be NULL.

 Any thread. COOP_E_NULL, COOP_E_INVALID for the name, a node of another builder, a priority, a CPU set that is empty, a time, a flag,
 and one node more than a graph may have; COOP_E_EXISTS for the name of another node, COOP_E_UNSUPPORTED for options, COOP_E_CLOSED
 after coop_dag_builder_build, COOP_E_FORKED. Unknown names, cycles and edges that are there twice are found by
 coop_dag_builder_build.
 */
coop_status coop_dag_builder_cpu(coop_dag_builder *builder,
                                 const char *name,
                                 size_t length,
                                 const coop_dag_node_options *options,
                                 coop_dag_function function,
                                 coop_dag_node_id *node);

/*
 Adds a node that waits: its function is called on the loop's thread, begins something and returns, and the node ends when its
 coop_dag_completer is used, by any thread, then or later. It takes no CPU set.

 Everything else as in coop_dag_builder_cpu.
 */
coop_status coop_dag_builder_io(coop_dag_builder *builder,
                                const char *name,
                                size_t length,
                                const coop_dag_node_options *options,
                                coop_dag_io_function function,
                                coop_dag_node_id *node);

/*
 Has later begin when earlier has ended, without reading its result. If that one fails, or is skipped, later is not run, as if it
 read it.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another builder, or neither a node nor a name; COOP_E_CLOSED after
 coop_dag_builder_build, COOP_E_FORKED. Names are looked up by coop_dag_builder_build.
 */
coop_status coop_dag_builder_after(coop_dag_builder *builder,
                                   coop_dag_ref later,
                                   coop_dag_ref earlier);

/*
 Adds all the nodes of another graph, their names behind prefix and a "/". Its inputs become those nodes of this one that the bindings
 name, one for each.

 prefix, length: UTF-8, copied; not empty. graph: stays the caller's. bindings, count: copied.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a prefix that is empty, an input that is missing or is none, a node of another builder, and
 too many nodes, COOP_E_EXISTS for a name that is there already, COOP_E_CLOSED after coop_dag_builder_build, COOP_E_FORKED. Nothing
 was added then.
 */
coop_status coop_dag_builder_insert(coop_dag_builder *builder,
                                    const char *prefix,
                                    size_t length,
                                    const coop_dag *graph,
                                    const coop_dag_binding *bindings,
                                    size_t count);

/*
 Makes the graph. The builder is used up, whatever this answers: it takes no more nodes, and is freed.

 out: set to the graph, which the caller frees with coop_dag_free.

 Any thread. COOP_E_INVALID for a cycle ("the graph has a cycle: a -> b -> a"), a node that depends on itself, a name that no node has,
 and an edge that is there twice: the message names them; COOP_E_NULL, COOP_E_CLOSED if it was built before, COOP_E_FORKED.
 */
coop_status coop_dag_builder_build(coop_dag_builder *builder,
                                   coop_dag **out);

/*
 How many values the node reads. 0 for NULL.

 The thread of the call.
 */
size_t coop_dag_call_reads(const coop_dag_call *call);

/*
 Looks at one of the values that the node reads.

 index: from 0, in the order of coop_dag_node_options.reads. value: set to the value, which other nodes may read at the same time; it is
 there until the function returns, and in an I/O node until its completer is used.

 The thread of the call. COOP_E_NULL, COOP_E_INVALID for an index that is too large, COOP_E_CANCELLED if that node was skipped (of a
 node with even_if_skipped), COOP_E_STALE if the value was taken.
 */
coop_status coop_dag_call_value(const coop_dag_call *call,
                                size_t index,
                                void **value);

/*
 Takes one of the values that the node reads, if no other node, and not the outcome, has it any more: then it is the function's, to be
 changed, handed on as a result, or dropped. The function of a predicate takes nothing.

 index: as of coop_dag_call_value. value: set to the value and its drop.

 The thread of the call. COOP_E_EXISTS if somebody else has it, or a later attempt may need it, and then it may be looked at; else
 those of coop_dag_call_value.
 */
coop_status coop_dag_call_take(const coop_dag_call *call,
                               size_t index,
                               coop_dag_value *value);

/*
 The node's name.

 name, length: set to its bytes, which are UTF-8 without a NUL behind them, and there until the function returns.

 The thread of the call. COOP_E_NULL.
 */
coop_status coop_dag_call_name(const coop_dag_call *call, const char **name, size_t *length);

/*
 Which attempt at the node this is: 0 for the first one, and for NULL.

 The thread of the call.
 */
uint32_t coop_dag_call_attempt(const coop_dag_call *call);

/*
 Whether the run has ended already: a function that takes long may look, and give up. False for NULL.

 The thread of the call.
 */
bool coop_dag_call_is_ended(const coop_dag_call *call);

/*
 Ends the run that the call is part of, as coop_dag_run_cancel does; the function goes on, and what it makes is dropped.

 The thread of the call. COOP_E_NULL, COOP_E_STALE if the run had ended.
 */
coop_status coop_dag_call_cancel(const coop_dag_call *call);

/*
 Says why the node fails, for a function that then answers a negative number.

 status: one of COOP_E_*. os_errno: beside COOP_E_OS; else 0. message, message_length: in words: UTF-8, copied; NULL says the status.
 cause: anything, for coop_dag_outcome_cause; the library's if this answers COOP_OK. Told twice, the later one counts.

 The thread of the call. COOP_E_NULL, COOP_E_INVALID for a status that is none and a message that is not UTF-8.
 */
coop_status coop_dag_call_fail(const coop_dag_call *call,
                               coop_status status,
                               int32_t os_errno,
                               const char *message,
                               size_t message_length,
                               coop_dag_value cause);

/*
 Ends the node, and the completer.

 status: COOP_OK; COOP_DAG_SKIP for a node that is to be skipped; or a COOP_E_* for one that has failed. value: the node's result beside
 COOP_OK, the failure's cause beside a COOP_E_*; the library's if this answers COOP_OK, and dropped at once if the run or the node has
 ended meanwhile, or the node is skipped.

 Any thread, once. COOP_E_NULL, COOP_E_INVALID for another status: then the completer is still the caller's; COOP_E_FORKED.
 */
coop_status coop_dag_completer_complete(coop_dag_completer *completer,
                                        coop_status status,
                                        coop_dag_value value);

/*
 Ends the node, which has failed, and the completer.

 status, os_errno, message, message_length, cause: as of coop_dag_call_fail.

 Any thread, once. COOP_E_NULL, COOP_E_INVALID for a status that is none and a message that is not UTF-8: then the completer is still
 the caller's; COOP_E_FORKED.
 */
coop_status coop_dag_completer_fail(coop_dag_completer *completer,
                                    coop_status status,
                                    int32_t os_errno,
                                    const char *message,
                                    size_t message_length,
                                    coop_dag_value cause);

/*
 Has a function called if the run or the node ends before the completer is used: on the loop's thread, once, to give up what was begun.
 The completer is still to be used then.

 callback: the library owns callback.arg if this answers COOP_OK. It is dropped when the node has ended. A second one takes the place of
 the first, which is dropped.

 Any thread, while the completer was not used. COOP_E_NULL, COOP_E_CANCELLED if the run or the node has ended, COOP_E_FORKED.
 */
coop_status coop_dag_completer_on_cancel(coop_dag_completer *completer,
                                         coop_callback callback);

/*
 Whether the run or the node has ended, so that nobody waits for the result any more. True for NULL, and in a forked child.

 Any thread, while the completer was not used.
 */
bool coop_dag_completer_is_ended(const coop_dag_completer *completer);

/*
 Gives the completer up: the node has failed with COOP_E_FAILED, unless it had ended. NULL does nothing.

 Any thread, once, instead of coop_dag_completer_complete.
 */
void coop_dag_completer_free(coop_dag_completer *completer);

/*
 Releases the outcome, and drops the results that nobody has taken. NULL does nothing.

 Any thread; once, with no call begun after it.
 */
void coop_dag_outcome_free(coop_dag_outcome *outcome);

/*
 How the run ended: COOP_OK if all nodes have ended well, or were skipped; else why not, and coop_last_error() has the words, which name
 the first node that failed. A node's COOP_E_INVALID, _TIMEOUT, _AFFINITY, _UNSUPPORTED, _PANIC, _OS, _EXISTS and _RESOLVE are the
 run's too; for each other number it ends with COOP_E_FAILED.

 Any thread. COOP_E_CANCELLED, COOP_E_TIMEOUT, COOP_E_CLOSED; COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_dag_outcome_result(const coop_dag_outcome *outcome);

/*
 What became of a node.

 state: set to one of COOP_DAG_CANCELLED, _RUNNING, _DONE, _SKIPPED, _FAILED.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
 */
coop_status coop_dag_outcome_state(const coop_dag_outcome *outcome, coop_dag_node_id node, int32_t *state);

/*
 Why a node has failed: the number that its function answered, or the library's, and coop_last_error() has the words. COOP_OK if it has
 not failed.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
 */
coop_status coop_dag_outcome_failure(const coop_dag_outcome *outcome,
                                     coop_dag_node_id node);

/*
 The cause that a node has told beside its failure: see coop_dag_call_fail.

 cause: set to it, which is there until the outcome is freed; NULL if there is none, or the node has not failed.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, COOP_E_FORKED.
 */
coop_status coop_dag_outcome_cause(const coop_dag_outcome *outcome, coop_dag_node_id node, void **cause);

/*
 Looks at a node's result.

 value: set to it, which is there until it is taken, or the outcome is freed.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph, and for one whose result was not kept as other nodes read it (see
 coop_dag_node_options.keep); COOP_E_CANCELLED if it has none, for it was cancelled or skipped; the node's failure, with its name;
 COOP_E_STALE if the result was taken, or another outcome of the same run has it; COOP_E_FORKED.
 */
coop_status coop_dag_outcome_value(const coop_dag_outcome *outcome,
                                   coop_dag_node_id node,
                                   void **value);

/*
 Takes a node's result, which is the caller's then.

 value: set to it and its drop.

 Any thread. COOP_E_EXISTS if a node has it that still runs, though the run has ended; else as coop_dag_outcome_value.
 */
coop_status coop_dag_outcome_take(const coop_dag_outcome *outcome, coop_dag_node_id node, coop_dag_value *value);

/*
 Waits until a run has ended.

 timeout_ns: nanoseconds, 0 only looks, COOP_FOREVER waits as long as it takes. out: set to what the nodes have made, which the caller
 frees with coop_dag_outcome_free; how the run ended is coop_dag_outcome_result. NULL if nobody wants it.

 Once the end was seen the id is stale. It lives on at COOP_E_TIMEOUT, and at COOP_E_WOULD_DEADLOCK, which is the answer to the run's own
 nodes, to the only worker of its pool, and on the thread of a loop that it needs.

 Any thread, also several at once: each that waits is told. COOP_E_STALE, COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_dag_run_join(const coop_dag *dag,
                              coop_dag_run_id id,
                              int64_t timeout_ns,
                              coop_dag_outcome **out);

/*
 Has a function told the end of a run: by the thread that ends it, or here and now if it has ended. The id stays.

 callback: the run owns callback.arg if this answers COOP_OK.

 Any thread. COOP_E_EXISTS if a function is to be told already, COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_dag_run_then(const coop_dag *dag, coop_dag_run_id id, coop_dag_run_callback callback);

/*
 Ends a run with COOP_E_CANCELLED, as coop_dag_run says of one that ends early. The id stays, for coop_dag_run_join.

 Any thread, also the run's own nodes (see coop_dag_call_cancel). COOP_E_TIMEOUT if it is too late, for the run has ended, which changes
 nothing; COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_dag_run_cancel(const coop_dag *dag,
                                coop_dag_run_id id);

/*
 Gives an id up: the run goes on.

 Any thread. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_dag_run_release(const coop_dag *dag, coop_dag_run_id id);

/*
 Says when each node of a run was ready, began and ended.

 format: COOP_DAG_CHROME_JSON or COOP_DAG_DOT. callback: the library owns callback.arg if this answers COOP_OK; it is handed the text,
 and dropped, before this returns.

 Any thread. COOP_E_NULL, COOP_E_INVALID for another format, and for a run that was not asked to take times (see
 coop_dag_run_options.trace), COOP_E_FORKED.
 */
coop_status coop_dag_outcome_trace(const coop_dag_outcome *outcome,
                                   int32_t format,
                                   coop_text_callback callback);

/*
 Says what the graph looks like, for Graphviz: nodes that wait on the loop are round, edges that carry no result are dashed.

 callback: as of coop_dag_outcome_trace.

 Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_dag_dot(const coop_dag *dag,
                         coop_text_callback callback);

/*
 Says what a node took in all traced runs of the graph that have ended. All is 0 if there were none.

 out: out->size is the caller's; the rest is written.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a node of another graph and for the size, COOP_E_FORKED.
 */
coop_status coop_dag_stats(const coop_dag *dag, coop_dag_node_id node, coop_dag_statistics *out);

/*
 Makes an event, not signalled.

 options: copied; NULL is all defaults. out: set to the event, which the caller frees with coop_event_free.

 Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_OS if the process has no
 file descriptor left, COOP_E_UNSUPPORTED on other systems than Linux.
 */
coop_status coop_event_new(const coop_event_options *options, coop_event **out);

/*
 Releases the event. A watch of it stays until it is cancelled, and is not called any more. NULL does nothing.

 Any thread; once, with no call begun after it.
 */
void coop_event_free(coop_event *event);

/*
 Sets the event.

 Any thread; not from a signal handler. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_event_signal(coop_event *event);

/*
 Takes the signal away, if there is one.

 Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_event_reset(coop_event *event);

/*
 Whether the event is signalled. It only looks. False for NULL and in a forked child. Any thread.
 */
bool coop_event_is_signaled(const coop_event *event);

/*
 The event's descriptor, an eventfd that does not block: readable while the event is signalled, for poll() and foreign loops. Eight
 bytes written to it (a uint64_t, 1) are a signal; eight read from it take the signal away. It stays the event's.
 COOP_E_NULL, which is negative, if there is none. Any thread.
 */
int32_t coop_event_fd(const coop_event *event);

/*
 Has a loop call the function whenever the event is signalled, until the watch is cancelled.

 Of an event that resets itself the function has taken the signal when it runs; of several that wait for it, one is called. Of one with manual
 reset it is called once for each signal (several may be one call), and at once if the event is signalled now.

 options: copied; NULL is all defaults. callback: the loop owns callback.arg if this answers COOP_OK. id: set to the
 watch's id, for coop_io_watch_cancel; may be NULL. The function may run before id is set, and may free the event.

 Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for place or priority, COOP_E_AFFINITY for a
 CPU set without a worker, COOP_E_OS if the process has no file descriptor left, COOP_E_UNSUPPORTED for options,
 COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_watch(coop_event *event,
                             coop_event_loop *event_loop,
                             const coop_source_options *options,
                             coop_event_callback callback,
                             coop_io_watch_id *id);

/*
 Makes an event loop. It takes posts, timers and watches at once; nothing runs before coop_event_loop_run or
 _start.

 options: copied; NULL is all defaults. out: set to the loop, which the caller frees with coop_event_loop_free.

 Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_OS if the process
 has no file descriptor left.
 */
coop_status coop_event_loop_new(const coop_event_loop_options *options, coop_event_loop **out);

/*
 Stops the loop, discards what is queued (each post, timer and watch is dropped, none is run), waits for the
 callback that runs, and releases the loop.

 From one of the loop's own callbacks on its thread it returns at once, and the rest happens when that callback
 has returned; the loop must not be used after that, but the coop_event_loop_run that is under way returns as
 ever. A runtime's loop belongs to the runtime and is left alone, with a warning. NULL does nothing.

 Any thread; once. No call on the loop may begin after it, and a call of another thread must have returned before it
 begins: a post that races it is refused only as long as the loop is there to refuse it (coop_event_loop_stop, which may race
 anything, refuses posts from then on). Of the calls that wait, those that wait already when it begins return: coop_event_loop_run,
 coop_event_loop_join, and coop_event_loop_post_and_wait with COOP_E_CLOSED. And the call that has let a callback start may
 still be under way when that callback frees the loop.

 In a forked child it touches no thread and leaves the loop's descriptors, which are the parent's too, to exec or exit.
 */
void coop_event_loop_free(coop_event_loop *event_loop);

/*
 Has the loop's thread run the callback, once. Posts of one thread run in their order.

 callback: the loop owns callback.arg if this answers COOP_OK; see coop_callback.

 Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_post(coop_event_loop *event_loop, coop_callback callback);

/*
 Has the loop's thread run the callback, once, and waits for its end. At the deadline a callback that has not begun is
 cancelled; the end of one that has is waited for, past the deadline.

 callback: when this answers COOP_OK, fn has run and drop(arg) has been called. On an error neither was called, and callback.arg is
 still the caller's. timeout_ns: nanoseconds, 0 does not wait for the beginning, COOP_FOREVER waits as long as it takes; nobody but
 coop_event_loop_run and _start runs the loop meanwhile.

 Any thread but the loop's own callbacks: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT; COOP_E_CLOSED once the loop was stopped, or if it
 is freed before the callback has begun; COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_event_loop_post_and_wait(coop_event_loop *event_loop,
                                          coop_callback callback,
                                          int64_t timeout_ns);

/*
 Runs the loop in the calling thread.

 mode: COOP_RUN_DEFAULT, COOP_RUN_ONCE, COOP_RUN_NOWAIT or COOP_RUN_UNTIL_IDLE. Every mode returns when the loop
 was stopped or interrupted.

 Any thread, one at a time. COOP_E_NULL, COOP_E_INVALID for another mode, COOP_E_EXISTS if another thread runs it,
 COOP_E_WOULD_DEADLOCK from one of its own callbacks, COOP_E_CLOSED if it was stopped and has nothing left to run,
 COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_event_loop_run(coop_event_loop *event_loop, int32_t mode);

/*
 Runs the loop in a thread of its own until it is stopped.

 Any thread. COOP_E_NULL, COOP_E_EXISTS if it runs already, COOP_E_CLOSED if it was stopped and has nothing left
 to run, COOP_E_OS if the system has no thread left, COOP_E_FORKED.
 */
coop_status coop_event_loop_start(coop_event_loop *event_loop);

/*
 Closes the loop for good, runs nothing itself and returns. From now on posts are refused; the loop finishes the
 callback at hand and the posts accepted so far, drops its timers and watches, which do not fire any more, and then
 coop_event_loop_run returns or the loop's thread ends. A loop that does not run finishes in its next
 coop_event_loop_run, or drops all of it when it is freed.

 Any thread, also the loop's own callbacks, any number of times. Not from a signal handler. COOP_E_NULL,
 COOP_E_FORKED.
 */
coop_status coop_event_loop_stop(coop_event_loop *event_loop);

/*
 Makes the coop_event_loop_run that is under way return after the callback at hand. The loop stays open and may
 run again.

 Any thread, also the loop's own callbacks, any number of times. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_event_loop_interrupt(coop_event_loop *event_loop);

/*
 Waits until nobody runs the loop: after coop_event_loop_stop, until it has finished.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.

 Any thread but the loop's own callbacks: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT, and it may be called again;
 COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_event_loop_join(coop_event_loop *event_loop, int64_t timeout_ns);

/*
 A descriptor that is readable when the loop has something to run: for a foreign loop (poll, GLib, libuv) that runs this
 one inside it.

 The foreign loop watches the descriptor for reading, level-triggered, and sleeps no longer than
 coop_event_loop_backend_timeout says; after each sleep it calls coop_event_loop_run with COOP_RUN_NOWAIT, in one
 thread. From this call on, whatever any thread adds meanwhile (a post, a timer that is earlier than the answer, a stop)
 makes the descriptor readable. It may be readable for nothing.

 out: set to the descriptor. It is the loop's, who closes it; nothing but its readiness is to be used of it, and the
 foreign loop lets go of it before coop_event_loop_free.

 Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_event_loop_backend_fd(coop_event_loop *event_loop, int32_t *out);

/*
 How long a foreign loop may sleep before it runs this one, unless coop_event_loop_backend_fd becomes readable. To be
 asked after each run.

 out_ns: set to nanoseconds from now: 0 if something is due or queued, COOP_FOREVER (-1) if nothing but the
 descriptor counts. It may be less than the next timer needs. Round up to what the foreign loop can tell apart (poll: milliseconds), or it turns in vain.

 Any thread. COOP_E_CLOSED when the loop was stopped and has nothing left to run: the foreign loop lets go of it.
 COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_event_loop_backend_timeout(const coop_event_loop *event_loop,
                                            int64_t *out_ns);

/*
 The time on the loop's clock, which its timers go by: nanoseconds since the loop was made. It never goes back.

 out_ns: set to the time. Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_event_loop_now(const coop_event_loop *event_loop, int64_t *out_ns);

/*
 Whether the caller is one of the loop's callbacks, on its thread. False for NULL and in a forked child. Any
 thread.
 */
bool coop_event_loop_is_loop_thread(const coop_event_loop *event_loop);

/*
 Makes a host, and starts its thread. What is added to it is only noted before coop_host_start.

 options: copied; NULL is all defaults. out: set to the host, which the caller frees with coop_host_free.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a name or what options say of the root, COOP_E_OS if the process has no descriptor or thread
 left, COOP_E_UNSUPPORTED, COOP_E_FORKED for the loop.
 */
coop_status coop_host_new(const coop_host_options *options,
                          coop_host **out);

/*
 Stops the host, waits until its services have ended, and releases it: those that may take as long as they like are given 5 s. NULL does
 nothing.

 Any thread; once, with no call begun after it. From a function of one of its services or observers, or on its main loop, it returns at once,
 and the rest happens by itself; a coop_host_join that is under way returns as ever. In a forked child it touches no thread and no process.
 */
void coop_host_free(coop_host *host);

/*
 Starts the tree, in order, and waits until all services are ready.

 Any thread; once, unless it failed: then what was started has been stopped, last first, and it may be called again. COOP_E_NULL;
 COOP_E_FAILED, COOP_E_OS, COOP_E_TIMEOUT, ... with the service and why it did not start; COOP_E_EXISTS if it was started before, COOP_E_CLOSED if it
 has ended, COOP_E_WOULD_DEADLOCK, COOP_E_FORKED.
 */
coop_status coop_host_start(coop_host *host);

/*
 Asks the host to stop its services, last first, and to end; returns at once.

 Any thread, any number of times. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_host_stop(coop_host *host);

/*
 Ends everything that runs, without asking; returns at once.

 Any thread, any number of times. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_host_kill(coop_host *host);

/*
 coop_host_stop, and waits until the host has ended.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.

 Any thread, any number of times. COOP_E_TIMEOUT: it goes on stopping. COOP_E_WOULD_DEADLOCK from a service and from the main loop's thread,
 which have coop_host_stop; COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_host_shutdown(coop_host *host,
                               int64_t timeout_ns);

/*
 Waits until the host has ended: it was stopped, its root gave up, or its significant services have ended.

 timeout_ns: as coop_host_shutdown.

 Any thread. COOP_E_FAILED with the reason if its root gave up, COOP_E_TIMEOUT, COOP_E_INVALID before the start and for another time,
 COOP_E_WOULD_DEADLOCK as coop_host_shutdown, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_host_join(coop_host *host,
                           int64_t timeout_ns);

/*
 coop_host_join as the main thread of a program: SIGINT and SIGTERM stop the host meanwhile, and a second one ends everything at once. If
 the host was given a main loop that nobody runs, it is run here.

 Signals are taken on the process's main thread only, and do after the call what they did before.

 Any thread. COOP_E_OS if the signals cannot be watched, and as coop_host_join.
 */
coop_status coop_host_wait(coop_host *host);

/*
 The host's root supervisor; 0 for NULL. Any thread.
 */
coop_service_id coop_host_root(const coop_host *host);

/*
 Has the loop call the function when a descriptor is ready: a socket, a pipe, an eventfd; not a file or a
 directory.

 fd: stays the caller's, who cancels the watch before closing it. One watch covers both directions, and there is
 one for each fd. options: copied; NULL is reads, for as long as it is ready. callback: the loop owns
 callback.arg if this answers COOP_OK. id: set to the watch's id, for coop_io_watch_cancel; may be NULL. The
 function may run before id is set.

 Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for fd, interest, place or priority,
 COOP_E_AFFINITY for a CPU set without a worker, COOP_E_EXISTS if fd has a watch in this loop, COOP_E_OS if the system cannot watch it, COOP_E_UNSUPPORTED for
 options, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_watch(coop_event_loop *event_loop,
                                  int32_t fd,
                                  const coop_io_watch_options *options,
                                  coop_io_watch_callback callback,
                                  coop_io_watch_id *id);

/*
 Ends a watch: its function does not begin any more, and its argument is dropped now; if it is running (it may
 be the caller), when it returns. The descriptor may be closed after this.

 Any thread, also the loop's own callbacks. COOP_E_STALE if it was cancelled or is of no watch of this loop;
 COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_io_watch_cancel(coop_event_loop *event_loop, coop_io_watch_id id);

/*
 Watches other directions of the descriptor from now on; what is ready in them is told anew.

 interest: COOP_IO_READ, COOP_IO_WRITE or both.

 Any thread, also the loop's own callbacks. COOP_E_INVALID for interest, COOP_E_STALE if the watch was cancelled or is of
 no watch of this loop, COOP_E_OS (EBADF) if the descriptor was closed under it, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_io_watch_set_interest(coop_event_loop *event_loop,
                                       coop_io_watch_id id,
                                       uint32_t interest);

/*
 A COOP_RUN_UNTIL_IDLE waits for the watch, as it does for each that is not made with unref. It does not count: once is enough.

 Any thread. COOP_E_STALE as coop_io_watch_cancel, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_io_watch_ref(coop_event_loop *event_loop,
                              coop_io_watch_id id);

/*
 A COOP_RUN_UNTIL_IDLE does not wait for the watch; one that waits for nothing else ends.

 Any thread. COOP_E_STALE as coop_io_watch_cancel, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_io_watch_unref(coop_event_loop *event_loop, coop_io_watch_id id);

/*
 Listens, and hands each connection to the callback.

 options: copied. callback: called for each connection, one call after another; the listener owns callback.arg if this answers COOP_OK. It
 may be called before out is set. With fn NULL there is none (arg and drop are not looked at): connections wait for coop_listener_accept.
 out: set to the listener, which the caller frees with coop_listener_free.

 When the process has no file descriptor left, the callback is told so once (COOP_E_OS, EMFILE); connections wait, and it tries again every
 100 ms. When the loop ends, the callback is told COOP_E_CLOSED, the last time. While a callback in the pool is slow, what comes waits in
 the system.

 Any thread. COOP_E_NULL, COOP_E_INVALID for an address, a path, a place or a priority, COOP_E_AFFINITY for a CPU set without a worker,
 COOP_E_UNSUPPORTED for options, COOP_E_EXISTS for a path where there is a file, COOP_E_OS (EADDRINUSE, ...), COOP_E_CLOSED once the loop was
 stopped, COOP_E_FORKED.
 */
coop_status coop_listener_new(coop_event_loop *event_loop,
                              const coop_listener_options *options,
                              coop_stream_callback callback,
                              coop_listener **out);

/*
 Takes one connection, once there is one. For a listener without a callback of its own.

 callback: told once, after this call, with the stream or the error; the listener owns callback.arg if this answers COOP_OK. While the
 process has no file descriptor left it waits for one.

 Any thread. COOP_E_EXISTS while one is being waited for (until its callback begins), and for a listener whose callback takes what comes;
 COOP_E_NULL, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED. The callback is told COOP_E_CANCELLED by coop_listener_cancel and
 coop_listener_free, COOP_E_CLOSED if the loop ends before, COOP_E_OS.
 */
coop_status coop_listener_accept(coop_listener *listener,
                                 coop_stream_callback callback);

/*
 Ends the wait of coop_listener_accept: its callback is told COOP_E_CANCELLED, not inside this call. The listener goes on.

 Any thread. COOP_E_STALE if there is none, or it has ended already; COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_listener_cancel(coop_listener *listener);

/*
 Stops listening and releases the listener: its callback does not begin any more, and its argument is dropped now; if it is running (it
 may be the caller), when it returns. Streams that it handed over live on; those on their way are closed. NULL does nothing.

 Any thread, also the listener's own callback; once, with no call begun after it. In a forked child it closes the child's copy of the
 descriptor.
 */
void coop_listener_free(coop_listener *listener);

/*
 Says which address and port the listener has; coop_address_text makes words of it.

 out: set to the address; to no address (length 0) for a Unix socket. Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_listener_address(const coop_listener *listener, coop_address *out);

/*
 The listener's descriptor; it stays the listener's. Not to be watched: the listener does that. COOP_E_NULL or COOP_E_FORKED, which are
 negative, if there is none. Any thread.
 */
int32_t coop_listener_fd(const coop_listener *listener);

/*
 Has the function called with each message of this level or a more severe one, instead of the one set before.
 Until one is set there are no messages.

 level: one of COOP_LOG_*; with COOP_LOG_OFF callback.fn must be NULL, and what was set is removed.
 callback: the library owns callback.arg if this answers COOP_OK; with COOP_LOG_OFF it is dropped at once.

 The function is called from any thread, perhaps from several at once, with no lock held. It may call the
 library; calls made inside it are not logged. A message that comes while another thread is in this function may
 be lost.

 Any thread, any number of times. COOP_E_INVALID for another level or a function beside COOP_LOG_OFF,
 COOP_E_NULL without one, COOP_E_EXISTS if the program is in Rust and has set a tracing subscriber of its own.
 */
coop_status coop_set_log(int32_t level, coop_log_callback callback);

/*
 Says what the loop did so far. The first call has the times measured from then on, which costs a look at the clock for each
 callback.

 out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL, COOP_E_INVALID for the size,
 COOP_E_FORKED.
 */
coop_status coop_event_loop_stats(const coop_event_loop *event_loop,
                                  coop_event_loop_statistics *out);

/*
 Has the function called whenever a callback has run on the loop's thread for that long or longer; without a function, a
 message is logged (see coop_set_log). What runs in a runtime's pool is not looked at. One hook at a time: the one
 before is dropped.

 threshold_ns: nanoseconds above 0; COOP_NONE takes the hook away, and callback.fn is NULL. callback: the loop owns
 callback.arg if this answers COOP_OK and callback.fn is not NULL.

 A callback that never returns is not told of: see coop_event_loop_statistics.at_hand_ns.

 Any thread, also the hook itself. COOP_E_NULL, COOP_E_INVALID for another threshold, COOP_E_CLOSED once the loop was
 stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_set_slow_hook(coop_event_loop *event_loop,
                                          int64_t threshold_ns,
                                          coop_slow_callback callback);

/*
 Has the function called after every turn of the loop in which the last of what was ready waited that long or longer until
 its callback began; without a function, a message is logged (see coop_set_log). One hook at a time: the one before
 is dropped.

 threshold_ns: nanoseconds above 0; COOP_NONE takes the hook away, and callback.fn is NULL. callback: the loop owns
 callback.arg if this answers COOP_OK and callback.fn is not NULL.

 Any thread, also the hook itself. COOP_E_NULL, COOP_E_INVALID for another threshold, COOP_E_CLOSED once the loop was
 stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_set_lag_hook(coop_event_loop *event_loop,
                                         int64_t threshold_ns,
                                         coop_lag_callback callback);

/*
 Makes a handler with the coop_port_handler_init that name names: "path/lib.so:symbol". A path without a slash is looked
 for where the system looks for shared libraries. The library stays loaded.

 name, name_length: UTF-8. args, length: handed to the function; NULL if there are none. out: its size says how much of it is filled (0: all up
 to on_message); set to the handler, whose arg is the caller's until a coop_port_set_new takes it.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a name of another form, a handler without a size, or an out of an odd one, COOP_E_FAILED if the library
 cannot be loaded, has no such symbol, or its function answers an error, COOP_E_UNSUPPORTED if it fills a field that this version
 does not know, or that out has no room for.
 */
coop_status coop_port_handler_load(const char *name,
                                   size_t name_length,
                                   const void *args,
                                   size_t length,
                                   coop_port_handler *out);

/*
 Begins to observe a host.

 options: copied; NULL is all defaults. callback: called with each event, one after another; the observer owns callback.arg if this
 answers COOP_OK. With fn NULL there is none (arg and drop are not looked at): events wait for coop_observer_next. id: set to the observer's id,
 for coop_observer_cancel; may be NULL if there is a function, which may run before id is set.

 An observer ends after the host's last event, and by coop_observer_cancel; then its argument is dropped, when its function has returned.
 One that is slow loses the oldest events and is told how many; it never holds up the host.

 Any thread. COOP_E_NULL, COOP_E_INVALID for what options say, COOP_E_OS if there is no thread left, COOP_E_CLOSED if the loop was stopped,
 COOP_E_UNSUPPORTED, COOP_E_FORKED.
 */
coop_status coop_host_observe(coop_host *host,
                              const coop_observer_options *options,
                              coop_service_event_callback callback,
                              coop_observer_id *id);

/*
 Waits for the next event of an observer without a function.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes. out: set to the event, which is there until the next
 call for this observer, or its end.

 Any thread, one at a time for an observer. COOP_E_TIMEOUT, COOP_E_CLOSED after the last event of a host that has ended, COOP_E_STALE if the
 observer was cancelled, COOP_E_INVALID for another time and for one with a function, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_observer_next(coop_host *host,
                               coop_observer_id id,
                               int64_t timeout_ns,
                               const coop_service_event **out);

/*
 Ends an observer: its function does not begin any more, and its argument is dropped now; if it is running (it may be the caller), when
 it returns. A call of coop_observer_next that waits is answered COOP_E_CLOSED.

 Any thread. COOP_E_STALE if it was cancelled, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_observer_cancel(coop_host *host,
                                 coop_observer_id id);

/*
 Calls run with pieces of the range from begin up to, and without, end, on all workers of the CPU set at once, and
 returns when all have ended. Called by a task of the pool, that task's worker takes part.

 options: copied; NULL is normal priority, any worker; timeout_ns is not used, for a full pool takes the loop all
 the same. grain: the most numbers of a piece; 0 leaves that to the pool. run: must not be NULL. arg: handed to it;
 stays the caller's.

 Any thread, also the pool's own tasks. COOP_E_NULL for pool or run, COOP_E_INVALID for an end before begin,
 COOP_E_CLOSED if the pool is closed, or was discarded before all pieces had begun: then some have not run;
 COOP_E_WOULD_DEADLOCK to a task of the pool whose worker is outside the CPU set; COOP_E_FORKED; for the options as
 coop_pool_submit.
 */
coop_status coop_pool_parallel_for(coop_pool *pool,
                                   const coop_submit_options *options,
                                   size_t begin,
                                   size_t end,
                                   size_t grain,
                                   coop_range_fn run,
                                   void *arg);

/*
 Begins to observe the host that this process was started by: the one that NOTIFY_SOCKET in its environment names. Any process below a host may,
 a worker or another program. When this returns no event is missed any more.

 options: as for coop_host_observe. callback: called with each event, one after another; the observer owns callback.arg if this answers
 COOP_OK. With fn NULL there is none (arg and drop are not looked at): events wait for coop_parent_observer_next. out: set to the observer, which
 the caller frees with coop_parent_observer_free.

 It ends after the host's last event, and by the free; then its argument is dropped, when its function has returned.

 Any thread, but one that the host waits for. COOP_E_UNSUPPORTED where there is no host, or it tells no events; COOP_E_TIMEOUT if it does not
 answer within 30 s; COOP_E_NULL, COOP_E_INVALID for what options say, COOP_E_OS if there is no descriptor or thread left, COOP_E_CLOSED if the
 loop was stopped.
 */
coop_status coop_parent_observer_new(const coop_observer_options *options,
                                     coop_service_event_callback callback,
                                     coop_parent_observer **out);

/*
 Waits for the next event of an observer without a function.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes. out: set to the event, which is there until the next
 call for this observer, or its free.

 Any thread, one at a time. COOP_E_TIMEOUT, COOP_E_CLOSED after the last event of a host that has ended, COOP_E_INVALID for another time and for
 an observer with a function, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_parent_observer_next(coop_parent_observer *observer,
                                      int64_t timeout_ns,
                                      const coop_service_event **out);

/*
 Ends an observer and releases it: its function does not begin any more, and its argument is dropped; if it is running (it may be the caller), when
 it returns. NULL does nothing.

 Any thread; once, with no call begun after it. In a forked child it touches no thread.
 */
void coop_parent_observer_free(coop_parent_observer *observer);

/*
 Makes a pool and starts its workers.

 options: copied; NULL is all defaults. out: set to the pool, which the caller frees with coop_pool_free.

 Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_AFFINITY or
 COOP_E_UNSUPPORTED if a worker cannot be pinned (see no_pin), COOP_E_OS if the system has no thread left.
 */
coop_status coop_pool_new(const coop_pool_options *options, coop_pool **out);

/*
 Discards the queued tasks (each is dropped, none is run), waits for those that run, ends the workers and
 releases the pool.

 From one of the pool's own tasks it discards and returns at once, and the workers end when their tasks have
 returned; the pool must not be used after that, nor by tasks that still run. A runtime's pool belongs to the
 runtime and is left alone, with a warning. NULL does nothing.

 Any thread; once, with no call begun after it. In a forked child it releases memory and touches no thread.
 */
void coop_pool_free(coop_pool *pool);

/*
 Has a worker run the task, once.

 options: copied; NULL is normal priority, any worker. task: the pool owns task.arg if this answers COOP_OK; see
 coop_callback. A task must be short and must not wait for another task of its pool.

 Any thread, also the pool's own tasks. COOP_E_NULL for pool, task.fn or cpus.words, COOP_E_INVALID for another
 priority, time or an empty CPU set, COOP_E_AFFINITY for a CPU set without a worker, COOP_E_UNSUPPORTED,
 COOP_E_FORKED, and COOP_E_CLOSED once the pool was shut down (its own tasks may submit while it drains).

 A pool with a capacity that is full: COOP_E_QUEUE_FULL; with timeout_ns it waits for room, those who came first being
 served first, until COOP_E_TIMEOUT. To one of the pool's own tasks that would wait: COOP_E_WOULD_DEADLOCK.
 */
coop_status coop_pool_submit(coop_pool *pool, const coop_submit_options *options, coop_callback task);

/*
 Has workers run these tasks, each once, in order as far as coop_pool_submit keeps it, and cheaper than one by one.

 options: copied, for all of them; NULL is normal priority, any worker. tasks: count of them, copied; the pool owns the
 arguments of those that it took. accepted: set to how many it took: the first ones. Fewer than count if the pool
 became full (with timeout_ns: and was so until then) or was closed after it had taken some; the others are the caller's,
 and the next call says why.

 Any thread, also the pool's own tasks. When it fails it has taken none: COOP_E_INVALID for a count of 0, COOP_E_NULL for
 pool, tasks, accepted, or a task's fn, and the errors of coop_pool_submit.
 */
coop_status coop_pool_submit_batch(coop_pool *pool,
                                   const coop_submit_options *options,
                                   const coop_callback *tasks,
                                   size_t count,
                                   size_t *accepted);

/*
 Whether a task with these options may go on at once on the calling thread: it is a worker of the pool inside the CPU set, and
 nothing of a higher priority waits for it.

 options: copied; NULL is normal priority, any worker. False outside the pool's own tasks, for NULL and for wrong options, and
 in a forked child. Any thread.
 */
bool coop_pool_may_run_here(const coop_pool *pool,
                            const coop_submit_options *options);

/*
 Says how many workers the pool has.

 out: set to the number. Any thread. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_pool_workers(const coop_pool *pool, size_t *out);

/*
 Says which CPU a worker is pinned to.

 index: which worker, from 0. out: set to the CPU's number, or to COOP_NONE if the pool was made with no_pin.
 Any thread. COOP_E_NULL, COOP_E_INVALID past the last worker, COOP_E_FORKED.
 */
coop_status coop_pool_worker_cpu(const coop_pool *pool, size_t index, int32_t *out);

/*
 Whether the caller is one of the pool's own tasks. False for NULL and in a forked child. Any thread.
 */
bool coop_pool_is_worker_thread(const coop_pool *pool);

/*
 Closes the pool and returns at once: what is queued still runs, and what that submits, and then the workers end.

 Any thread, any number of times. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_pool_close(coop_pool *pool);

/*
 Closes the pool, has what is queued run or dropped, waits for what runs, and ends the workers.

 mode: COOP_SHUTDOWN_DRAIN or COOP_SHUTDOWN_DISCARD. timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER
 waits as long as it takes.

 At COOP_E_TIMEOUT the pool stays closed, queued tasks are dropped, running ones go on, and it may be called
 again. From one of the pool's own tasks it returns at once, and the workers end when their tasks have returned.

 Any thread, any number of times. COOP_E_NULL, COOP_E_INVALID for another mode or time, COOP_E_FORKED.
 */
coop_status coop_pool_shutdown(coop_pool *pool, int32_t mode, int64_t timeout_ns);

/*
 Waits until a pool that was closed has ended, and joins its threads.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.

 Any thread but the pool's own tasks: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT changes nothing, and it may be
 called again; COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_pool_join(coop_pool *pool, int64_t timeout_ns);

/*
 Says what the pool did so far, and what waits in it. Costs a look at every worker and every queue.

 out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL, COOP_E_INVALID for the size,
 COOP_E_FORKED.
 */
coop_status coop_pool_stats(const coop_pool *pool, coop_pool_statistics *out);

/*
 Says what one worker did so far.

 index: which worker, from 0. out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL,
 COOP_E_INVALID past the last worker or for the size, COOP_E_FORKED.
 */
coop_status coop_pool_worker_stats(const coop_pool *pool, size_t index, coop_worker_statistics *out);

/*
 Sends bytes to a connection. What a handler's function writes leaves at the latest when it returns; what the peer does not take yet waits, in
 order, without holding anybody up.

 connection: which. data, length: copied, all or nothing; NULL if there are none.

 Any thread until the handler's drop. COOP_E_QUEUE_FULL if the peer does not keep up, and as many bytes wait as the set may buffer, or an
 eighth of that for this connection: coop_port_context_backlog_of says how many do. COOP_E_INVALID for more bytes than that eighth. COOP_E_CLOSED if it is being closed, or its writing was
 ended; COOP_E_STALE, also for a port of datagrams; COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_write(coop_port_context *context,
                                    coop_connection_id connection,
                                    const void *data,
                                    size_t length);

/*
 How many bytes written to a connection the system has not taken yet: a measure for going slower. out: set to it. Any thread until the
 handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_backlog_of(const coop_port_context *context,
                                         coop_connection_id connection,
                                         size_t *out);

/*
 Closes a connection, when what was written to it is sent: on_close comes then, in another turn of the loop. Nothing more is read.

 Any thread until the handler's drop; again is fine until on_close. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_close(coop_port_context *context,
                                    coop_connection_id connection);

/*
 Closes a connection at once, with a reset where there is such a thing; what waits to be sent is dropped. on_close comes in another turn of
 the loop.

 Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_abort(coop_port_context *context,
                                    coop_connection_id connection);

/*
 Ends the writing to a connection: its peer reads to the end of what was written. What it sends is still heard. A connection that both
 sides have ended is closed.

 Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_shutdown_write(coop_port_context *context,
                                             coop_connection_id connection);

/*
 Reads nothing more from a connection, so that its peer has to wait, until coop_port_context_resume. Meanwhile a peer that goes is noticed only
 by a write.

 Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_pause(coop_port_context *context,
                                    coop_connection_id connection);

/*
 Reads again after coop_port_context_pause.

 Any thread until the handler's drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_resume(coop_port_context *context, coop_connection_id connection);

/*
 Where the other end of a connection is. out: set to its address; to no address (length 0) for a Unix socket. Any thread until the handler's
 drop. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_peer(const coop_port_context *context,
                                   coop_connection_id connection,
                                   coop_address *out);

/*
 How many connections are open. out: set to it; 0 for a port of datagrams. Any thread until the handler's drop. COOP_E_NULL.
 */
coop_status coop_port_context_connections(const coop_port_context *context,
                                          size_t *out);

/*
 Sends datagrams. What a handler's function sends leaves in batches, at the latest when it returns.

 datagrams, count: copied; one without an address goes to the connected peer. sent: set to how many of the array were
 taken, also when one was refused; may be NULL.

 Any thread until the handler's drop. COOP_E_QUEUE_FULL if the kernel does not keep up and as many bytes wait as the set
 may hold, COOP_E_INVALID for a datagram that is too long or goes nowhere, COOP_E_CLOSED, COOP_E_FORKED, COOP_E_NULL.
 */
coop_status coop_port_context_send(coop_port_context *context,
                                   const coop_datagram *datagrams,
                                   size_t count,
                                   size_t *sent);

/*
 Sends a message to another port of the set: on_message there, in the order of sending.

 port, port_length: which port, UTF-8. data, length: copied; NULL if there are none. A handler in Python is given bytes.

 Any thread until the handler's drop. COOP_E_QUEUE_FULL while that port does not keep up, and as many messages of this one wait there as the set's
 ring_bytes let; COOP_E_INVALID for a message that is longer than that, and for a name that is no port of the set; COOP_E_CLOSED if that port has
 ended, COOP_E_FORKED, COOP_E_NULL.
 */
coop_status coop_port_context_send_message(coop_port_context *context,
                                           const char *port,
                                           size_t port_length,
                                           const void *data,
                                           size_t length);

/*
 The port's name: name is set to the library's text, UTF-8 without a NUL at its end, valid until the handler's drop, and length
 to its bytes. Any thread until the handler's drop. COOP_E_NULL.
 */
coop_status coop_port_context_name(const coop_port_context *context,
                                   const char **name,
                                   size_t *length);

/*
 The address that the port's socket is bound to. out: set to it. Any thread until the handler's drop. COOP_E_NULL, COOP_E_UNSUPPORTED for a
 Unix socket, which has a path: coop_port_context_path.
 */
coop_status coop_port_context_address(const coop_port_context *context,
                                      coop_address *out);

/*
 How many datagrams wait that the kernel has not taken yet: a measure for going slower. out: set to it. Any thread until the
 handler's drop. COOP_E_NULL.
 */
coop_status coop_port_context_backlog(const coop_port_context *context,
                                      size_t *out);

/*
 Calls on_timer after after_ns, once, or again after every every_ns if that is not 0.

 out: set to the timer's id. Any thread until the handler's drop. COOP_E_NULL, COOP_E_INVALID for a negative time,
 COOP_E_CLOSED, COOP_E_FORKED.
 */
coop_status coop_port_context_set_timer(coop_port_context *context,
                                        int64_t after_ns,
                                        int64_t every_ns,
                                        coop_timer_id *out);

/*
 Ends a timer of coop_port_context_set_timer.

 Any thread until the handler's drop. COOP_E_NULL, COOP_E_STALE if it has ended already, COOP_E_FORKED.
 */
coop_status coop_port_context_cancel_timer(coop_port_context *context, coop_timer_id timer);

/*
 Which worker of its port this is, from 1: in mode PROCESS each start of its process counts. out: set to it. Any thread until the handler's
 drop. COOP_E_NULL.
 */
coop_status coop_port_context_run(const coop_port_context *context,
                                  uint64_t *out);

/*
 Saves the handler's state, in the place of what was saved before. In mode PROCESS the port's next worker finds it, whatever this one ends
 by; a save that is cut short leaves the one before.

 data, length: copied; NULL if there are none.

 Any thread until the handler's drop. COOP_E_INVALID for more than the set's saved_bytes, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_save(coop_port_context *context,
                                   const void *data,
                                   size_t length);

/*
 What was saved last.

 buffer, capacity: where its first bytes are copied to; NULL if none are wanted. length: set to how many bytes were saved, which may be more than
 capacity; 0 if none were.

 Any thread until the handler's drop. COOP_E_INVALID if the memory between the workers was damaged, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_port_context_saved(const coop_port_context *context,
                                    void *buffer,
                                    size_t capacity,
                                    size_t *length);

/*
 Asks the whole set to stop, and returns at once. Any thread until the handler's drop. COOP_E_NULL.
 */
coop_status coop_port_context_stop(coop_port_context *context);

/*
 The path of a port's Unix socket; that of the abstract kind begins with a NUL, and one that has none is empty.

 buffer, capacity: where its first bytes are copied to, without a NUL at their end; NULL if none are wanted. length: set to how many bytes it has,
 which may be more than capacity.

 Any thread until the handler's drop. COOP_E_NULL, COOP_E_UNSUPPORTED for a port with an IP address.
 */
coop_status coop_port_context_path(const coop_port_context *context,
                                   char *buffer,
                                   size_t capacity,
                                   size_t *length);

/*
 Serves the port that this process was started for, if it was: a set in mode PROCESS starts its workers' program anew for each. In any other
 process it does nothing. To be called first of all in main, on the main thread, before there are other threads; main then returns
 status, unless that is COOP_NONE. A program that calls coop_workers_run too does so before or after this.

 handlers, count: the program's handlers; copied. "path/lib.so:symbol" is known without them: NULL and 0 if there are no others. status: set
 to COOP_NONE if this process is no worker of a port, else to the status that it is to exit with: 0, or 1 if the port could not be
 served, which is then told to the set.

 SIGTERM asks the port to stop, as its set does.

 COOP_E_NULL, COOP_E_INVALID for a table that is none: a size, a name that is empty or is there twice.
 */
coop_status coop_port_worker_main(const coop_named_handler *handlers,
                                  size_t count,
                                  int32_t *status);

/*
 Makes a set of count ports. Nothing is bound before coop_port_set_start.

 options: copied; NULL is SINGLE without a loop, which is refused. ports: copied, with their handlers; the set owns the
 handlers' arguments if this answers COOP_OK, and none of them otherwise. out: set to the set, which the caller frees
 with coop_port_set_free.

 Any thread. COOP_E_NULL, also for a port of datagrams without on_batch, and one that takes connections without on_data; COOP_E_INVALID for no
 port, no name, a mode or kind out of range, a field that goes with another kind, SINGLE without a loop, a buffer too small for a datagram, a
 handler_name that is not there, and in mode PROCESS a port without one; COOP_E_EXISTS for a name used twice, COOP_E_OS for an fd that is not
 open, COOP_E_UNSUPPORTED, COOP_E_FORKED.
 */
coop_status coop_port_set_new(const coop_port_set_options *options,
                              const coop_port *ports,
                              size_t count,
                              coop_port_set **out);

/*
 Stops the set if it runs, waiting up to a second for its handlers, and releases it. NULL does nothing.

 Any thread; once, with no call under way. From inside a handler it returns at once, and the rest happens when that
 has returned. In a forked child it touches no thread.
 */
void coop_port_set_free(coop_port_set *set);

/*
 Binds every socket, starts the handlers and waits until each has started.

 A SINGLE set starts on its loop's thread, or on this one while nobody runs the loop.

 Any thread; once. COOP_E_NULL, COOP_E_OS with the port and its address, COOP_E_FAILED if an on_start was not well,
 COOP_E_CLOSED if one has stopped the set,
 COOP_E_EXISTS if it was started before, COOP_E_FORKED. After an error nothing is left bound or running.
 */
coop_status coop_port_set_start(coop_port_set *set);

/*
 Ends every port (on_stop, then its socket closes) and waits for them.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.

 Any thread, any number of times. COOP_E_TIMEOUT names the ports whose handlers ignore the deadline: they end when their
 function returns. COOP_E_WOULD_DEADLOCK from inside a handler, which has coop_port_context_stop. COOP_E_NULL,
 COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_port_set_stop(coop_port_set *set, int64_t timeout_ns);

/*
 Waits until the set has ended: by coop_port_set_stop, or because a handler asked for it.

 timeout_ns and errors: as coop_port_set_stop.
 */
coop_status coop_port_set_join(coop_port_set *set, int64_t timeout_ns);

/*
 Sends a message to a port from outside the set: on_message there without a sender, in the order of sending.

 port, port_length: which port, UTF-8. data, length: copied; NULL if there are none.

 Any thread. COOP_E_QUEUE_FULL while as many messages wait there as ring_bytes of the set's options let; COOP_E_INVALID for a message that is longer than
 that, for an unknown name or before the start, COOP_E_CLOSED if that port has ended, COOP_E_FORKED, COOP_E_NULL.
 */
coop_status coop_port_set_send_message(coop_port_set *set,
                                       const char *port,
                                       size_t port_length,
                                       const void *data,
                                       size_t length);

/*
 Has a new worker take over a port of a set in mode COOP_MODE_PROCESS, without a moment in which nobody serves, and returns when the new one does.

 The new one is started beside the old one, whose handler is told by on_hand_over. The old one takes nothing new from then on and serves the connections
 that are open; then, or when its time is over, it ends as at a stop. If the new one does not start, the old one goes on as before. Reloads of one port come
 one after the other.

 port, port_length: which port, UTF-8; NULL and 0: each of them. A name that is there and empty is an unknown one. drain_ns: nanoseconds that the old one has for its connections; 0 closes them at
 once, COOP_FOREVER waits as long as they are open.

 Any thread. COOP_E_FAILED in the words of the worker that cannot start, COOP_E_UNSUPPORTED in another mode, COOP_E_INVALID for an unknown name, for
 another time, before the start and while the worker is being restarted; COOP_E_CLOSED, COOP_E_WOULD_DEADLOCK on the thread of a host that the set is
 below, COOP_E_FORKED, COOP_E_NULL.
 */
coop_status coop_port_set_reload(coop_port_set *set,
                                 const char *port,
                                 size_t port_length,
                                 int64_t drain_ns);

/*
 The address that a port is bound to.

 name, name_length: which port. out: set to the address.

 Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name or before the start, COOP_E_CLOSED if that failed, COOP_E_UNSUPPORTED for a
 Unix socket, which has a path: coop_port_set_path; COOP_E_FORKED.
 */
coop_status coop_port_set_address(const coop_port_set *set,
                                  const char *name,
                                  size_t name_length,
                                  coop_address *out);

/*
 The path of a port's Unix socket; that of the abstract kind begins with a NUL, and one that has none is empty.

 name, name_length: which port. buffer, capacity: where the path's first bytes are copied to, without a NUL at their end; NULL if none are
 wanted. length: set to how many bytes it has, which may be more than capacity.

 Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name or before the start, COOP_E_CLOSED if that failed, COOP_E_UNSUPPORTED for a port with
 an IP address, COOP_E_FORKED.
 */
coop_status coop_port_set_path(const coop_port_set *set,
                               const char *name,
                               size_t name_length,
                               char *buffer,
                               size_t capacity,
                               size_t *length);

/*
 What a port has counted since its start, also after its end.

 name, name_length: which port. out: its size says how much of it is filled.

 Any thread. COOP_E_NULL, COOP_E_INVALID for an unknown name, a size of less than two fields, or before the start,
 COOP_E_CLOSED if that failed, COOP_E_FORKED.
 */
coop_status coop_port_set_stats(const coop_port_set *set, const char *name, size_t name_length, coop_port_stats *out);

/*
 Makes a client. It begins to connect at once, and answers without waiting for that; calls wait for the connection. One that is lost is made anew, with
 growing pauses: calls of whose commands nothing was written wait for it, and those that were written end with COOP_E_OS.

 event_loop: whose thread does all of it. A loop that runs until it is idle runs for as long as the client is there. options: copied; NULL is all
 defaults. url, length: redis://[user][:password@]host[:port][/database], rediss://... for the same over TLS, unix://[user][:password@]/path, each with
 ?db=, ?protocol=2|3 and ?client_name=; user, password, path and values may be percent-encoded. UTF-8, copied. out: set to the client, which the caller frees with
 coop_redis_free.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a URL, in words that name the part and never a password, and for options; COOP_E_OS for a file of TLS that cannot
 be read, COOP_E_CLOSED once the loop was stopped, COOP_E_UNSUPPORTED, COOP_E_FORKED. That there is no server, or none that lets the client in, is told
 to calls.
 */
coop_status coop_redis_new(coop_event_loop *event_loop,
                           const coop_redis_options *options,
                           const char *url,
                           size_t length,
                           coop_redis **out);

/*
 Makes a connection of one's own beside a client's, for what others must not come between: WATCH, MULTI, SELECT, a command that blocks for long. All
 functions of a client are there for it. One that is lost is not made anew: what was watched is forgotten then, and its calls end.

 out: set to it; the caller frees it with coop_redis_free, which gives it back: the next who asks is given it, unless its state was changed, or calls
 are left.

 Any thread. COOP_E_QUEUE_FULL if coop_redis_options.max_own of them (128) are somebody's already; COOP_E_NULL, COOP_E_CLOSED, COOP_E_FORKED.
 */
coop_status coop_redis_own(coop_redis *redis,
                           coop_redis **out);

/*
 Closes a client: from now on calls are refused, and those that have not ended do, with COOP_E_CLOSED. It does not wait. Any number of times.

 Any thread, also its callbacks. COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_redis_close(coop_redis *redis);

/*
 Closes a client when its calls have ended, and waits for that: from now on calls are refused. It waits for the calls of its coop_redis_own, too, until
 each has had none for a moment: those go on, and at the timeout theirs are not ended. It does not wait for its subscribers, which go on as well.

 timeout_ns: nanoseconds after which the calls that are left end with COOP_E_CLOSED; COOP_FOREVER: as long as they take.

 Any thread but the loop's: COOP_E_WOULD_DEADLOCK. COOP_E_TIMEOUT if calls were left, COOP_E_CLOSED if the loop has ended, COOP_E_INVALID for another time,
 COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_redis_drain(coop_redis *redis,
                             int64_t timeout_ns);

/*
 Releases a client. Calls that have not ended do, with COOP_E_CLOSED: their callbacks are told on the loop's thread, perhaps after this. What
 coop_redis_own and coop_redis_subscriber_new have made of it goes on. NULL does nothing.

 Any thread, also its callbacks; once, with no call begun after it.
 */
void coop_redis_free(coop_redis *redis);

/*
 Makes a call. It goes out with the others of this turn of the loop, and does not wait for their replies; one thread has any number of them in flight.

 options: copied; NULL is all defaults. words: the command and its arguments, each of any bytes: "SET", "key", "value"; copied. lengths: how long
 each is; NULL: up to its NUL. count: how many. callback: told the end, once, on the loop's thread; the client owns callback.arg if this answers COOP_OK.
 id: set to the call's id, perhaps after the callback has run; NULL if nobody wants it.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a command that changes the connection for others (SELECT, MULTI, WATCH: see coop_redis_own) or has no reply
 to wait for (SUBSCRIBE: see coop_redis_subscriber_new), for no words, and for another time; COOP_E_QUEUE_FULL, COOP_E_CLOSED, COOP_E_UNSUPPORTED for
 options, COOP_E_FORKED. The callback is told COOP_E_TIMEOUT at the deadline, COOP_E_CANCELLED by coop_redis_cancel, COOP_E_OS if the connection was
 lost before the reply (the server may have done what was asked), what has kept the client from connecting, COOP_E_FAILED for what is no reply, and
 COOP_E_CLOSED if the client or its loop ended.
 */
coop_status coop_redis_command(coop_redis *redis,
                               const coop_redis_call_options *options,
                               const char *const *words,
                               const size_t *lengths,
                               size_t count,
                               coop_redis_callback callback,
                               coop_redis_call_id *id);

/*
 Makes a call and waits for its reply on this thread.

 options, words, lengths, count: as of coop_redis_command. out: set to the reply, which the caller frees with coop_redis_reply_free; it may be an error of
 the server's (COOP_REDIS_ERROR).

 Any thread but the loop's: COOP_E_WOULD_DEADLOCK. Else the errors of coop_redis_command, and those that its callback is told.
 */
coop_status coop_redis_call(coop_redis *redis,
                            const coop_redis_call_options *options,
                            const char *const *words,
                            const size_t *lengths,
                            size_t count,
                            coop_redis_reply **out);

/*
 Makes a call of several commands, one after another in one piece: nothing of this client comes between them.

 commands, count: each as of coop_redis_command; copied. callback: told an array of their replies, in which the server's errors are replies, too.

 As coop_redis_command.
 */
coop_status coop_redis_pipeline(coop_redis *redis,
                                const coop_redis_call_options *options,
                                const coop_redis_words *commands,
                                size_t count,
                                coop_redis_callback callback,
                                coop_redis_call_id *id);

/*
 Makes a call of several commands that the server does in one piece, or not at all: MULTI, the commands, EXEC.

 commands, count: each as of coop_redis_command; copied. callback: told the reply of EXEC: an array of their replies; nothing (COOP_REDIS_NULL) if a
 watched key had changed; an error of the server's if one of them was refused, and then none was done.

 As coop_redis_command.
 */
coop_status coop_redis_transaction(coop_redis *redis,
                                   const coop_redis_call_options *options,
                                   const coop_redis_words *commands,
                                   size_t count,
                                   coop_redis_callback callback,
                                   coop_redis_call_id *id);

/*
 Runs a Lua script: by its digest, and by its source if the server does not know that. The deadline is that of each of the two attempts, and after the
 first one the id is stale.

 source, length: the script; copied. keys, args: what it has as KEYS and ARGV; copied, and may be of no words.

 As coop_redis_command.
 */
coop_status coop_redis_script(coop_redis *redis,
                              const coop_redis_call_options *options,
                              const char *source,
                              size_t length,
                              coop_redis_words keys,
                              coop_redis_words args,
                              coop_redis_callback callback,
                              coop_redis_call_id *id);

/*
 Ends a call: its callback is told COOP_E_CANCELLED. The server may do what was asked all the same; a command that was not sent yet is not. The reply
 is dropped when it comes, and goes to no other call.

 Any thread. COOP_E_STALE if it has ended, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_redis_cancel(coop_redis *redis,
                              coop_redis_call_id id);

/*
 What a reply is: one of COOP_REDIS_NULL to COOP_REDIS_PUSH; COOP_E_NULL for NULL. What a server says about a reply (attributes of RESP3) is left out:
 it is what the reply is.

 Any thread.
 */
int32_t coop_redis_reply_type(const coop_redis_reply *reply);

/*
 An integer, also of a boolean and of digits.

 out: set to it. Any thread. COOP_E_INVALID for a reply that is none, COOP_E_NULL.
 */
coop_status coop_redis_reply_integer(const coop_redis_reply *reply, int64_t *out);

/*
 A number, also of an integer and of digits.

 out: set to it. Any thread. COOP_E_INVALID for a reply that is none, COOP_E_NULL.
 */
coop_status coop_redis_reply_double(const coop_redis_reply *reply, double *out);

/*
 The bytes of a string, a status, a verbatim text, a big number, or an error.

 data, length: set to them, as the server has sent them: perhaps no UTF-8, and no NUL behind them. There as long as the reply is. Any thread.
 COOP_E_INVALID for another reply, COOP_E_NULL.
 */
coop_status coop_redis_reply_string(const coop_redis_reply *reply,
                                    const char **data,
                                    size_t *length);

/*
 The first word of an error, in capitals: ERR, WRONGTYPE, MOVED, OOM.

 data, length: set to it; no bytes if the line has no such word, and no NUL behind it. There as long as the reply is. Any thread. COOP_E_INVALID for a
 reply that is no error, COOP_E_NULL.
 */
coop_status coop_redis_reply_error_code(const coop_redis_reply *reply,
                                        const char **data,
                                        size_t *length);

/*
 How many parts an array, a set or a push has; a map has a key and a value in turns, so twice its pairs. 0 for other replies, and for NULL.

 Any thread.
 */
size_t coop_redis_reply_length(const coop_redis_reply *reply);

/*
 A part of an array, a set or a push, or of a map in turns.

 index: from 0. Answers NULL where there is none. The part is there as long as the reply is, and must not be freed. Any thread.
 */
const coop_redis_reply *coop_redis_reply_at(const coop_redis_reply *reply,
                                            size_t index);

/*
 How many pairs a map has, or an array that is one in RESP2. 0 for other replies, and for NULL.

 Any thread.
 */
size_t coop_redis_reply_pairs(const coop_redis_reply *reply);

/*
 The key of a pair of a map, or of an array that is one in RESP2.

 index: of the pair, from 0. Answers NULL where there is none. The key is there as long as the reply is. Any thread.
 */
const coop_redis_reply *coop_redis_reply_key(const coop_redis_reply *reply, size_t index);

/*
 The value of a pair, as coop_redis_reply_key.
 */
const coop_redis_reply *coop_redis_reply_value(const coop_redis_reply *reply, size_t index);

/*
 Keeps a reply beyond the callback that was told it. What it is made of stays where it is; the callback's reply is nothing from then on.

 reply: the one that the callback was given, not a part of it. out: set to the reply, which the caller frees with coop_redis_reply_free.

 In the callback. COOP_E_NULL.
 */
coop_status coop_redis_reply_keep(coop_redis_reply *reply,
                                  coop_redis_reply **out);

/*
 Releases a reply that was kept, or that coop_redis_call has answered, with all its parts. NULL does nothing.

 Any thread; once.
 */
void coop_redis_reply_free(coop_redis_reply *reply);

/*
 Says what a client did so far, over all of its connections: also those of one's own (coop_redis_own) and of its subscribers. Of a connection of one's own: what
 that one did.

 out: out->size is the caller's; the rest is written. Any thread. COOP_E_NULL, COOP_E_INVALID for the size, COOP_E_FORKED.
 */
coop_status coop_redis_stats(coop_redis *redis,
                             coop_redis_statistics *out);

/*
 Makes a connection for messages, to the server of a client. A lost one is made anew, and subscribed as before; messages that are published while there
 is none are lost. One that says nothing is asked, and given up if it does not answer: coop_redis_options.stalled_after_ns.

 callback: called with each message; the subscriber owns callback.arg if this answers COOP_OK. out: set to the subscriber, which the caller frees with
 coop_redis_subscriber_free.

 Any thread. COOP_E_NULL, COOP_E_CLOSED, COOP_E_FORKED.
 */
coop_status coop_redis_subscriber_new(coop_redis *redis,
                                      coop_redis_message_callback callback,
                                      coop_redis_subscriber **out);

/*
 Subscribes to channels. From now on, and for every connection that is made later, also if this call ends with the loss of one.

 by: one of COOP_REDIS_CHANNEL, COOP_REDIS_PATTERN and COOP_REDIS_SHARD. names: the channels, or patterns; copied. callback: told once when the server has
 confirmed the last of them, as of coop_redis_command; with fn NULL there is none, and callback.arg stays the caller's.

 Any thread. COOP_E_NULL, COOP_E_INVALID for no names and for another kind, COOP_E_QUEUE_FULL, COOP_E_CLOSED, COOP_E_FORKED.
 */
coop_status coop_redis_subscribe(coop_redis_subscriber *subscriber,
                                 int32_t by,
                                 coop_redis_words names,
                                 coop_redis_callback callback);

/*
 Ends subscriptions: as coop_redis_subscribe.
 */
coop_status coop_redis_unsubscribe(coop_redis_subscriber *subscriber,
                                   int32_t by,
                                   coop_redis_words names,
                                   coop_redis_callback callback);

/*
 Ends a subscriber, and with it its subscriptions: its function does not begin any more once the loop has seen this, and then its argument is dropped.
 NULL does nothing.

 Any thread, also its function; once, with no call begun after it.
 */
void coop_redis_subscriber_free(coop_redis_subscriber *subscriber);

/*
 Makes a runtime. It takes posts, timers, watches and tasks at once; tasks run at once, the loop after
 coop_runtime_start.

 options: copied; NULL is all defaults. out: set to the runtime, which the caller frees with coop_runtime_free.

 Any thread. The errors of coop_pool_new and coop_event_loop_new.
 */
coop_status coop_runtime_new(const coop_runtime_options *options, coop_runtime **out);

/*
 Stops the loop, discards what is queued in both (each is dropped, none is run), waits for the callbacks that
 run, and releases the runtime, its loop and its pool.

 From one of the runtime's own callbacks it returns at once, and the rest happens when the callbacks that run
 have returned; the runtime, its loop and its pool must not be used after that, but the coop_runtime_start that
 is under way returns as ever. NULL does nothing.

 Any thread; once, with no call begun after it. In a forked child it releases memory and touches no thread.
 */
void coop_runtime_free(coop_runtime *runtime);

/*
 Runs the loop, in this thread until the runtime is stopped, or in one of its own.

 mode: COOP_START_WAIT or COOP_START_RETURN. A runtime that was stopped is not started again.

 Any thread. COOP_E_NULL, COOP_E_INVALID for another mode, COOP_E_EXISTS if it runs already,
 COOP_E_WOULD_DEADLOCK from a callback on the loop's thread, COOP_E_CLOSED once it was stopped, COOP_E_OS,
 COOP_E_FORKED.
 */
coop_status coop_runtime_start(coop_runtime *runtime, int32_t mode);

/*
 Stops the loop, waits until it has run what it had accepted, then drains the pool and waits until its workers
 have ended.

 timeout_ns: nanoseconds for both, 0 does not wait, COOP_FOREVER waits as long as it takes.

 At COOP_E_TIMEOUT both stay closed, tasks that are queued are dropped, and it may be called again. From one of
 the runtime's own callbacks it closes both and returns at once, and they end when the callbacks have returned.

 Any thread, any number of times. COOP_E_NULL, COOP_E_INVALID for another time, COOP_E_FORKED.
 */
coop_status coop_runtime_stop(coop_runtime *runtime, int64_t timeout_ns);

/*
 The runtime's pool, which belongs to the runtime: it is valid until coop_runtime_free and is not freed by the
 caller. NULL for NULL. Any thread.
 */
coop_pool *coop_runtime_pool(coop_runtime *runtime);

/*
 The runtime's loop, which belongs to the runtime: it is valid until coop_runtime_free and is not freed by the
 caller. NULL for NULL. Any thread.
 */
coop_event_loop *coop_runtime_event_loop(coop_runtime *runtime);

/*
 The service's id. 0 for NULL.

 Any thread, as all functions of a context, until its run has ended: a thread's function has returned, or coop_service_context_end was
 called of a run on the main loop.
 */
coop_service_id coop_service_context_id(const coop_service_context *context);

/*
 Which run of the service this is, from 1. 0 for NULL. Any thread.
 */
uint64_t coop_service_context_run(const coop_service_context *context);

/*
 The main loop: the one that the host was given, or that of the worker's process. It stays its owner's, and this pointer is good until the run has
 ended. NULL if there is none (any more), and for NULL. Any thread.
 */
coop_event_loop *coop_service_context_event_loop(coop_service_context *context);

/*
 Whether the run was asked to stop. False for NULL. Any thread.
 */
bool coop_service_context_is_stopping(const coop_service_context *context);

/*
 Waits until the run is asked to stop.

 timeout_ns: nanoseconds, 0 does not wait, COOP_FOREVER waits as long as it takes.

 Any thread. COOP_E_TIMEOUT, COOP_E_NULL, COOP_E_INVALID for another time.
 */
coop_status coop_service_context_wait_stopping(coop_service_context *context, int64_t timeout_ns);

/*
 A descriptor that is readable from when the run is asked to stop, for a loop of the service's own. It stays the library's: it is not to
 be read, and is closed when the run has ended. Negative: a coop_status. Any thread. COOP_E_NULL, COOP_E_OS if the process has no
 descriptor left.
 */
int32_t coop_service_context_stopping_fd(coop_service_context *context);

/*
 Says that the run can do its work. Without effect for a service that is ready at once. Any thread. COOP_E_NULL.
 */
coop_status coop_service_context_ready(coop_service_context *context);

/*
 Says that the run is alive: coop_service_options.watchdog_ns. Any thread. COOP_E_NULL.
 */
coop_status coop_service_context_beat(coop_service_context *context);

/*
 Says that the run needs more time to get ready, to stop, or to beat again.

 time_ns: nanoseconds from now.

 Any thread. COOP_E_NULL, COOP_E_INVALID for another time.
 */
coop_status coop_service_context_extend(coop_service_context *context, int64_t time_ns);

/*
 Says what the run does, for observers: COOP_SERVICE_STATUS.

 text, text_length: UTF-8, copied.

 Any thread. COOP_E_NULL, COOP_E_INVALID for what is no UTF-8.
 */
coop_status coop_service_context_status(coop_service_context *context, const char *text, size_t text_length);

/*
 Says that the service is not to be run, which is no failure of its start; the run is to end next. Any thread. COOP_E_NULL, COOP_E_INVALID for a
 service that is ready at once: its start is over.
 */
coop_status coop_service_context_ignore(coop_service_context *context);

/*
 The value that coop_supervisor_start_child_with gave to this child; NULL if there is none. Any thread.
 */
void *coop_service_context_value(const coop_service_context *context);

/*
 What coop_supervisor_start_child_with gave to this child of a worker: C strings, the last followed by NULL; valid until the run has ended. An empty
 list if there are none; NULL for NULL. Any thread.
 */
const char *const *coop_service_context_argv(coop_service_context *context);

/*
 Ends a run on the main loop: now, and the context is not used after that. Of a thread it says what its function's return is told as, and
 may be called again.

 status: COOP_OK for a normal end; anything else is a failure. message, message_length: why, in words, copied; NULL if there are none.

 Any thread; once for a run on the main loop, also when the host was freed before. COOP_E_NULL, COOP_E_INVALID for what is no UTF-8: the run
 has not ended then.
 */
coop_status coop_service_context_end(coop_service_context *context,
                                     coop_status status,
                                     const char *message,
                                     size_t message_length);

/*
 Has the loop call the function whenever the process gets a signal.

 signum: SIGTERM, SIGHUP, SIGRTMIN + n; not SIGKILL and SIGSTOP, which the system lets nobody handle, nor SIGSEGV, SIGBUS,
 SIGFPE, SIGILL, SIGTRAP and SIGSYS, which are faults of the instruction at hand. options: copied; NULL is all defaults.
 callback: the loop owns callback.arg if this answers COOP_OK. id: set to the watcher's id, for coop_signal_cancel; may
 be NULL. The function may run before id is set.

 Any number of watchers, in any loops, watch one signal, and each is told of each. The first one replaces what the
 signal did before (its default, a handler); the last one that is cancelled gives that back. Until then nobody else
 sets an action for it. A forked child does what the signal did before, until it watches it itself. System calls that the signal
 interrupts go on (SA_RESTART), but for those that never do. The library's own threads block the program's signals,
 so some thread of the program must have it unblocked: in a program that blocks nothing, the first.

 Any thread, also the loop's own callbacks; not from a signal handler. COOP_E_NULL, COOP_E_INVALID for signum, place or
 priority, COOP_E_AFFINITY for a CPU set without a worker, COOP_E_OS if the process has no file descriptor left,
 COOP_E_UNSUPPORTED for options and on other systems than Linux, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_signal(coop_event_loop *event_loop,
                                   int32_t signum,
                                   const coop_source_options *options,
                                   coop_signal_callback callback,
                                   coop_signal_id *id);

/*
 Ends a watcher: its function does not begin any more, and its argument is dropped now; if it is running (it may
 be the caller), when it returns. The last watcher of a signal gives the signal back when its argument is dropped.

 Any thread, also the loop's own callbacks. COOP_E_STALE if it was cancelled or is of no signal of this loop;
 COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_signal_cancel(coop_event_loop *event_loop, coop_signal_id id);

/*
 The name of a status: "COOP_E_TIMEOUT". A number that is none is "(no coop_status)". The text is the library's
 and lives as long as the program. Any thread.
 */
const char *coop_status_str(coop_status status);

/*
 The message of the last call that failed in this thread, in words: "cpu set {5} names no worker; workers are on
 {0, 1}". Never NULL; "" if none has failed. The text is the library's: UTF-8, valid until the next call that
 fails in this thread. Calls that succeed leave it as it is.
 */
const char *coop_last_error(void);

/*
 The system's error number (EADDRINUSE, EMFILE, ...) of the last call that failed in this thread; 0 if that was
 not COOP_E_OS. The C library's errno is not used.
 */
int32_t coop_last_os_errno(void);

/*
 Makes a stream of a connected socket that the caller has: of socketpair, of an inherited descriptor, of one that came through
 coop_stream_receive_descriptors.

 options: copied; NULL is all defaults. fd: the stream's if this answers COOP_OK, who makes it non-blocking and closes it; else the
 caller's, unchanged but for that. out: set to the stream, which the caller frees with coop_stream_free.

 Any thread. COOP_E_NULL, COOP_E_INVALID for an fd that is negative or no stream socket, a place or a priority, COOP_E_AFFINITY for a
 CPU set without a worker, COOP_E_UNSUPPORTED for options, COOP_E_EXISTS if the loop watches fd, COOP_E_OS, COOP_E_CLOSED once the loop
 was stopped, COOP_E_FORKED.
 */
coop_status coop_stream_new(coop_event_loop *event_loop,
                            const coop_stream_options *options,
                            int32_t fd,
                            coop_stream **out);

/*
 Closes the stream and releases it. What is under way ends with COOP_E_CANCELLED, at the stream's place, as after coop_stream_cancel;
 the buffers are the caller's again when this returns, and so is what the system has not sent yet the system's: it goes on sending,
 unless coop_stream_set_linger says otherwise. NULL does nothing.

 Any thread, also the stream's own callbacks; once, with no call begun after it. In a forked child it closes the child's copy of the
 descriptor, and no callback is told.
 */
void coop_stream_free(coop_stream *stream);

/*
 Ends what is under way: its callback is told COOP_E_CANCELLED and how many bytes were moved before, at the stream's place and not
 inside this call. When this returns its buffer is not touched any more. What has ended already is told as it ended. The stream
 stays open.

 which: COOP_IO_READ, COOP_IO_WRITE or both. Any thread, also the stream's own callbacks. COOP_E_STALE if nothing of that was under
 way; COOP_E_NULL, COOP_E_INVALID for other bits, COOP_E_FORKED.
 */
coop_status coop_stream_cancel(coop_stream *stream,
                               uint32_t which);

/*
 Shuts down the writing half: when the peer has read what was written, it reads the end. Reading goes on.

 Any thread. COOP_E_EXISTS while a write is under way: do it when that is told. COOP_E_NULL, COOP_E_OS, COOP_E_FORKED. A connection that
 is gone is no error.
 */
coop_status coop_stream_shutdown(coop_stream *stream);

/*
 Says which address and port the stream has here.

 out: set to the address; to no address (length 0) for a Unix socket. Any thread. COOP_E_NULL, COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_stream_local_address(const coop_stream *stream, coop_address *out);

/*
 Says which address and port the peer has, also when it is gone; as coop_stream_local_address.
 */
coop_status coop_stream_peer_address(const coop_stream *stream, coop_address *out);

/*
 The stream's descriptor; it stays the stream's. Not to be watched: the stream does that. COOP_E_NULL or COOP_E_FORKED, which are
 negative, if there is none. Any thread.
 */
int32_t coop_stream_fd(const coop_stream *stream);

/*
 Says whether what is written goes out at once (1, TCP_NODELAY), or may wait a little for more (0, the default).

 Any thread. COOP_E_INVALID for another number, COOP_E_OS for a Unix socket, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_stream_set_nodelay(coop_stream *stream, int32_t nodelay);

/*
 Has the system ask after a peer that is silent: a connection whose other side has vanished ends with ETIMEDOUT.

 idle_ns: nanoseconds of silence before the first question; the system counts seconds, rounded up. 0: never ask. Any thread. COOP_E_INVALID, COOP_E_OS, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_stream_set_keepalive(coop_stream *stream,
                                      int64_t idle_ns);

/*
 Says what becomes of bytes that are not sent yet when the stream is closed.

 linger_ns: 0: they are thrown away, and the peer sees a reset. COOP_FOREVER: the system sends them meanwhile, which is the default.
 Another time makes coop_stream_free wait that long for them; seconds, rounded up. Any thread. COOP_E_INVALID, COOP_E_OS, COOP_E_NULL,
 COOP_E_FORKED.
 */
coop_status coop_stream_set_linger(coop_stream *stream,
                                   int64_t linger_ns);

/*
 Reads what is there, once there is something.

 buffer, length: where to, and its bytes, from 1; they stay where they are, and are not touched by the caller, until the callback is told.
 callback: told how many bytes came; 0 without an error is the end: the peer has closed, or shut down its writing half. The stream owns
 callback.arg if this answers COOP_OK; then the callback is told once, whatever happens, after this call and at the stream's place,
 and no two callbacks of one stream overlap.

 Any thread. COOP_E_NULL, COOP_E_INVALID for no length, COOP_E_EXISTS while a read is under way (until its callback begins),
 COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED. The callback is told COOP_E_OS (ECONNRESET, ...), COOP_E_CANCELLED by
 coop_stream_cancel and coop_stream_free, and COOP_E_CLOSED if the loop ends before.
 */
coop_status coop_stream_read(coop_stream *stream,
                             void *buffer,
                             size_t length,
                             coop_io_callback callback);

/*
 Reads until the buffer is full. As coop_stream_read, but that the callback is told when all of length has come, or when the peer has
 ended before: then count is less, without an error. Beside an error count says how many bytes came before it.

 Any thread. As coop_stream_read.
 */
coop_status coop_stream_read_exactly(coop_stream *stream,
                                     void *buffer,
                                     size_t length,
                                     coop_io_callback callback);

/*
 Writes all of it. What the system takes at once is taken in this call.

 data, length: what to write; it stays where it is, unchanged, until the callback is told. callback: told when the system has taken all
 of it, or with the error, and then count says how many bytes were taken before. As in coop_stream_read otherwise.

 Any thread. COOP_E_NULL, COOP_E_EXISTS while a write is under way (until its callback begins), COOP_E_CLOSED once the loop was
 stopped, COOP_E_FORKED. The callback is told COOP_E_OS (EPIPE and ECONNRESET if the peer is gone; there is no SIGPIPE),
 COOP_E_CANCELLED, COOP_E_CLOSED.
 */
coop_status coop_stream_write(coop_stream *stream,
                              const void *data,
                              size_t length,
                              coop_io_callback callback);

/*
 Reads what is there now, without waiting and without a callback.

 buffer, length: where to, and its bytes, from 1. count: set to how many came; 0 is the end.

 Any thread. COOP_E_WOULD_BLOCK if nothing is there, COOP_E_EXISTS while a read is under way, COOP_E_NULL, COOP_E_INVALID for no length,
 COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_stream_try_read(coop_stream *stream,
                                 void *buffer,
                                 size_t length,
                                 size_t *count);

/*
 Writes what the system takes now, without waiting and without a callback.

 data, length: what to write. count: set to how many bytes were taken, perhaps fewer than length.

 Any thread. COOP_E_WOULD_BLOCK if the system takes nothing now, COOP_E_EXISTS while a write is under way, COOP_E_NULL, COOP_E_OS,
 COOP_E_FORKED.
 */
coop_status coop_stream_try_write(coop_stream *stream,
                                  const void *data,
                                  size_t length,
                                  size_t *count);

/*
 Writes to a Unix socket, and sends descriptors with the first byte: the peer gets its own copies of them.

 As coop_stream_write; it is the one write. data, length: from 1 byte. descriptors, count: at most COOP_STREAM_DESCRIPTORS; duplicated in
 this call, so that the caller may close its own at once.

 Any thread. As coop_stream_write; COOP_E_INVALID for no byte, no descriptor, too many or one that is not open; COOP_E_OS if the process
 has no file descriptor left. The callback is told COOP_E_INVALID for what is no
 Unix socket.
 */
coop_status coop_stream_send_descriptors(coop_stream *stream,
                                         const void *data,
                                         size_t length,
                                         const int32_t *descriptors,
                                         size_t count,
                                         coop_io_callback callback);

/*
 Reads from a Unix socket, with the descriptors that come.

 As coop_stream_read; it is the one read. descriptors, capacity: where to, and room for how many. count: set to how many came,
 before the callback is told; and to 0 until then, if this answers COOP_OK. All three stay where they are until the callback is told. What came is the caller's, who closes it; each is closed on exec. If more
 come than there is room for, all are closed, and the callback is told COOP_E_QUEUE_FULL and how many bytes came.

 Any thread. As coop_stream_read; COOP_E_INVALID for a capacity of 0 or more than COOP_STREAM_DESCRIPTORS. The callback is told
 COOP_E_INVALID for what is no Unix socket.
 */
coop_status coop_stream_receive_descriptors(coop_stream *stream,
                                            void *buffer,
                                            size_t length,
                                            int32_t *descriptors,
                                            size_t capacity,
                                            size_t *count,
                                            coop_io_callback callback);

/*
 Adds a service that comes back whenever its supervisor is restarted.

 Before coop_host_start the service is only noted. After it the service is started, and this waits until it is ready.

 supervisor: which one of the host; 0 is the root. options: copied, with what they point to; the host owns the entry's argument if this
 answers COOP_OK. id: set to the service's id; may be NULL.

 Any thread but, once the host has started, a loop's that the service's start needs. COOP_E_NULL, COOP_E_INVALID for what options say,
 with the value and what is allowed; COOP_E_EXISTS if a sibling has its name; COOP_E_STALE if there is no such supervisor (any more);
 COOP_E_FAILED, COOP_E_OS or COOP_E_TIMEOUT if it could not start: then it is forgotten, and its functions may have run, but are not any more
 (but for a thread's that ignores its deadline); COOP_E_UNSUPPORTED, COOP_E_WOULD_DEADLOCK, COOP_E_CLOSED once the host has ended, COOP_E_FORKED.
 */
coop_status coop_supervisor_add(coop_host *host,
                                coop_service_id supervisor,
                                const coop_service_options *options,
                                coop_service_id *id);

/*
 Starts a child and waits until it is ready. It lives as long as this run of its supervisor.

 supervisor, options, id, errors: as coop_supervisor_add. Under the strategy simple one for one: COOP_E_INVALID.
 */
coop_status coop_supervisor_start_child(coop_host *host,
                                        coop_service_id supervisor,
                                        const coop_service_options *options,
                                        coop_service_id *id);

/*
 Sets what the children of a simple one for one supervisor are made of; it replaces the one before, for children that start from now on.

 supervisor: which one of the host; 0 is the root. options: copied, with what they point to; the host owns the entry's argument if this
 answers COOP_OK.

 Any thread. COOP_E_INVALID under another strategy and for what options say, and as coop_supervisor_add.
 */
coop_status coop_supervisor_template(coop_host *host,
                                     coop_service_id supervisor,
                                     const coop_service_options *options);

/*
 Starts a child of the template, and waits until it is ready.

 supervisor: which one of the host; 0 is the root. args: copied; NULL is nothing; the host owns args->value if this answers COOP_OK.
 id: set to the child's id; may be NULL.

 Any thread. COOP_E_INVALID under another strategy and without a template, and as coop_supervisor_add.
 */
coop_status coop_supervisor_start_child_with(coop_host *host,
                                             coop_service_id supervisor,
                                             const coop_child_args *args,
                                             coop_service_id *id);

/*
 Adds a supervisor below another one. Before coop_host_start it is only noted; after it, it is started.

 supervisor: which one of the host; 0 is the root. name, name_length: unique among its siblings: UTF-8, without '/'; copied. options:
 copied; NULL is all defaults. id: set to its id; may be NULL.

 Any thread. COOP_E_NULL, COOP_E_INVALID for a name or what options say, COOP_E_EXISTS if a sibling has its name, and as coop_supervisor_add.
 */
coop_status coop_supervisor_supervisor(coop_host *host,
                                       coop_service_id supervisor,
                                       const char *name,
                                       size_t name_length,
                                       const coop_supervisor_options *options,
                                       coop_service_id *id);

/*
 Stops a child, waits until it has ended, and keeps its specification (but for a temporary child's).

 supervisor: which one of the host; 0 is the root. child: a child of it.

 Any thread; not the child's own. COOP_E_STALE if there is no such child, COOP_E_WOULD_DEADLOCK from within the child, COOP_E_NULL,
 COOP_E_CLOSED, COOP_E_FORKED.
 */
coop_status coop_supervisor_terminate_child(coop_host *host,
                                            coop_service_id supervisor,
                                            coop_service_id child);

/*
 Starts a child that does not run, and waits until it is ready.

 supervisor, child: as coop_supervisor_terminate_child.

 Any thread. COOP_E_INVALID if it runs or is being restarted, and as coop_supervisor_add.
 */
coop_status coop_supervisor_restart_child(coop_host *host, coop_service_id supervisor, coop_service_id child);

/*
 Removes the specification of a child that does not run, for good; its entry's argument is dropped.

 supervisor, child, errors: as coop_supervisor_restart_child.
 */
coop_status coop_supervisor_delete_child(coop_host *host, coop_service_id supervisor, coop_service_id child);

/*
 Hand-over: starts a new run of a child, and stops the old one when the new one is ready.

 supervisor, child: as coop_supervisor_terminate_child.

 Any thread. COOP_E_FAILED, COOP_E_OS or COOP_E_TIMEOUT if the new run does not get ready: the old one goes on; and as coop_supervisor_add.
 */
coop_status coop_supervisor_replace_child(coop_host *host,
                                          coop_service_id supervisor,
                                          coop_service_id child);

/*
 Shows the children of a supervisor, in the order of their start.

 supervisor: which one of the host; 0 is the root. callback: its function is called for each child, in this thread before this returns,
 and its argument is dropped then.

 Any thread. COOP_E_STALE if the supervisor has gone, COOP_E_NULL, COOP_E_CLOSED, COOP_E_WOULD_DEADLOCK, COOP_E_FORKED.
 */
coop_status coop_supervisor_which_children(coop_host *host,
                                           coop_service_id supervisor,
                                           coop_child_info_callback callback);

/*
 Counts the children of a supervisor.

 supervisor: which one of the host; 0 is the root. out: its size says how much of it is filled.

 Any thread. COOP_E_INVALID for a size, and as coop_supervisor_which_children.
 */
coop_status coop_supervisor_count_children(coop_host *host, coop_service_id supervisor, coop_child_counts *out);

/*
 Shows what is known of a child, with every default filled in.

 supervisor, child: as coop_supervisor_terminate_child. callback: its function is called once, in this thread before this returns, and
 its argument is dropped then.

 Any thread. COOP_E_STALE if there is no such child, and as coop_supervisor_which_children.
 */
coop_status coop_supervisor_get_childspec(coop_host *host,
                                          coop_service_id supervisor,
                                          coop_service_id child,
                                          coop_child_spec_callback callback);

/*
 The child of a name.

 supervisor: which one of the host; 0 is the root. name, name_length: UTF-8. id: set to the child's id; to 0 if there is none.

 Any thread. As coop_supervisor_which_children.
 */
coop_status coop_supervisor_find(coop_host *host,
                                 coop_service_id supervisor,
                                 const char *name,
                                 size_t name_length,
                                 coop_service_id *id);

/*
 Tells the service manager that this process can do its work.

 The manager is the one that NOTIFY_SOCKET in the environment names: systemd, a host, or another one that speaks their protocol. Without it this
 and the other functions of coop_systemd_* have nobody to tell anything to, and answer COOP_OK.

 Any thread. COOP_E_INVALID for an address that is none, COOP_E_OS if nobody listens there.
 */
coop_status coop_systemd_ready(void);

/*
 Tells the service manager that this process has begun to stop. Any thread. Errors: as coop_systemd_ready.
 */
coop_status coop_systemd_stopping(void);

/*
 Tells the service manager that this process is alive: at least as often as coop_systemd_watchdog says. Any thread. Errors: as coop_systemd_ready.
 */
coop_status coop_systemd_beat(void);

/*
 Asks the service manager for more time to get ready, or to stop.

 time_ns: nanoseconds from now.

 Any thread. COOP_E_INVALID for another time, and as coop_systemd_ready.
 */
coop_status coop_systemd_extend(int64_t time_ns);

/*
 Tells the service manager what this process does.

 message, length: UTF-8, one line.

 Any thread. COOP_E_NULL, COOP_E_INVALID for what is no line, and as coop_systemd_ready.
 */
coop_status coop_systemd_status(const char *message, size_t length);

/*
 How often the service manager wants to hear coop_systemd_beat: half of it is a good interval.

 out_ns: set to nanoseconds; 0: it does not.

 Any thread. COOP_E_NULL.
 */
coop_status coop_systemd_watchdog(int64_t *out_ns);

/*
 The sockets that this process was started to serve, by LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES in its environment: coop_command.listen of a host,
 or a socket unit of systemd. They are closed on exec from now on, and are the caller's: call it once, and close them.

 callback: called with each before this returns, and dropped; never when this failed.

 Any thread, while no other one changes the environment. COOP_E_NULL, COOP_E_INVALID for an environment that contradicts itself, or names
 descriptors that are not open.
 */
coop_status coop_systemd_listen_fds(coop_listen_callback callback);

/*
 As coop_pool_submit, for a task that somebody waits for or cancels. Costs a little more.

 id: set to the task's id, which ends with coop_task_join, coop_task_cancel or coop_task_release: call one of them,
 or the id takes memory until the pool is freed. The task may run before id is set.

 Any thread, also the pool's own tasks. The errors of coop_pool_submit, and COOP_E_NULL without id.
 */
coop_status coop_pool_submit_task(coop_pool *pool,
                                  const coop_submit_options *options,
                                  coop_callback task,
                                  coop_task_id *id);

/*
 Waits until a task has ended: its fn has returned, and its argument is dropped.

 timeout_ns: nanoseconds, 0 only looks, COOP_FOREVER waits as long as it takes. A worker of the pool that joins a
 task which is still queued, and which it may run, runs it here and now, whatever the time, unless that is 0.

 Once the end was seen the id is stale: COOP_OK if the task has run, COOP_E_CANCELLED if it was cancelled
 meanwhile, COOP_E_CLOSED if a shutdown of the pool dropped it. The id lives on at COOP_E_TIMEOUT, and at
 COOP_E_WOULD_DEADLOCK, which is the answer to the task itself and to one that it waits for and runs on its own
 thread. Tasks of several threads that wait for one another in a ring are not noticed.

 Any thread, also several at once: one is told how it ended. COOP_E_STALE, COOP_E_NULL, COOP_E_INVALID for another
 time, COOP_E_FORKED.
 */
coop_status coop_task_join(coop_pool *pool, coop_task_id id, int64_t timeout_ns);

/*
 Takes a task back that has not begun: its fn is not called, and its argument is dropped before this returns. The
 id is stale then, and whoever waits in coop_task_join is answered COOP_E_CANCELLED.

 Any thread, also the pool's own tasks. COOP_E_TIMEOUT if it is too late, which changes nothing: the message says
 whether the task is running or has ended, and coop_task_join is still to come. COOP_E_STALE, COOP_E_NULL,
 COOP_E_FORKED.
 */
coop_status coop_task_cancel(coop_pool *pool, coop_task_id id);

/*
 Gives an id up: the task goes on, and nobody waits for it or cancels it any more.

 Any thread. COOP_E_STALE, COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_task_release(coop_pool *pool, coop_task_id id);

/*
 Has the loop call the function at a time, once or repeatedly.

 options: copied; NULL is once, at the loop's next turn. callback: the loop owns callback.arg if this answers
 COOP_OK. id: set to the timer's id, for coop_timer_cancel; may be NULL. The function may run before id is set.

 Any thread, also the loop's own callbacks. COOP_E_NULL, COOP_E_INVALID for a time, place or priority,
 COOP_E_AFFINITY for a CPU set without a worker, COOP_E_UNSUPPORTED for options, COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_timer(coop_event_loop *event_loop,
                                  const coop_timer_options *options,
                                  coop_timer_callback callback,
                                  coop_timer_id *id);

/*
 Ends a timer: its function does not begin any more, and its argument is dropped now; if it is running (it may
 be the caller), when it returns.

 Any thread, also the loop's own callbacks. COOP_E_STALE if it has fired its only time or was cancelled, or is
 of no timer of this loop; COOP_E_INVALID for a local timer of a loop that another thread runs; COOP_E_NULL,
 COOP_E_FORKED.
 */
coop_status coop_timer_cancel(coop_event_loop *event_loop, coop_timer_id id);

/*
 coop_event_loop_timer for the loop's own callbacks, on its thread: without a lock and without a look at the clock.

 The delay counts from the first such call of this turn of the loop, so that the timer may fire earlier by as long as
 the turn has lasted since. The function runs on the loop's thread, whatever the default is; between such timers and
 others that are due in one turn there is no order. options, callback and id: as for coop_event_loop_timer.

 COOP_E_INVALID from anywhere else, for COOP_ON_POOL and for a time, COOP_E_NULL, COOP_E_UNSUPPORTED for options,
 COOP_E_CLOSED once the loop was stopped, COOP_E_FORKED.
 */
coop_status coop_event_loop_timer_local(coop_event_loop *event_loop,
                                        const coop_timer_options *options,
                                        coop_timer_callback callback,
                                        coop_timer_id *id);

/*
 coop_timer_cancel for the loop's own callbacks, on its thread: without a lock if the timer is of
 coop_event_loop_timer_local. While a loop runs, its own thread alone cancels such timers, by either function.

 COOP_E_INVALID from anywhere else, COOP_E_STALE if it has fired its only time or was cancelled, or is of no timer of
 this loop; COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_timer_cancel_local(coop_event_loop *event_loop, coop_timer_id id);

/*
 A COOP_RUN_UNTIL_IDLE waits for the timer, as it does for each that is not made with unref. It does not count: once is enough.

 Any thread. COOP_E_STALE as coop_timer_cancel, COOP_E_INVALID for a local timer of a loop that another thread runs,
 COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_timer_ref(coop_event_loop *event_loop,
                           coop_timer_id id);

/*
 A COOP_RUN_UNTIL_IDLE does not wait for the timer; one that waits for nothing else ends.

 Any thread. COOP_E_STALE as coop_timer_cancel, COOP_E_INVALID for a local timer of a loop that another thread runs,
 COOP_E_NULL, COOP_E_FORKED.
 */
coop_status coop_timer_unref(coop_event_loop *event_loop, coop_timer_id id);

/*
 Makes a socket and binds it.

 options: copied; NULL is all defaults. out: set to the socket, which the caller frees with coop_udp_free.

 Any thread. COOP_E_NULL without out, COOP_E_INVALID or COOP_E_UNSUPPORTED for options, COOP_E_OS if the address
 is taken, is not this machine's, or the process has no file descriptor left.
 */
coop_status coop_udp_new(const coop_udp_options *options, coop_udp **out);

/*
 Closes the socket and releases it, with the data of the last receive. Cancel its watch first. NULL does nothing.

 Any thread; once, with no call under way. In a forked child it closes the child's copy of the descriptor.
 */
void coop_udp_free(coop_udp *udp);

/*
 Sets the peer: what has no address of its own is sent to it, and only what it sends is received.

 peer: copied. Any thread. COOP_E_NULL, COOP_E_INVALID for no address, COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_udp_connect(coop_udp *udp, const coop_address *peer);

/*
 Says which address and port the socket is bound to; coop_address_text makes words of it.

 out: set to the address. Any thread. COOP_E_NULL, COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_udp_local_address(const coop_udp *udp, coop_address *out);

/*
 The socket's descriptor, to watch it; it stays the socket's. COOP_E_NULL or COOP_E_FORKED, which are negative,
 if there is none. Any thread.
 */
int32_t coop_udp_fd(const coop_udp *udp);

/*
 Takes datagrams that have come, in their order, without waiting.

 out, capacity: where to put them, and how many there is room for; from 1. count: set to how many there were.

 The kernel gives many at a time. What has no room in out is kept for the next call, and the descriptor does not
 show it: call again until count is 0, and then wait until the descriptor is readable. The data is the library's
 and lies where it is until the next coop_udp_receive on this socket, from whatever thread: so one thread at a
 time receives. That the network refused something sent earlier is no error here.

 COOP_E_NULL, COOP_E_INVALID for no capacity, COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_udp_receive(coop_udp *udp, coop_datagram *out, size_t capacity, size_t *count);

/*
 Tells when the datagrams of the last coop_udp_receive came.

 out_ns: set to nanoseconds since 1970-01-01 UTC, on the system's clock, one for each datagram in the order of coop_udp_receive;
 those that the kernel had joined share the time of the first. count: how many, at most as many as the last
 coop_udp_receive gave.

 One thread at a time, as for coop_udp_receive. COOP_E_NULL, COOP_E_INVALID for a greater count, or if the socket was
 made without receive_times, COOP_E_FORKED.
 */
coop_status coop_udp_receive_times(coop_udp *udp,
                                   int64_t *out_ns,
                                   size_t count);

/*
 Hands datagrams to the kernel, in their order, without waiting.

 datagrams, count: what to send; not needed any more when this returns. sent: set to how many of the array were
 taken. Fewer than count: the kernel's buffer is full; the rest is still the caller's, to be sent when the
 descriptor is writable. One of many segments that the kernel took a part of counts as taken, and the library
 sends its rest first in the next call (count may be 0). refused: set to how many datagrams, segments counted
 singly, the network refused (no route, too long for it) among those that were taken; they are lost, as
 datagrams may be. May be NULL.

 Any thread; datagrams of calls at the same time do not mix. COOP_E_NULL, COOP_E_INVALID for an address, size or
 flag of the first datagram (one further on ends the call before it), COOP_E_OS, COOP_E_FORKED.
 */
coop_status coop_udp_send(coop_udp *udp, const coop_datagram *datagrams, size_t count, size_t *sent, size_t *refused);

/*
 The version of the library that is loaded: "0.1.0". The text is the library's and lives as long as the program.
 */
const char *coop_version(void);

/*
 Whether a program compiled with a header of this version works with the library that is loaded. COOP_CHECK_VERSION()
 asks that for this header.

 Each minor version until 1.0 is a file of its own, libcoop.so.0.1, and a program linked to one is not started with
 another. But a header may lie beside an older libcoop.a, a dlopen may find any file, and if two libraries of a process
 were linked to two versions, the loader gives both of them the functions of the one that came first. So whoever does not
 link in the ordinary way asks before anything else.

 Any thread. COOP_E_UNSUPPORTED; coop_last_error() has both versions.
 */
coop_status coop_version_check(int32_t major,
                               int32_t minor);

/*
 Runs the entry that this process was started for, if it was: a host starts the program of a coop_service_options.worker anew for each
 run. In any other process it does nothing. To be called first of all in main, on the main thread, before there are other threads; main
 then returns status, unless that is COOP_NONE.

 workers, count: the program's entries; copied. When this answers COOP_OK each of their arguments has been dropped once. status: set
 to COOP_NONE if this process is no worker, else to the status that it is to exit with: 0, 1 if the entry failed, which is then told on the
 error output, and 78 if there is no entry of this name.

 SIGTERM and SIGINT ask the entry to stop, once, as the host does by SIGTERM. What it says by its context is told to the host. A worker is
 started anew also by hand, with COOP_SERVICE=name in its environment.

 COOP_E_NULL, COOP_E_INVALID for a table that is none: a size, a name that is empty or is there twice, an entry without a function or with both.
 */
coop_status coop_workers_run(const coop_worker *workers,
                             size_t count,
                             int32_t *status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* COOP_H */
