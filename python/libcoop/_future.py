"""`libcoop.Future`: a `concurrent.futures.Future` that a coroutine can await."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Generator
from typing import Any, Protocol, TypeVar

from libcoop import _libcoop
from libcoop._driving import hand_over, is_driven

T = TypeVar("T")


class _Operation(Protocol):
    def cancel(self) -> None: ...


class Future(_libcoop.Future[T], concurrent.futures.Future[T]):
    """The outcome of an operation: `result(timeout)` waits for it on any thread, `await` in a running asyncio loop.

    Every function of `concurrent.futures` takes it. A task that awaits it and is cancelled cancels it too. asyncio is
    imported when it is awaited, and not before.
    """

    def __init__(self) -> None:
        # The native half is made by then, and is all of it: what the base would set is found there.
        pass

    def __await__(self) -> Generator[Any, None, T]:
        if is_driven():
            return hand_over(self)
        import asyncio

        return asyncio.wrap_future(self).__await__()


class LoopFuture(Future[T]):
    """A future of an event loop's operation, which ends when it is cancelled."""

    def __init__(self, operation: _Operation) -> None:
        super().__init__()
        self._operation = operation

    def _on_cancel(self) -> None:
        # Those in `concurrent.futures.wait` hear of it now, not when the loop comes to it.
        self.set_running_or_notify_cancel()
        self._operation.cancel()
