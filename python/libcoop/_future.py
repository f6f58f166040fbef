"""`libcoop.Future`: a `concurrent.futures.Future` that a coroutine can await."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class _Operation(Protocol):
    def cancel(self) -> None: ...


class Future(concurrent.futures.Future[T]):
    """The outcome of an operation: `result(timeout)` waits for it on any thread, `await` in a running asyncio loop.

    Every function of `concurrent.futures` takes it. A task that awaits it and is cancelled cancels it too. asyncio is
    imported when it is awaited, and not before.
    """

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio

        return asyncio.wrap_future(self).__await__()

    def cancel(self) -> bool:
        """Cancel it if it is pending; True if it is cancelled then.

        `_on_cancel` is called once, by the thread that cancelled it, before this returns.
        """
        before = self.cancelled()
        if not super().cancel():
            return False
        if not before:
            self._on_cancel()
        return True

    def _on_cancel(self) -> None:
        """What ends the operation when its future was cancelled. For subclasses; no lock is held."""


class LoopFuture(Future[T]):
    """A future of an event loop's operation, which ends when it is cancelled."""

    def __init__(self, operation: _Operation) -> None:
        super().__init__()
        self._operation = operation

    def _on_cancel(self) -> None:
        # Those in `concurrent.futures.wait` hear of it now, not when the loop comes to it.
        self.set_running_or_notify_cancel()
        self._operation.cancel()
