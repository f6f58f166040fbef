"""Interpreter exit: everything that runs Python code on library threads is stopped and joined before finalization.

Hosts come first, whose services may use all the rest; then port sets and loops, so that nothing brings new work; then
the pools, which run what they had accepted, as those of `concurrent.futures` do. Objects are held weakly: what is gone
needs no stop.

A callback that does not end cannot be ended, and finalizing under it would crash. After a while it is abandoned: that
is logged, and the process ends with status 1 (130 after Ctrl-C) once the other exit handlers have run.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import weakref
from typing import Protocol

from libcoop import _libcoop
from libcoop._errors import Error, Forked, Timeout

HOST = -1
"""The order of hosts, whose services use everything else."""

POOL = 3
"""The order of pools; those of the native classes are in exit.rs."""

_PATIENCE = 5.0
"""Seconds that a callback may take to return once its loop or its port was told to stop."""

POOL_PATIENCE = 30.0
"""Seconds that a pool which was told to finish may go on without finishing a single call."""


class _AtExit(Protocol):
    def _stop_at_exit(self, patience: float, /) -> None: ...


_live: weakref.WeakKeyDictionary[_AtExit, int] = weakref.WeakKeyDictionary()
_exiting = False
_status = 0


def register(obj: _AtExit, order: int) -> None:
    """Have `obj._stop_at_exit` called at exit, in this order."""
    _live[obj] = order


def is_exiting() -> bool:
    """Whether the interpreter is on its way out."""
    return _exiting


def _after_fork() -> None:
    """What the parent made is not the child's to stop."""
    _live.clear()
    _libcoop._after_fork()


def _warn(text: str, *args: object) -> None:
    import logging

    logging.getLogger("libcoop").warning(f"at exit: {text}", *args)


def _stop_all() -> None:
    global _exiting, _status
    _exiting = True
    _libcoop._refuse_calls()
    for obj, _ in sorted(_live.items(), key=lambda item: item[1]):
        try:
            obj._stop_at_exit(_PATIENCE)
        except Timeout as error:
            _status = 1
            _warn("%s: it is abandoned", error)
        except KeyboardInterrupt:
            _status = 130
            break
        except Forked:
            # The parent's; a call in this child that was refused has registered it.
            continue
        except Error as error:
            _warn("%r: %s", obj, error)
    _libcoop._flush_log(1.0)
    # Callbacks that nobody joins any more: of objects that were let go of while one was running.
    try:
        if not _libcoop._leave_threads(0 if _status else _PATIENCE) and not _status:
            _status = 1
            _warn("a callback does not end: it is abandoned")
    except KeyboardInterrupt:
        _status = 130


def _end_if_busy() -> None:
    """End the process here if a callback would not end: finalization would pull the interpreter from under it."""
    if _status:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(_status)


os.register_at_fork(after_in_child=_after_fork)
# Before the threads that `threading` knows are joined, since one of them may run a loop: as `concurrent.futures` does.
getattr(threading, "_register_atexit", atexit.register)(_stop_all)
# Handlers run in the reverse order of their registration: this is among the last.
atexit.register(_end_if_busy)
