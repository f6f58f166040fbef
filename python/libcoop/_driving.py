"""Whether the coroutine that this thread runs is driven by a libcoop loop, and not by asyncio."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class _Driving(threading.local):
    """Entered while a coroutine runs on its loop's thread; not twice, for a callback of a loop runs inside no other."""

    now = False

    def __enter__(self) -> None:
        self.now = True

    def __exit__(self, *_exc: object) -> None:
        self.now = False


driving = _Driving()


def is_driven() -> bool:
    """Whether what is awaited here is handed to a libcoop loop."""
    if not driving.now:
        return False
    # A coroutine may run a loop of asyncio inside itself.
    asyncio: Any = sys.modules.get("asyncio")
    return asyncio is None or asyncio._get_running_loop() is None


def hand_over(future: Future[T]) -> Generator[Any, None, T]:
    """Awaits a future by handing it to who drives the coroutine."""
    if not future.done():
        yield future
    return future.result()
