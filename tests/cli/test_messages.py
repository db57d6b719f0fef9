"""What the websocket says, read."""

from __future__ import annotations

import pytest

from swapd.cli.messages import Place, Queue, read, read_snapshot
from swapd.errors import CannotReach
from tests.cli.telling import as_told, change, place, seen, snapshot

OLD = b"""{"type": "snapshot", "instance": "i", "seq": 4,
  "models": [{"model": "m", "state": "ready", "since": 1.5}],
  "queue": [{"model": "m", "reason": "load", "waited": 2}]}"""


def test_a_message_is_read_with_all_that_it_tells() -> None:
    whole = snapshot(
        seen("m", "ready", doomed_for="n", backoff=1.5, stuck="x", error="y", pid=7),
        queue=(place("n", 3.5, overdue=True, behind="m o"),),
    )
    assert read(as_told(whole)) == whole
    waiting = Queue(queue=[place("n")], doomed={"m": "n"}, in_flight={"m": 1}, backoff={"o": 2.5})
    assert read(as_told(waiting, after=3)) == waiting
    assert read(as_told(change(3, "ready", failed="d"))) == change(3, "ready", failed="d")


def test_what_another_version_tells_more_or_less_does_no_harm() -> None:
    assert read(as_told(change(3, "ready"), rule="group g")) == change(3, "ready")
    older = read_snapshot(OLD)
    assert (older.models[0].state, older.models[0].in_flight, older.gap) == ("ready", 0, False)
    assert older.queue == [Place(model="m", reason="load", waited=2)]


def test_messages_of_other_kinds_are_passed_over() -> None:
    assert read(b'{"type": "weather", "after": 3}') is None


@pytest.mark.parametrize("said", [b"hello", b"[]", b'{"type": "transition"}', b'{"seq": 1}', b""])
def test_what_no_swapd_says_is_told(said: bytes) -> None:
    with pytest.raises(CannotReach, match="not swapd's"):
        read(said)


def test_whoever_does_not_begin_with_a_snapshot_is_no_swapd() -> None:
    for said in (as_told(change(1, "ready")), b'{"type": "welcome"}'):
        with pytest.raises(CannotReach, match="no snapshot"):
            read_snapshot(said)
