"""The workers' threads as `threading` knows them."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any


class _Leaving:
    """Lives in a thread's local values and dies with them: it takes the thread off `threading`'s list.

    Python 3.13 does so itself; before, a thread that was not started by `threading` stays there for ever.
    """

    def __init__(self) -> None:
        self._ident = threading.get_ident()
        self._thread = threading.current_thread()

    def __del__(self) -> None:
        self.leave()

    def come_back(self) -> None:
        active: dict[int, Any] | None = getattr(threading, "_active", None)
        if active is not None:
            active[self._ident] = self._thread

    def leave(self) -> None:
        active: dict[int, Any] | None = getattr(threading, "_active", None)
        if active is not None and active.get(self._ident) is self._thread:
            with contextlib.suppress(KeyError):
                del active[self._ident]


_local = threading.local()


def begin(name: str) -> None:
    """The calling thread, which `threading` has not started, has this name until it ends."""
    threading.current_thread().name = name
    _local.leaving = _Leaving()


def _before_fork() -> None:
    """In a child the thread that forked is the main one; `threading` makes it that only if it does not know it yet."""
    leaving: _Leaving | None = getattr(_local, "leaving", None)
    if leaving is not None:
        leaving.leave()


def _after_fork_in_parent() -> None:
    leaving: _Leaving | None = getattr(_local, "leaving", None)
    if leaving is not None:
        leaving.come_back()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent)
