"""Decides what needs no thought: requests for ready models while nobody waits.

Rule 1: what is decided here is what the scheduler's walk over all models would decide.  Whatever
    is not plain is left to that.

While nobody waits and nobody is about to leave, a request for a model that has its place to itself
is served at once, and the end of one changes no more than since when its model idles: swaps are
for those who wait, and orders to unload are answered when a process ends.  That holds until there
is any other fact, or until a model has idled for too long.
"""

from __future__ import annotations

from collections.abc import Sequence

from swapd.ids import ModelId, Ticket
from swapd.policy.effects import Admit, Effect
from swapd.policy.facts import RequestArrived, RequestFinished
from swapd.policy.places import Places
from swapd.policy.seats import Rules, Seat
from swapd.policy.turns import wake


class Calm:
    """All ready models while nobody waits; holds until there is any other fact."""

    def __init__(
        self,
        ready: Sequence[Seat],
        mortal: Sequence[Seat],
        rules: Rules,
        serving: dict[Ticket, Seat],
    ) -> None:
        """Serve by ``ready`` models that have their places, and note in ``serving`` whom.

        Time may stop any that is ``mortal``, also one that has its place no more since a reload.
        """
        self._rules = rules
        self._serving = serving
        self._ready: dict[ModelId, Seat] = {seat.model: seat for seat in ready}
        self._mortal = mortal

    def answer(self, fact: RequestArrived | RequestFinished, now: float) -> list[Effect] | None:
        """Record ``fact`` and return what it comes to; None if that must be thought about."""
        if self._mortal and any(seat.is_expired(now) for seat in self._mortal):
            return None
        if isinstance(fact, RequestFinished):
            if seat := self._serving.pop(fact.ticket, None):
                seat.release(fact.ticket, now)
            return self._wake(now)
        seat = self._ready.get(fact.model)
        if seat is None or seat.is_full or not seat.has_room:
            return None
        self._serving[fact.ticket] = seat
        seat.serving.add(fact.ticket)
        return [Admit(fact.ticket, fact.model, seat.generation), *self._wake(now)]

    def _wake(self, now: float) -> list[Effect]:
        return [*wake(self._mortal, self._rules, now)] if self._mortal else []


def calm(places: Places, rules: Rules, serving: dict[Ticket, Seat]) -> Calm | None:
    """Return what is ready, if nobody waits; None if anybody is about to leave, or cannot.

    Args:
      places: All models.
      rules: Of the queue.
      serving: Who is served by which model.
    """
    seats = places.seats.values()
    if any(seat.stuck or (seat.leaving is not None and seat.is_loaded) for seat in seats):
        return None
    ready = [seat for seat in seats if seat.is_open]
    mortal = [seat for seat in ready if seat.terms.ttl]
    return Calm([seat for seat in ready if places.is_alone(seat)], mortal, rules, serving)
