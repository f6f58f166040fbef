"""What a host's observers are told: the Python half."""

from __future__ import annotations

import enum

from libcoop import _libcoop


class EventKind(enum.StrEnum):
    """What a `ServiceEvent` tells of; equal to its name in JSON."""

    ADDED = "added"
    """Its specification was added."""
    REMOVED = "removed"
    """Its specification was removed."""
    STARTING = "starting"
    """A run begins."""
    SPAWNED = "spawned"
    """Its process is there: `pid`."""
    READY = "ready"
    """It is ready."""
    STATUS = "status"
    """What the service says of itself: `text`."""
    START_FAILED = "start_failed"
    """A run did not get ready: `reason`, `details`, `tail`."""
    IGNORED = "ignored"
    """Its start asked not to be run."""
    STOPPING = "stopping"
    """It is asked to stop."""
    ENDED = "ended"
    """A run ended: `how`, `reason`, `normal`, `because`, `uptime`, `restarts`, `details`, `tail`."""
    BACKOFF = "backoff"
    """It is started again in `delay` seconds."""
    PARKED = "parked"
    """It rests, where its supervisor would give up, and is tried again in `delay` seconds."""
    UNRESPONSIVE = "unresponsive"
    """It ignored its deadline and cannot be ended: it goes on, and is not restarted before it ends."""
    GAVE_UP = "gave_up"
    """A supervisor had more restarts than its intensity allows, and ends."""
    AUTO_SHUTDOWN = "auto_shutdown"
    """A supervisor shuts itself down, since significant children have ended."""


class Because(enum.StrEnum):
    """Why the library itself ended a run."""

    ASKED = "asked"
    """It was asked to stop: by its supervisor, or by a verb."""
    SHUTDOWN_DEADLINE = "shutdown_deadline"
    """It did not stop within its `shutdown`."""
    READY_DEADLINE = "ready_deadline"
    """It was not ready within its time."""
    WATCHDOG = "watchdog"
    """It did not beat within its `watchdog`."""
    LIVENESS = "liveness"
    """Its process did not show that it runs within its `liveness`."""
    HAND_OVER = "hand_over"
    """Its successor is ready."""


class Lost:
    """An observer was too slow: so many events are missing between the one before and the one after this."""

    # No dataclass, whose module is much to import for a host.
    __slots__ = ("count",)
    __match_args__ = ("count",)

    def __init__(self, count: int) -> None:
        self.count = count

    def __eq__(self, other: object) -> bool:
        return self.count == other.count if isinstance(other, Lost) else NotImplemented

    def __hash__(self) -> int:
        return hash((Lost, self.count))

    def __repr__(self) -> str:
        return f"Lost(count={self.count})"

    def __str__(self) -> str:
        return f"{self.count} events lost"


async def take_next(observer: _libcoop.Observer) -> _libcoop.ServiceEvent | Lost:
    """The next of an observer's events, for a coroutine. One that is cancelled has taken none."""
    while True:
        item = observer._take()
        if item is not None:
            return item
        await observer._ready()
