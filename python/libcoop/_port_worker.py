"""Ports in processes, the worker's side: the run of a zygote's worker is the serving of its port.

The handler is built and called in the main thread, which runs its loop; another thread, of the library's, only
receives. When the supervisor asks the run to stop, the port ends as in any mode: `on_stop`, and what that sends is
sent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from libcoop import _libcoop
from libcoop._context import Context

_PORT = "COOP_PORT"
"""What tells this process of its port: not for those that it starts."""

_PATIENCE = 10.0
"""Seconds that a port which has been stopped may take to be over; its supervisor is not as patient, unless told."""


def native(_name: str, *_args: bytes) -> None:
    """Stands for a native handler, whose library is loaded where it is run."""


def run(
    entry: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    ctx: Context,
    built: Callable[[], object],
) -> None:
    """Serve the port that this process was started for, until it is asked to stop."""
    handler, rest = (args[0], args[1:]) if entry is native else (entry, args)
    with _libcoop.EventLoop() as loop:
        try:
            port = _libcoop._begin_port(loop, handler, rest, kwargs["natives"], ctx.run)
        finally:
            os.environ.pop(_PORT, None)

        def stop() -> None:
            port.stop()
            loop.stop()

        def ask() -> None:
            loop.post(stop)

        ctx.on_stop(ask)
        built()
        ctx.ready()
        loop.run()
        port.join(_PATIENCE)
