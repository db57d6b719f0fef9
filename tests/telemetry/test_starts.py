"""How much of a wait was the start of a model."""

from __future__ import annotations

from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.telemetry.starts import Starts

A, B = ModelId("a"), ModelId("b")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def change(model: ModelId, old: ModelState, new: ModelState) -> Transition:
    return Transition(model, old, new, Reason.REQUEST, Generation(1))


def test_a_model_that_never_started_took_no_time() -> None:
    assert Starts(Clock()).total(A) == 0


def test_a_start_under_way_counts_as_far_as_it_came() -> None:
    clock = Clock()
    starts = Starts(clock)
    starts.note(change(A, ModelState.STOPPED, ModelState.STARTING))
    clock.now += 3
    assert starts.total(A) == 3
    assert starts.total(B) == 0


def test_starts_of_one_model_add_up_and_nothing_else_counts() -> None:
    clock = Clock()
    starts = Starts(clock)
    for seconds in (3, 4):
        starts.note(change(A, ModelState.STOPPED, ModelState.STARTING))
        clock.now += seconds
        starts.note(change(A, ModelState.STARTING, ModelState.READY))
        clock.now += 50
        starts.note(change(A, ModelState.READY, ModelState.STOPPING))
        clock.now += 5
        starts.note(change(A, ModelState.STOPPING, ModelState.STOPPED))
    assert starts.total(A) == 7
