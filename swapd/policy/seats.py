"""What the scheduler knows of each model: its terms, and where its process is in its life."""

from __future__ import annotations

from dataclasses import dataclass, field

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import StartModel, StopModel
from swapd.policy.life import ModelState, Reason


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of one model; 0 means no limit in each.

    ``ttl`` is how many seconds it may idle before it is unloaded; ``concurrency_limit``
    how many requests it may have at once, waiting and served together.
    """

    ttl: float = 0.0
    concurrency_limit: int = 0


@dataclass(frozen=True, slots=True)
class Want:
    """A request or a load that waits for its model since clock time ``since``."""

    model: ModelId
    reason: Reason
    since: float


@dataclass(slots=True)
class Seat:
    """One model, as far as facts have said."""

    model: ModelId
    terms: Terms
    state: ModelState = ModelState.STOPPED
    generation: Generation = Generation(0)
    #: Who waits, in the order of arrival.
    wants: dict[Ticket, Want] = field(default_factory=dict)
    #: Whom the present generation serves.
    serving: set[Ticket] = field(default_factory=set)
    #: The later of ready and last release, on the scheduler's clock.
    idle_since: float = 0.0
    #: When a process of an old configuration must be gone; it admits nobody until then.
    leave_by: float | None = None
    #: Whether the configuration still has this model.
    configured: bool = True

    @property
    def has_room(self) -> bool:
        """Whether one more request keeps to the limit; loads do not count."""
        limit = self.terms.concurrency_limit
        if not limit:
            return True
        requests = sum(want.reason is Reason.REQUEST for want in self.wants.values())
        return len(self.serving) + requests < limit

    @property
    def oldest(self) -> tuple[Ticket, Want]:
        """Who has waited longest; there must be somebody."""
        return next(iter(self.wants.items()))

    @property
    def is_used(self) -> bool:
        """Whether anybody is served or waits."""
        return bool(self.serving or self.wants)

    @property
    def is_loaded(self) -> bool:
        """Whether there is a process that nobody stops yet."""
        return self.state in {ModelState.STARTING, ModelState.READY}

    @property
    def is_open(self) -> bool:
        """Whether requests may be admitted, as far as this model is concerned."""
        return self.state is ModelState.READY and self.leave_by is None

    def start(self, reason: Reason) -> StartModel:
        """Begin the next generation."""
        self.state = ModelState.STARTING
        self.generation = Generation(self.generation + 1)
        self.serving = set()
        return StartModel(self.model, self.generation, reason)

    def stop(self, reason: Reason) -> StopModel:
        """End the present generation."""
        self.state = ModelState.STOPPING
        return StopModel(self.model, self.generation, reason)
