"""Who holds a place now, and who must go for whom.  Asks the eviction policy; changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from swapd.ids import ModelId
from swapd.policy.eviction import Decision, EvictionPolicy
from swapd.policy.life import ModelState
from swapd.policy.seats import Seat


class Places:
    """The seats of all models, as the eviction policy sees them.

    A *claim* is a swap under way, from the first stop of a victim until its target is ready
    and alone: nobody else may take the place.
    """

    def __init__(self, seats: dict[ModelId, Seat], policy: EvictionPolicy) -> None:
        self.seats = seats
        self.policy = policy
        self.claims: set[ModelId] = set()

    def up(self) -> set[ModelId]:
        """Every model that holds its place: starting, ready, or not gone yet."""
        return {m for m, seat in self.seats.items() if seat.state is not ModelState.STOPPED}

    def taken(self, target: ModelId, *beside: ModelId) -> set[ModelId]:
        """Return who has a place as far as ``target`` is concerned, if ``beside`` had one, too.

        Whoever's place is being made counts as having it.  ``target`` counts if it stays, or
        a policy that never evicts for a model that runs would take it for one.
        """
        places = self.up() | self.claims | {*beside}
        if not self.seats[target].is_loaded:
            places.discard(target)
        return places

    def decision(self, target: ModelId, *beside: ModelId) -> Decision:
        """Decide who must go for ``target``, if ``beside`` had a place, too."""
        return self.policy.victims(target, self.taken(target, *beside))

    def victims(self, target: ModelId, *beside: ModelId) -> frozenset[ModelId]:
        """Return who must go for ``target``, as ``decision`` says."""
        return self.decision(target, *beside).evict

    def is_alone(self, seat: Seat) -> bool:
        """Tell whether a ready model has its place to itself, but for what a reload took out."""
        victims = self.policy.victims(seat.model, self.up()).evict
        return not any(self.seats[victim].configured for victim in victims)

    def has_its_place(self, seat: Seat) -> bool:
        """Tell whether requests for ``seat`` need nothing but a free slot."""
        return seat.is_open and self.is_alone(seat)

    def clash(self, one: ModelId, other: ModelId) -> bool:
        """Tell whether one of two would drive the other out, whoever came first."""
        return other in self.victims(one, other) or one in self.victims(other, one)

    def keeps_clear(self, target: ModelId, ahead: Iterable[ModelId]) -> bool:
        """Tell whether ``target`` can start without getting into anybody's way.

        A swap that is under way goes on: what it stops is lost already.
        """
        return target in self.claims or not any(self.clash(target, other) for other in ahead)

    def is_claimed_against(self, target: ModelId) -> bool:
        """Tell whether starting ``target`` would add a victim to a swap under way."""
        return any(target in self.victims(other, target) for other in self.claims)

    def may_go(self, victim: ModelId) -> bool:
        """Tell whether ``victim`` can be stopped for another now, or is going already."""
        seat = self.seats[victim]
        match seat.state:
            case ModelState.STOPPED:
                return False  # a claimant: its place is being made
            case ModelState.STARTING:
                return not seat.wants  # whoever wanted it has left
            case ModelState.READY:
                return victim not in self.claims and not seat.serving
            case ModelState.STOPPING:
                return True

    def stuck_for(self, seat: Seat) -> Seat | None:
        """Return who cannot be stopped, though ``seat`` needs its place; it may be itself."""
        concerned = [seat.model, *sorted(self.victims(seat.model))]
        return next((self.seats[m] for m in concerned if self.seats[m].stuck), None)
