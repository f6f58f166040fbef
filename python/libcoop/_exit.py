"""Interpreter exit: everything that runs Python code on library threads is stopped and joined before finalization.

Port sets and loops come first, so that nothing brings new work; then the pools, which run what they had accepted, as those of
`concurrent.futures` do. Objects are held weakly: what is gone needs no stop.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import weakref
from typing import Protocol

from libcoop import _libcoop
from libcoop._errors import Error, Timeout

POOL = 3
"""The order of pools; those of the native classes are in exit.rs."""

_PATIENCE = 5.0
"""Seconds that a callback may take to return once its loop or its port was told to stop."""


class _AtExit(Protocol):
    def _stop_at_exit(self, patience: float, /) -> None: ...


_live: weakref.WeakKeyDictionary[_AtExit, int] = weakref.WeakKeyDictionary()
_started_by = os.getpid()
_exiting = False


def register(obj: _AtExit, order: int) -> None:
    """Have `obj._stop_at_exit` called at exit, in this order."""
    _live[obj] = order


def is_exiting() -> bool:
    """Whether the interpreter is on its way out."""
    return _exiting


def _stop_all() -> None:
    global _exiting
    # What a parent made is not this process's to stop.
    if _exiting or os.getpid() != _started_by:
        return
    _exiting = True
    busy = False
    for obj, _ in sorted(_live.items(), key=lambda item: item[1]):
        try:
            obj._stop_at_exit(_PATIENCE)
        except Timeout as error:
            busy = True
            logging.getLogger("libcoop").warning("at exit: %s", error)
        except Error as error:
            logging.getLogger("libcoop").warning("at exit: %r: %s", obj, error)
    _libcoop._leave_threads()
    if busy:
        atexit.register(_end_now)


def _end_now() -> None:
    """The last of the exit handlers, where a callback would not end: finalization would pull the interpreter from under it."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


# Before the threads that `threading` knows are joined: one of them may run a loop. `concurrent.futures` does the same.
_before_join = getattr(threading, "_register_atexit", atexit.register)
_before_join(_stop_all)
