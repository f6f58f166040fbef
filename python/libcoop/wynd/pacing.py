"""How fast an upload test may send: a ramp until FLOW_CONTROL shows that the receiver was overrun.

A test begins at `START` and doubles every `DOUBLING` seconds, with reports or without (some servers send none), until
loss is reported or the ramp has passed every machine.

The protocol carries no rate, only what is missing. From that the pacer works out what the receiver took: each number is
judged once, when a report first covers it, over the time in which it was sent (that of retransmissions in between left
out). If more than `TOLERATED` of a stretch was lost, the limit becomes `GAIN` times what came through per second. While
reports show less loss, the limit grows by `GROWTH` a report, and goes away when it has not held anything back for a
while. Loss below about a tenth that does not come from the rate (a bad line) therefore never slows a test down.

While nothing but retransmissions goes out no number is new. Then the limit grows when as many numbers came as went out,
and never falls: a number that is sent twice, because its way takes longer than the time between reports, must not pass
for a loss.

Rates are packets per second, times seconds of a monotonic clock. Guarantees: bounded memory, rate >= FLOOR.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import NamedTuple

from .packet import MAX_SEQUENCE, Span

FLOOR = 1000.0
START = 50_000.0
DOUBLING = 0.05
TOP = 10_000_000.0
GAIN = 1.1
GROWTH = 1.1
TOLERATED = 0.02
LEAST_CUT = 0.5  # a report takes at most half
_LEAST_SAMPLE = 256  # numbers below which a stretch says nothing
_LEAST_SECONDS = 0.05  # of sending that a judgement stands on
_GRAIN = 0.002  # seconds between entries of the history
_HISTORY = 4096
_BURST_SECONDS = 0.02  # of the rate that may be saved up


class _Stretch(NamedTuple):
    """A report, and what had been sent when it came."""

    now: float
    spans: tuple[Span, ...]
    known: int
    unsent: int
    again: int


def _missing(spans: tuple[Span, ...], lower: int, upper: int) -> int:
    """How many of lower..upper-1 the spans name."""
    return sum(min(end, upper - 1) + 1 - max(begin, lower) for begin, end in spans if begin < upper and end >= lower)


class Pacer:
    """The limit of one test."""

    def __init__(self) -> None:
        self.rate: float | None = START  # None: no limit
        self._ramping = True
        self._began: float | None = None
        self._times: deque[float] = deque(maxlen=_HISTORY)
        self._numbers: deque[int] = deque(maxlen=_HISTORY)
        self._packets: deque[int] = deque(maxlen=_HISTORY)  # sent by then, retransmissions included
        self._sent = 0
        self._judged = 0
        self._credit = 0.0
        self._credited = 0.0
        self._again = 0  # retransmissions in all
        self._stretch: _Stretch | None = None  # since when only retransmissions have gone out

    def allowance(self, now: float) -> int | None:
        """Packets that may go out at `now`; None without a limit."""
        if self._began is None:
            self._began = self._credited = now
        if self._ramping:
            self.rate = START * 2 ** min((now - self._began) / DOUBLING, 64)
            if self.rate > TOP:
                self.rate, self._ramping = None, False
        if self.rate is None:
            return None
        self._credit = min(self._credit + (now - self._credited) * self.rate, max(self.rate * _BURST_SECONDS, 1.0))
        self._credited = now
        return int(self._credit)

    def sent(self, now: float, count: int, unsent: int, again: int = 0) -> None:
        """`count` packets went out, `again` of them retransmissions; `unsent` is the lowest number never sent."""
        self._credit -= count
        self._again += again
        self._sent += count
        if not self._times or now - self._times[-1] >= _GRAIN:
            self._times.append(now)
            self._numbers.append(unsent)
            self._packets.append(self._sent)

    def on_flow_control(self, now: float, spans: tuple[Span, ...], unsent: int) -> None:
        """A report of the missing spans, lowest first."""
        if not spans:
            return
        begin, end = spans[-1]
        known = min(begin if end == MAX_SEQUENCE else end + 1, unsent)  # below it the report says everything
        self._on_again(_Stretch(now, spans, known, unsent, self._again))
        if known - self._judged < _LEAST_SAMPLE:
            return
        lower = self._judged
        seconds = self._seconds(lower, known)
        if seconds is not None and seconds < _LEAST_SECONDS:
            return  # with the next report it is longer
        self._judged = known
        missing = _missing(spans, lower, known)
        size = known - lower
        if seconds is None:
            return
        if missing > size * TOLERATED:
            came = (size - missing) / seconds * GAIN
            # One hiccup of the receiver must not cost the whole test.
            self._limit(now, max(FLOOR, came, (self.rate or size / seconds) * LEAST_CUT))
        elif self.rate is not None and not self._ramping:
            if size / seconds < self.rate / GROWTH**8:  # something else is slower than the limit by far
                self.rate = None
            else:
                self._limit(now, self.rate * GROWTH)

    def _on_again(self, this: _Stretch) -> None:
        last = self._stretch
        if last is None or last.unsent != this.unsent:
            self._stretch = this
            return
        sent, seconds = this.again - last.again, this.now - last.now
        if sent < _LEAST_SAMPLE or seconds < _LEAST_SECONDS:
            return
        self._stretch = this
        covered = min(last.known, this.known)
        came = _missing(last.spans, 0, covered) - _missing(this.spans, 0, covered)
        if came >= sent * (1 - TOLERATED) and self.rate is not None and not self._ramping:
            self._limit(this.now, self.rate * GROWTH)

    def _limit(self, now: float, rate: float) -> None:
        if self.rate is None:
            self._credit, self._credited = 0.0, now
        self.rate, self._ramping = rate, False

    def _seconds(self, lower: int, upper: int) -> float | None:
        """How long it took to send the numbers lower..upper-1, the time that went into retransmissions left out; None
        where the history no longer or not yet says."""
        numbers = self._numbers
        if len(numbers) < 2:
            return None
        first = max(bisect_left(numbers, lower) - 1, 0)
        last = min(bisect_left(numbers, upper), len(numbers) - 1)
        covered = numbers[last] - numbers[first]
        if last <= first or covered <= 0 or numbers[first] > upper:
            return None
        # The entries lie a little outside the stretch: in proportion. Of the packets sent meanwhile only some were new.
        packets = max(self._packets[last] - self._packets[first], 1)
        return max((self._times[last] - self._times[first]) * (upper - lower) / packets, 1e-6)
