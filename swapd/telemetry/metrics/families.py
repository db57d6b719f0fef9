"""Families of series whose first label is the model; a model's series can be forgotten.

They are counted here and shown by prometheus-client.  Its own series can be shared by processes
and carry examples, for which each addition costs a lock and five calls; a request is counted six
times.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Count:
    """One series that only grows."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        self.total = 0.0

    def inc(self, amount: float = 1.0) -> None:
        """Add ``amount``."""
        self.total += amount


class Spread:
    """How observed values spread over buckets; a bucket's upper bound belongs to it."""

    __slots__ = ("_bounds", "_counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Have buckets with these upper ``bounds``, in order, and one for all that is more."""
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        #: Of all values.
        self.total = 0.0

    def observe(self, amount: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, amount)] += 1
        self.total += amount

    def buckets(self) -> list[tuple[str, float]]:
        """Return for each bound, as Prometheus writes it, how many values are not more."""
        names = map(floatToGoString, (*self._bounds, math.inf))
        return [*zip(names, accumulate(self._counts), strict=True)]


_Series = TypeVar("_Series", Count, Spread)


class Family(Generic[_Series]):
    """One family; the series that were asked for once are held."""

    def __init__(self, make: Callable[[], _Series]) -> None:
        self._make: Callable[[], _Series] = make
        self._held: dict[tuple[str, ...], _Series] = {}

    def of(self, *labels: str) -> _Series:
        """Return the series with ``labels``, of which the first is the model."""
        held = self._held.get(labels)
        if held is None:
            held = self._held[labels] = self._make()
        return held

    def keep(self, models: Container[str]) -> None:
        """Forget the series of all other models."""
        for labels in [labels for labels in self._held if labels[0] not in models]:
            del self._held[labels]

    def items(self) -> list[tuple[tuple[str, ...], _Series]]:
        """Return all series by their labels, in the order in which they were asked for."""
        return list(self._held.items())  # a thread asks, while others may be added


class Families(Collector):
    """All families of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._all: list[Family[Count] | Family[Spread]] = []
        self._shown: list[Callable[[], Metric]] = []
        registry.register(self)

    def counter(self, name: str, about: str, *labels: str) -> Family[Count]:
        """Return a new family of counters; their names get ``_total`` at the end."""
        family = Family(Count)

        def show() -> Metric:
            metric = CounterMetricFamily(name, about, labels=("model", *labels))
            for values, count in family.items():
                metric.add_metric(values, count.total)
            return metric

        self._all.append(family)
        self._shown.append(show)
        return family

    def histogram(self, name: str, about: str, bounds: Sequence[float]) -> Family[Spread]:
        """Return a new family of histograms with these upper bounds."""
        family = Family(lambda: Spread(bounds))

        def show() -> Metric:
            metric = HistogramMetricFamily(name, about, labels=("model",))
            for values, spread in family.items():
                metric.add_metric(values, spread.buckets(), spread.total)
            return metric

        self._all.append(family)
        self._shown.append(show)
        return family

    def keep(self, models: Container[str]) -> None:
        """Forget the series of all other models."""
        for family in self._all:
            family.keep(models)

    def collect(self) -> Iterator[Metric]:
        """Yield every family as it is now."""
        for show in self._shown:
            yield show()
