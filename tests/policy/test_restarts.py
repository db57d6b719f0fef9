"""How long a model that failed must wait, in plain numbers."""

from __future__ import annotations

import pytest

from swapd.policy.restarts import LONGEST, Failures, no_chance


def test_each_failed_start_doubles_the_time_up_to_a_minute() -> None:
    failures = Failures()
    delays = []
    for _ in range(8):
        failures.start_failed("boom", 100.0, no_chance)
        delays.append(failures.left(100.0))
    assert delays == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]


def test_the_first_crash_costs_nothing_and_the_next_ones_do() -> None:
    failures = Failures()
    delays = []
    for _ in range(3):
        failures.crashed("boom", 100.0, no_chance)
        delays.append(failures.left(100.0))
    assert delays == [0, 1, 2]


def test_a_thousand_failures_cost_a_minute_and_no_overflow() -> None:
    failures = Failures()
    for _ in range(3000):
        failures.start_failed("boom", 0.0, no_chance)
    assert failures.left(0.0) == LONGEST


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
def test_chance_makes_a_delay_shorter_or_longer_by_a_fifth(chance: float, delay: float) -> None:
    failures = Failures()
    failures.start_failed("boom", 0.0, lambda: chance)
    assert failures.left(0.0) == pytest.approx(delay)


def test_the_time_that_is_left_ends_at_nothing() -> None:
    failures = Failures()
    failures.start_failed("boom", 10.0, no_chance)
    assert [failures.left(now) for now in (10.0, 10.75, 11.0, 99.0)] == [1.0, 0.25, 0.0, 0.0]


def test_what_is_forgotten_counts_no_more() -> None:
    failures = Failures()
    for _ in range(5):
        failures.start_failed("boom", 0.0, no_chance)
    failures.forget()
    assert (failures.left(0.0), failures.error) == (0.0, "")
    failures.start_failed("bang", 0.0, no_chance)
    assert (failures.left(0.0), failures.error) == (1.0, "bang")
