"""The receiving side of an upload test: what has come on one channel.

Guarantees: every figure is counted from datagrams that were checked byte for byte over their header; duplicates count
in bytes and packets (they crossed the wire) but not in `distinct`. Times are seconds of a monotonic clock.

The common case, a stretch of equal-sized datagrams that continue one another, costs no Python object per packet: the
headers of up to 256 are cut out by one struct call and compared with what they must be.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

from .gaps import Gaps
from .packet import HEADER, HEADER_BYTES, MAX_BYTES, Kind

Offsets: TypeAlias = "memoryview[int]"  # begin of each datagram, and the end of the last
_BLOCK = 256
_RAMP = bytes(range(_BLOCK))
_GAPS_KEPT = 512  # spans
_LOW_BYTE = 11  # place of the sequence number's lowest byte in the header


class Totals(NamedTuple):
    """What a test came to. Bytes are whole packets, header included; duration is measured seconds."""

    bytes_received: int
    bandwidth_bps: float
    retransmit_count: int
    packet_count: int
    duration: float


class Receiver:
    """One test's state. `started` is the monotonic time, in seconds, at which it began."""

    def __init__(self, channel: int, started: float) -> None:
        self.channel = channel
        self.started = started
        self.gaps = Gaps()
        self.bytes_received = 0
        self.packet_count = 0
        self.distinct = 0
        self.highest = -1  # sequence number
        self._retransmit_count = 0
        self._word = Kind.BANDWIDTH_TEST << 24 | channel
        self._rows_of: tuple[int, int] = (-1, -1)
        self._rows = b""

    def run(self, sequence: int, offset: int, count: int, size: int) -> None:
        """`count` packets of `size` bytes came, numbered from `sequence` on, all with the same offset."""
        self.packet_count += count
        self.bytes_received += count * size
        last = sequence + count - 1
        if last > self.highest:
            self.highest = last
            self._retransmit_count = offset
        self.distinct += self.gaps.receive(sequence - offset, last - offset)

    def finish(self, now: float) -> Totals:
        """The result at monotonic time `now` (seconds)."""
        duration = max(now - self.started, 1e-9)
        bandwidth = self.bytes_received * 8 / duration
        return Totals(self.bytes_received, bandwidth, self._retransmit_count, self.packet_count, duration)

    def kept(self) -> Any:
        """For `resumed`: of very many gaps the lowest only, so what came above them is asked for again."""
        counts = self.bytes_received, self.packet_count, self.distinct, self.highest, self._retransmit_count
        return self.channel, self.started, counts, self.gaps.kept(_GAPS_KEPT), self.gaps.forgotten

    @classmethod
    def resumed(cls, kept: Any) -> Receiver:
        """The test that `kept` was at."""
        channel, started, counts, spans, forgotten = kept
        receiver = cls(channel, started)
        receiver.bytes_received, receiver.packet_count, receiver.distinct = counts[:3]
        receiver.highest, receiver._retransmit_count = counts[3:]
        receiver.gaps.resume(spans, forgotten)
        return receiver

    def scan(self, data: memoryview, offsets: Offsets, begin: int, end: int) -> list[int]:
        """Take the test's packets out of datagrams begin..end-1 (datagram i is data[offsets[i]:offsets[i+1]]);
        answers the indices of all others, in order."""
        others: list[int] = []
        at = begin
        while at < end:
            start = offsets[at]
            size = offsets[at + 1] - start
            if not HEADER_BYTES <= size <= MAX_BYTES or data[start] != Kind.BANDWIDTH_TEST:
                others.append(at)
                at += 1
                continue
            stretch = _equal_sizes(offsets, at, end, size)
            while at < stretch:
                at = self._block(data, offsets[at], size, at, stretch, others)
        return others

    def _block(self, data: memoryview, start: int, size: int, at: int, stretch: int, others: list[int]) -> int:
        """One block of equal-sized datagrams, cut where the sequence number's lowest byte wraps."""
        word, sequence, offset = HEADER.unpack_from(data, start)
        low = sequence & 0xFF
        count: int = min(stretch - at, _BLOCK - low)
        if count == 1:
            self._single(word, sequence, offset, size, at, others)
            return at + 1
        headers = b"".join(_cutter(size, count).unpack_from(data, start))
        if (
            word == self._word
            and offset <= sequence
            and headers == self._expected(sequence >> 8, offset)[low * HEADER_BYTES : (low + count) * HEADER_BYTES]
        ):
            self.run(sequence, offset, count, size)
        else:
            self._walk(headers, size, at, others)
        return at + count

    def _walk(self, headers: bytes, size: int, at: int, others: list[int]) -> None:
        """A block with holes, disorder or strange packets: packet by packet, runs still taken as one."""
        expected_word = self._word
        first = last = run_offset = 0
        count = 0
        for index, (word, sequence, offset) in enumerate(HEADER.iter_unpack(headers), at):
            if sequence == last + 1 and offset == run_offset and word == expected_word and count:
                count += 1
                last = sequence
                continue
            if count:
                self.run(first, run_offset, count, size)
                count = 0
            if word == expected_word and offset <= sequence:
                first = last = sequence
                run_offset = offset
                count = 1
            else:
                others.append(index)
        if count:
            self.run(first, run_offset, count, size)

    def _single(self, word: int, sequence: int, offset: int, size: int, at: int, others: list[int]) -> None:
        if word == self._word and offset <= sequence:
            self.run(sequence, offset, 1, size)
        else:
            others.append(at)

    def _expected(self, high: int, offset: int) -> bytes:
        """The 256 headers whose sequence numbers share the upper seven bytes `high`."""
        if self._rows_of != (high, offset):
            rows = bytearray(HEADER.pack(self._word, high << 8, offset) * _BLOCK)
            rows[_LOW_BYTE::HEADER_BYTES] = _RAMP
            self._rows, self._rows_of = bytes(rows), (high, offset)
        return self._rows


def _equal_sizes(offsets: Offsets, at: int, end: int, size: int) -> int:
    """The end of the stretch of datagrams of `size` bytes that begins at `at`."""
    while at < end:
        step = min(_BLOCK, end - at)
        start = offsets[at]
        if offsets[at + step] - start != size * step or offsets[at : at + step].tolist() != list(
            range(start, start + size * step, size)
        ):
            break
        at += step
    while at < end and offsets[at + 1] - offsets[at] == size:
        at += 1
    return at


@lru_cache(maxsize=1024)
def _cutter(size: int, count: int) -> struct.Struct:
    """Cuts the headers out of `count` datagrams of `size` bytes that lie back to back."""
    return struct.Struct(f"{HEADER_BYTES}s{size - HEADER_BYTES}x" * count)
