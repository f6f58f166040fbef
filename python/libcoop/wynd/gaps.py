"""The set of sequence numbers that have not come yet, as spans over 0..2^64-1.

Guarantees: at most `limit` spans (65,536 by default); each operation costs O(log n); in-order arrival costs O(1). What
the set calls received was received: when it is full it forgets receipts (the numbers count as missing again, and are
counted in `forgotten`), highest first, never gaps.

The closed gaps lie in a B+ tree of height two: leaves of at most `_LEAF` spans under one list of leaf keys. The open
span from `_tail` to the end, where nearly everything arrives, is kept beside it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from .packet import MAX_PAIRS, MAX_SEQUENCE, Span

MAX_SPANS = 65_536
_LEAF = 512


class Gaps:
    """Missing sequence numbers; everything is missing at first."""

    __slots__ = ("_begins", "_closed", "_ends", "_firsts", "_limit", "_tail", "forgotten")

    def __init__(self, limit: int = MAX_SPANS) -> None:
        if limit < 2:
            raise ValueError(f"limit of spans is {limit}: at least 2")
        self._limit = limit
        self._firsts: list[int] = []  # lowest begin of each leaf
        self._begins: list[list[int]] = []
        self._ends: list[list[int]] = []
        self._closed = 0
        self._tail = 0  # begin of the open span; MAX_SEQUENCE + 1 when there is none
        self.forgotten = 0

    def __len__(self) -> int:
        return self._closed + (self._tail <= MAX_SEQUENCE)

    def __iter__(self) -> Iterator[Span]:
        """The missing spans, lowest first."""
        for begins, ends in zip(self._begins, self._ends, strict=True):
            yield from zip(begins, ends, strict=True)
        if self._tail <= MAX_SEQUENCE:
            yield self._tail, MAX_SEQUENCE

    def __contains__(self, number: int) -> bool:
        if number >= self._tail:
            return number <= MAX_SEQUENCE
        found = self._find(number)
        return found is not None and number <= self._ends[found[0]][found[1]]

    def lowest(self, count: int = MAX_PAIRS) -> list[Span]:
        """The `count` lowest missing spans."""
        return list(islice(self, count))

    def kept(self, most: int) -> list[Span]:
        """For `resume`: the lowest `most` spans, the last of them to the end if there are more."""
        spans = self.lowest(most + 1)
        if len(spans) > most:
            spans[most - 1 :] = [(spans[most - 1][0], MAX_SEQUENCE)]
        return spans

    def resume(self, spans: list[Span], forgotten: int) -> None:
        """Be the set that has these spans, ascending; it must be new."""
        came = 0
        for begin, end in [*spans, (MAX_SEQUENCE + 1, MAX_SEQUENCE + 1)]:
            if begin > came:
                self.receive(came, begin - 1)
            came = end + 1
        self.forgotten = forgotten

    def receive(self, first: int, last: int) -> int:
        """Numbers first..last have come; answers how many of them were missing."""
        if not 0 <= first <= last <= MAX_SEQUENCE:
            raise ValueError(f"span {first}..{last}: 0 <= first <= last <= 2^64-1")
        tail = self._tail
        if first == tail:
            self._tail = last + 1
            return last + 1 - first
        taken = 0
        if last >= tail:
            taken = last + 1 - max(first, tail)
            self._tail = last + 1
            if first > tail:
                self._append(tail, first - 1)
                return taken
            last = tail - 1
        return taken + self._receive_closed(first, last)

    def _find(self, number: int) -> tuple[int, int] | None:
        """Leaf and place of the last closed gap that begins at or before `number`."""
        leaf = bisect_right(self._firsts, number) - 1
        return None if leaf < 0 else (leaf, bisect_right(self._begins[leaf], number) - 1)

    def _receive_closed(self, first: int, last: int) -> int:
        taken = 0
        found = self._find(last)
        while found is not None:  # from the highest gap that [first, last] touches downwards
            leaf, at = found
            begins, ends = self._begins[leaf], self._ends[leaf]
            begin, end = begins[at], ends[at]
            if end < first:
                break
            low, high = max(begin, first), min(end, last)
            if begin < low and high < end:
                if len(self) >= self._limit:
                    self.forgotten += high + 1 - low
                    return taken
                ends[at] = low - 1
                self._insert(leaf, at + 1, high + 1, end)
            elif begin < low:
                ends[at] = low - 1
            elif high < end:
                begins[at] = high + 1
                if at == 0:
                    self._firsts[leaf] = high + 1
            else:
                self._remove(leaf, at)
            taken += high + 1 - low
            if begin <= first:
                break
            found = self._find(begin - 1)
        return taken

    def _append(self, begin: int, end: int) -> None:
        """A new highest closed gap. At the limit it is joined to the one below: what came in between is forgotten,
        and those numbers are asked for again."""
        if self._closed and len(self) >= self._limit:
            self.forgotten += begin - 1 - self._ends[-1][-1]
            self._ends[-1][-1] = end
            return
        if not self._begins or len(self._begins[-1]) >= _LEAF:
            self._firsts.append(begin)
            self._begins.append([])
            self._ends.append([])
        self._begins[-1].append(begin)
        self._ends[-1].append(end)
        self._closed += 1

    def _insert(self, leaf: int, at: int, begin: int, end: int) -> None:
        begins, ends = self._begins[leaf], self._ends[leaf]
        begins.insert(at, begin)
        ends.insert(at, end)
        self._closed += 1
        if len(begins) > _LEAF:
            half = len(begins) // 2
            self._begins.insert(leaf + 1, begins[half:])
            self._ends.insert(leaf + 1, ends[half:])
            self._firsts.insert(leaf + 1, begins[half])
            del begins[half:], ends[half:]

    def _remove(self, leaf: int, at: int) -> None:
        begins, ends = self._begins[leaf], self._ends[leaf]
        del begins[at], ends[at]
        self._closed -= 1
        if not begins:
            del self._begins[leaf], self._ends[leaf], self._firsts[leaf]
            return
        if at == 0:
            self._firsts[leaf] = begins[0]
        # Small neighbours are joined, so that the list of leaves stays in proportion to the spans.
        if leaf + 1 < len(self._begins) and len(begins) + len(self._begins[leaf + 1]) <= _LEAF // 2:
            begins += self._begins.pop(leaf + 1)
            ends += self._ends.pop(leaf + 1)
            del self._firsts[leaf + 1]
