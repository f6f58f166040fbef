"""libcoop: one event loop, one pool and port loops, on a Rust core.

- `EventLoop`: posts, timers and file descriptors on one thread.
- `Pool`: a `concurrent.futures` executor with priorities and CPU sets.
- `ProcessPool`: the same of processes, any of which may die.
- `Future`: what an operation will give, for threads to wait for and coroutines to await.
- `Runtime`: a loop and a pool as one.
- `Dag`: a graph of functions that run in a pool and coroutines that wait on a loop.
- `PortSet` of `Port`s: named UDP sockets, each with a `Handler`, on a loop or on threads of their own.
- `Redis`: a client of a redis server, awaited or waited for.
- `Host`: a tree of `Supervisor`s and services, restarted by the rules of OTP.

Whatever waits, waits without the interpreter; Ctrl-C ends every wait in the main thread.
"""

import importlib as _importlib
from typing import TYPE_CHECKING as _TYPE_CHECKING

from libcoop._children import ChildCounts, ChildInfo, ChildSpec, Finish, Flags
from libcoop._context import Context, Stopping
from libcoop._enums import (
    AutoShutdown,
    ChildState,
    Executor,
    Growth,
    Mode,
    Priority,
    Restart,
    RunMode,
    Strategy,
)
from libcoop._errors import (
    Affinity,
    Closed,
    Error,
    Exists,
    Failed,
    Forked,
    Invalid,
    Null,
    Os,
    Panic,
    QueueFull,
    Resolve,
    Stale,
    Timeout,
    Unsupported,
    WouldBlock,
    WouldDeadlock,
)
from libcoop._events import Because, EventKind, Lost
from libcoop._host import Host
from libcoop._libcoop import (
    ERROR,
    HANG_UP,
    READ,
    WRITE,
    Async,
    Batch,
    Ended,
    Event,
    EventLoop,
    Listener,
    Observer,
    PortContext,
    PortSet,
    PortStats,
    ServiceEvent,
    Signal,
    Stream,
    Timer,
    UdpSocket,
    Watch,
    __version__,
)
from libcoop._options import Backoff, Line
from libcoop._service import Service
from libcoop._supervisor import Supervisor

if _TYPE_CHECKING:
    from libcoop._aio import AsyncHost, AsyncSupervisor
    from libcoop._cancelled import Cancelled
    from libcoop._child import ExitStatus
    from libcoop._dag import Dag, DagRun
    from libcoop._dag_outcome import SKIP, DagOutcome, NodeState, NodeStats
    from libcoop._future import Future
    from libcoop._pool import Pool, PoolView
    from libcoop._ports import Handler, Port
    from libcoop._process_pool import ProcessPool, ProcessPoolView
    from libcoop._process_pool_errors import WorkerDied
    from libcoop._process_pool_stats import ProcessPoolStats
    from libcoop._redis import Redis, RedisConnection, RedisStats
    from libcoop._redis_errors import (
        LockError,
        LockNotOwnedError,
        RedisAborted,
        RedisAuth,
        RedisBusy,
        RedisError,
        RedisMoved,
        RedisNoScript,
        RedisOutOfMemory,
        RedisReadOnly,
        RedisWatchChanged,
        RedisWrongType,
    )
    from libcoop._redis_lock import RedisLock
    from libcoop._runtime import Runtime
    from libcoop._stats import LoopStats, PoolStats, WaitStats, WorkerStats
    from libcoop._streams import IncompleteRead
    from libcoop._udp import Datagram
    from libcoop._zygote import get_executable, set_executable

__all__ = [
    "ERROR",
    "HANG_UP",
    "READ",
    "SKIP",
    "WRITE",
    "Affinity",
    "Async",
    "AsyncHost",
    "AsyncSupervisor",
    "AutoShutdown",
    "Backoff",
    "Batch",
    "Because",
    "Cancelled",
    "ChildCounts",
    "ChildInfo",
    "ChildSpec",
    "ChildState",
    "Closed",
    "Context",
    "Dag",
    "DagOutcome",
    "DagRun",
    "Datagram",
    "Ended",
    "Error",
    "Event",
    "EventKind",
    "EventLoop",
    "Executor",
    "Exists",
    "ExitStatus",
    "Failed",
    "Finish",
    "Flags",
    "Forked",
    "Future",
    "Growth",
    "Handler",
    "Host",
    "IncompleteRead",
    "Invalid",
    "Line",
    "Listener",
    "LockError",
    "LockNotOwnedError",
    "LoopStats",
    "Lost",
    "Mode",
    "NodeState",
    "NodeStats",
    "Null",
    "Observer",
    "Os",
    "Panic",
    "Pool",
    "PoolStats",
    "PoolView",
    "Port",
    "PortContext",
    "PortSet",
    "PortStats",
    "Priority",
    "ProcessPool",
    "ProcessPoolStats",
    "ProcessPoolView",
    "QueueFull",
    "Redis",
    "RedisAborted",
    "RedisAuth",
    "RedisBusy",
    "RedisConnection",
    "RedisError",
    "RedisLock",
    "RedisMoved",
    "RedisNoScript",
    "RedisOutOfMemory",
    "RedisReadOnly",
    "RedisStats",
    "RedisWatchChanged",
    "RedisWrongType",
    "Resolve",
    "Restart",
    "RunMode",
    "Runtime",
    "Service",
    "ServiceEvent",
    "Signal",
    "Stale",
    "Stopping",
    "Strategy",
    "Stream",
    "Supervisor",
    "Timeout",
    "Timer",
    "UdpSocket",
    "Unsupported",
    "WaitStats",
    "Watch",
    "WorkerDied",
    "WorkerStats",
    "WouldBlock",
    "WouldDeadlock",
    "__version__",
    "get_executable",
    "set_executable",
]


# What is imported when it is first asked for: it needs more than a host (dataclasses, concurrent.futures, asyncio).
_LATER = {
    "_aio": ("AsyncHost", "AsyncSupervisor"),
    "_cancelled": ("Cancelled",),
    "_child": ("ExitStatus",),
    "_dag": ("Dag", "DagRun"),
    "_dag_outcome": ("SKIP", "DagOutcome", "NodeState", "NodeStats"),
    "_future": ("Future",),
    "_pool": ("Pool", "PoolView"),
    "_ports": ("Handler", "Port"),
    "_process_pool": ("ProcessPool", "ProcessPoolView"),
    "_process_pool_errors": ("WorkerDied",),
    "_process_pool_stats": ("ProcessPoolStats",),
    "_redis": ("Redis", "RedisConnection", "RedisStats"),
    "_redis_errors": (
        "LockError",
        "LockNotOwnedError",
        "RedisAborted",
        "RedisAuth",
        "RedisBusy",
        "RedisError",
        "RedisMoved",
        "RedisNoScript",
        "RedisOutOfMemory",
        "RedisReadOnly",
        "RedisWatchChanged",
        "RedisWrongType",
    ),
    "_redis_lock": ("RedisLock",),
    "_runtime": ("Runtime",),
    "_stats": ("LoopStats", "PoolStats", "WaitStats", "WorkerStats"),
    "_streams": ("IncompleteRead",),
    "_udp": ("Datagram",),
    "_zygote": ("get_executable", "set_executable"),
}


def __getattr__(name: str) -> object:
    for module, names in _LATER.items():
        if name in names:
            value: object = getattr(_importlib.import_module(f"libcoop.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
