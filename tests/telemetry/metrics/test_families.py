"""Series are counted as prometheus-client counts them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from swapd.telemetry.metrics.families import Families

BOUNDS = (0.5, 1, 2.5, 10)


def shown(registry: CollectorRegistry) -> list[str]:
    """Return all series, but for when they were made, which swapd does not tell."""
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if not line.startswith("#") and "_created" not in line]


@given(st.lists(st.floats(0, 20) | st.sampled_from([0.0, *map(float, BOUNDS)])))
def test_values_spread_as_those_of_the_library_do(values: list[float]) -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    histogram = Histogram("h_seconds", "About it.", ("model",), buckets=BOUNDS, registry=theirs)
    family = Families(ours).histogram("h_seconds", "About it.", BOUNDS)
    for value in values:
        histogram.labels("m").observe(value)
        family.of("m").observe(value)
    assert shown(ours) == shown(theirs)


def test_families_are_shown_in_their_order_and_without_a_model_that_is_forgotten() -> None:
    registry = CollectorRegistry()
    families = Families(registry)
    first, second = families.counter("b", "One."), families.counter("a", "Other.", "kind")
    first.of("m").inc()
    first.of("m").inc(2)
    second.of("m", "x").inc()
    second.of("n", "x").inc()
    families.keep({"m"})
    assert shown(registry) == ['b_total{model="m"} 3.0', 'a_total{kind="x",model="m"} 1.0']
