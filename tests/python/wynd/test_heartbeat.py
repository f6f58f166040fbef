"""Histograms: percentiles are near enough, memory is bounded, nothing is lost in pickling or merging."""

from __future__ import annotations

import math
import pickle
import random

from hypothesis import given
from hypothesis import strategies as st
from libcoop.wynd.heartbeat import Awaited, Histogram, bucket_of, elapsed_ms, upper_end

SAMPLES = st.lists(st.floats(0, 1e9), min_size=1, max_size=300)


def histogram_of(samples: list[float]) -> Histogram:
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    return histogram


@given(st.integers(0, 2**63 - 1))
def test_a_bucket_holds_its_sample_and_is_narrow(sample: int) -> None:
    bucket = bucket_of(sample)
    lowest = upper_end(bucket - 1) + 1 if bucket else 0
    assert lowest <= sample <= upper_end(bucket)
    assert upper_end(bucket) - lowest <= lowest / 64


@given(SAMPLES, st.floats(0.1, 100))
def test_a_percentile_is_that_of_the_sorted_samples(samples: list[float], percent: float) -> None:
    exact = sorted(samples)[max(1, math.ceil(len(samples) * percent / 100)) - 1]
    assert abs(histogram_of(samples).percentile(percent) - exact) <= max(exact / 63, 0.001)


@given(SAMPLES)
def test_summary(samples: list[float]) -> None:
    figures = histogram_of(samples).summary()
    assert figures is not None
    assert (figures.samples, figures.lowest, figures.highest) == (len(samples), min(samples), max(samples))
    assert abs(figures.mean - sum(samples) / len(samples)) <= 1e-9 * max(samples)
    assert figures.lowest <= figures.p50 <= figures.p90 <= figures.p99 <= figures.p999 <= figures.highest


@given(SAMPLES, SAMPLES)
def test_merging_is_adding_the_others_samples(left: list[float], right: list[float]) -> None:
    merged, other = histogram_of(left), histogram_of(right)
    before = pickle.dumps(other)
    merged.merge(other)
    both = histogram_of(left + right)
    assert merged.buckets() == both.buckets()
    assert (merged.count, merged.lowest, merged.highest) == (both.count, both.lowest, both.highest)
    assert pickle.loads(before) == other


def test_memory_is_bounded() -> None:
    chance = random.Random(1)
    histogram = histogram_of([10 ** chance.uniform(-6, 30) for _ in range(50_000)])
    assert len(histogram.buckets()) <= 64 * 64
    assert sum(count for _, count in histogram.buckets()) == histogram.count == 50_000


def test_small_cases() -> None:
    assert Histogram().summary() is None
    histogram = histogram_of([0.001, 0.002, 0.003, 0.004])
    assert (histogram.percentile(50), histogram.percentile(99)) == (0.002, 0.004)
    assert elapsed_ms(10.5, 10.0) == 500.0
    assert elapsed_ms(10.0, 10.5) is None


def test_an_awaited_timestamp_comes_once() -> None:
    awaited = Awaited()
    for second in range(5000):
        awaited.sent(float(second))
    assert awaited.came(4999.0)
    assert not awaited.came(4999.0)
    assert not awaited.came(0.0)  # forgotten: only so many are remembered
    assert not awaited.came(-1e308)
