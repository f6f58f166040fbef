"""`python -m libcoop.wynd`: server or client, as the command line says."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from .cli import parse_args


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    options = parse_args(arguments)
    if options is None:
        return 0
    # Only now: wrong use is answered without opening anything.
    if options.serve:
        from .server import Server

        signal.signal(signal.SIGTERM, _interrupt)
        return Server(options.config, options.report).run()
    from .client import Client

    return Client(options.config, options.target, options.bwup, options.report).run()


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a server as Ctrl-C does, with its summary."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
