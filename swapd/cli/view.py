"""Draws what is known of a swapd, for `swapd watch`.  Holds no state, asks nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from swapd.cli.board import Board, by_weight
from swapd.cli.cells import (
    LEAST,
    MODEL_HEAD,
    NARROW,
    PLACE_HEAD,
    REQUEST_HEAD,
    model_cells,
    place_cells,
    request_cells,
    speed,
    transition_cells,
)
from swapd.cli.messages import ModelSeen, Place, RequestSeen, Transition

T = TypeVar("T")

_STYLES = {"ready": "green", "starting": "yellow", "stopping": "magenta", "stopped": "dim"}

#: Columns that only a wide screen has, and those that are numbers.
_WIDE, _LESSER = 110, {"PID", "CLIENT"}
_NUMBERS = {"#", "ID", "FOR", "SERVES", "WAITS", "TOK/S", "PID", "WAITED"}

#: What a screen shows of a model: what `swapd ps` does, and how fast it is.
_MODEL_HEAD = (*MODEL_HEAD[:-2], "TOK/S", *MODEL_HEAD[-2:])

_TRANSITION_HEAD = ("TIME", "MODEL", "CHANGE", "REASON", "DETAIL")


@dataclass(frozen=True, slots=True)
class Link:
    """How the connection is: ``trouble`` says why there is none."""

    url: str
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Shares:
    """How many lines each part of a screen may have, without its head."""

    models: int
    queue: int
    requests: int
    recent: int


def share(height: int, models: int, queue: int, requests: int = 0) -> Shares:
    """Divide ``height`` lines, so that there are always some for what was last."""
    # Three heads, three blank lines, the top, and one to spare; two more if there are requests.
    room = max(4, height - (10 if requests else 8))
    for_queue = min(queue, max(1, room // 3))
    for_requests = min(requests, max(1, room // 4))
    left = room - for_queue - for_requests
    for_models = min(models, max(1, left - max(1, room // 4)))
    return Shares(for_models, for_queue, for_requests, max(1, left - for_models))


def screen(board: Board, link: Link, *, now: float, width: int, height: int) -> RenderableType:
    """Return the whole screen; ``now`` is in Unix seconds."""
    shares = share(height, len(board.models), len(board.queue), len(board.requests))
    parts: list[RenderableType] = [*_top(link)]
    ago = now - board.told_at
    models = by_weight(board.models.values())
    rows = [_model(seen, board, now, ago) for seen in _first(models, shares.models)]
    parts.append(_table(_MODEL_HEAD, rows, more=len(models) - len(rows), width=width))
    parts.append(Text())
    if board.queue:
        parts += [_queue(board.queue, shares.queue, ago=ago, width=width), Text()]
    if board.requests:
        requests = [*board.requests.values()]
        parts += [_requests(requests, shares.requests, now=now, width=width), Text()]
    parts.append(_recent(reversed(board.recent), shares.recent, width))
    return Group(*parts)


def _top(link: Link) -> Iterator[Text]:
    yield Text.assemble(("swapd ", "bold"), link.url, no_wrap=True, overflow="ellipsis")
    trouble = f"trying again: {link.trouble}" if link.trouble else ""
    yield Text(trouble, "bold red", no_wrap=True, overflow="ellipsis")


def _model(seen: ModelSeen, board: Board, now: float, ago: float) -> list[Text]:
    name, state, *numbers, pid, note = model_cells(seen, now, ago)
    style = "red" if seen.error or seen.stuck else "yellow"
    plain = map(Text, (*numbers, speed(board.speeds.of(seen.model, now)), pid))
    return [Text(name), Text(state, _STYLES.get(state, "")), *plain, Text(note, style)]


def _requests(requests: Sequence[RequestSeen], most: int, *, now: float, width: int) -> Table:
    rows = [[Text(cell) for cell in request_cells(each, now)] for each in _first(requests, most)]
    return _table(REQUEST_HEAD, rows, more=len(requests) - len(rows), width=width)


def _queue(queue: Sequence[Place], most: int, *, ago: float, width: int) -> Table:
    shown = enumerate(_first(queue, most), 1)
    rows = [
        [Text(cell, "yellow" if place.overdue else "") for cell in place_cells(place, number, ago)]
        for number, place in shown
    ]
    return _table(PLACE_HEAD, rows, more=len(queue) - len(rows), width=width)


def _recent(recent: Iterable[Transition | None], most: int, width: int) -> Table:
    rows = [_change(change) for change in islice(recent, most)]
    return _table(_TRANSITION_HEAD, rows, width=width)


def _change(change: Transition | None) -> list[Text]:
    if change is None:
        return [*[Text()] * 4, Text("some were missed", "bold yellow")]
    when, model, move, reason, detail = transition_cells(change)
    style = _STYLES.get(change.new, "")
    grave = "red" if change.failed else ""
    return [Text(when, "dim"), Text(model), Text(move, style), Text(reason), Text(detail, grave)]


def _first(rows: Sequence[T], most: int) -> Sequence[T]:
    """Return so many of ``rows`` that there is a line left to say how many more there are."""
    return rows if len(rows) <= most else rows[: most - 1]


def _table(head: Sequence[str], rows: Iterable[list[Text]], *, width: int, more: int = 0) -> Table:
    """Return a table of one line a row; its last column takes what the others leave."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=True, header_style="bold")
    left_out = set[str]() if width >= _WIDE else _LESSER if width >= NARROW else LEAST
    shown = [at for at, name in enumerate(head) if name not in left_out]
    for at in shown:
        table.add_column(
            head[at],
            no_wrap=True,
            overflow="ellipsis",
            justify="right" if head[at] in _NUMBERS else "left",
            ratio=1 if at == len(head) - 1 else None,
            max_width=width // 3 if head[at] == "MODEL" else None,
        )
    for row in rows:
        table.add_row(*(row[at] for at in shown if at < len(row)))
    if more:
        where = [Text()] * [head[at] for at in shown].index("MODEL")
        table.add_row(*where, Text(f"and {more} more", "dim"))
    return table
