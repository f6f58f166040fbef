"""What `Pool.stats()` answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Depth(NamedTuple):
    """How many calls wait, by priority."""

    high: int
    normal: int
    low: int


@dataclass(frozen=True, slots=True)
class WorkerStats:
    """What one worker did since the pool was made."""

    cpu: int | None
    """The CPU that it is pinned to, if it is."""
    executed: int
    """The calls it has begun."""
    stolen: int
    """The calls it took from what another worker had claimed."""
    parked: int
    """How often it went to sleep."""


@dataclass(frozen=True, slots=True)
class WaitStats:
    """How long calls waited from `submit` to their start, in seconds, of every 64th one."""

    samples: int
    """How many were timed."""
    mean: float
    p50: float
    """Half of them waited no longer; up to an eighth too much."""
    p99: float
    """99 of 100 waited no longer; up to an eighth too much."""
    max: float


@dataclass(frozen=True, slots=True)
class PoolStats:
    """What a pool did since it was made, and what waits in it."""

    depth: Depth
    """How many calls wait, by priority."""
    capacity: int | None
    """How many may wait; None: any number."""
    workers: tuple[WorkerStats, ...]
    """Each worker."""
    wait: WaitStats
    """From `submit` to the start."""


@dataclass(frozen=True, slots=True)
class LoopStats:
    """What an event loop did since it was made. Times are in seconds."""

    iterations: int
    """Turns."""
    events: int
    """Descriptors that were ready."""
    posts: int
    """Posts that have begun; those of Python that run in one go count as one."""
    timers_fired: int
    """Timers that have fired, each repetition anew."""
    timers: int
    """Timers there are."""
    watches: int
    """Watches there are, and sockets of streams."""
    longest_callback: float
    """The longest that a callback has run on the loop's thread, from the first call of `stats` on, as the rest."""
    lag: float
    """In the last turn, how long the last of what was ready waited until its callback began."""
    longest_lag: float
    """The longest such time of all turns."""
    at_hand: float
    """For how long the callback at hand has run so far; 0 if there is none."""
