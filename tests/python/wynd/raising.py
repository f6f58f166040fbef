"""wynd whose server's handlers raise on each thousandth datagram: run as `python raising.py ARGUMENTS...`.

Of a batch, that is: on each batch that holds one, before anything of it is taken and after the rest.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from libcoop.wynd import server
from libcoop.wynd.__main__ import main
from libcoop.wynd.server_control import ServerControl
from libcoop.wynd.server_ports import ServerDownload, ServerUpload

EVERY = 1000


class Raising:
    """In front of a handler."""

    seen = 0

    def on_batch(self, ctx: Any, batch: Any) -> None:
        before, self.seen = self.seen, self.seen + len(batch)
        if before // EVERY != self.seen // EVERY:
            raise RuntimeError("a thousandth datagram")
        super().on_batch(ctx, batch)  # type: ignore[misc]


class RaisingControl(Raising, ServerControl):
    pass


class RaisingUpload(Raising, ServerUpload):
    pass


class RaisingDownload(Raising, ServerDownload):
    pass


if __name__ == "__main__":
    logging.getLogger("libcoop").setLevel(logging.CRITICAL)
    for name in ("Control", "Upload", "Download"):
        server.HANDLERS[name.upper()] = f"raising:Raising{name}"
    sys.exit(main(sys.argv[1:]))
