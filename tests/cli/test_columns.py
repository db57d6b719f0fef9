"""Text in columns."""

from __future__ import annotations

import pytest

from swapd.cli.columns import columns, fitting, places


def test_cells_stand_below_each_other_also_where_characters_are_wide() -> None:
    rows = [("MODEL", "STATE"), ("org/模型", "ready"), ("e\u0301te", "stopped")]
    assert columns(rows) == ["MODEL     STATE", "org/模型  ready", "e\u0301te       stopped"]


def test_numbers_end_below_each_other() -> None:
    assert columns([("模", "10", ""), ("b", "9", "x")], " ", numbers=True) == [
        " 模  10",
        " b    9  x",
    ]


@pytest.mark.parametrize(
    ("line", "width", "shown"),
    [
        ("ready", 3, "rea"),
        ("模型", 3, "模"),
        ("模型", 4, "模型"),
        ("", 0, ""),
        ("ready", 9, "ready"),
    ],
)
def test_a_line_is_cut_at_the_edge_of_the_terminal(line: str, width: int, shown: str) -> None:
    assert fitting(line, width) == shown
    assert places(shown) <= width
