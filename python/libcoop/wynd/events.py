"""What the ports of a set tell the main thread, and how it gets there.

Guarantees: events of one port arrive in order, each once, on the thread that runs the loop; `drain` delivers what came
after the loop had stopped.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import libcoop

if TYPE_CHECKING:
    from libcoop import EventLoop

Address = tuple[str, int]


class What(StrEnum):
    """Names of events; the detail's type stands beside each."""

    CONNECT = "connect"  # Address: a new client asks for ports
    UP = "up"  # None: the port has its peer
    ALIVE = "alive"  # None: the peer was heard of, told once in a while
    LATENCY = "latency"  # float, ms
    STARTED = "started"  # float, s: a test of this duration began
    SENT = "sent"  # dict: what the sender of a test did
    RESULT = "result"  # packet.Result at the client, dict at the server
    ACKED = "acked"  # None: the client has the result
    SUMMARY = "summary"  # PortSummary, when the port stops


class Event(NamedTuple):
    """`client` is the server's number of the client the port belongs to, 0 for others."""

    client: int
    port: str
    what: What
    detail: Any = None


@dataclass
class PortSummary:
    """What a port counted in its life. Latencies are milliseconds; `samples` are the newest."""

    accepted: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    test_dropped: int = 0  # packets not sent, as --test-drop-rate asked
    samples: list[float] = field(default_factory=list)
    latency_count: int = 0
    latency_highest: float = 0.0


class Mailbox:
    """Many threads put, the loop's thread delivers; one post stands for all that wait."""

    def __init__(self, loop: EventLoop, deliver: Callable[[Event], None]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._events: deque[Event] = deque()
        self._posted = False

    def put(self, event: Event) -> None:
        """From any thread."""
        self._events.append(event)
        self._post()

    def _post(self) -> None:
        # The flag is cleared before the queue is emptied, so an event whose post was saved is always still seen.
        if not self._posted:
            self._posted = True
            with contextlib.suppress(libcoop.Error):  # the loop has stopped: drain() delivers
                self._loop.post(self._turn)

    def _turn(self) -> None:
        """What waits now and no more: threads that put all the time must not keep the loop from its timers."""
        self._posted = False
        for _ in range(len(self._events)):
            self._deliver(self._events.popleft())
        if self._events:
            self._post()

    def drain(self) -> None:
        """Deliver all that waits, once the loop has stopped."""
        while self._events:
            self._deliver(self._events.popleft())
