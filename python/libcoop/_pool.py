"""`libcoop.Pool`: a `concurrent.futures` executor on pinned workers with priorities."""

from __future__ import annotations

import contextlib
import logging
import operator
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from typing import Any, Final, ParamSpec, TypeVar

from libcoop import _exit, _libcoop
from libcoop._enums import Priority
from libcoop._errors import Closed, Invalid, Timeout, WouldDeadlock
from libcoop._stats import Depth, PoolStats, WaitStats, WorkerStats

P = ParamSpec("P")
T = TypeVar("T")

_NAME = "coop-pool"
_BROKEN = "A thread initializer failed, the thread pool is not usable anymore"


class _Same:
    def __repr__(self) -> str:
        return "..."


_SAME: Final = _Same()
"""What is not given to `PoolView.at` stays as it is."""


def _count(name: str, given: object, allowed: str = "an int") -> int:
    if isinstance(given, bool) or not hasattr(given, "__index__"):
        raise TypeError(f"{name} must be {allowed}, not {given!r}")
    return operator.index(given)


class _Queue:
    """What is left of `ThreadPoolExecutor`'s queue: programs ask it how much waits."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def qsize(self) -> int:
        return sum(self._pool.stats().depth)


class PoolView(_libcoop.PoolView, Executor):
    """A pool's workers at another priority, on other CPUs, or with patience: what `Pool.at` gives.

    It is an executor, too; `shutdown`, and the end of a `with` block, are those of the pool.
    """

    def __new__(cls, pool: Pool, priority: Priority, cpus: tuple[int, ...] | None, timeout: float | None) -> PoolView:
        return super().__new__(cls, pool, priority, cpus, timeout)

    def __init__(self, pool: Pool, priority: Priority, cpus: tuple[int, ...] | None, timeout: float | None) -> None:
        self._pool = pool
        self._priority = priority
        self._cpus = cpus
        self._timeout = timeout

    def at(
        self,
        *,
        priority: int | _Same = _SAME,
        cpus: Iterable[int] | _Same | None = _SAME,
        timeout: float | _Same | None = _SAME,
    ) -> PoolView:
        """As `Pool.at`; what is not given is as in this view."""
        return self._pool.at(
            priority=self._priority if isinstance(priority, _Same) else priority,
            cpus=self._cpus if isinstance(cpus, _Same) else cpus,
            timeout=self._timeout if isinstance(timeout, _Same) else timeout,
        )

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `Pool.run`, at this view's priority and on its CPUs."""
        return await self.submit(fn, *args, **kwargs)

    def stats(self) -> PoolStats:
        """Those of the pool."""
        return self._pool.stats()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Shut the pool down: see `Pool.shutdown`."""
        self._pool.shutdown(wait, cancel_futures=cancel_futures)

    def __repr__(self) -> str:
        cpus = "any" if self._cpus is None else list(self._cpus)
        return f"<{self._pool!r} at priority {self._priority.name}, CPUs {cpus}>"


class Pool(_libcoop.Pool, ThreadPoolExecutor):
    """A `ThreadPoolExecutor` by class and behaviour, whose workers are those of libcoop's pool.

    `max_workers` (1 to 1024) defaults to the CPUs that this process may use, at least 4; all start at once.
    `thread_name_prefix` names their threads. `initializer(*initargs)` is called by each worker before its first call;
    if it raises, the pool is broken: calls end with BrokenThreadPool. With `pin`, each worker is bound to one CPU, and
    `at(cpus=...)` can name it. With `capacity` other than 0, no more than so many calls wait for a worker: `submit`
    raises QueueFull for one more, and `at(timeout=...)` waits for room.

    Calls see the context variables that `submit` saw. Every method may be called from any thread.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        pin: bool = False,
        capacity: int = 0,
    ) -> None:
        # The base class is not initialized: its threads and its queue are what this one replaces.
        workers = None if max_workers is None else _count("max_workers", max_workers, "an int or None")
        if workers is not None and workers <= 0:
            raise Invalid(f"max_workers must be greater than 0, not {workers}")
        if workers is not None and workers > sys.maxsize:
            raise Invalid(f"max_workers must be at most 1024, not {workers}")
        limit = _count("capacity", capacity)
        if not 0 <= limit <= sys.maxsize:
            raise Invalid(f"capacity must be 0, which is no limit, to {sys.maxsize}, not {limit}")
        if not isinstance(thread_name_prefix, str):
            raise TypeError(f"thread_name_prefix must be a str, not {thread_name_prefix!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        self._adopt(thread_name_prefix or _NAME, initializer, initargs)
        self._open(workers, thread_name_prefix or _NAME, bool(pin), limit or None, initializer is not None)
        self._max_workers = self.workers
        _exit.register(self, _exit.POOL)

    @classmethod
    def _of(cls, runtime: _libcoop.Runtime) -> Pool:
        """The pool of a runtime."""
        pool = cls.__new__(cls)
        pool._adopt(_NAME, None, ())
        pool._open_runtime(runtime)
        pool._max_workers = pool.workers
        _exit.register(pool, _exit.POOL)
        return pool

    def _adopt(self, name: str, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]) -> None:
        self._thread_name_prefix = name
        self._initializer: Callable[..., object] | None = initializer  # type: ignore[assignment]
        self._initargs = initargs
        self._initialized = threading.local()
        self._broken = False
        self._shutdown = False

    def at(
        self, *, priority: int = Priority.NORMAL, cpus: Iterable[int] | None = None, timeout: float | None = 0.0
    ) -> PoolView:
        """A view of the same workers that submits at `priority`, only to workers on `cpus`, and waits for room.

        `timeout` is how many seconds `submit` waits for room in a pool with a `capacity`: 0 not at all (QueueFull),
        None as long as it takes; then it raises Timeout. Raises Invalid (a ValueError) for an unknown priority or CPU
        number, and Affinity for CPUs that no worker is pinned to.
        """
        try:
            level = Priority(priority)
        except ValueError:
            levels = [level.value for level in Priority]
            raise Invalid(f"priority must be one of {levels} (libcoop.Priority), not {priority!r}") from None
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float))):
            raise TypeError(f"timeout must be a number of seconds or None, not {timeout!r}")
        try:
            patience = None if timeout is None else float(timeout)
        except OverflowError:
            raise Invalid("timeout must be a number of seconds that a float can hold, or None") from None
        return PoolView(self, level, _cpus(cpus), patience)

    async def run(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Have a worker call `fn(*args, **kwargs)`, and await its result in an asyncio loop.

        Cancelling the task cancels a call that has not begun.
        """
        return await self.submit(fn, *args, **kwargs)

    def stats(self) -> PoolStats:
        """What the pool did since it was made, and what waits in it.

        `Closed` for the pool of a runtime that is gone.
        """
        depth, capacity, workers, wait = self._stats()
        return PoolStats(Depth(*depth), capacity, tuple(WorkerStats(*each) for each in workers), WaitStats(*wait))

    def _refuse(self) -> None:
        """What `submit` asks when something is amiss: raises what it is."""
        if self._broken:
            raise BrokenThreadPool(_BROKEN)
        if _exit.is_exiting():
            raise Closed("cannot schedule new futures after interpreter shutdown")
        if self._shutdown:
            raise Closed("cannot schedule new futures after shutdown")

    def _call_initialized(self, call: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._broken:
            raise BrokenThreadPool(_BROKEN)
        if not getattr(self._initialized, "done", False) and self._initializer is not None:
            try:
                self._initializer(*self._initargs)
            except BaseException as error:
                logging.getLogger("concurrent.futures").critical("Exception in initializer:", exc_info=True)
                self._initializer_failed()
                raise BrokenThreadPool(_BROKEN) from error
            self._initialized.done = True
        fn, *args = call
        return fn(*args, **kwargs)

    def _initializer_failed(self) -> None:
        self._broken = True
        self._refuse_calls()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; those queued run, or are cancelled with `cancel_futures`. With `wait`, until all is done.

        One of the pool's own calls cannot wait for itself: there it returns at once. Any number of times.
        """
        self._shutdown = True
        self._refuse_calls()
        self._close(cancel_futures)
        if wait:
            with contextlib.suppress(WouldDeadlock):
                self._join()

    def _stop_at_exit(self, patience: float) -> None:
        # What was accepted runs, however long it takes in all; a call that never ends is not waited for for ever.
        self.shutdown(wait=False)
        ended = -1
        while not self._join(_exit.POOL_PATIENCE):
            if ended == (ended := self._ended):
                raise Timeout(f"{self!r} has a call that does not end")

    @property
    def _work_queue(self) -> _Queue:  # type: ignore[override]
        return _Queue(self)

    def __repr__(self) -> str:
        state = "broken" if self._broken else "shut down" if self._shutdown else "open"
        return f"<libcoop.Pool of {self._max_workers} workers, {state}>"


def _cpus(given: Iterable[int] | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    try:
        cpus = set(given)
    except TypeError:
        raise TypeError(f"cpus must be an iterable of CPU numbers or None, not {given!r}") from None
    numbers = sorted(_count("a CPU", cpu) for cpu in cpus)
    for cpu in numbers:
        if abs(cpu) > sys.maxsize:
            raise Invalid(f"CPU {cpu} is out of range: CPUs are 0 to 1023")
    return tuple(numbers)
