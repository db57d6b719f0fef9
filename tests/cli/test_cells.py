"""The words of one line."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from swapd.cli.board import Board
from swapd.cli.cells import (
    clean,
    duration,
    model_cells,
    place_cells,
    progress,
    transition_cells,
    transition_line,
)
from swapd.cli.messages import ModelSeen, Place
from tests.cli.telling import NOW, change, place, seen, snapshot


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m00s"),
        (3599, "59m59s"),
        (3600, "1h00m"),
        (7509, "2h05m"),
        (86399, "23h59m"),
        (90000, "1d01h"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("model", "note"),
    [
        (seen(), ""),
        (seen(doomed_for="b"), "doomed for b"),
        (seen(backoff=61.5), "next start in 1m01s"),
        (seen(error="exited\nwith code 3"), "exited | with code 3"),
        (seen(stuck="pid 4 lives", error="pid 4 lives"), "stuck: pid 4 lives"),
        (seen(backoff=2.0, error="no"), "next start in 2s; no"),
    ],
)
def test_a_model_says_what_is_special_about_it(model: ModelSeen, note: str) -> None:
    assert model_cells(model, NOW)[-1] == note


def test_a_model_says_how_it_is() -> None:
    busy = seen("m", "ready", age=65, in_flight=2, waiting=1, pid=41)
    assert model_cells(busy, NOW) == ("m", "ready", "1m05s", "2", "1", "41", "")
    assert model_cells(seen("m"), NOW)[5] == "-"


def test_what_was_told_a_while_ago_is_reckoned_on() -> None:
    failed = seen("m", backoff=8.0)
    assert [model_cells(failed, NOW, ago)[-1] for ago in (0, 5.5, 8)] == [
        "next start in 8s",
        "next start in 2s",
        "",
    ]
    assert place_cells(place("m", 58), 1, 3)[3] == "1m01s"
    known = board(seen("a"), queue=(place("a", 5),))
    assert progress(known, "a", NOW + 2) == "a is stopped for 2s, waits at place 1 for 7s"


def test_a_place_says_whom_it_waits_for_and_whether_it_is_overdue() -> None:
    assert place_cells(place("m", 61.2), 3) == ("3", "m", "request", "1m01s", "")
    assert place_cells(place(overdue=True, behind="a b"), 1)[-1] == "overdue; waits for a, b"
    assert place_cells(Place(model="m", reason="load", waited=1, position=7), 1)[0] == "7"


def test_a_transition_is_a_row_or_a_line() -> None:
    assert transition_cells(change(3, "ready")) == (
        "07:59:57",
        "a",
        "old -> ready",
        "request",
        "",
    )
    assert transition_line(change(3, "ready")) == "2027-01-15 07:59:57 a: old -> ready (request)"
    assert transition_line(change(0, "stopped", failed="x\ny")).endswith(" (crash): x | y")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("its last words:\nloading\n\n cannot open", "its last words: loading | cannot open"),
        ("\x1b[2Jgone\x07\u202e", "?[2Jgone??"),
        ("größer 模型", "größer 模型"),
    ],
)
def test_nothing_that_is_told_moves_the_cursor(text: str, shown: str) -> None:
    assert clean(text) == shown


def board(*models: ModelSeen, queue: tuple[Place, ...] = ()) -> Board:
    known = Board()
    known.hear(snapshot(*models, queue=queue), NOW)
    return known


def test_progress_is_the_state_and_what_is_waited_for() -> None:
    queue = (place("x"), place("a", 5, behind="b"), place("a", 1))
    assert progress(board(seen("a", age=9), queue=queue), "a", NOW) == (
        "a is stopped for 9s, waits at place 2 for 5s (waits for b)"
    )
    assert progress(board(seen("a", "starting", age=2), queue=queue), "a", NOW) == (
        "a is starting for 2s"
    )
    assert progress(board(seen("a", "ready", in_flight=2)), "a", NOW) == (
        "a is ready for 0s, serves 2"
    )


def test_progress_of_all_leaves_out_what_is_stopped() -> None:
    known = board(seen("a"), seen("b", "stopping", age=1), seen("c", "ready"))
    assert progress(known, None, NOW) == "b is stopping for 1s; c is ready for 0s"
    assert progress(known, "an alias", NOW) == ""
