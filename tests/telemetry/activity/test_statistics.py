"""Sums and spreads are those that a list of numbers has."""

from __future__ import annotations

import math
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.telemetry.activity.keeping import Retention
from swapd.telemetry.activity.statistics import Histogram, Statistics, sum_up
from swapd.telemetry.activity.store import Store
from swapd.telemetry.finished import Finished
from swapd.telemetry.usage.usage import UNKNOWN, Usage
from tests.telemetry.activity.finished import NOW, finished


def summed(*told: Finished, model: str | None = None) -> Statistics:
    with closing(Store(None)) as store:
        store.work(told, Retention(), NOW)
        with store.reading() as connection:
            return sum_up(connection, model)


def spread_of(*speeds: float) -> Histogram:
    told = (finished(usage=Usage(generated_per_second=speed)) for speed in speeds)
    histogram = summed(*told).generation_speeds
    assert histogram
    return histogram


def test_nothing_is_told_of_nothing() -> None:
    assert summed() == Statistics(0, 0, 0, 0, None, None)


def test_tokens_are_summed_up_and_the_unknown_counts_as_none() -> None:
    told = (
        finished(usage=Usage(prompt=10, cached=2, generated=20)),
        finished(usage=Usage(prompt=5, generated=8)),
        finished(usage=UNKNOWN, status=502),
        finished(model="other", usage=Usage(prompt=1000)),
    )
    assert summed(*told, model="m") == Statistics(3, 15, 28, 2, None, None)
    assert summed(*told).prompt == 1015
    assert summed(*told, model="none") == Statistics(0, 0, 0, 0, None, None)


def test_equal_speeds_are_one_bin() -> None:
    assert spread_of(5.0, 5.0, 5.0) == Histogram([3], 5.0, 5.0, 0.0, 5.0, 5.0, 5.0)


def test_speeds_are_spread_over_equal_bins() -> None:
    histogram = spread_of(*(float(number) for number in range(1, 102)))
    assert histogram.bins == [13, 12, 13, 12, 13, 12, 13, 13]
    assert (histogram.low, histogram.high, histogram.bin_size) == (1.0, 101.0, 12.5)
    assert (histogram.p50, histogram.p95, histogram.p99) == (51.0, 96.0, 100.0)


@pytest.mark.parametrize(
    ("count", "bins"), [(2, 5), (16, 5), (17, 6), (1024, 11), (1025, 12), (5000, 14)]
)
def test_more_speeds_have_more_bins(count: int, bins: int) -> None:
    assert len(spread_of(*(float(number) for number in range(1, count + 1))).bins) == bins


def test_only_speeds_above_zero_count() -> None:
    assert sum(spread_of(1.0, 0.0, -1.0, 2.0).bins) == 2


def test_the_two_speeds_have_histograms_of_their_own() -> None:
    told = summed(finished(usage=Usage(prompt_per_second=100.0, generated_per_second=10.0)))
    assert told.prompt_speeds
    assert told.generation_speeds
    assert (told.prompt_speeds.low, told.generation_speeds.low) == (100.0, 10.0)


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=60))
def test_every_spread_is_that_of_the_sorted_speeds(speeds: list[float]) -> None:
    histogram = spread_of(*speeds)
    ordered = sorted(speeds)
    assert (histogram.low, histogram.high) == (ordered[0], ordered[-1])
    assert sum(histogram.bins) == len(speeds)
    for share, told in ((0.5, histogram.p50), (0.95, histogram.p95), (0.99, histogram.p99)):
        place = share * (len(ordered) - 1)
        lower, upper = ordered[math.floor(place)], ordered[math.ceil(place)]
        assert lower <= told <= upper
        assert told == pytest.approx(lower + (upper - lower) * (place % 1), rel=1e-6)
