"""The native half of libcoop. Import `libcoop` instead.

Times are seconds, as float or int. Unless a text says otherwise, calls may come from any thread, and those that wait
do so without the interpreter and end with KeyboardInterrupt in the main thread. Errors named here are those of
`libcoop`.
"""

import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextvars import Context
from datetime import datetime
from os import PathLike
from socket import socket
from threading import Condition
from types import GenericAlias
from typing import Any, Final, Generic, Literal, ParamSpec, Protocol, Self, TypeVar, TypeVarTuple, final

from typing_extensions import Buffer, CapsuleType, disjoint_base

import libcoop
from libcoop._child import ExitStatus
from libcoop._enums import Mode, RunMode
from libcoop._events import Because, EventKind, Lost
from libcoop._future import Future as LoopFuture
from libcoop._options import Line
from libcoop._ports import Address, Port
from libcoop._stats import LoopStats
from libcoop._supervisor import Supervisor
from libcoop._udp import Datagram

__all__ = [
    "ERROR",
    "ERRORS",
    "HANG_UP",
    "READ",
    "WRITE",
    "AskedTurn",
    "Async",
    "Batch",
    "CallServer",
    "Dag",
    "Ended",
    "Event",
    "EventLoop",
    "Future",
    "Listener",
    "LogChannel",
    "LogSender",
    "NativeCommand",
    "NativeExecutor",
    "NativeHost",
    "NativeRedis",
    "NativeService",
    "NativeSubscriber",
    "NativeSupervisor",
    "NativeZygote",
    "NodeEnd",
    "Observer",
    "Operation",
    "Pool",
    "PoolView",
    "PortContext",
    "PortSet",
    "PortStats",
    "ProcessPool",
    "ProcessPoolView",
    "RedisCall",
    "RedisInbox",
    "RedisSource",
    "RunHandle",
    "Runtime",
    "ServedPort",
    "ServiceContext",
    "ServiceEnd",
    "ServiceEvent",
    "Signal",
    "Stream",
    "TakenSignals",
    "Timer",
    "Turn",
    "UdpSocket",
    "Watch",
    "__version__",
    "_after_fork",
    "_begin_port",
    "_begin_run",
    "_die_with_parent",
    "_flush_log",
    "_fork_sibling",
    "_is_watched",
    "_leave_threads",
    "_on_asyncio",
    "_on_thread",
    "_other_threads",
    "_refuse_calls",
    "_run_begun",
    "_run_failed",
    "coop_api",
]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

class _HasFileno(Protocol):
    def fileno(self) -> int: ...

class _HasPid(Protocol):
    @property
    def pid(self) -> int: ...

__version__: Final[str]
"""The version of libcoop."""
ERRORS: Final[list[tuple[str, str, int]]]
"""Of each error: the exception's name, the name in C without COOP_E_, and the number in C."""
coop_api: Final[CapsuleType]
"""The table of C functions of this copy of libcoop: `const coop_api *` of coop.h, named "libcoop.coop_api"."""
READ: Final[int]
"""A read would not block."""
WRITE: Final[int]
"""A write would not block."""
ERROR: Final[int]
"""The descriptor has an error to fetch."""
HANG_UP: Final[int]
"""The other side has closed, or shut down its writing half."""

@disjoint_base
class EventLoop:
    """One thread that waits for many things: posts, timers and file descriptors.

    The thread is the caller's (`run`) or the loop's own (`start`); every other method may be called from any thread.
    Callbacks run one at a time on the loop's thread (for the loop of a Runtime: timers and watches in its pool). An
    exception in one is logged (logger "libcoop") and the loop goes on; one that is no Exception (SystemExit,
    KeyboardInterrupt) leaves `run`. `name` is that of the loop's own thread. Raises Os if the process has no file
    descriptor left. In a forked child every call raises Forked.

    As a context manager it is closed at the end.
    """
    def __new__(cls, *, name: str = "coop-loop") -> Self: ...
    def post(self, callback: Callable[[*_Ts], object], /, *args: *_Ts) -> None:
        """Queues `callback(*args)` to run once on the loop's thread. Posts of one thread run in their order.

        Any thread. Raises TypeError, Closed after `stop`, Forked.
        """
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Ts], object],
        /,
        *args: *_Ts,
        repeat: float | None = None,
        priority: int | None = None,
        cpus: Sequence[int] | None = None,
        unref: bool = False,
    ) -> Timer:
        """Calls `callback(*args)` in `delay` seconds, once, or again every `repeat` seconds without drift.

        Times that passed while the loop was busy are one call. 0 is the loop's next turn. A Runtime's loop runs it in
        its pool, at this priority and on a worker on one of these CPUs; a bare loop has no pool and takes neither. With
        `unref` a loop that runs until it is idle does not wait for it. Any thread. Raises ValueError for a delay below
        0 or a period of 0, TypeError, Affinity, Closed after `stop`, Forked.
        """
    def watch(
        self,
        fd: int | _HasFileno,
        events: int,
        callback: Callable[[int], object],
        /,
        *,
        edge: bool = False,
        priority: int | None = None,
        cpus: Sequence[int] | None = None,
        unref: bool = False,
    ) -> Watch:
        """Calls `callback(events)` when a file descriptor is ready.

        `fd` is a number or has `fileno()`; `events` is READ, WRITE or both, and what the callback is told may have
        ERROR and HANG_UP besides. Level-triggered: told again for as long as it is ready; with `edge`, once for each
        change. The descriptor stays the caller's, who cancels the watch before closing it. `priority`, `cpus` and
        `unref` as for `call_later`. Any thread.

        Raises Exists for a second watch on a descriptor, Os for one that is closed or cannot be watched (a regular
        file), ValueError, TypeError, Closed after `stop`, Forked.
        """
    def sleep(self, delay: float) -> LoopFuture[None]:
        """A future that ends with None when `delay` seconds have passed; cancelled, it ends its timer.

        Like every future of a loop it ends while somebody runs the loop, and with Closed when the loop is over first.
        Any thread. Raises ValueError for a delay below 0, Closed after `stop`, Forked.
        """
    def readable(self, fd: int | _HasFileno) -> LoopFuture[int]:
        """A future that ends when a file descriptor, or what has `fileno()`, can be read without waiting, with what it
        is ready for: READ, ERROR, HANG_UP.

        The descriptor stays the caller's, who keeps it open until then, or cancels the future first. Any thread. Raises
        as `watch`: Exists also while another future waits for the same descriptor.
        """
    def writable(self, fd: int | _HasFileno) -> LoopFuture[int]:
        """A future that ends when a write to a file descriptor would not wait, with WRITE, ERROR, HANG_UP; otherwise as
        `readable`.
        """
    def connect(
        self,
        host: str,
        port: int,
        *,
        timeout: float | None = None,
        local_address: Address | None = None,
        nodelay: bool = False,
        keepalive: float | tuple[float, float, int] | None = None,
        linger: float | None = None,
        recv_buffer: int | None = None,
        send_buffer: int | None = None,
    ) -> LoopFuture[Stream]:
        """A future of a Stream to a host, by its name or address, and a port.

        A name is looked up without holding up the loop, and its addresses are tried in turn, the next a quarter of a
        second after the one before. `timeout` in seconds is for all of it. `local_address` is (host, port) to connect
        from. `nodelay` sends small writes at once; `keepalive` asks a silent peer: seconds, or (seconds, interval,
        count); `linger` seconds: closing waits for delivery, 0 resets; `recv_buffer` and `send_buffer` are bytes that
        the system may hold.

        It ends with Resolve, Timeout, Os, whose text names the addresses that were tried, Closed. Any thread. Raises
        ValueError, TypeError, Closed after `stop`, Forked.
        """
    def connect_unix(
        self,
        path: str | PathLike[str],
        *,
        timeout: float | None = None,
        recv_buffer: int | None = None,
        send_buffer: int | None = None,
    ) -> LoopFuture[Stream]:
        """A future of a Stream to a Unix socket: a path, or on Linux a name that begins with "\\0". Otherwise as
        `connect`.
        """
    def stats(self) -> LoopStats:
        """What the loop did since it was made, a LoopStats. The first call has the times measured from then on. Any
        thread. Raises Forked.
        """
    def set_slow_hook(self, threshold: float | None, callback: Callable[[str, float], object] | None = None, /) -> None:
        """Has `callback(what, seconds)` called whenever a callback ran for `threshold` seconds or longer on the loop's
        thread; `what` is "post", "timer" or "watch".

        Posts that run in one go, for up to 5 ms, count as one. Without a callback a warning is logged. A threshold of
        None ends it. It replaces the one before. Any thread. Raises ValueError for a threshold of 0 or less, TypeError,
        Closed, Forked.
        """
    def set_lag_hook(self, threshold: float | None, callback: Callable[[float], object] | None = None, /) -> None:
        """Has `callback(seconds)` called after every turn in which the last of what was ready waited for `threshold`
        seconds or longer until its callback began. Otherwise as `set_slow_hook`.
        """
    def resolve(self, host: str, port: int = 0) -> LoopFuture[list[Address]]:
        """A future of the addresses of a host, by its name or address: a list of (host, port), in the system's order of
        preference, each with this port.

        It is looked up without holding up the loop. Ends with Resolve, which names the host. Any thread. Raises
        ValueError, Closed, Forked.
        """
    def listen(
        self,
        host: str,
        port: int,
        *,
        backlog: int = 4096,
        reuse_port: bool = False,
        only_v6: bool | None = None,
        nodelay: bool = False,
        keepalive: float | tuple[float, float, int] | None = None,
        linger: float | None = None,
        recv_buffer: int | None = None,
        send_buffer: int | None = None,
    ) -> Listener:
        """Listens at a numeric host, "0.0.0.0" and "::" for all, and a port, 0 for a free one; a Listener.

        `backlog` connections wait to be accepted; with `reuse_port` others may listen there too; `only_v6` says whether
        "::" takes IPv4 connections. The rest is about each connection, as for `connect`. Any thread; it listens at
        once, accepting needs a loop that runs. Raises Os, ValueError, TypeError, Closed, Forked.
        """
    def listen_unix(
        self,
        path: str | PathLike[str],
        *,
        backlog: int = 4096,
        replace: bool = False,
        recv_buffer: int | None = None,
        send_buffer: int | None = None,
    ) -> Listener:
        """Listens at a Unix socket: a path, or on Linux a name that begins with "\\0" and is no file; a Listener.

        The file is removed when the listener is closed. With `replace` a socket's file that nobody listens at any more
        is replaced. Raises Exists if there is a file, and as `listen`.
        """
    def child(self, process: int | _HasPid, /) -> LoopFuture[ExitStatus]:
        """A future of how a child of this process ends, an ExitStatus: its process id, or what has `pid`, as a
        `subprocess.Popen`.

        The loop reaps the child; do not wait for it elsewhere meanwhile. A Popen is told its `returncode`, so that its
        own `poll` and `wait` answer afterwards. Cancelled, it leaves the child to the caller. Any thread. Raises
        ValueError for a number below 1, TypeError, Os (no such process, not a child of this one), Unsupported without
        pidfds, Closed, Forked.
        """
    def signal(
        self,
        signum: int,
        callback: Callable[[int, int], object],
        /,
        *,
        priority: int | None = None,
        cpus: Sequence[int] | None = None,
    ) -> Signal:
        """Calls `callback(signum, times)` when this process gets a signal; signals that come faster than callbacks run
        are one call.

        Any number of watchers, on any loops, are told of each. While there is one, a handler of Python's `signal`
        module for it is not called (so Ctrl-C raises no KeyboardInterrupt while SIGINT is watched), and is not to be
        set; the last `cancel`, or the loop's end, gives the signal back to it. Some thread must have the signal
        unblocked, as the main thread has. `priority` and `cpus` as for `call_later`. Any thread. Raises ValueError for
        what is no signal or cannot be watched (SIGKILL, SIGSTOP, faults), TypeError, Affinity, Os, Closed, Forked.
        """
    def async_(
        self,
        callback: Callable[[*_Ts], object],
        /,
        *args: *_Ts,
        priority: int | None = None,
        cpus: Sequence[int] | None = None,
    ) -> Async:
        """An Async, whose `send` has `callback(*args)` called: several sends may be one call.

        `priority` and `cpus` as for `call_later`. Any thread. Raises TypeError, Affinity, Os, Unsupported without
        eventfds, Closed after `stop`, Forked.
        """
    def adopt(self, socket: socket | int, /) -> Stream:
        """A Stream of a connected TCP or Unix stream socket: a `socket.socket`, which is detached from its descriptor,
        or the number of a descriptor, such as `receive_descriptors` answers, which is the Stream's from now on. It is
        made non-blocking.

        Any thread. Refused, it stays the caller's. Raises Invalid for what is no stream socket, Exists for one that has
        a watch, Os, ValueError, TypeError, Closed after `stop`, Forked.
        """
    def udp(
        self,
        host: str,
        port: int,
        *,
        peer: Address | None = None,
        reuse_port: bool = False,
        receive_times: bool = False,
        recv_buffer: int | None = None,
        send_buffer: int | None = None,
    ) -> UdpSocket:
        """A UdpSocket bound to a numeric host, "0.0.0.0" and "::" for all, and a port, 0 for a free one.

        `peer`, (host, port), is whom it is connected to; others may bind a port with `reuse_port` too, and the system
        spreads the senders; with `receive_times` each datagram says when it came; `recv_buffer` and `send_buffer` are
        bytes that the system may hold. Any thread. Raises Os, Unsupported (receive times), ValueError, TypeError,
        Closed, Forked.
        """
    def post_and_wait(self, callback: Callable[[*_Ts], _T], /, *args: *_Ts, timeout: float | None = None) -> _T:
        """Queues `callback(*args)` like `post`, waits until it has run, and answers what it returns or raises what it
        raises.

        At `timeout` seconds (None: never) a call that has not begun is not made, and Timeout is raised; one that has
        begun is waited for. So is it when Ctrl-C ends the wait with KeyboardInterrupt: what has not begun is not made.
        A loop that nobody runs yet is waited for. Raises WouldDeadlock on the loop's own thread, TypeError, Closed
        after `stop` and when the loop is closed first, Forked.
        """
    def run(self, mode: RunMode = ...) -> None:
        """Runs the loop in this thread, until it is stopped or as `mode` says: a libcoop.RunMode, DEFAULT by default.

        In the main thread Ctrl-C ends it with KeyboardInterrupt; the loop stays open and may run again. Raises Exists
        if another thread runs it, WouldDeadlock from one of its own callbacks, Closed once it was stopped, Forked.
        """
    def start(self) -> None:
        """Runs the loop on a thread of its own until `stop`.

        Keep the object: the loop ends with it. Raises Exists if it runs already, Closed once it was stopped, Os,
        Forked.
        """
    def stop(self) -> None:
        """Closes the loop and returns at once: it finishes the callback at hand and the posts it has accepted, drops
        its timers and watches, and takes no more.

        Any thread, also from callbacks, any number of times. Raises Forked.
        """
    def join(self, timeout: float | None = None) -> None:
        """Waits until no thread runs the loop: after `stop`, until it has finished.

        `timeout` is in seconds, None for ever. Raises Timeout, WouldDeadlock from one of its own callbacks, Forked;
        KeyboardInterrupt in the main thread.
        """
    def close(self) -> None:
        """Stops the loop without running what is queued, and waits for the callback that runs; any number of times.

        Any thread. From one of the loop's own callbacks it returns at once. The loop of a Runtime is closed with
        that.
        """
    def backend_fd(self) -> int:
        """A file descriptor that is readable when the loop has something to run, for a foreign loop that runs this one
        inside it: `asyncio`'s `add_reader`, `select.poll`.

        The foreign loop watches it for reading, sleeps no longer than `backend_timeout` says, and calls
        `run(RunMode.NOWAIT)` after each sleep. From this call on, whatever any thread adds makes it readable. It is the
        loop's, who closes it. Raises Forked.
        """
    def backend_timeout(self) -> float | None:
        """How many seconds a foreign loop may sleep before it runs this one, unless `backend_fd` becomes readable: 0 if
        something is due or queued, None for ever. It may be less than the next timer needs. To be asked after each run.

        Raises Closed when the loop was stopped and has nothing left to run, Forked.
        """
    def now(self) -> float:
        """The time on the loop's clock, which its timers go by: seconds since it was made. It never goes back."""
    @property
    def running(self) -> bool:
        """Whether a thread runs the loop now, or is about to."""
    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...
    def _stop_at_exit(self, patience: float) -> None: ...

@final
class Timer:
    """A timer of an event loop, as `EventLoop.call_later` returns it. Letting go of it does not cancel it."""
    def cancel(self) -> None:
        """Ends the timer: its callback does not begin any more. Any thread. Raises Stale if it has ended already,
        Forked.
        """
    def ref(self) -> None:
        """A loop that runs until it is idle waits for it, as at first. Raises Stale, Forked."""
    def unref(self) -> None:
        """A loop that runs until it is idle does not wait for it. Raises Stale, Forked."""
    @property
    def id(self) -> int:
        """Slot and generation; never 0."""

@final
class Watch:
    """A watch of an event loop on a file descriptor, as `EventLoop.watch` returns it. Letting go of it does not
    cancel it.
    """
    def cancel(self) -> None:
        """Ends the watch: its callback does not begin any more. Any thread. Raises Stale if it has ended already,
        Forked.
        """
    def ref(self) -> None:
        """A loop that runs until it is idle waits for it, as at first. Raises Stale, Forked."""
    def unref(self) -> None:
        """A loop that runs until it is idle does not wait for it. Raises Stale, Forked."""
    @property
    def id(self) -> int:
        """Slot and generation; never 0."""

@final
class Signal:
    """A watcher of a signal, as `EventLoop.signal` returns it. Letting go of it does not cancel it."""
    def cancel(self) -> None:
        """Ends the watcher: its callback does not begin any more. The last one of a signal gives it back. Any thread.
        Raises Stale if it has ended already, Forked.
        """
    @property
    def id(self) -> int:
        """Slot and generation; never 0."""

@final
class Event:
    """Something that is signalled or not, with a file descriptor that is readable while it is.

    One that resets itself lets one wait through for each signal; with `manual_reset` it stays signalled, for all, until
    `reset`. Any thread may call anything. As a context manager it is closed at the end. Raises Os if the process has no
    descriptor left.
    """
    def __new__(cls, *, manual_reset: bool = False) -> Self: ...
    def signal(self) -> None:
        """Sets it. Raises Closed, Forked."""
    def reset(self) -> None:
        """Takes the signal away, if there is one. Raises Closed, Forked."""
    def is_signaled(self) -> bool:
        """Whether it is signalled. It only looks. Raises Closed."""
    def wait(self, loop_: EventLoop, /) -> LoopFuture[None]:
        """A future that ends with None when it is signalled, on a loop, and takes the signal of one that resets itself.
        Cancelled, it takes none. Raises Closed, Forked.
        """
    def watch(
        self,
        loop_: EventLoop,
        callback: Callable[[], object],
        /,
        *,
        priority: int | None = None,
        cpus: Sequence[int] | None = None,
    ) -> Watch:
        """Calls `callback()` whenever it is signalled, on a loop, until the Watch is cancelled: for one that resets
        itself with the signal taken, for the other once for each signal, or several. `priority` and `cpus` as for
        `EventLoop.call_later`. Raises TypeError, Affinity, Closed, Forked, Os.
        """
    def fileno(self) -> int:
        """The descriptor, readable while it is signalled; it stays the event's. Raises Closed."""
    def close(self) -> None:
        """Closes it; any number of times. Who waits goes on waiting, for nothing: cancel the waits first."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class Async:
    """What wakes a loop from anywhere, signal handlers of Python included, and never takes memory, as
    `EventLoop.async_` returns it.

    After each `send` the callback begins once more; sends before it begins are one call. Letting go of it closes it; as
    a context manager it is closed at the end.
    """
    def send(self) -> None:
        """Has the callback called. After the loop's end it does nothing. Any thread. Raises Closed after `close`,
        Forked.
        """
    def close(self) -> None:
        """Ends it, any number of times: the callback does not begin any more."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class UdpSocket:
    """A UDP socket of a loop, as `EventLoop.udp` gives it. What comes and goes is Datagrams, tuples (data, address,
    received_ns).

    Receives get what comes in the order they were asked for; sends keep theirs. What can be done at once is done at
    once, and its future has ended when the call returns; the rest needs a loop that runs. Any thread. After `close`
    every call raises Closed, in a forked child Forked; as a context manager it is closed at the end.
    """
    def receive(self) -> LoopFuture[Datagram]:
        """A future of the next Datagram. Cancelled, it loses nothing. That the network refused what was sent earlier is
        no error here.
        """
    def receive_batch(self) -> LoopFuture[list[Datagram]]:
        """A future of a list of what has come, at least one Datagram: at most what one call of the system gives.
        Cancelled, it loses nothing.
        """
    def send(self, data: Buffer, address: Address | None = None, /) -> LoopFuture[None]:
        """A future that ends with None when the system has taken one datagram: `data`, bytes-like, for `address`, a
        tuple (host, port) with a numeric host, or for the connected peer.

        Ends with Invalid for one that no network carries, and with Os if the network refuses it, or (connected) refused
        an earlier one. Raises TypeError, ValueError.
        """
    def send_batch(self, datagrams: Iterable[tuple[Buffer, Address | None]], /) -> LoopFuture[int]:
        """A future of how many of these datagrams the system took, many at a time: an iterable of (data, address), with
        None for the address of the connected peer. Those that the network refuses are skipped.

        They are copied before the call returns. Cancelled, it may have sent a part. Raises Invalid for one that no
        network carries, and then sends none, TypeError, ValueError.
        """
    def connect(self, address: Address, /) -> None:
        """Sets the peer, (host, port) with a numeric host: what is sent without an address goes there, and only what it
        sends is received from now on. Raises Os, TypeError, ValueError.
        """
    def close(self) -> None:
        """Closes it; any number of times. Operations that wait end with Closed, and then the descriptor closes."""
    def fileno(self) -> int:
        """The descriptor, which stays the socket's."""
    @property
    def local_address(self) -> Address:
        """Where it is bound: (host, port). Raises Os."""
    @property
    def kernel_dropped(self) -> int | None:
        """What the system has dropped because its buffer for this socket was full, in its own units, modulo 2**32; None
        where it does not say.
        """
    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class Stream:
    """A TCP or Unix connection of a loop, as `EventLoop.connect` and `Listener.accept` give it.

    Reads take what has come, one after another in the order they were asked for; so do writes. What can be done at once
    is done at once, and its future has ended when the call returns; the rest needs a loop that runs. An error of the
    connection is its future's. Any thread. After `close` every call raises Closed, in a forked child Forked. One that
    is let go of is closed when its operations have ended; as a context manager it is closed at the end.
    """
    def read(self, n: int = 65536, /) -> LoopFuture[bytes]:
        """A future of what has come, at least one byte and up to `n`; b"" at the end, when the peer has shut down or
        closed.

        Cancelled, it loses nothing: the next read has it. Raises ValueError for `n` below 1.
        """
    def read_exactly(self, n: int, /) -> LoopFuture[bytes]:
        """A future of exactly `n` bytes. It ends with IncompleteRead, an EOFError that has what came, if the peer ends
        before.

        Cancelled, it loses nothing. Raises ValueError for `n` below 1.
        """
    def read_to_end(self) -> LoopFuture[bytes]:
        """A future of all that comes until the peer ends. Cancelled, it loses nothing."""
    def write(self, data: Buffer, /) -> LoopFuture[None]:
        """A future that ends with None when all of `data`, bytes-like, is with the system, which may be long after the
        call if the peer does not read.

        Bytes are kept until then, anything else is copied. Cancelled, or ended with an error, it may have written a
        part. Raises TypeError.
        """
    def shutdown(self) -> LoopFuture[None]:
        """A future that ends with None when what was written before is with the system and the peer was told that no
        more comes: it reads to the end. Reading goes on.
        """
    def send_descriptors(self, data: Buffer, descriptors: Sequence[int | _HasFileno], /) -> LoopFuture[None]:
        """A future that ends with None when `data`, at least one byte, is with the system, and with it these
        descriptors: numbers or what has `fileno()`. Unix streams only.

        They are duplicated before the call returns. In line with the writes, and cancelled as they are. Raises
        ValueError, TypeError, Os.
        """
    def receive_descriptors(self, n: int = 65536, most: int = 16, /) -> LoopFuture[tuple[bytes, list[int]]]:
        """A future of (bytes, descriptors): up to `n` bytes, b"" at the end, and up to `most` descriptors that came
        with them, which are the caller's to close.

        In line with the reads; cancelled, it loses nothing. A plain read drops the descriptors that come with its
        bytes. Ends with Failed if there were more, which are closed. Raises ValueError.
        """
    def close(self) -> None:
        """Closes the connection; any number of times. Operations that wait end with Closed, and then the descriptor
        closes.
        """
    def set_nodelay(self, nodelay: bool) -> None:
        """Sends small writes at once (TCP), or has them wait for the answer to those before. Raises Os."""
    def set_keepalive(self, keepalive: float | tuple[float, float, int] | None, /) -> None:
        """Has the system ask a silent peer whether it is still there (TCP): seconds of silence, or (seconds, interval,
        count), or None. Raises ValueError, TypeError, Os.
        """
    def set_linger(self, linger: float | None, /) -> None:
        """How closing waits for what was written to be delivered: so many seconds, 0 to discard it and reset the
        connection, None for the system's way. Raises ValueError, TypeError, Os.
        """
    def fileno(self) -> int:
        """The descriptor, which stays the stream's."""
    @property
    def local_address(self) -> Address | str | bytes:
        """This end: (host, port), or a Unix socket's path: a str, bytes for one that is no file, "" without a name.
        Raises Os.
        """
    @property
    def peer_address(self) -> Address | str | bytes:
        """The other end, as `local_address`; also when closed."""
    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class Listener:
    """Accepts connections, as `EventLoop.listen` and `listen_unix` give it. `async for stream in listener` goes on
    until it is closed.

    Any thread. One that is let go of is closed when the accepts that wait have ended; as a context manager it is closed
    at the end.
    """
    def accept(self) -> LoopFuture[Stream]:
        """A future of the next connection, a Stream. Those who wait get theirs in the order they asked.

        Cancelled, it leaves the connection to the next. While the process has no descriptor left it waits, and a
        warning is logged once. Ends with Closed when the listener or the loop is closed. Raises Closed, Forked.
        """
    def close(self) -> None:
        """Stops listening; any number of times. Those who wait for a connection end with Closed."""
    def fileno(self) -> int:
        """The descriptor, which stays the listener's. Raises Closed."""
    @property
    def local_address(self) -> Address | str | bytes:
        """Where it listens, with the port that it was given: (host, port), or a Unix socket's path; also when
        closed.
        """
    @property
    def closed(self) -> bool:
        """Whether it was closed."""
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> LoopFuture[Stream]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class Operation:
    """What a future of an event loop stands for."""
    def cancel(self) -> None:
        """Ends it, for its future was cancelled; again is fine."""

@disjoint_base
class Future(Generic[_T]):
    """What `libcoop.Future` is made of: its state, and how it is waited for."""
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def cancel(self) -> bool:
        """Cancels it if it is pending; True if it is cancelled then.

        `_on_cancel` is called once, by the thread that cancelled it, before this returns; its exceptions pass through.
        """
    def _on_cancel(self) -> None:
        """What ends the operation when its future was cancelled. For subclasses; no lock is held."""
    def cancelled(self) -> bool:
        """Whether it was cancelled."""
    def running(self) -> bool:
        """Whether its call runs now."""
    def done(self) -> bool:
        """Whether it was cancelled, or has its result or exception."""
    def result(self, timeout: float | None = None) -> _T:
        """Waits for the result, at most `timeout` seconds, and returns it, or raises the call's exception.

        Raises TimeoutError, CancelledError if it was cancelled, and in a forked child Forked for one that only its
        parent can end. One of an event loop's that is not done raises WouldDeadlock on that loop's own thread, if there
        is no timeout. From any thread; the interpreter is free while it waits, and Ctrl-C ends the wait in the main
        thread.
        """
    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `result`, but answers the call's exception, or None if it returned."""
    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        """Has `fn(future)` called when it is done, by the thread that ends it; at once, by this one, if it is.

        Callbacks run in the order they were added. An exception of one is logged (logger "concurrent.futures").
        """
    def set_running_or_notify_cancel(self) -> bool:
        """For executors: marks it as running; False if it was cancelled, and then who waits is told."""
    def set_result(self, result: _T) -> None:
        """For executors: ends it with a result. Raises InvalidStateError if it is done."""
    def set_exception(self, exception: BaseException | None) -> None:
        """For executors: ends it with an exception. Raises InvalidStateError if it is done."""
    _condition: Condition
    """The `threading.Condition` that `concurrent.futures` waits with, made now if it was not."""
    _waiters: list[Any]
    _state: str
    _result: _T | None
    _exception: BaseException | None

@disjoint_base
class Pool:
    """The workers under `libcoop.Pool`, which is what to use: an executor made of them."""
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _open(self, workers: int | None, name: str, pin: bool, capacity: int | None, initializes: bool, /) -> None:
        """Starts the workers, once."""
    def _open_runtime(self, runtime: Runtime, /) -> None:
        """As `_open`, with the workers of a runtime."""
    def _refuse_calls(self) -> None:
        """Has `submit` ask `_refuse` first from now on."""
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> libcoop.Future[_T]:
        """Has a worker call `fn(*args, **kwargs)`, with the context variables of now; the future has its outcome.

        Raises TypeError for what cannot be called, Closed (a RuntimeError) after `shutdown` or when the interpreter
        exits, QueueFull in a full pool, BrokenThreadPool after a failed initializer, Forked in a child of the process
        that made the pool. From any thread; it does not wait.
        """
    @property
    def workers(self) -> int:
        """How many workers there are."""
    @property
    def worker_cpus(self) -> list[int | None]:
        """The CPU that each worker is pinned to, if it is."""
    def _stats(
        self,
    ) -> tuple[
        tuple[int, int, int],
        int | None,
        list[tuple[int | None, int, int, int]],
        tuple[int, float, float, float, float],
    ]:
        """Depth by level, capacity, each worker's counts, and how long calls waited, in seconds."""
    @property
    def _ended(self) -> int:
        """How many calls of all pools have ended so far."""
    def _close(self, discard: bool, /) -> None:
        """Closes it: what is queued runs, unless it is discarded. Does not wait."""
    def _join(self, timeout: float | None = None, /) -> bool:
        """Waits for a closed pool's workers; false at the timeout."""

@disjoint_base
class PoolView:
    """The native half of `libcoop.PoolView`: a pool's workers, with a way to submit of its own."""
    def __new__(cls, pool: Pool, priority: int, cpus: Sequence[int] | None, timeout: float | None, /) -> Self: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> libcoop.Future[_T]:
        """As `Pool.submit`, at this view's priority and on its CPUs; in a full pool it waits as long as it says.

        Raises Timeout if no room came in time, WouldDeadlock to one of the pool's own calls that would wait.
        """

@disjoint_base
class ProcessPool:
    """The processes under `libcoop.ProcessPool`, which is what to use: an executor made of them."""
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _open(
        self,
        *,
        workers: int | None,
        tasks: int | None,
        pin: bool,
        capacity: int | None,
        name: str,
        zygote: NativeZygote,
        command: NativeCommand,
        inherit: bool,
        payload: bytes,
        log: int,
        has_main: bool,
    ) -> None:
        """Makes it, once; no process runs yet. `inherit`: what workers write goes where this process writes."""
    def _refuse_calls(self) -> None:
        """Has `submit` ask `_refuse` first from now on."""
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> libcoop.Future[_T]:
        """Has a worker call `fn(*args, **kwargs)`, which are pickled now; the future has its outcome.

        What cannot be pickled is the future's exception. Raises TypeError for what cannot be called, Closed (a
        RuntimeError) after `shutdown` or when the interpreter exits, QueueFull in a full pool, BrokenProcessPool once
        no worker can begin, Forked in a child of the process that made the pool. From any thread; it does not wait.
        """
    def kill(self, future: libcoop.Future[Any], /) -> bool:
        """Ends a call of this pool: one that waits is cancelled, one that runs is ended with its worker, which is
        replaced. False if it is over, or about to be.

        The future of a call that was ended is cancelled, once its worker is gone. Raises ValueError for a future of
        something else.
        """
    def _stats(self) -> tuple[int, list[int], int, int, int, int, int]:
        """Workers at most, the processes there are, calls accepted, over, queued, running; processes that died."""
    def _events(
        self, name: str, paths: tuple[str, ...], kinds: Iterable[EventKind] | EventKind, queue: int, replay: int
    ) -> Observer:
        """What becomes of the processes of the pool, which is called `name`: an Observer. Raises Invalid, TypeError,
        Closed, Forked, Os."""
    def _close(self, how: Literal["drain", "cancel", "terminate", "kill"], /) -> None:
        """Closes it: "drain" runs what is queued, "cancel" does not, "terminate" asks the workers to end, "kill" ends
        them. Does not wait."""
    def _join(self, timeout: float | None = None, /) -> bool:
        """Waits until a closed pool has ended; false at the timeout, and at once to who ends its futures."""

@disjoint_base
class ProcessPoolView:
    """The native half of `libcoop.ProcessPoolView`: a pool's workers, with a way to submit of its own."""
    def __new__(
        cls, pool: ProcessPool, priority: int, cpus: Sequence[int] | None, deadline: float | None, /
    ) -> Self: ...
    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> libcoop.Future[_T]:
        """As `ProcessPool.submit`, at this view's priority, on its CPUs, and with its deadline."""

@final
class CallServer:
    """What this process takes calls by."""
    def __new__(cls) -> Self:
        """Of the pool that this process was started for. Raises Invalid if it was started for none."""
    def stop(self) -> None:
        """Has `serve` return, now or when the call at hand is over. Any thread."""
    def fail(self, why: str) -> None:
        """Says that this worker cannot begin, and no other one could: all calls of the pool fail for this reason."""
    def serve(self) -> None:
        """Makes one call after the other, until there are to be no more."""

@disjoint_base
class Dag:
    """Nodes and edges under `libcoop.Dag`, which is what to use."""
    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _add_input(self, name: str, /) -> None:
        """Adds an input."""
    def _add(
        self,
        name: str,
        function: Callable[..., Any],
        waits: bool,
        reads: Sequence[str],
        keywords: Sequence[str],
        after: Sequence[str],
        priority: int,
        cpus: Sequence[int] | None,
        retry: int,
        backoff: float,
        deadline: float | None,
        even_if_skipped: bool,
        keep: bool,
        /,
    ) -> None:
        """Adds a node: a function of the pool, or with `waits` one of the loop. The last of what it reads are its
        arguments by these keywords.
        """
    def _insert(self, prefix: str, other: Dag, inputs: Sequence[tuple[str, str]], /) -> None:
        """Adds all nodes of another graph."""
    def _after(self, later: str, earlier: str, /) -> None:
        """`later` begins when `earlier` has ended."""
    def _build(self) -> None:
        """Builds it, unless it is built."""
    def _start(
        self,
        handle: RunHandle,
        end: Callable[[dict[str, Any], dict[str, BaseException], BaseException | None], object],
        pool: Pool,
        event_loop: EventLoop | None,
        inputs: Sequence[tuple[str, Any]],
        context: Context,
        starter: Callable[..., None] | None,
        owners: tuple[object, ...],
        deadline: float | None,
        fail_fast: bool,
        trace: bool,
        /,
    ) -> None:
        """Starts a run; see run.rs."""
    @property
    def built(self) -> bool:
        """Whether it is built."""
    def dot(self) -> str:
        """As a graph for Graphviz (`dot -Tsvg`): coroutines are round, edges that carry no result dashed. Builds it if
        it was not.
        """
    def _stats(
        self,
    ) -> list[tuple[str, int, int, tuple[float, float, float], tuple[float, float, float]]]:
        """What each node took in all traced runs that have ended."""
    def __len__(self) -> int: ...

@final
class RunHandle:
    """The native half of a `libcoop.DagRun`."""
    def __new__(cls) -> Self: ...
    def cancel(self) -> None:
        """Ends the run; again is fine."""
    def check_wait(self) -> None:
        """Raises WouldDeadlock if this thread cannot wait for the run: it runs one of its nodes, is the only worker of
        its pool, or that of the loop that it needs.
        """
    def state(self, name: str, /) -> int:
        """What became of a node: the number of a libcoop.NodeState. Raises Invalid for a name that no node has, and
        before the run's end.
        """
    def chrome(self) -> str:
        """The times of a traced run as JSON."""
    def dot(self) -> str:
        """The times of a traced run as a graph."""

@final
class NodeEnd:
    """The end of a node that waits, for who drives its coroutine. Let go of before, the node ends with Closed."""
    def returned(self, result: object, /) -> None:
        """The coroutine returned this."""
    def raised(self, exception: BaseException, /) -> None:
        """It raised this."""
    def ends_by(self, callback: Callable[[], object], /) -> None:
        """Has `callback()` called, once, if the coroutine is to end before that; now, if it is already."""

@disjoint_base
class Runtime:
    """An event loop and a pool as one: `libcoop.Runtime` is a subclass that adds the executor."""
    def __new__(cls, workers: int | None = None, *, pin: bool = False) -> Self: ...
    @property
    def event_loop(self) -> EventLoop:
        """Its loop: timers and watches run their callbacks in the pool, posts run on the loop's thread."""
    def start(self, *, wait: bool = False) -> None:
        """Runs the loop: on a thread of its own, or, with `wait`, in this thread until the runtime is stopped.

        With `wait` Ctrl-C ends it with KeyboardInterrupt. Raises Exists if it runs already, Closed once it was
        stopped, Forked.
        """
    def stop(self, timeout: float | None = None) -> None:
        """Stops the loop, which finishes what it had accepted, and then the pool, which runs what is queued; any
        number of times.

        Any thread; from one of the runtime's own callbacks it returns at once, and both end when that has returned.
        `timeout` is in seconds, None for ever. Raises Timeout: what is still queued is dropped, and it may be called
        again. Raises Forked.
        """
    def close(self) -> None:
        """Ends both without running what is queued, and waits for the callbacks that run; any number of times.

        Any thread. From one of the runtime's own callbacks it returns at once.
        """
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...
    def _stop_at_exit(self, patience: float) -> None: ...

@final
class ServiceEvent:
    """A change of one service or supervisor, as observers are told. What does not belong to its `kind` is None.

    `str(event)` is one line, `report()` has below it what explains a crash.
    """

    @property
    def number(self) -> int:
        """From 1, without a gap in one host."""

    @property
    def time(self) -> datetime:
        """When, by the system's clock: a datetime in UTC."""

    @property
    def id(self) -> int:
        """Of which service or supervisor, in its host."""

    @property
    def path(self) -> str:
        """Its names from the root down, joined by "/"."""

    @property
    def name(self) -> str:
        """Its name among its siblings."""

    @property
    def run(self) -> int:
        """Which run of it, from 1; 0 before the first."""

    @property
    def kind(self) -> EventKind:
        """What changed, an EventKind."""

    @property
    def pid(self) -> int | None:
        """SPAWNED: the process."""

    @property
    def text(self) -> str | None:
        """STATUS: what the service says of itself."""

    @property
    def reason(self) -> str | None:
        """START_FAILED: why, in words. ENDED: how, in words."""

    @property
    def how(self) -> Ended | None:
        """ENDED: how, an Ended."""

    @property
    def normal(self) -> bool | None:
        """ENDED: whether that was a normal end."""

    @property
    def because(self) -> Because | None:
        """ENDED: what the library had to do with it, a Because; None for an end of the service's own."""

    @property
    def uptime(self) -> float | None:
        """ENDED: for how many seconds it ran."""

    @property
    def restarts(self) -> int | None:
        """ENDED: how often it had been restarted before."""

    @property
    def tail(self) -> tuple[str, ...] | None:
        """ENDED, START_FAILED: the last lines that the run wrote, a tuple."""

    @property
    def details(self) -> str | None:
        """ENDED, START_FAILED: what explains it at length, as a traceback, or the stacks of all threads."""

    @property
    def delay(self) -> float | None:
        """BACKOFF, PARKED: in how many seconds it is started again."""

    def report(self) -> str:
        """The event's line, and below it what explains a crash: the details, then the last lines that the run wrote."""

    def to_json(self) -> str:
        """All of it as JSON, one line: the same that observers in C and in other processes are told."""

    @classmethod
    def from_json(cls, text: str, /) -> Self:
        """What `to_json` has made. Raises Invalid."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, tuple[str]]: ...

@final
class Ended:
    """How a run ended. `str()` says it in words: "exited with 1", "ended by SIGKILL", "failed: ValueError: no luck"."""

    @property
    def kind(self) -> str:
        """One of "returned", "exited", "signaled", "failed" (by an error or an exception), "panicked" (in Rust),
        "shutdown" (a supervisor that gave up or shut itself down, a service that was cancelled), "lost" (how is not
        known)."""

    @property
    def code(self) -> int | None:
        """exited: the status."""

    @property
    def signal(self) -> signal.Signals | int | None:
        """signaled: a member of `signal.Signals`, or a plain number for one that has no name."""

    @property
    def core_dumped(self) -> bool:
        """signaled: whether the process left a core dump."""

    @property
    def text(self) -> str | None:
        """failed, panicked, lost: the error in words, "ValueError: no luck"."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...

@final
class Observer:
    """What happens in a host, one event after another: an iterator, for threads and for coroutines, that ends after the
    host's last event.

    One that is slow loses the oldest events, and gets a `Lost` with their number before the next one; it never slows
    the host. Each event is taken once, whoever waits. As a context manager it is closed at the end.
    """

    def next(self, timeout: float | None = None) -> ServiceEvent | Lost:
        """Waits for the next ServiceEvent, or Lost. Raises Timeout, Closed after the host's last event and when it is
        closed, Forked."""

    def close(self) -> None:
        """Ends it: who waits in it is told so, and what nobody has taken is forgotten. A callback that is running goes
        on to its end. Any number of times. Raises Forked."""

    def _take(self) -> ServiceEvent | Lost | None:
        """What is there to take, or None. Raises StopAsyncIteration when nothing more comes."""

    def _ready(self) -> LoopFuture[None]:
        """A future that ends when there is something to take."""

    def _finish(self, patience: float) -> bool:
        """Of a host that has ended: lets its callback have what there is still to tell, for at most so many seconds;
        then it is closed. False: it still runs."""

    def _stop_at_exit(self, patience: float) -> None: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> ServiceEvent | Lost: ...
    def __aiter__(self) -> Self: ...
    def __anext__(self) -> Coroutine[Any, Any, ServiceEvent | Lost]: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...

@final
class LogChannel:
    """The host's end of the way that log records of its workers go; `receive(bytes)` is called with one after another,
    on a thread of its own."""

    def __new__(cls, receive: Callable[[bytes], object], /) -> Self: ...
    def fileno(self) -> int:
        """The end that workers inherit; it stays the channel's."""

    def close(self, patience: float) -> bool:
        """Lets nothing in any more, and waits until what was in has been handed on; False if that takes longer than so
        many seconds. Any number of times; from a handler of such a record it returns at once."""

@final
class LogSender:
    """A worker's end: a copy of the descriptor that `LogChannel.fileno` named. Any process that has it may send."""

    def __new__(cls, fd: int, /) -> Self: ...
    def send(self, record: bytes, patience: float, /) -> bool:
        """Sends a record, and waits for room at most so many seconds. False: it was not sent."""

@final
class ServiceContext:
    """What a `Context` is made of. It may be used from any thread; when the run has ended it tells nothing any more."""

    @property
    def id(self) -> int:
        """The service's id in its host."""

    @property
    def name(self) -> str:
        """The service's name."""

    @property
    def path(self) -> str:
        """Its names from the root down, joined by "/"."""

    @property
    def run(self) -> int:
        """Which run this is, from 1."""

    @property
    def watchdog(self) -> float | None:
        """How often it must beat, in seconds; None if it need not."""

    @property
    def args(self) -> tuple[Any, ...] | list[str] | None:
        """What `start_child` gave it beside its template's arguments: a tuple, a list of str, or None."""

    def ready(self) -> None:
        """It can do its work: needed of a service that was added with `ready="notify"`."""

    def beat(self) -> None:
        """It makes progress: at least once within each `watchdog`."""

    def extend(self, seconds: float) -> None:
        """It needs so many seconds more, from now, to get ready, to stop, or to beat again. Raises ValueError."""

    def status(self, text: str) -> None:
        """What it does, in words."""

    def ignore(self) -> None:
        """Its start asks not to be run: it is to return next, and is not restarted. Raises Invalid if it is ready at
        once."""

    def is_stopping(self) -> bool:
        """Whether it was asked to stop."""

    def wait_stopping(self, timeout: float | None = None) -> bool:
        """Waits until it is asked to stop; False after `timeout` seconds."""

    def on_stop(self, callback: Callable[[], object]) -> None:
        """Has `callback()` called when it is asked to stop, on a thread of the library's; soon, if it was already."""

    def events(self, paths: tuple[str, ...], kinds: Iterable[str], queue: int, replay: int) -> Observer:
        """An Observer of the host's events. Raises Invalid, TypeError, Forked, Os, in a process of its own also
        Timeout."""

    def _forget_callbacks(self) -> None:
        """The run is over: lets go of the callbacks that were not called."""

@final
class NativeExecutor:
    """How a service is run."""

@final
class NativeService:
    """What a supervisor is told of a service."""

    def __new__(
        cls,
        id: str,
        executor: NativeExecutor,
        restart: int,
        shutdown: float | None,
        significant: bool,
        ready_within: float | None,
        watchdog: float | None,
        liveness: float | None,
        backoff: tuple[float, int, float, float, float] | None,
        park: bool,
        park_at_start: bool,
        normal_exits: Sequence[int],
    ) -> Self:
        """Raises Invalid for what cannot be said of a service, and what its executor answers."""

@final
class NativeCommand:
    """What a process is made of, and what is done with what it writes."""

    def __new__(cls, argv: Sequence[str], options: dict[str, Any]) -> Self:
        """Of these words, and of what `options` has; descriptors are duplicated. Raises Invalid, Os."""

    def forked(self, zygote: NativeZygote, payload: bytes, is_async: bool) -> NativeExecutor:
        """What `payload` says is run, in a worker of a zygote; `is_async` is one that beats for its liveness."""

    def process(self) -> NativeExecutor:
        """Its own words are run."""

@final
class NativeZygote:
    """A program that makes workers by forking itself; it ends with the last service that names it."""

    def __new__(cls, argv: Sequence[str]) -> Self:
        """Of these words. Nothing is run yet."""

    @property
    def pid(self) -> int | None:
        """Its process, if there is one."""

@final
class NativeSupervisor:
    """What a `Supervisor` is made of. With `waits` a verb is waited for; without, it answers a future."""

    @property
    def id(self) -> int:
        """Its id in its host."""

    def path(self) -> str:
        """Its names from the root down, joined by "/". Raises Stale, Closed, Forked."""

    def events(
        self,
        callback: Callable[[ServiceEvent | Lost], object] | None,
        paths: tuple[str, ...],
        kinds: Iterable[str],
        queue: int,
        replay: int,
    ) -> Observer:
        """An Observer of the host's events; with a callback, one that calls it. Raises Invalid, TypeError, Forked,
        Os."""

    def of(self, id: int) -> NativeSupervisor:
        """Another supervisor of this host, by its id. Raises Stale, Closed, Forked."""

    def add(self, service: NativeService, waits: bool) -> Any:
        """Adds a service; the answer is its id."""

    def start_child(self, service: NativeService, waits: bool) -> Any:
        """Starts a service that goes with this run of the supervisor; the answer is its id."""

    def start_child_with(self, args: tuple[Any, ...] | list[str] | bytes, waits: bool) -> Any:
        """Starts a child of the template; the answer is its id. `args` are a tuple of arguments, a list of words, or
        bytes: a payload."""

    def template(self, service: NativeService) -> None:
        """What children are made of, under SIMPLE_ONE_FOR_ONE."""

    def supervisor(
        self,
        id: str,
        strategy: int,
        intensity: int | None,
        period: float,
        auto_shutdown: int,
        restart: int,
        shutdown: float | None,
        significant: bool,
        waits: bool,
    ) -> Any:
        """Adds a supervisor; the answer is its id."""

    def terminate_child(self, child: str | int, waits: bool) -> Any:
        """Stops a child and keeps its specification."""

    def restart_child(self, child: str | int, waits: bool) -> Any:
        """Starts a child that does not run."""

    def delete_child(self, child: str | int, waits: bool) -> Any:
        """Removes the specification of a child that does not run."""

    def replace_child(self, child: str | int, waits: bool) -> Any:
        """Starts a new run of a child, and stops the old one when that is ready."""

    def which_children(self) -> list[tuple[int, str, str, str, int, int, int | None]]:
        """The children: (id, name, path, executor, state, run, pid) of each."""

    def count_children(self) -> tuple[int, int, int, int]:
        """How many there are: (specs, active, supervisors, workers)."""

    def get_childspec(self, child: str | int) -> dict[str, Any]:
        """What is known of a child, as a dict."""

    def find(self, name: str) -> int | None:
        """The id of the child of this name, if there is one."""

@final
class NativeHost:
    """What a `Host` is made of."""

    def __new__(
        cls,
        name: str,
        strategy: int,
        intensity: int | None,
        period: float,
        auto_shutdown: int,
        history: int,
        reap: bool,
    ) -> Self:
        """A host that is not started yet. `intensity` is None for any number of restarts."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def closed(self) -> bool:
        """Whether it was closed."""

    def root(self) -> NativeSupervisor:
        """Its root."""

    def start(self, waits: bool) -> Any:
        """Starts the tree. With `waits` until all are ready; else answers a future of that."""

    def stop(self) -> None:
        """Asks it to stop, and returns at once. Nothing once it is closed."""

    def kill(self) -> None:
        """Ends everything that runs, and returns at once. Nothing once it is closed."""

    def check_outside(self) -> None:
        """Raises WouldDeadlock where nobody may wait for its end, Closed, Forked."""

    def wait_ended(self, timeout: float | None = None) -> tuple[int, int | None, str] | None:
        """Waits until it has ended, started or not, and answers how: (a number, a signal or None, a text). None after
        `timeout` seconds."""

    def ended(self) -> LoopFuture[tuple[int, int | None, str]]:
        """A future of its end, as `wait_ended` answers it."""

    def finished(self) -> tuple[int, int | None, str] | None:
        """How it has ended, as `wait_ended` answers it; None if it has not."""

    def is_started(self) -> bool:
        """Whether it was started, also if it has ended since."""

    def take_signals(self) -> TakenSignals | None:
        """Has SIGINT and SIGTERM stop it until what is answered is let go of; in the main thread. None in another."""

    def close(self) -> None:
        """Stops it if it runs, waits until it has ended, and lets go of it; any number of times."""

@final
class TakenSignals:
    """SIGINT and SIGTERM, as long as they are a host's."""

    def give_back(self) -> None:
        """They do again what they did before; again is fine."""

@final
class Turn:
    """Whose turn it is to run the loop that the services of a host share: one thread's at a time.

    A signal handler that raises while a thread waits finds nothing half done.
    """

    def __new__(cls) -> Self: ...
    def ask(self, timeout: float | None = None) -> AskedTurn:
        """Asks for it, for a `with` statement, which waits at most `timeout` seconds and is told whether it has it."""

@final
class AskedTurn:
    """What `Turn.ask` answers: entered once."""

    def forgo(self, *_done: object) -> None:
        """The turn is not wanted any more: who waits for it goes on without."""

    def __enter__(self) -> bool: ...
    def __exit__(self, *_error: object) -> None: ...

@final
class ServiceEnd:
    """How a task tells its end; once it was let go of untold, the run is lost."""

    def returned(self) -> None:
        """It has returned."""

    def shutdown(self) -> None:
        """It was cancelled since it was asked to stop."""

    def failed(self, text: str) -> None:
        """It has raised."""

    def lost(self, text: str) -> None:
        """Its loop has ended."""

    def kill_by(self, callback: Callable[[], object]) -> None:
        """Has `callback()` called, on a thread of the library's, if it does not stop in time."""

@final
class Batch:
    """Datagrams in the order they came, read where they lie: iterating gives `(data, address)`, the bytes as a
    read-only memoryview and the sender as `(host, port)`.

    A memoryview of it keeps the bytes as they are for as long as it lives, also after the callback has returned;
    until then their buffer is not used again. A sequence: `len(batch)`, `batch[i]`, `batch[-1]`.
    """
    def __len__(self) -> int: ...
    def __getitem__(self, key: int, /) -> tuple[memoryview, Address]: ...
    def __iter__(self) -> Iterator[tuple[memoryview, Address]]: ...
    if sys.version_info >= (3, 12):
        def __buffer__(self, flags: int, /) -> memoryview: ...

    index: int
    """The datagram at hand, which iterating sets and you may: the one that an exception in `on_batch` skips."""
    @property
    def data(self) -> memoryview:
        """All bytes that `offsets` point into, as a read-only memoryview."""
    @property
    def offsets(self) -> memoryview:
        """Where each datagram begins in `data`, and after the last where it ends: a memoryview of `len(batch) + 1`
        unsigned 32-bit integers.
        """
    def address(self, index: int) -> Address:
        """The sender of a datagram. Raises IndexError."""
    def senders(self) -> list[tuple[int, int, Address]]:
        """The senders in turn, as (begin, end, address): datagrams begin to end - 1 came from that address in a row."""
    def truncated(self, index: int) -> bool:
        """Whether a datagram was longer than the library reads, and cut. Raises IndexError."""

@final
class PortContext:
    """A handler's way to its port. It may be kept and used from any thread; when the port has ended, its calls raise
    Closed.
    """
    @property
    def name(self) -> str:
        """The port's name."""
    @property
    def address(self) -> Any:
        """The address that the port's socket is bound to: `(host, port)`, or a Unix socket's path."""
    @property
    def mode(self) -> Mode:
        """The set's mode."""
    @property
    def run(self) -> int:
        """Which worker of its port this is, from 1: in PROCESS mode one more after each restart."""
    def save(self, obj: object, /) -> None:
        """Keeps an object, pickled, in the place of what was kept before. In PROCESS mode the port's next worker has it
        as `saved`, whatever this one ends by; a save that is cut short leaves the one before.

        Raises ValueError for more than the set's `saved_bytes`, what pickling raises, Os, Forked.
        """
    @property
    def saved(self) -> Any:
        """What was saved last, made anew at each look; None if nothing was. Raises what unpickling raises, ValueError
        if it was damaged, Forked.
        """
    @property
    def backlog(self) -> int:
        """How many datagrams are queued that the kernel has not taken yet: a measure for going slower."""
    def sendto(self, data: Buffer, address: Address | None = None, *, segment_size: int = 0) -> int:
        """Queues a datagram to `address`, `(host, port)` with a numeric host, or to the connected peer; answers how
        many it queued.

        What a callback sends leaves in batches, at the latest when it returns. With `segment_size` above 0, `data`
        holds datagrams of that size back to back, the last perhaps shorter, and is sent with GSO where the kernel has
        it.

        Raises QueueFull if the kernel does not keep up and `buffer_bytes` wait, ValueError for one that is too long
        or has no destination, TypeError, Closed.
        """
    def write(self, connection: int, data: Buffer, /) -> None:
        """Sends bytes to a connection. What a callback writes leaves at the latest when it returns.

        Raises QueueFull if the peer does not keep up and an eighth of `buffer_bytes` waits for it, or all of them for
        all connections; ValueError for more bytes than that eighth; Closed if it is being closed, or its writing was
        ended; Stale, TypeError, Forked.
        """
    def close(self, connection: int, /) -> None:
        """Closes a connection, when what was written to it is sent: `on_close` comes then. Nothing more is read. Raises
        Stale, Forked.
        """
    def abort(self, connection: int, /) -> None:
        """Closes a connection at once, with a reset; what waits to be sent is dropped. `on_close` comes later. Raises
        Stale, Forked.
        """
    def shutdown_write(self, connection: int, /) -> None:
        """Ends the writing to a connection: its peer reads to the end of what was written. What it sends is still
        heard. When both sides have ended, the connection is closed. Raises Stale, Forked.
        """
    def pause(self, connection: int, /) -> None:
        """Reads nothing more from a connection, so that its peer has to wait, until `resume`. A peer that goes
        meanwhile is noticed only by a write. Raises Stale, Forked.
        """
    def resume(self, connection: int, /) -> None:
        """Reads again after `pause`. Raises Stale, Forked."""
    def peer(self, connection: int, /) -> Any:
        """Where a connection's other end is: `(host, port)`, or as `socket.getpeername` has it for a Unix socket.
        Raises Stale, Forked.
        """
    def backlog_of(self, connection: int, /) -> int:
        """Bytes written to a connection that the system has not taken yet. Raises Stale, Forked."""
    @property
    def connections(self) -> int:
        """How many connections are open."""
    def send(self, port: str, obj: object, /) -> None:
        """Sends an object to another port of the set, as it is: `on_message` there, in the order of sending. A native
        handler is given a copy of a bytes-like object. In PROCESS mode bytes and memoryviews arrive as bytes, and other
        objects are pickled.

        Raises ValueError for a name that is no port of the set, TypeError for what a native handler does not
        understand, Closed; in PROCESS mode also QueueFull while that port does not keep up or is not there, ValueError
        for more than the set's `message_bytes`, and what pickling raises.
        """
    def set_timer(self, delay: float, *, repeat: bool = False) -> int:
        """Calls `on_timer` in `delay` seconds, once, or again every `delay` seconds; answers the timer's id. 0 is the
        loop's next turn.

        Raises ValueError for a delay below 0 or a repeated one of 0, Closed.
        """
    def cancel_timer(self, timer: int, /) -> None:
        """Ends a timer. Raises Stale if it has ended already."""
    def stop(self) -> None:
        """Asks the whole set to stop, and returns at once."""

@disjoint_base
class PortSet:
    """Named sockets, of datagrams or of connections, each with a handler of its own.

    `mode` is a libcoop.Mode: SINGLE serves all of them on `loop`, which it needs; THREAD (default) gives each a thread
    for its handler and one that only receives; PROCESS gives each a process with an interpreter of its own and the same
    two threads, which is started again when it ends. `buffer_bytes` is what each port holds at the most of what came,
    and of what is to be sent; what comes above is dropped and counted. `saved_bytes` is the most that a handler may
    `save`. `message_bytes` (a power of two) is how much may wait of what one port sends to another, and of what comes
    from outside: QueueFull is raised for more. A message takes 8 bytes and its own; outside of PROCESS mode an object
    counts as a reference.

    In PROCESS mode classes and arguments are pickled, and a handler of the main script has that run again in its
    process. `preload` names modules to import beforehand, once for all workers; `worker_init` a function
    ("module:name") that is called first in each. A worker must have started within `ready_within` seconds, and is
    replaced when it did not run for `liveness` seconds. What workers write goes to `output`, as a service's. The set is
    called `name` in events; it has a host of its own, or is a temporary child of `supervisor`. Of more than
    `connections` connections to a port the others wait until one has gone.

    Raises ValueError and TypeError for what is wrong with the ports, Exists for a name used twice.

    As a context manager it starts, and at the end stops. Letting go of it stops it too.
    """
    def __new__(
        cls,
        ports: Iterable[Port],
        *,
        mode: Mode = ...,
        loop: EventLoop | None = None,
        buffer_bytes: int = 67108864,
        saved_bytes: int = 1048576,
        name: str = "ports",
        supervisor: Supervisor | None = None,
        preload: Iterable[str] = (),
        worker_init: str | None = None,
        output: str | Callable[[Line], object] = "prefix",
        ready_within: float = 60.0,
        liveness: float | None = 2.0,
        message_bytes: int = 1048576,
        connections: int = 10000,
    ) -> Self: ...
    def start(self) -> None:
        """Binds every socket, has each handler built and started inside its worker, and waits for that.

        Raises what a handler raised in its making or its `on_start` (Failed with that, of a handler in a process of
        its own), or Os naming the port and the address; then nothing is left bound or running. Raises Exists if it was
        started before, Forked; KeyboardInterrupt in the main thread.
        """
    @property
    def addresses(self) -> dict[str, Any]:
        """The bound address of each port: `(host, port)`, or a Unix socket's path. Raises ValueError before the start,
        Closed if that failed, Forked.
        """
    def send(self, port: str, obj: object, /) -> None:
        """Sends an object to a port from outside the set: `on_message` there with an empty sender. A native handler is
        given a copy of a bytes-like object. Any thread.

        Raises ValueError for an unknown name or before the start, TypeError for what a native handler does not
        understand, Closed, Forked.
        """
    def events(
        self, *paths: str, kinds: Iterable[EventKind] | EventKind = (), queue: int = 1024, replay: int = 0
    ) -> Observer:
        """What becomes of the processes of a set in PROCESS mode: an Observer of each start, end (with its traceback)
        and restart, of all ports or of those at `paths` (the set's name, "/", the port's), and of up to `replay` of
        those before. Any thread.

        Raises Unsupported in other modes, ValueError before the start, Closed, Forked.
        """
    def reload(self, name: str | None = None, *, deadline: float | None = 60.0) -> None:
        """Has a new worker take over the port `name` of a set in PROCESS mode, or each port, without a moment in which
        nobody serves, and returns when it does.

        The new one is started beside the old one, with all modules imported anew. The old one is told by
        `on_hand_over`; it accepts nothing from then on, has `deadline` seconds for the connections that are open (None
        for ever), and then ends as at a stop. If the new one does not start, the old one goes on as before. Any thread;
        reloads of one port come one after the other.

        Raises Failed in the words of the handler that cannot start, Unsupported in other modes, ValueError for an
        unknown name, before the start and while the worker is being restarted; Closed, Forked; KeyboardInterrupt in the
        main thread, and then it goes on.
        """
    def stats(self) -> dict[str, PortStats]:
        """What each port has counted since its start; also after the end. Any thread. Raises as `addresses`."""
    def stop(self, timeout: float | None = 1.0) -> None:
        """Ends every port (`on_stop`, then its socket closes) and waits for them; any number of times, from any
        thread.

        `timeout` is in seconds, None for ever. Raises Timeout naming the ports whose handlers ignore it: they end
        when their callback returns. Raises WouldDeadlock from inside a handler, where `ctx.stop()` is meant; Forked;
        KeyboardInterrupt in the main thread.
        """
    def join(self, timeout: float | None = None) -> None:
        """Waits until the set has ended, by `stop` or because a handler asked for it. As `stop` otherwise."""
    def __enter__(self) -> Self: ...
    def __exit__(self, *_exc: object) -> None: ...
    def _stop_at_exit(self, patience: float) -> None: ...

@final
class PortStats:
    """What a port has counted since its start.

    `received` datagrams and their `received_bytes` were taken from the socket and kept; `dropped` ones were not,
    because the buffer was full, and `kernel_dropped` ones before that, by the system; `truncated` ones were longer than
    the library reads. `sent` and `sent_bytes` were taken by the system, `send_dropped` were not, or were still queued
    at the end. `peer_errors` is what the system told of earlier datagrams (a peer that is gone), `messages` those
    delivered, `errors` the exceptions of the handler, `restarts` how often its process was started again. Of
    connections, `accepted` is how many have come, `open` how many are there now (of a port that was reloaded: at its
    newest worker), and `refused` how many were closed at once because `on_connect` raised; `received_bytes` and
    `sent_bytes` are theirs then.
    """
    @property
    def received(self) -> int: ...
    @property
    def received_bytes(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def kernel_dropped(self) -> int: ...
    @property
    def truncated(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def sent_bytes(self) -> int: ...
    @property
    def send_dropped(self) -> int: ...
    @property
    def peer_errors(self) -> int: ...
    @property
    def messages(self) -> int: ...
    @property
    def errors(self) -> int: ...
    @property
    def accepted(self) -> int: ...
    @property
    def open(self) -> int: ...
    @property
    def refused(self) -> int: ...
    @property
    def restarts(self) -> int: ...

def _after_fork() -> None:
    """In a forked child: of the threads only this one is left."""

def _flush_log(patience: float) -> None:
    """Waits until what was said so far has reached `logging`, for at most so many seconds."""

def _refuse_calls() -> None:
    """A pool takes no more calls from now on, whichever it is. Called at exit."""

def _other_threads() -> list[str]:
    """The names of this process's threads, without the main thread."""

def _fork_sibling() -> int:
    """Forks, as `os.fork`, but the child's parent is this process's own. Answers 0 in the child. Raises OSError, and
    RuntimeError if this process has other threads.
    """

def _die_with_parent() -> None:
    """Has the system kill this process when the thread of its parent ends that made it."""

def _begin_run(signals: list[int]) -> ServiceContext | None:
    """Begins what the environment says of this process's run, which each of these signals asks to stop from now on;
    what its entry is given. None if this process was not started for one. Once in a process.
    """

def _run_begun() -> None:
    """Its entry is made, and about to run."""

@final
class ServedPort:
    """A port that this process serves."""
    def stop(self) -> None:
        """Ends the port, on the loop's thread. Any number of times."""
    def join(self, timeout: float) -> None:
        """Waits until it has ended. Raises Timeout after so many seconds."""

def _begin_port(
    event_loop: EventLoop,
    handler: Callable[..., object] | str,
    args: tuple[Any, ...],
    natives: list[str],
    run: int,
) -> ServedPort:
    """Takes the port that this process was started for, builds its handler and starts it, all on this thread:
    `event_loop` is run by it later. `run` is which worker of the port this is. Raises what the handler raises, which
    the set is told; Invalid if it was started for none.
    """

def _run_failed(text: str) -> None:
    """It is about to end with this error, and status 1."""

def _leave_threads(patience: float) -> bool:
    """Shuts the door and waits for those inside; false if some are still there after `patience` seconds: then
    finalizing would crash. Called at exit, after everything was joined.
    """

def _on_thread(run: Callable[[ServiceContext], str | None]) -> NativeExecutor:
    """Calls `run(context)` on a thread of its own; a text that it answers is why the run failed."""

def _is_watched(signum: int) -> bool:
    """Whether a loop watches a signal: a handler of Python's is not called then, and is not to be set."""

def _on_asyncio(begin: Callable[[ServiceContext, ServiceEnd], object]) -> NativeExecutor:
    """Calls `begin(context, end)` for each run."""

@disjoint_base
class NativeRedis:
    """What `libcoop.Redis` is made of; see there."""

    def __new__(cls, event_loop: EventLoop, url: str | None, decode: bool, options: dict[str, Any]) -> Self: ...
    def execute_command(self, *args: Any, timeout: float | None = None) -> Any:
        """Makes the call of these words: a name, which may be of two words, and what comes after it. With `timeout`
        seconds for it, else the client's.

        Words are bytes, str, int or float. What it answers is converted as for the method of that name.
        """

    def submit(self, *args: Any, timeout: float | None = None) -> LoopFuture[Any]:
        """Makes the call of these words wherever that is, and answers a `libcoop.Future`, which the loop settles."""

    def _many(self, commands: list[tuple[Any, ...]], is_transaction: bool, raises: bool) -> Any:
        """Makes several calls in one piece."""

    def _script(self, script: RedisSource, keys: tuple[Any, ...], args: tuple[Any, ...]) -> Any:
        """Runs a script."""

    def _own(self) -> NativeRedis:
        """A connection of one's own."""

    def _give_back(self) -> None:
        """Gives a connection of one's own back."""

    def _subscriber(self, most: int) -> NativeSubscriber:
        """What messages come by, of which up to `most` wait."""

    def _close(self) -> None:
        """Ends it: calls that wait end with Closed."""

    def _stats(self) -> dict[str, int]:
        """Its figures, by name."""

    @property
    def closed(self) -> bool:
        """Whether it was closed, or its loop has ended."""

    @property
    def server(self) -> str:
        """Where its server is: host and port, or a path."""

@final
class NativeSubscriber:
    """Messages of channels."""

    def words(self, names: tuple[Any, ...]) -> list[bytes]:
        """Names as the server is told them."""

    def say(self, kind: str, subscribes: bool, names: tuple[Any, ...]) -> Any:
        """Begins or ends subscriptions; it ends with None when the server has confirmed the last of them."""

    def next(self, limit: float | None) -> Any:
        """The next message, or None after `limit` seconds: waited for where nothing runs in this thread, a
        `libcoop.Future` otherwise."""

    def put_back(self, kind: str, parts: tuple[Any, ...]) -> None:
        """Gives a message back that nobody has had, as `next` has answered it."""

    @property
    def lost(self) -> int:
        """How many messages were lost because nobody took them."""

    def close(self) -> None:
        """Ends it: who waits for a message is told Closed."""

@final
class RedisCall:
    """A call, to be cancelled."""

    def cancel(self) -> None:
        """Cancels it, if it has not ended."""

@final
class RedisInbox:
    """What a loop of asyncio watches, and calls."""

    def __new__(cls) -> Self: ...
    def fileno(self) -> int:
        """What is readable when replies have come."""

    def take(self) -> None:
        """Ends the futures of the replies that have come."""

@final
class RedisSource:
    """A script's source and its digest."""

    def __new__(cls, source: bytes | str) -> Self: ...
    @property
    def sha(self) -> str:
        """Its SHA-1 digest in hex."""
