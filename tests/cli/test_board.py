"""What is known of a swapd, message by message."""

from __future__ import annotations

from swapd.cli.board import Board, by_weight
from tests.cli.telling import change, place, seen, snapshot


def begun(*changes: int) -> Board:
    """Return a board that knows model ``a`` as ready at 5, and then heard ``changes``."""
    board = Board()
    board.hear(snapshot(seen("a", "ready"), seq=5))
    for seq in changes:
        board.hear(change(seq, f"state-{seq}"))
    return board


def test_nothing_is_known_at_first_and_nothing_to_go_on_from() -> None:
    board = Board()
    assert (board.models, board.queue, board.place) == ({}, [], "")


def test_a_snapshot_and_then_transitions_are_the_states() -> None:
    board = begun(6, 7)
    assert board.models["a"].state == "state-7"
    assert board.models["a"].since == change(7, "x").time
    assert [told and told.seq for told in board.recent] == [6, 7]
    assert board.place == "?since=7&instance=one"


def test_what_was_missed_while_another_swapd_began_is_marked() -> None:
    board = begun(6)
    board.hear(snapshot(seen("b"), seq=0, instance="two"))
    board.hear(change(1, "starting", "b"))
    assert list(board.models) == ["b"]
    assert [told and told.seq for told in board.recent] == [6, None, 1]
    assert board.place == "?since=1&instance=two"


def test_a_glance_brings_what_transitions_do_not_tell() -> None:
    board = begun(6)
    board.glance(snapshot(seen("a", "ready", in_flight=3), seq=6, queue=(place("b"),)))
    assert board.models["a"].in_flight == 3
    assert board.queue == [place("b")]
    assert board.place == "?since=6&instance=one"


def test_a_glance_that_is_ahead_is_not_undone_by_transitions_that_it_holds() -> None:
    board = begun()
    board.glance(snapshot(seen("a", "stopped"), seq=7))
    board.hear(change(6, "stopping"))
    board.hear(change(7, "stopped"))
    assert board.models["a"].state == "stopped"
    assert [told and told.seq for told in board.recent] == [6, 7]
    board.hear(change(8, "starting"))
    assert board.models["a"].state == "starting"


def test_a_glance_that_is_late_or_of_another_swapd_counts_for_nothing() -> None:
    board = begun(6, 7)
    board.glance(snapshot(seen("a", "old"), seq=6))
    board.glance(snapshot(seen("a", "other"), seq=9, instance="two"))
    assert board.models["a"].state == "state-7"


def test_a_beginning_may_have_a_past_that_is_still_to_be_told() -> None:
    board = Board()
    board.begin(snapshot(seen("a", "ready"), seq=70), past=50)
    assert board.place == "?since=20&instance=one"
    board.hear(change(70, "long ago"))
    assert board.models["a"].state == "ready"
    board.begin(snapshot(seq=3), past=50)
    assert board.place == "?since=0&instance=one"


def test_an_error_stays_until_the_next_start() -> None:
    board = begun()
    board.hear(change(6, "stopped", detail="exited with code 3"))
    assert board.models["a"].error == "exited with code 3"
    board.hear(change(7, "starting"))
    assert board.models["a"].error is None


def test_what_is_stopped_serves_nobody_and_makes_way_for_nobody() -> None:
    board = Board()
    board.hear(snapshot(seen("a", "ready", in_flight=2, doomed_for="b", stuck="x", pid=4), seq=1))
    board.hear(change(2, "stopped"))
    known = board.models["a"]
    assert (known.in_flight, known.doomed_for, known.stuck, known.pid) == (0, None, None, None)


def test_a_model_that_a_reload_brought_is_known_by_its_first_transition() -> None:
    board = begun()
    board.hear(change(6, "starting", "new"))
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
