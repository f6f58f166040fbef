"""`libcoop.Runtime`: an event loop and a pool as one."""

from __future__ import annotations

from functools import cached_property

from libcoop import _libcoop
from libcoop._pool import Pool


class Runtime(_libcoop.Runtime):
    """An event loop and a pool: the loop's timers and watches run their callbacks in the pool, its posts on its thread.

    `workers` defaults to half of the CPUs that this process may use, at least 4.
    """

    @cached_property
    def pool(self) -> Pool:
        """The pool, as an executor."""
        return Pool._of(self)
