"""Unloads under way: whose answer is due, and what may not run again before it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from swapd.ids import ModelId, Ticket
from swapd.policy import refusals
from swapd.policy.effects import Complete, Refuse
from swapd.policy.life import ModelState
from swapd.policy.seats import Seat


class Unloads:
    """The owner's orders to unload, each until all of its models are gone."""

    def __init__(self) -> None:
        self._orders: dict[Ticket, tuple[ModelId, ...]] = {}
        self._patient: set[Ticket] = set()  # of those, the ones that let running requests finish

    def add(self, order: Ticket, models: tuple[ModelId, ...], *, drain: bool) -> None:
        """Owe ``order`` an answer."""
        self._orders[order] = models
        if drain:
            self._patient.add(order)

    def held(self) -> set[ModelId]:
        """Every model that may not be started: whoever unloads it was not answered yet.

        Where that may take for ever, for others must drain, what is gone is free again.
        """
        return {model for models in self._orders.values() for model in models}

    def answer(self, seats: Mapping[ModelId, Seat]) -> Iterator[Complete | Refuse]:
        """Answer every order that is carried out, or cannot be."""
        for order, models in list(self._orders.items()):
            left = [seats[m] for m in models if seats[m].state is not ModelState.STOPPED]
            if order in self._patient:
                self._orders[order] = tuple(seat.model for seat in left)
            if any(seat.stuck is None for seat in left):
                continue  # something of it is still on its way
            del self._orders[order]
            self._patient.discard(order)
            if left:
                yield Refuse(order, refusals.is_stuck(left[0].model, left[0].stuck or ""))
            else:
                yield Complete(order)
