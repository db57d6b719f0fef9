"""The screen of `swapd watch`, as a terminal of a given size shows it."""

from __future__ import annotations

import io
import re
from itertools import product

import pytest
from rich.console import Console

from swapd.cli.board import Board
from swapd.cli.view import Link, screen, share
from tests.cli.telling import NOW, begun, change, finished, place, seen, snapshot

LINK = Link("http://127.0.0.1:8080")

LONG_ERROR = "exited with code 3 before it was ready; its last words: cannot open the model file"


def drawn(board: Board, link: Link = LINK, width: int = 80, height: int = 24) -> list[str]:
    """Return the lines of the screen."""
    console = Console(width=width, height=height, file=io.StringIO())
    with console.capture() as captured:
        console.print(screen(board, link, now=NOW, width=width, height=height))
    return [line.rstrip() for line in captured.get().splitlines()]


def busy() -> Board:
    board = Board()
    board.hear(
        snapshot(
            seen("qwen", "ready", age=192, in_flight=2, pid=4711, doomed_for="gemma"),
            seen("gemma", waiting=1, age=5),
            seen("broken", age=70, error=LONG_ERROR, backoff=8.0),
            seen("unused", age=7509),
            seq=1,
            queue=(place("gemma", 31, overdue=True, behind="qwen"), place("qwen", 2)),
        ),
        NOW,
    )
    board.hear(change(2, "stopped", "broken", LONG_ERROR), NOW)
    board.hear(change(3, "ready", "qwen"), NOW)
    board.models["qwen"].in_flight = 2
    board.hear(finished("qwen", 453, 45.3), NOW)
    return board


def test_a_screen_of_80_columns_has_all_that_matters() -> None:
    lines = drawn(busy())
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) <= 24
    text = "\n".join(lines)
    assert lines[0] == "swapd http://127.0.0.1:8080"
    assert re.search(r"^qwen +ready +3s +2 +0 +45\.3 +doomed for gemma$", text, re.MULTILINE)
    assert re.search(r"^broken +stopped +2s +0 +0 +- +next start in 8s; ex.*…$", text, re.MULTILINE)
    assert re.search(r"^1 +gemma +request +31s +overdue; waits for qwen$", text, re.MULTILINE)
    assert re.search(r"^2 +qwen +request +2s$", text, re.MULTILINE)
    assert re.search(r"^\d\d:\d\d:\d\d +qwen +old -> ready +request$", text, re.MULTILINE)
    assert text.index("qwen  ", text.index("TIME")) < text.index("broken ", text.index("TIME"))
    assert "4711" not in text


def test_what_is_under_way_is_shown_only_as_long_as_it_is() -> None:
    board = busy()
    assert "REQUEST" not in "\n".join(drawn(board))
    for number in range(1, 12):
        board.hear(begun(number, "qwen"), NOW)
    text = "\n".join(drawn(board, height=40))
    assert re.search(r"^ID +MODEL +PHASE +FOR +REQUEST$", text, re.MULTILINE)
    assert re.search(r"^ 1 +qwen +waiting +1s +POST /v1/x$", text, re.MULTILINE)
    assert re.search(r"and \d more", text)
    assert "10.0.0.1" not in text
    assert "10.0.0.1" in "\n".join(drawn(board, width=160))


def test_a_screen_of_160_columns_has_more() -> None:
    lines = drawn(busy(), width=160)
    assert all(len(line) <= 160 for line in lines)
    assert any(LONG_ERROR in line for line in lines)
    assert any("PID" in line for line in lines)


def test_a_screen_of_40_columns_shows_fewer_things_and_those_whole() -> None:
    text = "\n".join(drawn(busy(), width=40))
    assert re.search(r"^qwen +ready +3s +doomed for gemma$", text, re.MULTILINE)
    assert re.search(r"^unused +stopped +2h05m$", text, re.MULTILINE)
    assert re.search(r"^1 +gemma +31s +overdue; w.*…$", text, re.MULTILINE)
    assert re.search(r"^qwen +old -> ready$", text, re.MULTILINE)


@pytest.mark.parametrize("width", [20, 40, 80, 160])
@pytest.mark.parametrize("height", [8, 10, 24, 50])
def test_no_screen_is_left_by_what_there_is_too_much_of(width: int, height: int) -> None:
    board = Board()
    models = [seen(f"model-{n:02}", "ready") for n in range(60)]
    board.hear(snapshot(*models, queue=tuple(place(f"model-{n:02}") for n in range(30))), NOW)
    for n in range(1, 400):
        board.hear(change(n, "ready", f"model-{n % 60:02}"), NOW)
    lines = drawn(board, width=width, height=height)
    assert all(len(line) <= width for line in lines)
    assert height < 12 or len(lines) <= height


def test_what_does_not_fit_is_counted() -> None:
    board = Board()
    board.hear(snapshot(*(seen(f"m{n:02}") for n in range(30)), queue=(place("x"),) * 20), NOW)
    text = "\n".join(drawn(board))
    models, queued = re.findall(r"and (\d+) more", text)
    assert int(models) == 30 - len(re.findall(r"^m\d\d ", text, re.MULTILINE))
    assert int(queued) == 20 - len(re.findall(r"^\d+ +x ", text, re.MULTILINE))


def test_a_lost_connection_is_said_where_one_looks_first() -> None:
    lines = drawn(busy(), Link(LINK.url, "connection refused"))
    assert lines[:2] == ["swapd http://127.0.0.1:8080", "trying again: connection refused"]


def test_what_was_missed_is_said_in_its_place() -> None:
    board = Board()
    board.hear(snapshot(seq=1), NOW)
    board.hear(change(2, "ready", "before"), NOW)
    board.hear(snapshot(seq=1, instance="two"), NOW)
    board.hear(change(2, "ready", "after"), NOW)
    text = "\n".join(drawn(board))
    assert text.index("after") < text.index("some were missed") < text.index("before")


def test_markup_in_a_name_is_just_text() -> None:
    board = Board()
    board.hear(snapshot(seen("[red]m[/red]", error="[bold]")), NOW)
    assert any(re.match(r"\[red\]m\[/red\] .*\[bold\]$", line) for line in drawn(board))


@pytest.mark.parametrize("height", range(1, 60))
def test_every_part_has_a_share_whatever_the_height(height: int) -> None:
    for models, queue, requests in product((0, 3, 100), repeat=3):
        shares = share(height, models, queue, requests)
        given = (shares.models, shares.queue, shares.requests)
        wanted = (models, queue, requests)
        assert all(gets <= wants for gets, wants in zip(given, wanted, strict=True))
        assert [gets > 0 for gets in given] == [wants > 0 for wants in wanted]
        assert shares.recent >= 1
        around = 10 if requests else 8
        assert height < 14 or sum(given) + shares.recent <= height - around
