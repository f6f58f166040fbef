"""`python -m libcoop.wynd`: server or client, as the command line says.

Guarantees: whatever ends it, Ctrl-C at any moment and an output that cannot be written included, it ends with an exit
status and at most one line on stderr that says why, never with a traceback.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    # Here and not above: the modules are loaded where an interrupt is caught.
    from .cli import parse_args

    options = parse_args(arguments)
    if options is None:
        return 0
    # Only now: wrong use is answered without opening anything.
    if options.serve:
        from .server import Server

        signal.signal(signal.SIGTERM, _interrupt)
        return Server(options).run()
    from .client import Client

    return Client(options).run()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a server as Ctrl-C does, with its summary."""
    raise KeyboardInterrupt


def _run() -> int:
    # An output that was closed (`>&-`) is none at all in Python; what is printed goes nowhere then.
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                setattr(sys, name, stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
        try:
            status = main(sys.argv[1:])
            sys.stdout.flush()
        except KeyboardInterrupt:  # before a server or a client runs
            status = 130
        except OSError as error:
            print(f"cannot write the output: {error.strerror or error}", file=sys.stderr)
            status = 1
        # What is left is the interpreter's own end: a second Ctrl-C must not change the status, nor output that cannot
        # be written be tried again.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            sys.stdout.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return status


if __name__ == "__main__":
    sys.exit(_run())
