"""The queue as people see it: who waits, in which order, and for whom."""

from __future__ import annotations

from dataclasses import dataclass

from swapd.ids import ModelId, Ticket
from swapd.policy.places import Places
from swapd.policy.seats import Rules, Want
from swapd.policy.turns import Plan, is_overdue


@dataclass(frozen=True, slots=True)
class Place:
    """One place in the queue."""

    ticket: Ticket
    want: Want
    #: Whether others must make way for it now.
    overdue: bool
    #: Who must be gone before it is served; empty if it waits for its own model alone.
    waits_for: tuple[ModelId, ...]


def queue_of(plan: Plan, places: Places, rules: Rules, now: float) -> list[Place]:
    """Return who waits in the order in which they would be served, as of now."""
    queue: list[Place] = []
    for seat in plan.order:
        overdue = is_overdue(seat, rules, now)
        waits_for = tuple(sorted(places.victims(seat.model)))
        queue += [Place(t, want, overdue, waits_for) for t, want in seat.wants.items()]
    return queue
