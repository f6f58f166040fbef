"""What the ports of a set tell the main thread. All of it pickles: a port may run in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from .heartbeat import Histogram

Address = tuple[str, int]


class What(StrEnum):
    """Names of events; the detail's type stands beside each."""

    CONNECT = "connect"  # Address: a new client asks for ports
    AGAIN = "again"  # None: the main port was started anew and has forgotten who is who
    UP = "up"  # None: the port has its peer
    ALIVE = "alive"  # None: the peer was heard of, told once in a while
    LATENCY = "latency"  # float, ms
    STARTED = "started"  # Trial: it began
    PROGRESS = "progress"  # Progress, a few times a second while a test runs
    SENT = "sent"  # (Direction, dict): what the sender of a test did
    RESULT = "result"  # (Direction, channel, dict): the fields of TEST_RESULT
    ACKED = "acked"  # Direction: the other side has the result
    SUMMARY = "summary"  # PortSummary, when the port stops


class Direction(StrEnum):
    """Of a bandwidth test, as the client sees it."""

    UPLOAD = "upload"
    DOWNLOAD = "download"


class Event(NamedTuple):
    """`client` is the server's number of the client the port belongs to, 0 for others."""

    client: int
    port: str
    what: What
    detail: Any = None


class Trial(NamedTuple):
    """A bandwidth test that was agreed on; `duration` in seconds."""

    direction: Direction
    channel: int
    duration: float


class Progress(NamedTuple):
    """A test so far, counted from its beginning. At the side that receives, `packets` and `bytes` have come and `lost`
    have not by now; at the side that sends, they went out, and `lost` are those that had to go out again."""

    direction: Direction
    at: float  # monotonic seconds, the same clock in every process
    packets: int
    bytes: int
    lost: int
    receiving: bool


@dataclass
class PortSummary:
    """What a port counted in its life."""

    accepted: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    test_dropped: int = 0  # packets not sent, as --test-drop-rate asked
    latency: Histogram = field(default_factory=Histogram)
