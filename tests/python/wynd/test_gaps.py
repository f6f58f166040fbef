"""Gaps against a model that keeps every number by itself."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from libcoop.wynd.gaps import MAX_SPANS, Gaps
from libcoop.wynd.packet import MAX_SEQUENCE

TOP = 200
RUNS = st.lists(st.tuples(st.integers(0, TOP), st.integers(1, 12)), max_size=120)


def spans_of(missing: set[int]) -> list[tuple[int, int]]:
    """Spans of the numbers 0..TOP+20, the last one open to the end."""
    spans: list[tuple[int, int]] = []
    for number in sorted(missing):
        if spans and number == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], number)
        else:
            spans.append((number, number))
    spans[-1] = (spans[-1][0], MAX_SEQUENCE)
    return spans


@given(RUNS)
def test_like_the_model(runs: list[tuple[int, int]]) -> None:
    gaps, missing = Gaps(), set(range(TOP + 21))
    for first, length in runs:
        run = set(range(first, first + length))
        assert gaps.receive(first, first + length - 1) == len(run & missing)
        missing -= run
        assert list(gaps) == spans_of(missing)
        assert len(gaps) == len(spans_of(missing))
    assert gaps.forgotten == 0
    assert gaps.lowest() == spans_of(missing)[:86]
    assert [number for number in range(TOP + 21) if number in gaps] == sorted(missing)


@given(RUNS, st.integers(2, 6))
def test_a_full_set_forgets_receipts_and_never_gaps(runs: list[tuple[int, int]], limit: int) -> None:
    gaps, missing = Gaps(limit), set(range(TOP + 21))
    for first, length in runs:
        gaps.receive(first, first + length - 1)
        missing -= set(range(first, first + length))
        spans = list(gaps)
        assert len(spans) == len(gaps) <= limit
        assert all(number in gaps for number in missing)
        assert all(left[1] + 1 < right[0] for left, right in itertools.pairwise(spans))
    # What was forgotten is asked for again, and then the set is exact.
    for number in range(TOP + 21):
        gaps.receive(number, number)
    assert list(gaps) == [(TOP + 21, MAX_SEQUENCE)]


@given(st.lists(st.tuples(st.integers(0, MAX_SEQUENCE), st.integers(0, MAX_SEQUENCE)), max_size=50))
def test_whole_range(pairs: list[tuple[int, int]]) -> None:
    gaps, received = Gaps(), 0
    for pair in pairs:
        received += gaps.receive(min(pair), max(pair))
    assert received + sum(end + 1 - begin for begin, end in gaps) == 2**64


def test_everything_received() -> None:
    gaps = Gaps()
    assert gaps.receive(0, MAX_SEQUENCE) == 2**64
    assert (list(gaps), len(gaps), 5 in gaps) == ([], 0, False)
    assert gaps.receive(3, 9) == 0


def test_every_second_number_fills_it_and_later_fills_the_gaps() -> None:
    gaps = Gaps()
    for number in range(1, 2 * MAX_SPANS + 2001, 2):
        gaps.receive(number, number)
    assert len(gaps) == MAX_SPANS
    assert gaps.forgotten > 0
    assert gaps.lowest(3) == [(0, 0), (2, 2), (4, 4)]
    order = list(range(2 * MAX_SPANS + 2001))
    random.Random(1).shuffle(order)
    for number in order:
        gaps.receive(number, number)
    # A number in the middle of a joined gap may have been refused once: one more pass in order takes all.
    for number in range(2 * MAX_SPANS + 2001):
        gaps.receive(number, number)
    assert list(gaps) == [(2 * MAX_SPANS + 2001, MAX_SEQUENCE)]


@pytest.mark.parametrize(("first", "last"), [(5, 4), (-1, 3), (0, 2**64)])
def test_no_span(first: int, last: int) -> None:
    with pytest.raises(ValueError, match=str(last)):
        Gaps().receive(first, last)
