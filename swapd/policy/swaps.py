"""Makes room for whose turn it is, and brings back who was stopped in vain."""

from __future__ import annotations

from collections.abc import Iterator, Set

from swapd.ids import ModelId
from swapd.policy.effects import Effect, StartModel
from swapd.policy.life import ModelState, Reason
from swapd.policy.places import Places
from swapd.policy.seats import Seat
from swapd.policy.turns import Plan


class Swaps:
    """The swaps under way, and those that failed."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._displaced: list[ModelId] = []  # by swaps that failed; they may come back

    @property
    def are_under_way(self) -> bool:
        """Tell whether there is anything to be done though nobody waits."""
        return bool(self._places.claims or self._displaced)

    def bring_back(self, displaced: Set[ModelId]) -> None:
        """Have those started again whom a swap stopped for nothing, unless they are in the way."""
        self._displaced += sorted(displaced)

    def advance(self, plan: Plan, held: Set[ModelId], now: float) -> Iterator[Effect]:
        """Make room for whoever can have it now, in the order of ``plan``.

        Args:
          plan: Whose turn it is.
          held: Models that nobody may start yet.
          now: The scheduler's clock.
        """
        self._end_claims(plan)
        ahead: list[ModelId] = []  # whose turn comes first, and whose place is kept for that
        for seat in plan.order:
            settled = seat.state is ModelState.STOPPED or seat.is_open
            if settled and seat.model not in held and self._places.keeps_clear(seat.model, ahead):
                yield from self._make_room(seat, now)
            if seat in plan.reserved:
                ahead.append(seat.model)
        yield from self._restore(plan, held, now)

    def _end_claims(self, plan: Plan) -> None:
        places = self._places
        wanted = {seat.model for seat in plan.order if self._needs_its_place(seat)}
        for model in places.claims - wanted:
            if places.seats[model].state is ModelState.STOPPED:
                places.seats[model].displaced.clear()  # it never came to a start
        places.claims &= wanted

    def _needs_its_place(self, seat: Seat) -> bool:
        return seat.state is not ModelState.STOPPING and not self._places.has_its_place(seat)

    def _make_room(self, target: Seat, now: float) -> Iterator[Effect]:
        """Stop all victims of ``target`` if all may go; start it once none is left."""
        places = self._places
        decision = places.decision(target.model)
        if target.is_open and not decision.evict:
            return  # it is ready: its clients wait for a place beside those it serves
        if places.is_claimed_against(target.model) or not all(map(places.may_go, decision.evict)):
            return
        places.claims.add(target.model)
        waited = now - target.oldest[1].since
        why = f"for {target.model} by {decision.rule}, cost {decision.cost}, after {waited:.1f} s"
        for victim in (places.seats[model] for model in sorted(decision.evict)):
            if victim.is_loaded:
                target.displaces(victim)
                ready = victim.state is ModelState.READY
                yield victim.stop(Reason.SWAP if ready else Reason.ABORTED, why)
        if not decision.evict and target.state is ModelState.STOPPED:
            yield target.start(target.oldest[1].reason, now)

    def _restore(self, plan: Plan, held: Set[ModelId], now: float) -> Iterator[StartModel]:
        """Start again who was stopped in vain, if nobody wants the place by now."""
        displaced, self._displaced = self._displaced, []
        for seat in (self._places.seats[model] for model in displaced):
            can_start = seat.state is ModelState.STOPPED and seat.configured
            can_start = can_start and not seat.failures.left(now)
            if can_start and seat.model not in held and self._is_unwanted(seat, plan):
                yield seat.start(Reason.RESTORED, now)

    def _is_unwanted(self, seat: Seat, plan: Plan) -> bool:
        """Tell whether the place of ``seat`` is free, and nobody waits who would take it."""
        others = (other.model for other in plan.order if other is not seat)
        clashes = any(self._places.clash(seat.model, other) for other in others)
        return not clashes and not self._places.victims(seat.model)
