"""Whose turn it is when several wait, and who must make way for that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass, field

from swapd.ids import ModelId, Ticket
from swapd.policy.effects import WakeAt
from swapd.policy.life import ModelState
from swapd.policy.seats import Rules, Seat


@dataclass(slots=True)
class Plan:
    """Whose turn it is at one moment."""

    #: Who waits, in the order in which they may start.
    order: list[Seat] = field(default_factory=list)
    #: Who is overdue and needs room, oldest first: their place is kept for them.
    reserved: list[Seat] = field(default_factory=list)
    #: Who must make way for those, and for which: they finish what they serve and admit
    #: nobody else.
    doomed: dict[ModelId, ModelId] = field(default_factory=dict)


def plan(
    seats: Iterable[Seat],
    victims_of: Callable[[ModelId], Set[ModelId]],
    rules: Rules,
    now: float,
) -> Plan:
    """Put in order who waits: overdue first, oldest first; then by priority, then by arrival.

    Args:
      seats: All models.
      victims_of: Who must go before a model may serve.
      rules: When a request is overdue.
      now: The scheduler's clock.
    """
    made = Plan()
    waiting = [seat for seat in seats if seat.wants]
    for seat in sorted(waiting, key=lambda seat: _rank(seat, rules, now)):
        made.order.append(seat)
        if not is_overdue(seat, rules, now) or seat.state is ModelState.STARTING:
            continue
        victims = victims_of(seat.model)
        if victims or not seat.is_open:
            made.reserved.append(seat)
            for victim in victims:
                made.doomed.setdefault(victim, seat.model)
    return made


def is_overdue(seat: Seat, rules: Rules, now: float) -> bool:
    """Tell whether somebody has waited for ``seat`` for longer than the rules allow."""
    when = _overdue_at(seat, rules)
    return when is not None and when <= now


def next_time(seats: Iterable[Seat], rules: Rules, now: float) -> float | None:
    """Return when time alone changes something next: who waits, idles or leaves too long."""
    first: float | None = None
    for seat in seats:
        overdue = _overdue_at(seat, rules)
        for when in (
            overdue if overdue is not None and overdue > now else None,
            seat.expires_at,
            seat.leave_by if seat.is_loaded else None,
        ):
            if when is not None and (first is None or when < first):
                first = when
    return first


def wake(seats: Iterable[Seat], rules: Rules, now: float) -> list[WakeAt]:
    """Ask to be woken when time alone changes something next, if it does."""
    when = next_time(seats, rules, now)
    return [] if when is None else [WakeAt(when)]


def _overdue_at(seat: Seat, rules: Rules) -> float | None:
    if not rules.max_wait or not seat.wants:
        return None
    return seat.oldest[1].since + rules.max_wait


def _rank(seat: Seat, rules: Rules, now: float) -> tuple[bool, int, Ticket]:
    overdue = is_overdue(seat, rules, now)
    return not overdue, 0 if overdue else -seat.terms.priority, seat.oldest[0]
