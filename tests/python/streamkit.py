"""What tests of streams share: plain sockets for the other end."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from libcoop import Listener, Stream

DEADLINE = 30.0
Ends = tuple[Stream, socket.socket]
LARGE = bytes(range(256)) * 40_000


def dial(listener: Listener) -> socket.socket:
    """A plain socket that is connected to it."""
    address = listener.local_address
    plain = socket.socket(socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX)
    plain.settimeout(DEADLINE)
    try:
        plain.connect(address)
    except OSError:
        plain.close()
        raise
    return plain


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.001)
