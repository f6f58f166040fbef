"""Latency figures of one port, in milliseconds.

Guarantees: memory is bounded whatever comes; count, mean, lowest and highest are exact over all samples; a percentile
is that of all samples, too high by no more than a microsecond or one 64th of it.

The buckets are log-linear, as those of Gil Tene's HdrHistogram (hdrhistogram.org): whole microseconds up to 127, and
from each power of two on to the next 64 of equal width. Only those that are not empty are kept.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

_SUB = 64  # buckets from one power of two to the next
_SUB_BITS = 7  # of 2 * _SUB - 1, the last number with a bucket of its own
_HIGHEST = 2**63 - 1  # microseconds
_AWAITED = 4096
PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p999": 99.9}


class Summary(NamedTuple):
    """Figures of a port, in milliseconds; `samples` is how many stand behind them."""

    samples: int
    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    lowest: float
    highest: float


def bucket_of(microseconds: int) -> int:
    """The number of the bucket that a sample falls into."""
    shift = microseconds.bit_length() - _SUB_BITS
    return microseconds if shift <= 0 else shift * _SUB + (microseconds >> shift)


def upper_end(bucket: int) -> int:
    """The highest whole microsecond of a bucket."""
    shift = max(bucket // _SUB - 1, 0)
    return ((bucket - shift * _SUB + 1) << shift) - 1


class Histogram:
    """Samples of one port, or of several."""

    __slots__ = ("_counts", "_sum", "count", "highest", "lowest")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._sum = 0.0
        self.count = 0
        self.lowest = math.inf
        self.highest = 0.0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.__getstate__() == other.__getstate__()

    __hash__ = None  # type: ignore[assignment]

    def __getstate__(self) -> tuple[Any, ...]:
        return dict(self._counts), self._sum, self.count, self.lowest, self.highest

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        counts, self._sum, self.count, self.lowest, self.highest = state
        self._counts = Counter(counts)

    def add(self, milliseconds: float) -> None:
        """One sample, 0 or more."""
        self._counts[bucket_of(min(round(milliseconds * 1000), _HIGHEST))] += 1
        self._sum += milliseconds
        self.count += 1
        self.lowest = min(self.lowest, milliseconds)
        self.highest = max(self.highest, milliseconds)

    def merge(self, other: Histogram) -> None:
        """Take over another's samples."""
        self._counts.update(other._counts)
        self._sum += other._sum
        self.count += other.count
        self.lowest = min(self.lowest, other.lowest)
        self.highest = max(self.highest, other.highest)

    def percentile(self, percent: float) -> float:
        """The lowest value that so many percent of the samples do not pass; there must be one."""
        rank, seen = max(1, math.ceil(self.count * percent / 100)), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= rank:
                return max(min(upper_end(bucket) / 1000, self.highest), self.lowest)
        return self.highest

    def buckets(self) -> list[tuple[float, int]]:
        """(upper end in milliseconds, samples) of each bucket that is not empty, lowest first."""
        return [(upper_end(bucket) / 1000, self._counts[bucket]) for bucket in sorted(self._counts)]

    def summary(self) -> Summary | None:
        """None without a sample."""
        if not self.count:
            return None
        ranks = {name: self.percentile(percent) for name, percent in PERCENTILES.items()}
        return Summary(self.count, self._sum / self.count, **ranks, lowest=self.lowest, highest=self.highest)


class Awaited:
    """Timestamps that were sent and have not come back: each counts once, so that a packet that is repeated, replayed
    or made up is no sample. The newest 4096 are remembered, to the microsecond."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[int, None] = {}

    def sent(self, timestamp: float) -> None:
        """It left now."""
        self._sent[_microseconds(timestamp)] = None
        if len(self._sent) > _AWAITED:
            del self._sent[next(iter(self._sent))]

    def came(self, timestamp: float) -> bool:
        """Whether it had left and comes back for the first time."""
        return self._sent.pop(_microseconds(timestamp), False) is None


def _microseconds(timestamp: float) -> int:
    return round(min(max(timestamp, 0.0), 1e15) * 1e6)  # bounded: it is the other side's


def elapsed_ms(now: float, timestamp: float) -> float | None:
    """Milliseconds from `timestamp` to `now` (seconds); None when it lies ahead, as after a step of the clock."""
    return None if timestamp > now else (now - timestamp) * 1000.0
