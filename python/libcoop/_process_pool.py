"""`libcoop.ProcessPool`: a `concurrent.futures` executor whose workers are processes, each of which may die."""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from concurrent.futures import Executor
from functools import partial
from typing import Any, Literal, ParamSpec, TypeVar

from libcoop import _entry, _exit, _libcoop, _logs, _main, _options, _zygote
from libcoop._enums import Priority
from libcoop._errors import Closed, Invalid
from libcoop._events import EventKind
from libcoop._future import Future
from libcoop._pool import _SAME, _count, _cpus, _Same
from libcoop._process_pool_stats import ProcessPoolStats

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 1024
"""Workers of a pool."""

_LOGS_PATIENCE = 5.0
"""Seconds that handlers have for the last records of workers that have ended."""

_WORKER = "libcoop._process_pool_worker"
"""What all workers need: imported once, before they are forked."""
_INIT = f"{_WORKER}:initializer"
_RUN = f"{_WORKER}:run"
_KEYED = "multiprocessing.process"
"""What knows the key of multiprocessing, where a program uses that."""


class _Calls(Executor):
    """What a pool and its views have in common: both have `submit`."""

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """As `map`, in the workers: the results in order, each within `timeout` seconds of this call.

        `chunksize` arguments at a time go to a worker as one call. All are submitted at once, or with `buffersize` no
        more than so many calls ahead of the results that were taken. Raises what a call raised, in its place, and
        TimeoutError; what has not begun then is cancelled.
        """
        size = _count("chunksize", chunksize)
        if size < 1:
            raise Invalid(f"chunksize must be at least 1, not {size}")
        ahead = None if buffersize is None else _count("buffersize", buffersize, "an int or None")
        if ahead is not None and ahead < 1:
            raise Invalid(f"buffersize must be None or at least 1, not {ahead}")
        if timeout is not None and (not hasattr(timeout, "__float__") or math.isnan(timeout)):
            raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
        submit: Callable[..., futures.Future[Any]] = self.submit
        calls = zip(*iterables, strict=False)
        if size == 1:
            return _mapped(partial(submit, fn), calls, timeout, ahead)
        chunks = ((chunk,) for chunk in _chunks(calls, size))
        return _one_by_one(_mapped(partial(submit, _chunk, fn), chunks, timeout, ahead))

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a worker call `fn(*args, **kwargs)`, and await its result in an asyncio loop.

        Cancelling the task cancels a call that has not begun.
        """
        call: Future[T] = self.submit(fn, *args, **kwargs)  # type: ignore[assignment]
        return await call


class ProcessPoolView(_libcoop.ProcessPoolView, _Calls):
    """A pool's workers at another priority, on other CPUs, or with a deadline: what `ProcessPool.at` gives.

    It is an executor, too; `shutdown`, and the end of a `with` block, are those of the pool.
    """

    def __new__(
        cls, pool: ProcessPool, priority: Priority, cpus: tuple[int, ...] | None, deadline: float | None
    ) -> ProcessPoolView:
        return super().__new__(cls, pool, priority, cpus, deadline)

    def __init__(
        self, pool: ProcessPool, priority: Priority, cpus: tuple[int, ...] | None, deadline: float | None
    ) -> None:
        self._pool = pool
        self._priority = priority
        self._cpus = cpus
        self._deadline = deadline

    def at(
        self,
        *,
        priority: int | _Same = _SAME,
        cpus: Iterable[int] | _Same | None = _SAME,
        deadline: float | _Same | None = _SAME,
    ) -> ProcessPoolView:
        """As `ProcessPool.at`; what is not given is as in this view."""
        return self._pool.at(
            priority=self._priority if isinstance(priority, _Same) else priority,
            cpus=self._cpus if isinstance(cpus, _Same) else cpus,
            deadline=self._deadline if isinstance(deadline, _Same) else deadline,
        )

    def kill(self, future: Future[Any]) -> bool:
        """As `ProcessPool.kill`."""
        return self._pool.kill(future)

    def stats(self) -> ProcessPoolStats:
        """Those of the pool."""
        return self._pool.stats()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut the pool down: see `ProcessPool.shutdown`."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def terminate_workers(self) -> None:
        """As `ProcessPool.terminate_workers`."""
        self._pool.terminate_workers()

    def kill_workers(self) -> None:
        """As `ProcessPool.kill_workers`."""
        self._pool.kill_workers()

    def __repr__(self) -> str:
        cpus = "any CPU" if self._cpus is None else f"CPUs {list(self._cpus)}"
        deadline = "" if self._deadline is None else f", deadline {self._deadline:g} s"
        return f"<{self._pool!r} at priority {self._priority.name}, {cpus}{deadline}>"


class ProcessPool(_libcoop.ProcessPool, _Calls):
    """An executor as `ProcessPoolExecutor` is one, whose calls go through shared memory, and whose workers may die.

    At most `max_workers` processes (default: as many as the CPUs that this process may use) are started as they are
    needed, by a zygote: none of them has this process's threads, locks or objects. Each calls `initializer(*initargs)`
    first, and ends after `max_tasks_per_child` calls, if that is given; another one takes its place. `preload` names
    modules that are imported once for all of them. With `pin`, each is bound to one CPU, and `at(cpus=...)` can name
    it. With `capacity` other than 0, no more than so many calls wait: `submit` raises QueueFull for one more.

    Functions, arguments and results are pickled; what is of the main script has that run again in the worker, when it
    is first needed, and what has no name goes by value where cloudpickle is installed. What has a buffer of its own
    (NumPy arrays) lies in shared memory, and is not copied by the side that reads it.

    A worker that ends in the middle of a call fails that call, with WorkerDied, and no other. What workers write goes
    where this process writes, or to `output`, as a service's; log records come to the loggers of this process.

    Every method may be called from any thread.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        preload: Sequence[str] = (),
        pin: bool = False,
        capacity: int = 0,
        output: Any = "inherit",
        limits: Any = None,
        env: Any = None,
        name: str = "process-pool",
    ) -> None:
        _main.refuse_unguarded("a process pool is made")
        workers = _number("max_workers", max_workers)
        tasks = _number("max_tasks_per_child", max_tasks_per_child)
        if workers is not None and workers > _MOST:
            raise Invalid(f"max_workers must be at most {_MOST}, not {workers}")
        limit = _count("capacity", capacity)
        if not 0 <= limit <= sys.maxsize:
            raise Invalid(f"capacity must be 0, which is no limit, to {sys.maxsize}, not {limit}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        if not isinstance(initargs, Iterable):
            raise TypeError(f"initargs must be a tuple of arguments, not {initargs!r}")
        if isinstance(preload, (str, bytes)) or not isinstance(preload, Iterable):
            raise Invalid(f"preload {preload!r}: allowed is a list of modules' names")
        preload = list(preload)
        for module in preload:
            if not _entry._is_name(module):
                raise Invalid(f"preload {module!r}: allowed is the name of a module")
        pin = _options.flag("pin", pin)
        name = _options.text("name", name)
        if not name or "/" in name or "\0" in name:
            raise Invalid(f"name {name!r}: allowed is a text without '/'")
        self._broken: str | None = None
        self._shutdown = False
        self._name = name
        self._logs = _logs.channel()
        authkey = _authkey()
        command = _options.command(["worker"], {**_options.PROCESS, "output": output, "limits": limits, "env": env})
        self._open(
            workers=workers,
            tasks=tasks,
            pin=pin,
            capacity=limit or None,
            name=name,
            zygote=_libcoop.NativeZygote(_zygote.command([_WORKER, *([_KEYED] if authkey else [])], optional=preload)),
            command=command,
            inherit=output == "inherit",
            payload=_payload(initializer, tuple(initargs), preload, authkey),
            log=self._logs.fileno(),
            has_main=_main.origin() is not None,
        )
        self._max_workers = self._stats()[0]
        # What workers make of classes of the main script is said to be of `__coop_main__`.
        sys.modules.setdefault(_main.NAME, sys.modules["__main__"])
        _exit.register(self, _exit.POOL)

    def at(
        self, *, priority: int = Priority.NORMAL, cpus: Iterable[int] | None = None, deadline: float | None = None
    ) -> ProcessPoolView:
        """A view of the same workers that submits at `priority`, only to workers on `cpus`, and with a `deadline`.

        A call that is not over `deadline` seconds after it was submitted raises Timeout; if it runs, its worker is
        killed, and another one takes its place. Raises Invalid (a ValueError) for an unknown priority or CPU number;
        its `submit` raises Affinity for CPUs that no worker is pinned to.
        """
        try:
            level = Priority(priority)
        except ValueError:
            levels = [level.value for level in Priority]
            raise Invalid(f"priority must be one of {levels} (libcoop.Priority), not {priority!r}") from None
        if deadline is not None:
            if isinstance(deadline, bool) or not isinstance(deadline, (int, float)):
                raise TypeError(f"deadline must be a number of seconds or None, not {deadline!r}")
            if math.isnan(deadline) or deadline < 0:
                raise Invalid(f"deadline must be at least 0 seconds, or None, not {deadline!r}")
            # As long as there is: it is none.
            deadline = None if deadline == math.inf else _options.seconds("deadline", deadline)
        return ProcessPoolView(self, level, _cpus(cpus), deadline)

    def stats(self) -> ProcessPoolStats:
        """What the pool did since it was made, and what waits in it."""
        workers, pids, *counts = self._stats()
        return ProcessPoolStats(workers, tuple(pids), *counts)

    def events(
        self, *paths: str, kinds: Iterable[EventKind] | EventKind = (), queue: int = 1024, replay: int = 0
    ) -> _libcoop.Observer:
        """What becomes of the processes: an Observer of each start, end (with what the worker wrote last) and restart.

        Of all workers, or of those at `paths` (the pool's name, "/", the worker's), and of up to `replay` events of
        those before. Raises Invalid, TypeError, Closed, Forked, Os.
        """
        return self._events(self._name, paths, kinds, queue, replay)

    def _refuse(self) -> None:
        """What `submit` asks when something is amiss: raises what it is."""
        if self._broken is not None:
            from libcoop._process_pool_errors import broken

            raise broken(self._broken)
        if _exit.is_exiting():
            raise Closed("cannot schedule new futures after interpreter shutdown")
        if self._shutdown:
            raise Closed("cannot schedule new futures after shutdown")

    def _break(self, why: str) -> None:
        self._broken = why
        self._refuse_calls()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; those queued run, or are cancelled with `cancel_futures`. With `wait`, until all is done.

        Who ends a future cannot wait for itself: in a callback of one it returns at once. Any number of times.
        """
        self._shutdown = True
        self._refuse_calls()
        self._close("cancel" if cancel_futures else "drain")
        if wait and self._join():
            self._logs.close(_LOGS_PATIENCE)

    def terminate_workers(self) -> None:
        """Shut down, with `cancel_futures`, and have the workers end: they are asked now, and killed 5 seconds later.

        A call that runs has its result if it is over by then, and raises WorkerDied if not. Does not wait: `shutdown`
        does. Any number of times, from any thread; after it also `kill_workers`.
        """
        self._end("terminate")

    def kill_workers(self) -> None:
        """Shut down, with `cancel_futures`, and kill the workers: a call that runs raises WorkerDied.

        Does not wait: `shutdown` does. Any number of times, from any thread.
        """
        self._end("kill")

    def _end(self, how: Literal["terminate", "kill"]) -> None:
        self._shutdown = True
        self._refuse_calls()
        self._close(how)

    def _stop_at_exit(self, patience: float) -> None:
        # As concurrent.futures does: what was accepted runs, however long it takes.
        self.shutdown()

    def __repr__(self) -> str:
        state = "broken" if self._broken is not None else "shut down" if self._shutdown else "open"
        return f"<libcoop.ProcessPool of {self._max_workers} workers, {state}>"


def _number(what: str, given: object) -> int | None:
    if given is None:
        return None
    number = _count(what, given, "an int or None")
    if number <= 0:
        raise Invalid(f"{what} must be greater than 0, not {number}")
    if number > sys.maxsize:
        raise Invalid(f"{what} must be at most {sys.maxsize}, not {number}")
    return number


def _authkey() -> bytes | None:
    """What proxies of multiprocessing's managers prove themselves by: processes that have it in common share them."""
    known = sys.modules.get(_KEYED)
    return None if known is None else bytes(known.current_process().authkey)


def _payload(
    initializer: Callable[..., object] | None, initargs: tuple[Any, ...], preload: list[str], authkey: bytes | None
) -> bytes:
    """What a worker is told. Raises Invalid for what cannot be given to it."""
    try:
        init, _, _ = _entry._pickled("of a process pool", (initializer, initargs, {}))
    except Invalid as error:
        raise Invalid(f"initializer {initializer!r} and its initargs: {error}") from error
    kwargs = {"main": _main.origin(), "authkey": authkey, "preload": preload}
    return _entry.prepare(_INIT, (init,), kwargs, log=_entry.BY_ENVIRONMENT, runner=_RUN)


def _chunks(given: Iterator[tuple[Any, ...]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    while chunk := list(itertools.islice(given, min(size, sys.maxsize))):
        yield chunk


def _one_by_one(chunks: Iterator[list[T]]) -> Iterator[T]:
    """What is in these lists, which keep nothing of what was taken."""
    for chunk in chunks:
        chunk.reverse()
        while chunk:
            yield chunk.pop()


def _chunk(fn: Callable[..., T], chunk: list[tuple[Any, ...]]) -> list[T]:
    return [fn(*args) for args in chunk]


def _mapped(
    submit: Callable[..., futures.Future[Any]],
    calls: Iterator[tuple[Any, ...]],
    timeout: float | None,
    ahead: int | None,
) -> Iterator[Any]:
    """Submits them now, and gives their results as they are taken."""
    end = None if timeout is None else time.monotonic() + timeout
    first = itertools.islice(calls, None if ahead is None else min(ahead, sys.maxsize))
    waiting = deque(submit(*args) for args in first)
    # Of a pool that nobody submits to any more it keeps nothing.
    return _results(waiting, end, None if ahead is None else itertools.starmap(submit, calls))


def _results(
    waiting: deque[futures.Future[Any]], end: float | None, more: Iterator[futures.Future[Any]] | None
) -> Iterator[Any]:
    """What these answer, and what comes `more` as they do."""
    try:
        while waiting:
            if more is not None:
                waiting.extend(itertools.islice(more, 1))
            yield _taken(waiting, end)
    finally:
        for future in waiting:
            future.cancel()


def _taken(waiting: deque[futures.Future[Any]], end: float | None) -> Any:
    """What the next one answers: neither that nor the future is kept by who gives it on."""
    future = waiting.popleft()
    try:
        return future.result(None if end is None else end - time.monotonic())
    except BaseException:
        future.cancel()
        raise
    finally:
        # The traceback of what it raised refers to this frame.
        del future
