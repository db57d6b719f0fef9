"""The words of one line each: a model, a place in the queue, a transition.  Pure text."""

from __future__ import annotations

import time
from collections.abc import Iterator

from swapd.cli.board import Board
from swapd.cli.messages import ModelSeen, Place, RequestSeen, Transition

MODEL_HEAD = ("MODEL", "STATE", "FOR", "SERVES", "WAITS", "PID", "NOTE")
REQUEST_HEAD = ("ID", "MODEL", "PHASE", "FOR", "CLIENT", "REQUEST")
PLACE_HEAD = ("#", "MODEL", "ASKED BY", "WAITED", "NOTE")

#: What a terminal of fewer columns than these has no room for.
NARROW = 60
LEAST = {"PID", "CLIENT", "SERVES", "WAITS", "TOK/S", "ASKED BY", "REASON", "TIME"}


def model_cells(seen: ModelSeen, now: float, ago: float = 0.0) -> tuple[str, ...]:
    """Return one model's line at ``now``, in Unix seconds; it was told ``ago`` seconds before."""
    return (
        clean(seen.model),
        clean(seen.state),
        duration(now - seen.since),
        str(seen.in_flight),
        str(seen.waiting),
        str(seen.pid or "-"),
        "; ".join(_notes(seen, ago)),
    )


def speed(tokens_per_second: float | None) -> str:
    """Return how fast a model generates, for people."""
    if tokens_per_second is None:
        return "-"
    return f"{tokens_per_second:.1f}" if tokens_per_second < 100 else f"{tokens_per_second:.0f}"


def request_cells(request: RequestSeen, now: float) -> tuple[str, ...]:
    """Return the line of one request that is under way at ``now``, in Unix seconds."""
    return (
        str(request.id),
        clean(request.model),
        clean(request.phase),
        duration(now - request.since),
        clean(request.client or "-"),
        clean(f"{request.method} {request.path}"),
    )


def _notes(seen: ModelSeen, ago: float) -> Iterator[str]:
    if seen.doomed_for:
        yield f"doomed for {clean(seen.doomed_for)}"
    if seen.stuck:
        yield f"stuck: {clean(seen.stuck)}"
    if seen.backoff and seen.backoff > ago:
        yield f"next start in {duration(seen.backoff - ago)}"
    if seen.error and seen.error != seen.stuck:
        yield clean(seen.error)


def place_cells(place: Place, number: int, ago: float = 0.0) -> tuple[str, ...]:
    """Return one place's line; ``number`` counts where swapd does not.

    It was told of ``ago`` seconds before.
    """
    notes = ["overdue"] if place.overdue else []
    if place.waits_for:
        notes.append(f"waits for {', '.join(map(clean, place.waits_for))}")
    position = number if place.position is None else place.position
    waited = duration(place.waited + ago)
    return str(position), clean(place.model), clean(place.reason), waited, "; ".join(notes)


def transition_cells(change: Transition) -> tuple[str, ...]:
    """Return the line of one transition: when, which model, from where to where, and why."""
    return (
        time.strftime("%H:%M:%S", time.localtime(change.time)),
        clean(change.model),
        f"{clean(change.old)} -> {clean(change.new)}",
        clean(change.reason),
        clean(change.detail or ""),
    )


def transition_line(change: Transition) -> str:
    """Return one transition as a line of a log, with its date."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(change.time))
    _, model, move, reason, detail = transition_cells(change)
    return f"{when} {model}: {move} ({reason})" + (f": {detail}" if detail else "")


def progress(board: Board, model: str | None, now: float) -> str:
    """Return in one line how ``model`` is, or all that run if it is None."""
    seen = [one for one in board.models.values() if model in {None, one.model}]
    running = [one for one in seen if one.state != "stopped" or model]
    return "; ".join(_progress(board, one, now) for one in running)


def _progress(board: Board, seen: ModelSeen, now: float) -> str:
    line = f"{clean(seen.model)} is {clean(seen.state)} for {duration(now - seen.since)}"
    if seen.in_flight:
        line += f", serves {seen.in_flight}"
    if seen.state == "starting":
        return line  # whoever waits, waits for just that
    places = [place for place in enumerate(board.queue, 1) if place[1].model == seen.model]
    for number, place in places[:1]:
        at, _, _, waited, notes = place_cells(place, number, now - board.told_at)
        line += f", waits at place {at} for {waited}" + (f" ({notes})" if notes else "")
    return line


def duration(seconds: float) -> str:
    """Return ``seconds`` for people, in at most two units."""
    whole = max(0, int(seconds))
    for size, unit, smaller, mark in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "m"),
        (60, "m", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller:02}{mark}"
    return f"{whole}s"


def clean(text: str) -> str:
    """Return ``text`` on one line, without what would move the cursor of a terminal."""
    line = " | ".join(filter(None, map(str.strip, text.splitlines()))).replace(": | ", ": ")
    return "".join(each if each.isprintable() else "?" for each in line)
