"""Latency figures of one port.

Guarantees: memory is bounded; p50 and p99 are exact over the newest `WINDOW` samples (all of them until there are
more), count and maximum are of all samples. Milliseconds throughout.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

WINDOW = 4096


class Summary(NamedTuple):
    """Figures of a port, in milliseconds; `samples` is how many stand behind them."""

    samples: int
    p50: float
    p99: float
    highest: float


class Latency:
    """Samples of one port."""

    __slots__ = ("_newest", "count", "highest")

    def __init__(self) -> None:
        self._newest: deque[float] = deque(maxlen=WINDOW)
        self.count = 0
        self.highest = 0.0

    def add(self, milliseconds: float) -> None:
        """One sample."""
        self._newest.append(milliseconds)
        self.count += 1
        self.highest = max(self.highest, milliseconds)

    def samples(self) -> list[float]:
        """The newest samples, oldest first."""
        return list(self._newest)

    def merge(self, samples: Iterable[float], count: int, highest: float) -> None:
        """Take over another port's newest samples; `count` and `highest` are of all that it had."""
        self._newest.extend(samples)
        self.count += count
        self.highest = max(self.highest, highest)

    def summary(self) -> Summary | None:
        """None without a sample."""
        if not self._newest:
            return None
        ranked = sorted(self._newest)
        return Summary(self.count, percentile(ranked, 50), percentile(ranked, 99), self.highest)


class Awaited:
    """Timestamps that were sent and have not come back: each counts once, so that a packet that is repeated, replayed
    or made up is no sample. The newest `WINDOW` are remembered, to the microsecond."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[int, None] = {}

    def sent(self, timestamp: float) -> None:
        """It left now."""
        self._sent[_microseconds(timestamp)] = None
        if len(self._sent) > WINDOW:
            del self._sent[next(iter(self._sent))]

    def came(self, timestamp: float) -> bool:
        """Whether it had left and comes back for the first time."""
        return self._sent.pop(_microseconds(timestamp), False) is None


def _microseconds(timestamp: float) -> int:
    return round(min(max(timestamp, 0.0), 1e15) * 1e6)  # bounded: it is the other side's


def percentile(ranked: list[float], percent: float) -> float:
    """The nearest-rank percentile of a sorted, non-empty list: always one of the samples."""
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def elapsed_ms(now: float, timestamp: float) -> float | None:
    """Milliseconds from `timestamp` to `now` (seconds); None when it lies ahead, as after a step of the clock."""
    return None if timestamp > now else (now - timestamp) * 1000.0
