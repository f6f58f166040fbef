"""`libcoop.Context`: what a run knows of itself and can say, the same with every executor."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any

from libcoop import _libcoop

if TYPE_CHECKING:
    import logging


class Stopping:
    """Whether a run was asked to stop, as an event: `is_set()`, `wait(timeout)`, `bool()`, and `await` in asyncio."""

    def __init__(self, native: _libcoop.ServiceContext) -> None:
        self._native = native
        self._lock = threading.Lock()
        # Those that wait in asyncio, each with its loop; None until the first does.
        self._waiting: dict[Any, Any] | None = None

    def is_set(self) -> bool:
        """Whether it was asked to stop."""
        return self._native.is_stopping()

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is asked to stop; False after `timeout` seconds. Not for coroutines, which await this."""
        return self._native.wait_stopping(timeout)

    def __bool__(self) -> bool:
        return self._native.is_stopping()

    def __await__(self) -> Generator[Any, None, None]:
        if self._native.is_stopping():
            return
        import asyncio

        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            first = self._waiting is None
            if self._waiting is None:
                self._waiting = {}
            self._waiting[future] = loop
        if first:
            self._native.on_stop(self._tell)
        elif self._native.is_stopping():
            # It may have been told before this one came.
            self._tell()
        try:
            yield from future
        finally:
            with self._lock:
                self._waiting.pop(future, None)

    def _tell(self) -> None:
        with self._lock:
            waiting = dict(self._waiting or {})
        for future, loop in waiting.items():
            with contextlib.suppress(RuntimeError):  # it is closed
                loop.call_soon_threadsafe(_end, future)

    def __repr__(self) -> str:
        return f"<libcoop.Stopping {'asked' if self else 'not asked'}>"


def _end(future: Any) -> None:
    if not future.done():
        future.set_result(None)


class Context:
    """A run, as its own entry sees it. Any thread may use it; when the run has ended it tells nothing any more."""

    def __init__(self, native: _libcoop.ServiceContext) -> None:
        self._native = native
        self._stopping: Stopping | None = None
        self._log: logging.Logger | None = None

    @property
    def stopping(self) -> Stopping:
        """Whether it was asked to stop.

        A coroutine that has asked for this is expected to end by itself then, within its `shutdown`; one that has not
        is cancelled.
        """
        if self._stopping is None:
            # Two threads may make one each: both tell the same.
            self._stopping = Stopping(self._native)
        return self._stopping

    @property
    def id(self) -> int:
        """The service's id in its host."""
        return self._native.id

    @property
    def name(self) -> str:
        """The service's name; its template's, under SIMPLE_ONE_FOR_ONE."""
        return self._native.name

    @property
    def path(self) -> str:
        """Its names from the root down, joined by "/"."""
        return self._native.path

    @property
    def run(self) -> int:
        """Which run this is, from 1."""
        return self._native.run

    @property
    def watchdog(self) -> float | None:
        """How often it must beat, in seconds; None if it need not."""
        return self._native.watchdog

    def ready(self) -> None:
        """It can do its work: needed of a service that was added with `ready="notify"`, and of no effect for others."""
        self._native.ready()

    def beat(self) -> None:
        """It makes progress: to be called at least once within each `watchdog`. It costs next to nothing."""
        self._native.beat()

    def extend(self, seconds: float) -> None:
        """It needs so many seconds more, from now, to get ready, to stop, or to beat again. Raises ValueError."""
        self._native.extend(seconds)

    def status(self, text: str) -> None:
        """What it does, in words; observers are told."""
        self._native.status(text)

    def ignore(self) -> None:
        """Its start asks not to be run: it is to return next, and is not restarted. OTP's `ignore`.

        Raises Invalid for a service that is ready at once: its start is over.
        """
        self._native.ignore()

    def is_stopping(self) -> bool:
        """Whether it was asked to stop; does not count as looking out for it."""
        return self._native.is_stopping()

    def on_stop(self, callback: Callable[[], object]) -> None:
        """Has `callback()` called when it is asked to stop, on a thread of the library's; soon, if it was already."""
        self._native.on_stop(callback)

    def events(self, *paths: str, kinds: Iterable[str] = (), queue: int = 1024, replay: int = 0) -> _libcoop.Observer:
        """What happens in its host, as `Host.events`: of all services, or of those at `paths`, and of what is below.

        When this returns, nothing of that is missed any more. It ends when the service is asked to stop, so that a loop
        over it ends. Raises also Timeout in a process of its own, if the host
        does not answer.
        """
        return self._native.events(paths, kinds, queue, replay)

    @property
    def log(self) -> logging.Logger:
        """Its logger, `libcoop.service.` and its path with dots; its records have the path as `service`."""
        if self._log is None:
            from libcoop._logs import ServiceLogger

            self._log = ServiceLogger(self.path, self.name)
        return self._log

    def __repr__(self) -> str:
        return f"<libcoop.Context of {self.path!r}, run {self.run}>"
