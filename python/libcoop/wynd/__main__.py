"""`python -m libcoop.wynd`: server or client, as the command line says."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .cli import parse_args


def main(arguments: Sequence[str]) -> int:
    """The exit status."""
    options = parse_args(arguments)
    if options is None:
        return 0
    # Only now: wrong use is answered without opening anything.
    if options.serve:
        from .server import Server

        return Server(options.config, options.report).run()
    from .client import Client

    return Client(options.config, options.target, options.bwup, options.report).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
