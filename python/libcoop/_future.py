"""`libcoop.Future`: a `concurrent.futures.Future` that a coroutine can await."""

from __future__ import annotations

import concurrent.futures
import contextlib
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
        return _await(self)


def _await(future: Future[T]) -> Generator[Any, None, T]:
    """Awaits a future in asyncio's loop.

    What asyncio waits for is the end alone, and the outcome is taken here: a StopIteration, which asyncio's futures
    refuse, becomes the RuntimeError that every generator and coroutine makes of it.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    end: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if future.cancelled():
            end.cancel()
        elif not end.done():
            end.set_result(None)

    def on_done(_: object) -> None:
        # A loop that is closed waits for nothing.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(tell)

    def on_end(_: object) -> None:
        if end.cancelled():
            future.cancel()

    end.add_done_callback(on_end)
    future.add_done_callback(on_done)
    yield from end
    try:
        return future.result()
    except concurrent.futures.CancelledError as error:
        # One that was raised, not a cancel: asyncio knows it by its own name.
        raise asyncio.CancelledError(*error.args) from error


class LoopFuture(Future[T]):
    """A future of an event loop's operation, which ends when it is cancelled."""

    def __init__(self, operation: _Operation) -> None:
        super().__init__()
        self._operation = operation

    def _on_cancel(self) -> None:
        # Those in `concurrent.futures.wait` hear of it now, not when the loop comes to it.
        self.set_running_or_notify_cancel()
        self._operation.cancel()
