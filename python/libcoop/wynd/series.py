"""Rate, loss and latency over time, for --plot, --json and the live display.

Guarantees: memory is bounded: a track that is full halves its resolution, by joining neighbours (the mean of rates and
losses, the higher of two latencies). Times are seconds from the beginning of the run.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from .events import Direction, Progress

_POINTS = 2048  # of a track


class Rate(NamedTuple):
    """Between two looks at a test. `loss` is 0 to 1."""

    at: float
    bits_per_second: float
    packets_per_second: float
    loss: float


class Series:
    """One run's."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last: dict[tuple[int, Direction], Progress] = {}
        self._first: dict[tuple[int, Direction], Progress] = {}
        self.rates: dict[Direction, list[Rate]] = {}
        self.latencies: dict[str, list[tuple[float, float]]] = {}

    def progress(self, client: int, now: Progress) -> Rate | None:
        """A test went on; None for the first look at it, which has nothing to compare with."""
        key = client, now.direction
        before = self._last.get(key)
        self._last[key] = now
        if before is None or now.packets < before.packets:  # of another test
            self._first[key] = now
            return None
        seconds = now.at - before.at
        if seconds <= 0:
            return None
        packets, lost = now.packets - before.packets, max(now.lost - before.lost, 0)
        sent = packets + lost if now.receiving else packets
        rate = Rate(
            now.at - self._began,
            (now.bytes - before.bytes) * 8 / seconds,
            packets / seconds,
            min(lost / sent, 1.0) if sent else 0.0,
        )
        track = self.rates.setdefault(now.direction, [])
        track.append(rate)
        if len(track) > _POINTS:
            pairs = zip(track[::2], track[1::2], strict=False)
            track[:] = [Rate(*((a + b) / 2 for a, b in zip(x, y, strict=True))) for x, y in pairs]
        return rate

    def ended(self, client: int, direction: Direction) -> None:
        """A test has its result."""
        self._last.pop((client, direction), None)
        self._first.pop((client, direction), None)

    def latency(self, port: str, milliseconds: float) -> None:
        """A sample came."""
        track = self.latencies.setdefault(port, [])
        track.append((time.monotonic() - self._began, milliseconds))
        if len(track) > _POINTS:
            track[:] = [max(x, y, key=lambda point: point[1]) for x, y in zip(track[::2], track[1::2], strict=False)]

    def unfinished(self) -> list[str]:
        """A line for each test that has no result yet."""
        lines = []
        for (client, direction), now in self._last.items():
            first = self._first[client, direction]
            seconds = now.at - first.at
            bits = (now.bytes - first.bytes) * 8 / seconds if seconds > 0 else 0.0
            done = "received" if now.receiving else "sent"
            who = f"Client {client}, {direction}" if client else str(direction).capitalize()
            lines.append(f"{who} so far: {now.packets} packets {done}, {now.lost} lost, {bits / 1e6:.2f} Mbps")
        return lines

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "rate": {str(direction): [list(point) for point in track] for direction, track in self.rates.items()},
            "latency": {port: [list(point) for point in track] for port, track in self.latencies.items()},
        }
