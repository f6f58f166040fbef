"""Percentiles are samples, memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from libcoop.wynd.heartbeat import WINDOW, Latency, elapsed_ms, percentile

SAMPLES = st.lists(st.floats(0, 1e6), min_size=1, max_size=300)


@given(SAMPLES)
def test_summary(samples: list[float]) -> None:
    latency = Latency()
    for sample in samples:
        latency.add(sample)
    figures = latency.summary()
    assert figures is not None
    assert (figures.samples, figures.highest) == (len(samples), max(samples))
    assert sum(sample <= figures.p50 for sample in samples) * 2 >= len(samples)
    assert sum(sample <= figures.p99 for sample in samples) * 100 >= 99 * len(samples)
    assert {figures.p50, figures.p99} <= set(samples)


@given(SAMPLES, SAMPLES)
def test_merge_is_adding_the_other_ports_samples(left: list[float], right: list[float]) -> None:
    merged, other, plain = Latency(), Latency(), Latency()
    for sample in left:
        merged.add(sample)
    for sample in right:
        other.add(sample)
    for sample in left + right:
        plain.add(sample)
    merged.merge(other.samples(), other.count, other.highest)
    assert merged.summary() == plain.summary()


def test_the_newest_samples_stay() -> None:
    latency = Latency()
    for sample in range(3 * WINDOW):
        latency.add(float(sample))
    figures = latency.summary()
    assert figures is not None
    assert figures.samples == 3 * WINDOW
    assert figures.p50 >= 2 * WINDOW
    assert len(latency.samples()) == WINDOW


def test_small_cases() -> None:
    assert Latency().summary() is None
    assert percentile([1.0, 2.0, 3.0, 4.0], 50) == 2.0
    assert percentile([1.0, 2.0, 3.0, 4.0], 99) == 4.0
    assert elapsed_ms(10.5, 10.0) == 500.0
    assert elapsed_ms(10.0, 10.5) is None
