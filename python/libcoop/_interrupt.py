"""Ctrl-C while this library runs a loop of asyncio, as `asyncio.Runner` has it.

A KeyboardInterrupt that is raised wherever asyncio's own code happens to be may take a callback with it that was about
to run, and what waits for that waits for ever. So the first one is only told, and raised when the loop has ended; a
second one is raised at once, for a service that does not let the loop go on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Self

from libcoop import _libcoop


class Interrupt:
    """Holds back Ctrl-C for the time of a `with` block, and tells of it instead; it is raised at the block's end.

    Only what the interpreter does with it by itself: who has set a handler of his own, or watches SIGINT, keeps it; and
    only the main thread hears of signals.
    """

    def __init__(self) -> None:
        self._tell: Callable[[], object] | None = None
        self._holds = False
        self._came = False

    def tell(self, callback: Callable[[], object]) -> None:
        """Has `callback()` called, in the middle of whatever the main thread does, when it has come."""
        self._tell = callback
        if self._came:
            callback()

    def __enter__(self) -> Self:
        self._holds = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
            and not _libcoop._is_watched(signal.SIGINT)
        )
        if self._holds:
            try:
                signal.signal(signal.SIGINT, self._heard)
            except ValueError:
                # Not the main interpreter.
                self._holds = False
        return self

    def _heard(self, signum: int, frame: FrameType | None) -> None:
        # Also where somebody has put this back later.
        if self._came or not self._holds:
            signal.default_int_handler(signum, frame)
        self._came = True
        if self._tell is not None:
            self._tell()

    def __exit__(self, *_error: object) -> None:
        if self._holds and signal.getsignal(signal.SIGINT) == self._heard and not _libcoop._is_watched(signal.SIGINT):
            signal.signal(signal.SIGINT, signal.default_int_handler)
        self._holds = False
        if self._came:
            raise KeyboardInterrupt
