"""What `swapd ps` prints."""

from __future__ import annotations

import pytest

from swapd.cli.ps import lines_of
from tests.cli.telling import place, seen, snapshot

BROKEN = seen("a", "stopped", error="exited with code 7")


@pytest.mark.parametrize("width", [None, 60])
def test_all_is_told_where_there_is_room(width: int | None) -> None:
    lines = lines_of(snapshot(BROKEN, queue=(place("b"),)), width)
    assert lines[0].split() == ["MODEL", "STATE", "FOR", "SERVES", "WAITS", "PID", "NOTE"]
    assert lines[3].split() == ["#", "MODEL", "ASKED", "BY", "WAITED", "NOTE"]


def test_a_narrow_terminal_has_room_for_what_went_wrong() -> None:
    lines = lines_of(snapshot(BROKEN, queue=(place("b"),)), 59)
    assert lines[0].split() == ["MODEL", "STATE", "FOR", "NOTE"]
    assert lines[1].index("exited with code 7") < 30
    assert lines[3].split() == ["#", "MODEL", "WAITED", "NOTE"]
