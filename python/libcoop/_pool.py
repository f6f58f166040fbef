"""`libcoop.Pool`: a `concurrent.futures` executor on pinned workers with priorities."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from typing import Any, ParamSpec, TypeVar

from libcoop import _exit, _libcoop
from libcoop._enums import Priority
from libcoop._errors import Closed, Invalid, Timeout, WouldDeadlock
from libcoop._stats import Depth, PoolStats, WaitStats, WorkerStats

P = ParamSpec("P")
T = TypeVar("T")


class _View:
    """The same workers with another priority and other CPUs: what `Pool.at` gives."""

    def __init__(self, pool: Pool, priority: int, cpus: Iterable[int] | None) -> None:
        self._pool = pool
        self._priority = priority
        self._cpus = None if cpus is None else sorted(cpus)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Like `Pool.submit`, at this view's priority and on its CPUs."""
        return self._pool._submit(self._priority, self._cpus, fn, args, kwargs)

    def __repr__(self) -> str:
        return f"<{self._pool!r} at priority {self._priority}, CPUs {self._cpus or 'any'}>"


class Pool(ThreadPoolExecutor):
    """A `ThreadPoolExecutor` by class and behaviour, whose workers are those of libcoop's pool.

    `max_workers` defaults to the CPUs that this process may use, at least 4. With `pin`, each worker is bound to one
    CPU, and `at(cpus=...)` can name it. With `capacity`, no more than so many calls wait for a worker: `submit` raises
    QueueFull for one more.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        pin: bool = False,
        capacity: int | None = None,
    ) -> None:
        # The base class is not initialized: its threads and its queue are what this one replaces.
        if max_workers is not None:
            if isinstance(max_workers, bool) or not isinstance(max_workers, int):
                raise TypeError(f"max_workers must be an int or None, not {max_workers!r}")
            if max_workers <= 0:
                raise Invalid(f"max_workers must be greater than 0, not {max_workers}")
        if capacity is not None and (isinstance(capacity, bool) or not isinstance(capacity, int)):
            raise TypeError(f"capacity must be an int or None, not {capacity!r}")
        if capacity is not None and capacity <= 0:
            raise Invalid(f"capacity must be greater than 0, not {capacity}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        self._adopt(_libcoop.Pool(max_workers, thread_name_prefix or "coop-pool", pin, capacity), initializer, initargs)

    @classmethod
    def _of(cls, native: _libcoop.Pool) -> Pool:
        """The pool of a runtime."""
        pool = cls.__new__(cls)
        pool._adopt(native, None, ())
        return pool

    def _adopt(
        self, native: _libcoop.Pool, initializer: Callable[..., object] | None, initargs: tuple[Any, ...]
    ) -> None:
        self._native = native
        self._max_workers = native.workers
        self._initialize = initializer
        self._initargs = initargs
        self._initialized = threading.local()
        self._broken_why = ""
        self._shutdown = False
        _exit.register(self, _exit.POOL)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker call `fn(*args, **kwargs)`; the future has its result.

        `Closed`, which is a RuntimeError, after `shutdown` or when the interpreter exits.
        """
        return self._submit(Priority.NORMAL, None, fn, args, kwargs)

    def at(self, *, priority: int = Priority.NORMAL, cpus: Iterable[int] | None = None) -> _View:
        """A view of this pool that submits at `priority` and only to workers on `cpus`."""
        levels = [level.value for level in Priority]
        if priority not in levels:
            raise Invalid(f"priority must be one of {levels} (libcoop.Priority), not {priority!r}")
        return _View(self, priority, cpus)

    def stats(self) -> PoolStats:
        """What the pool did since it was made, and what waits in it.

        `Closed` for the pool of a runtime that is gone.
        """
        depth, capacity, workers, wait = self._native.stats()
        return PoolStats(Depth(*depth), capacity, tuple(WorkerStats(*each) for each in workers), WaitStats(*wait))

    def _submit(
        self, priority: int, cpus: list[int] | None, fn: Callable[..., T], args: Any, kwargs: dict[str, Any]
    ) -> Future[T]:
        if not callable(fn):
            raise TypeError(f"fn must be callable, not {fn!r}")
        if self._broken_why:
            raise BrokenThreadPool(self._broken_why)
        if _exit.is_exiting():
            raise Closed("cannot schedule new futures after interpreter shutdown")
        if self._shutdown:
            raise Closed("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        if self._initialize is not None:
            fn, args, kwargs = self._call_initialized, (fn, args, kwargs), {}
        self._native.submit(self, priority, cpus, future, fn, args, kwargs or None)
        return future

    def _call_initialized(self, fn: Callable[..., T], args: Any, kwargs: dict[str, Any]) -> T:
        if self._broken_why:
            raise BrokenThreadPool(self._broken_why)
        if not getattr(self._initialized, "done", False) and self._initialize is not None:
            try:
                self._initialize(*self._initargs)
            except BaseException as error:
                self._broken_why = "A thread initializer failed, the thread pool is not usable anymore"
                raise BrokenThreadPool(self._broken_why) from error
            self._initialized.done = True
        return fn(*args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; those queued run, or are cancelled with `cancel_futures`. With `wait`, until all is done.

        One of the pool's own calls cannot wait for itself: there it returns at once.
        """
        self._shutdown = True
        self._native.close(cancel_futures)
        if wait:
            with contextlib.suppress(WouldDeadlock):
                self._native.join()

    def _stop_at_exit(self, patience: float) -> None:
        # What was accepted runs, however long it takes in all; a call that never ends is not waited for for ever.
        self.shutdown(wait=False)
        ended = -1
        while not self._native.join(_exit.POOL_PATIENCE):
            if ended == (ended := self._native.ended):
                raise Timeout(f"{self!r} has a call that does not end")

    def __repr__(self) -> str:
        state = "shut down" if self._shutdown else "open"
        return f"<libcoop.Pool of {self._max_workers} workers, {state}>"
