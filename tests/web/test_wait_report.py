"""What one client is told of its wait, and how often."""

from __future__ import annotations

import pytest

from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.web.wait_report import Report, Situation

STOPPED, STARTING = ModelState.STOPPED, ModelState.STARTING
READY, STOPPING = ModelState.READY, ModelState.STOPPING

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")

LOADING = Situation(STARTING, position=1)


def told(*situations: Situation, every: float = 5.0, step: float = 1.0) -> list[str | None]:
    """Return what is told of ``situations``, of which a new one comes after each ``step`` s."""
    report = Report(A, every=every)
    return [report.news(situation, number * step) for number, situation in enumerate(situations)]


def test_the_first_line_names_the_model() -> None:
    assert Report(A).opening() == "swapd loading model: a"


def test_the_last_line_says_how_long_it_took() -> None:
    assert Report(A).closing(3.14159) == "Done! (3.14s)"


def test_a_load_alone_is_told_by_the_first_line_and_then_by_its_time() -> None:
    report = Report(A)
    assert not report.began
    assert told(*[LOADING] * 12) == [
        *[None] * 5,
        "Loading (5 s)",
        *[None] * 4,
        "Loading (10 s)",
        None,
    ]
    report.news(LOADING, 0)
    assert report.began


def test_progress_is_told_in_the_models_own_words() -> None:
    half, whole = Situation(STARTING, 1, progress="50%"), Situation(STARTING, 1, progress="100%")
    assert told(half, half, half, whole) == ["Loading: 50%", None, None, "Loading (3 s): 100%"]


def test_a_progress_bar_is_not_told_each_time_that_it_moves() -> None:
    bar = [Situation(STARTING, 1, progress=f"{number}%") for number in range(7)]
    lines = [line for line in told(*bar) if line]
    assert lines == ["Loading: 0%", "Loading (2 s): 2%", "Loading (4 s): 4%", "Loading (6 s): 6%"]


@pytest.mark.parametrize(
    ("situation", "line"),
    [
        (Situation(STOPPED, 2), "Queue position: #2"),
        (
            Situation(STOPPED, 1, waits_for=((B, READY), (C, STOPPING))),
            "Queue position: #1: waiting for b to finish; waiting for c to end",
        ),
        (
            Situation(STOPPED, 3, waits_for=((B, STARTING), (C, STOPPED))),
            "Queue position: #3: b is loaded first; c is loaded first",
        ),
        (
            Situation(STOPPED, 1, waits_for=((B, READY),), overdue=True),
            "Queue position: #1: waiting for b to finish; nobody else is served there any more",
        ),
        (Situation(STOPPED, 1, overdue=True), "Queue position: #1"),
        (Situation(STOPPING, 1), "Queue position: #1: waiting for its last process to end"),
        (Situation(READY, 1), "Queue position: #1: its server is busy"),
        (Situation(READY, 2, yields_to=B), "Queue position: #2: b comes first"),
        (Situation(READY, 1, ((B, READY),)), "Queue position: #1: waiting for b to finish"),
    ],
)
def test_it_is_told_what_is_awaited(situation: Situation, line: str) -> None:
    assert told(situation) == [line]


def test_a_new_place_is_told_as_soon_as_it_is_seen_and_the_time_with_it() -> None:
    second, first = Situation(STOPPED, 2), Situation(STOPPED, 1)
    assert told(second, second, first, LOADING) == [
        "Queue position: #2",
        None,
        "Queue position: #1 (2 s)",
        "Loading (3 s)",
    ]


def test_the_time_is_told_as_often_as_is_asked_for() -> None:
    assert told(*[LOADING] * 4, every=0.5) == [
        None,
        "Loading (1 s)",
        "Loading (2 s)",
        "Loading (3 s)",
    ]


def test_nobody_waits_for_a_model_that_is_ready_and_has_no_queue() -> None:
    assert not Situation(READY).is_wait
    assert all(Situation(state).is_wait for state in (STOPPED, STARTING, STOPPING))
    assert Situation(READY, 1).is_wait
