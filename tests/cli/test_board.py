"""What is known of a swapd, message by message."""

from __future__ import annotations

from swapd.cli.board import Board, by_weight
from swapd.cli.messages import Queue, Requests, RequestSeen, RequestStep
from tests.cli.telling import NOW, change, finished, place, seen, snapshot
from tests.cli.telling import begun as request_begun


def begun(*changes: int) -> Board:
    """Return a board that knows model ``a`` as ready at 5, and then heard ``changes``."""
    board = Board()
    board.hear(snapshot(seen("a", "ready"), seq=5), NOW)
    for seq in changes:
        board.hear(change(seq, f"state-{seq}"), NOW)
    return board


def test_nothing_is_known_at_first_and_nothing_to_go_on_from() -> None:
    board = Board()
    assert (board.models, board.queue, board.place) == ({}, [], "")


def test_a_snapshot_and_then_transitions_are_the_states() -> None:
    board = begun(6, 7)
    assert board.models["a"].state == "state-7"
    assert board.models["a"].since == change(7, "x").time
    assert [told and told.seq for told in board.recent] == [6, 7]
    assert board.place == "since=7&instance=one"


def test_what_was_missed_while_another_swapd_began_is_marked() -> None:
    board = begun(6)
    for instance in ("one and a half", "two"):
        board.hear(snapshot(seen("b"), seq=0, instance=instance), NOW)
    board.hear(change(1, "starting", "b"), NOW)
    assert list(board.models) == ["b"]
    assert [told and told.seq for told in board.recent] == [6, None, 1]
    assert board.place == "since=1&instance=two"


def test_a_reload_brings_other_models_and_nothing_was_missed() -> None:
    board = begun(6)
    board.hear(snapshot(seen("a", "ready"), seen("b"), seq=6), NOW)
    board.hear(change(7, "stopping"), NOW)
    assert list(board.models) == ["a", "b"]
    assert [told and told.seq for told in board.recent] == [6, 7]


def test_the_queue_brings_what_transitions_do_not_tell() -> None:
    board = begun(6)
    told = Queue(
        queue=[place("a"), place("b"), place("a")],
        doomed={"a": "b"},
        in_flight={"a": 3},
        backoff={"a": 8.0},
    )
    board.hear(told, NOW + 5)
    known = board.models["a"]
    assert (known.waiting, known.in_flight, known.doomed_for, known.backoff) == (2, 3, "b", 8.0)
    assert (board.queue, board.told_at) == (told.queue, NOW + 5)
    assert (known.state, board.place) == ("state-6", "since=6&instance=one")
    board.hear(Queue(queue=[]), NOW)
    assert (known.waiting, known.in_flight, known.doomed_for, known.backoff) == (0, 0, None, None)


def test_a_beginning_may_have_a_past_that_is_still_to_be_told() -> None:
    board = Board()
    board.begin(snapshot(seen("a", "ready"), seq=70), NOW, past=50)
    assert board.place == "since=20&instance=one"
    for seq in (21, 70):
        board.hear(change(seq, "long ago"), NOW)
    assert board.models["a"].state == "ready"
    board.hear(change(71, "stopping"), NOW)
    assert board.models["a"].state == "stopping"
    assert [told and told.seq for told in board.recent] == [21, 70, 71]
    board.begin(snapshot(seq=3), NOW, past=50)
    assert board.place == "since=0&instance=one"


def test_a_request_is_under_way_from_its_begin_to_its_end() -> None:
    board = begun()
    board.hear(Requests(requests=[RequestSeen(id=3, model="a", phase="served")]), NOW)
    board.hear(request_begun(4, "b"), NOW)
    assert [(one.id, one.model, one.phase) for one in board.requests.values()] == [
        (3, "a", "served"),
        (4, "b", "waiting"),
    ]
    assert board.requests[4].since == NOW - 4
    for number in (4, 5, None):
        board.hear(RequestStep(event="admitted", time=NOW, id=number, model="b"), NOW)
    assert board.requests[4].phase == "served"
    board.hear(finished("a", None, number=3), NOW)
    board.hear(finished("a", None, number=3), NOW)
    assert [*board.requests] == [4]
    board.hear(Requests(requests=[]), NOW)
    assert board.requests == {}


def test_how_fast_a_model_is_counts_until_it_is_stopped() -> None:
    board = begun()
    board.hear(finished("a", 100, 50.0), NOW)
    board.hear(change(6, "stopping"), NOW)
    assert board.speeds.of("a", NOW) == 50.0
    board.hear(change(7, "stopped"), NOW)
    assert board.speeds.of("a", NOW) is None


def test_another_swapd_has_other_requests_and_has_generated_nothing() -> None:
    board = begun()
    board.hear(finished("a", 100, 50.0), NOW)
    board.hear(request_begun(4), NOW)
    board.hear(snapshot(seen("a", "ready"), seq=9), NOW)  # the same, after a gap
    assert (board.speeds.of("a", NOW), [*board.requests]) == (50.0, [4])
    board.hear(snapshot(seen("a"), seq=9), NOW)
    assert board.speeds.of("a", NOW) is None
    board.hear(finished("a", 100, 50.0), NOW)
    board.hear(snapshot(seen("a", "ready"), seq=0, instance="two"), NOW)
    assert (board.speeds.of("a", NOW), board.requests) == (None, {})


def test_an_error_stays_until_the_next_start() -> None:
    board = begun()
    board.hear(change(6, "stopped", failed="exited with code 3"), NOW)
    assert board.models["a"].error == "exited with code 3"
    board.hear(change(7, "starting"), NOW)
    assert board.models["a"].error is None


def test_why_it_was_swapped_is_no_error() -> None:
    board = begun()
    swap = change(6, "stopping")
    swap.reason, swap.detail = "swap", "for b by group g, cost 1, after 3.0 s"
    board.hear(swap, NOW)
    assert board.models["a"].error is None


def test_what_is_stopped_serves_nobody_and_makes_way_for_nobody() -> None:
    board = Board()
    board.hear(
        snapshot(seen("a", "ready", in_flight=2, doomed_for="b", stuck="x", pid=4), seq=1), NOW
    )
    board.hear(change(2, "stopped"), NOW)
    known = board.models["a"]
    assert (known.in_flight, known.doomed_for, known.stuck, known.pid) == (0, None, None, None)


def test_a_model_that_a_reload_brought_is_known_by_its_first_transition() -> None:
    board = begun()
    board.hear(change(6, "starting", "new"), NOW)
    assert board.models["new"].state == "starting"


def test_what_runs_or_is_wanted_or_failed_comes_first() -> None:
    models = [
        seen("a"),
        seen("b", "ready"),
        seen("c", waiting=1),
        seen("d", error="x"),
        seen("e", backoff=3.0),
        seen("f"),
    ]
    assert "".join(one.model for one in by_weight(models)) == "bcdeaf"
