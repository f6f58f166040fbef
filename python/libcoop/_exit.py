"""Interpreter exit: everything that runs Python code on library threads is stopped and joined before finalization.

Port sets and loops first, so that nothing brings new work, then the pools, which run what they had accepted, as those of
`concurrent.futures` do. Objects are held weakly: what is gone needs no stop.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from typing import Protocol

from libcoop import _libcoop
from libcoop._errors import Error


class _Stoppable(Protocol):
    def stop(self, timeout: float | None = ..., /) -> None: ...


_live: weakref.WeakSet[object] = weakref.WeakSet()
_exiting = False

# How long a callback may take to return once its loop or its port was told to stop, in seconds.
_PATIENCE = 5.0


def register(obj: object) -> None:
    """Stop `obj` at exit."""
    _live.add(obj)


def is_exiting() -> bool:
    """Whether the interpreter is on its way out."""
    return _exiting


def _stop_all() -> None:
    global _exiting
    if _exiting:
        return
    _exiting = True
    # Port sets may be served by loops, and both may use pools.
    for kind in ("PortSet", "EventLoop", "Runtime", "Pool"):
        for obj in list(_live):
            if type(obj).__name__ == kind or any(base.__name__ == kind for base in type(obj).__mro__):
                try:
                    _stop(kind, obj)
                except Error as error:
                    logging.getLogger("libcoop").warning("at exit: %r: %s", obj, error)
    _libcoop._leave_threads()


def _stop(kind: str, obj: object) -> None:
    if kind == "EventLoop":
        obj.stop()
        obj.join(_PATIENCE)
    elif kind == "Pool":
        obj.shutdown(wait=True)
    else:
        obj.stop(_PATIENCE)
