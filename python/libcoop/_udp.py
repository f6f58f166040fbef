"""What UDP sockets receive."""

from __future__ import annotations

from typing import NamedTuple


class Datagram(NamedTuple):
    """A datagram that a UdpSocket has received."""

    data: bytes
    address: tuple[str, int]
    """Who sent it: (host, port)."""
    received_ns: int | None = None
    """When it reached this machine, as `time.time_ns()` has it. None without `receive_times`."""
