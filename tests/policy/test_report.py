"""The figures of a simulation."""

from __future__ import annotations

import random

import pytest

from swapd.policy.report import Waits, waits_of


def test_nobody_has_no_figures() -> None:
    assert waits_of([]) is None


def test_one_is_every_figure() -> None:
    assert waits_of([7.0]) == Waits(7.0, 7.0, 7.0)


@pytest.mark.parametrize(("many", "p95"), [(2, 2), (19, 19), (20, 19), (21, 20), (100, 95)])
def test_p95_is_what_ninety_five_of_a_hundred_waited_at_most(many: int, p95: float) -> None:
    waits = [float(number) for number in range(1, many + 1)]
    random.Random(1).shuffle(waits)
    assert waits_of(waits) == Waits((many + 1) / 2, p95, many)
