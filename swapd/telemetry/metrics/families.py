"""Families of series whose first label is the model; a model's series can be forgotten."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram

_Kind = TypeVar("_Kind", Counter, Histogram)


class Family(Generic[_Kind]):
    """One family; the series that were asked for once are held."""

    def __init__(self, metric: _Kind) -> None:
        self._metric: _Kind = metric
        self._held: dict[tuple[str, ...], _Kind] = {}

    def of(self, *labels: str) -> _Kind:
        """Return the series with ``labels``, of which the first is the model."""
        held = self._held.get(labels)
        if held is None:
            held = self._held[labels] = self._metric.labels(*labels)
        return held

    def keep(self, models: Container[str]) -> None:
        """Forget the series of all other models."""
        for labels in [labels for labels in self._held if labels[0] not in models]:
            del self._held[labels]
            self._metric.remove(*labels)


class Families:
    """All families of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._all: list[Family[Counter] | Family[Histogram]] = []

    def counter(self, name: str, about: str, *labels: str) -> Family[Counter]:
        """Return a new family of counters; their names get ``_total`` at the end."""
        family = Family(Counter(name, about, ("model", *labels), registry=self._registry))
        self._all.append(family)
        return family

    def histogram(self, name: str, about: str, buckets: Sequence[float]) -> Family[Histogram]:
        """Return a new family of histograms with these upper bounds."""
        metric = Histogram(name, about, ("model",), buckets=buckets, registry=self._registry)
        family = Family(metric)
        self._all.append(family)
        return family

    def keep(self, models: Container[str]) -> None:
        """Forget the series of all other models."""
        for family in self._all:
            family.keep(models)
