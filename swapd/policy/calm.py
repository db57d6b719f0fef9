"""Decides what needs no thought: requests for ready models in whose way nobody stands.

Rule 1: what is decided here is what the scheduler's walk over all models would decide.  Whatever
    is not plain is left to that.

After a walk all is done that could be done.  A request for a ready model that has its place to
itself takes nothing from anybody, as long as nobody is overdue, and its end gives nobody a place
as long as others are served there; nor does any end while nobody waits, for swaps are for those
who wait, and orders to unload are answered when a process ends.  That holds until there is any
other fact, or until time alone changes something: a model has idled, or somebody waited, too long.
"""

from __future__ import annotations

from swapd.ids import Ticket
from swapd.policy.effects import Admit, Effect
from swapd.policy.facts import RequestArrived, RequestFinished
from swapd.policy.places import Places
from swapd.policy.seats import Rules, Seat
from swapd.policy.turns import is_overdue, wake


class Calm:
    """All models between two facts that need thought."""

    def __init__(self, places: Places, rules: Rules, serving: dict[Ticket, Seat]) -> None:
        """Serve by the models of ``places`` that are ready, and note in ``serving`` whom."""
        seats = places.seats.values()
        ready = [seat for seat in seats if seat.is_open]
        self._rules = rules
        self._serving = serving
        self._ready = {seat.model: seat for seat in ready if places.is_alone(seat)}
        self._someone_waits = any(seat.wants for seat in seats)
        # Time may change something for these, also for one that lost its place by a reload.
        self._timed = [seat for seat in seats if seat.wants or (seat.terms.ttl and seat.is_open)]

    def answer(self, fact: RequestArrived | RequestFinished, now: float) -> list[Effect] | None:
        """Record ``fact`` and return what it comes to; None if that must be thought about."""
        if self._timed and self._is_due(now):
            return None
        if isinstance(fact, RequestFinished):
            return self._finish(fact.ticket, now)
        seat = self._ready.get(fact.model)
        if seat is None or seat.is_full or not seat.has_room:
            return None
        self._serving[fact.ticket] = seat
        seat.serving.add(fact.ticket)
        return [Admit(fact.ticket, fact.model, seat.generation), *self._wake(now)]

    def _finish(self, ticket: Ticket, now: float) -> list[Effect] | None:
        seat = self._serving.get(ticket)
        if self._someone_waits and (seat is None or seat.wants or len(seat.serving) < 2):
            return None
        if seat is not None:
            del self._serving[ticket]
            seat.release(ticket, now)
        return self._wake(now)

    def _is_due(self, now: float) -> bool:
        rules = self._rules
        return any(seat.is_expired(now) or is_overdue(seat, rules, now) for seat in self._timed)

    def _wake(self, now: float) -> list[Effect]:
        return [*wake(self._timed, self._rules, now)] if self._timed else []


def calm(
    fact: RequestArrived | RequestFinished,
    places: Places,
    rules: Rules,
    serving: dict[Ticket, Seat],
) -> Calm | None:
    """Return what is ready; None if anybody is about to leave, or cannot.

    Args:
      fact: What it is wanted for.  While somebody waits that must concern a ready model.
      places: All models, after a walk.
      rules: Of the queue.
      serving: Who is served by which model.
    """
    seats = places.seats.values()
    if any(seat.stuck or (seat.leaving is not None and seat.is_loaded) for seat in seats):
        return None
    if isinstance(fact, RequestArrived):
        is_plain = places.seats[fact.model].is_open
    else:
        is_plain = fact.ticket in serving
    if not is_plain and any(seat.wants for seat in seats):
        return None
    return Calm(places, rules, serving)
