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
    MODEL_HEAD,
    PLACE_HEAD,
    model_cells,
    place_cells,
    transition_cells,
)
from swapd.cli.messages import ModelSeen, Place, Transition

T = TypeVar("T")

_STYLES = {"ready": "green", "starting": "yellow", "stopping": "magenta", "stopped": "dim"}

#: Narrower screens have no room for what a person needs least.
_WIDE = 110

#: Columns that only a wide screen has, and those that are numbers.
_LESSER, _NUMBERS = {"PID"}, {"#", "FOR", "SERVES", "WAITS", "PID", "WAITED"}

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
    recent: int


def share(height: int, models: int, queue: int) -> Shares:
    """Divide ``height`` lines: a third for the queue at most, and always some for what was last."""
    room = max(3, height - 8)  # three heads, three blank lines, the top, and one to spare
    for_queue = min(queue, max(1, room // 3))
    for_models = min(models, max(1, room - for_queue - max(1, room // 4)))
    return Shares(for_models, for_queue, max(1, room - for_queue - for_models))


def screen(board: Board, link: Link, *, now: float, width: int, height: int) -> RenderableType:
    """Return the whole screen; ``now`` is in Unix seconds."""
    shares = share(height, len(board.models), len(board.queue))
    parts: list[RenderableType] = [*_top(link)]
    ago = now - board.told_at
    models = by_weight(board.models.values())
    parts.append(_models(models, shares.models, now=now, ago=ago, width=width))
    parts.append(Text())
    if board.queue:
        parts += [_queue(board.queue, shares.queue, ago=ago, width=width), Text()]
    parts.append(_recent(reversed(board.recent), shares.recent, width))
    return Group(*parts)


def _top(link: Link) -> Iterator[Text]:
    yield Text.assemble(("swapd ", "bold"), link.url, no_wrap=True, overflow="ellipsis")
    trouble = f"trying again: {link.trouble}" if link.trouble else ""
    yield Text(trouble, "bold red", no_wrap=True, overflow="ellipsis")


def _models(models: Sequence[ModelSeen], most: int, *, now: float, ago: float, width: int) -> Table:
    rows = [_model(seen, now, ago) for seen in _first(models, most)]
    return _table(MODEL_HEAD, rows, more=len(models) - len(rows), width=width)


def _model(seen: ModelSeen, now: float, ago: float) -> list[Text]:
    name, state, *numbers, note = model_cells(seen, now, ago)
    style = "red" if seen.error or seen.stuck else "yellow"
    return [Text(name), Text(state, _STYLES.get(state, "")), *map(Text, numbers), Text(note, style)]


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
    shown = [at for at, name in enumerate(head) if width >= _WIDE or name not in _LESSER]
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
