"""The sending side of an upload test: what goes out next.

Guarantees: a packet's own number is its sequence number less its offset; what FLOW_CONTROL proves lost goes out again,
lowest first and merged; nothing in flight is taken for lost (see `Sender.on_flow_control`). Numbers handed out as one
run share an offset, so a burst differs from packet to packet in the sequence number alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .packet import HEADER, HEADER_BYTES, MAX_SEQUENCE, Kind, Span, dummy_payload

MAX_SEGMENTS = 64  # what the kernel takes in one GSO send
MAX_BURST_BYTES = 64_999
_RAMP = bytes(range(256))
_LOW_BYTE = 11


class Run(NamedTuple):
    """Packets sequence..sequence+packets-1, all with `offset`; `again` when they are retransmissions."""

    sequence: int
    offset: int
    packets: int
    again: bool


class SpanQueue:
    """Numbers waiting to go out again: disjoint spans, lowest first."""

    def __init__(self) -> None:
        self._spans: deque[Span] = deque()

    def __bool__(self) -> bool:
        return bool(self._spans)

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def add(self, spans: Iterable[Span]) -> None:
        """Merge `spans` in; what is queued already is not queued twice."""
        merged: deque[Span] = deque()
        for begin, end in sorted([*self._spans, *spans]):
            if merged and begin <= merged[-1][1] + 1:
                if end > merged[-1][1]:
                    merged[-1] = (merged[-1][0], end)
            else:
                merged.append((begin, end))
        self._spans = merged

    def take(self, most: int) -> tuple[int, int]:
        """The lowest number and how many follow it, at most `most`; the queue must not be empty."""
        begin, end = self._spans[0]
        count = min(most, end + 1 - begin)
        if begin + count > end:
            self._spans.popleft()
        else:
            self._spans[0] = (begin + count, end)
        return begin, count


class _Report(NamedTuple):
    spans: tuple[Span, ...]
    unsent: int  # the first number not yet sent when the report came


class Sender:
    """Numbering and retransmission of one test. `window` is flow_control_rate: how many reports are kept."""

    def __init__(self, window: int) -> None:
        self._reports: deque[_Report] = deque(maxlen=window)
        self._waiting = SpanQueue()
        self._newest_report = -1
        self.sequence = 0  # the next channel_sequence_number: packets handed out so far
        self.unsent = 0  # the lowest number never handed out
        self.retransmitted = 0
        self.last_was_again = False

    @property
    def has_lost(self) -> bool:
        """Whether numbers wait to go out again."""
        return bool(self._waiting)

    def next_run(self, most: int) -> Run:
        """What to send next: at most `most` packets, never across a wrap of the sequence number's lowest byte."""
        most = min(most, 256 - (self.sequence & 0xFF))
        again = bool(self._waiting)
        if again:
            begin, count = self._waiting.take(most)
            self.retransmitted += count
        else:
            begin, count = self.unsent, most
            self.unsent += count
        run = Run(self.sequence, self.sequence - begin, count, again)
        self.sequence += count
        self.last_was_again = again
        return run

    def next_fresh(self) -> Run:
        """One packet of new data whatever waits. A test ends with it, so that the highest sequence number carries as
        its offset the number of retransmissions, which the receiver reports."""
        run = Run(self.sequence, self.sequence - self.unsent, 1, False)
        self.unsent += 1
        self.sequence += 1
        self.last_was_again = False
        return run

    def kept(self, ahead: int) -> tuple[int, ...]:
        """For `resume`, as if `ahead` packets more had gone out. What waits is missing at the receiver, whose reports
        will say so again."""
        return self.sequence + ahead, self.unsent + ahead, self.retransmitted, self._newest_report

    def resume(self, kept: tuple[int, ...]) -> None:
        """Go on from there."""
        self.sequence, self.unsent, self.retransmitted, self._newest_report = kept

    def on_flow_control(self, sequence: int, spans: tuple[Span, ...]) -> int | None:
        """The receiver's lowest missing spans; `sequence` numbers the reports. Answers how many numbers are now known
        to be lost and wait to go out again, or None for a report that is older than one already seen.

        Lost is what the oldest and the newest report kept both miss, below the first number that had not been sent
        when the oldest came: anything else may still be on its way."""
        if sequence <= self._newest_report:
            return None
        self._newest_report = sequence
        self._reports.append(_Report(spans, self.unsent))
        if len(self._reports) < (self._reports.maxlen or 1):
            return 0
        oldest = self._reports[0]
        lost = intersect(oldest.spans, spans, oldest.unsent - 1)
        self._waiting.add(lost)
        return sum(end + 1 - begin for begin, end in lost)


def intersect(left: Sequence[Span], right: Sequence[Span], highest: int = MAX_SEQUENCE) -> list[Span]:
    """What two ascending lists of disjoint spans share, up to and including `highest`."""
    shared: list[Span] = []
    i = j = 0
    while i < len(left) and j < len(right):
        begin, end = max(left[i][0], right[j][0]), min(left[i][1], right[j][1], highest)
        if begin > highest:
            break
        if begin <= end:
            shared.append((begin, end))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return shared


class Burst:
    """Back-to-back BANDWIDTH_TEST packets in one reusable buffer; a run is written by changing header bytes only."""

    def __init__(self, channel: int, payload_length: int) -> None:
        payload = dummy_payload(payload_length)
        self.size = HEADER_BYTES + len(payload)  # bytes of a packet
        self.most = min(MAX_SEGMENTS, MAX_BURST_BYTES // self.size)  # packets in a burst
        self._word = Kind.BANDWIDTH_TEST << 24 | channel
        self._header = HEADER.pack(self._word, 0, 0)  # what every packet in the buffer has, but for the lowest byte
        self._buffer = bytearray((self._header + payload) * self.most)
        self._view = memoryview(self._buffer)
        self._single = bytearray(self._header + payload)

    def fill(self, run: Run) -> memoryview | bytearray:
        """The run's packets, valid until the next call. The run must have come from a Sender: it fits `most` and its
        numbers share their upper seven bytes."""
        sequence, offset, count, _ = run
        if count == 1:  # as after scattered loss
            HEADER.pack_into(self._single, 0, self._word, sequence, offset)
            return self._single
        buffer, size = self._buffer, self.size
        low = sequence & 0xFF
        header = HEADER.pack(self._word, sequence - low, offset)
        if header != self._header:  # one column of bytes for each place that differs, most often one in four bursts
            for place, byte in enumerate(header):
                if byte != self._header[place]:
                    buffer[place::size] = bytes((byte,)) * self.most
            self._header = header
        buffer[_LOW_BYTE : (count - 1) * size + _LOW_BYTE + 1 : size] = _RAMP[low : low + count]
        return self._view[: count * size]
