"""What the scheduler knows of each model: its terms, and where its process is in its life."""

from __future__ import annotations

from dataclasses import dataclass, field

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Refusal, Revoke, StartModel, StopModel
from swapd.policy.life import ModelState, Reason
from swapd.policy.restarts import STABLE, Chance, Failures


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of one model; 0 means no limit in each.

    ``ttl`` is how many seconds it may idle before it is unloaded; ``concurrency_limit``
    how many requests it may have at once, waiting and served together; ``parallel`` how many
    it serves at once, while the others wait.  Of two that need a start, and neither is
    overdue, the one of higher ``priority`` comes first.
    """

    ttl: float = 0.0
    concurrency_limit: int = 0
    parallel: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says of the whole queue; 0 means no limit in each.

    ``max_wait`` is after how many seconds a request is overdue; ``max_queue`` how many may
    wait.  With ``restore_on_failure``, what a swap stopped comes back if it was for nothing.
    """

    max_wait: float = 0.0
    max_queue: int = 0
    restore_on_failure: bool = True


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
    #: Whether this generation was started because a swap had stopped it in vain.
    is_restored: bool = False
    #: Whether this generation was ready once.
    was_ready: bool = False
    #: Who waits, in the order of arrival.
    wants: dict[Ticket, Want] = field(default_factory=dict)
    #: Whom the present generation serves.
    serving: set[Ticket] = field(default_factory=set)
    #: Who waited when it became ready: they are served before anybody can drive it out.
    turn: set[Ticket] = field(default_factory=set)
    #: How long its last load took, in seconds; 0 before the first.
    load_seconds: float = 0.0
    #: When its last load began, on the scheduler's clock.
    started_at: float = 0.0
    #: The later of ready and last release, on the scheduler's clock.
    idle_since: float = 0.0
    #: When its present generation became ready.
    ready_since: float = 0.0
    #: Why it leaves once it is idle; it admits nobody until then.
    leaving: Reason | None = None
    #: When it must be gone even so; None if it may take its time.
    leave_by: float | None = None
    #: Why its process cannot be brought to an end, if it cannot.
    stuck: str | None = None
    #: Whom the swap to its present generation has stopped.
    displaced: set[ModelId] = field(default_factory=set)
    #: What went wrong with it lately.
    failures: Failures = field(default_factory=Failures)
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
    def expires_at(self) -> float | None:
        """When it has idled for too long; None while it is used, or may idle for ever."""
        if not self.terms.ttl or not self.is_open or self.is_used:
            return None
        return self.idle_since + self.terms.ttl

    def is_expired(self, now: float) -> bool:
        """Tell whether it has idled for too long."""
        when = self.expires_at
        return when is not None and when <= now

    @property
    def is_loaded(self) -> bool:
        """Whether there is a process that nobody stops yet."""
        return self.state in {ModelState.STARTING, ModelState.READY}

    @property
    def is_open(self) -> bool:
        """Whether requests may be admitted, as far as this model is concerned."""
        return self.state is ModelState.READY and self.leaving is None

    @property
    def is_full(self) -> bool:
        """Whether it serves as many as it may at once."""
        return 0 < self.terms.parallel <= len(self.serving)

    def start(self, reason: Reason, now: float) -> StartModel:
        """Begin the next generation."""
        self.state, self.started_at = ModelState.STARTING, now
        self.generation = Generation(self.generation + 1)
        self.is_restored, self.was_ready = reason is Reason.RESTORED, False
        self.serving = set()
        return StartModel(self.model, self.generation, reason)

    def become_ready(self, now: float) -> None:
        """Begin to serve, first of all those who have waited for it."""
        self.state, self.was_ready = ModelState.READY, True
        self.idle_since = self.ready_since = now
        self.load_seconds = now - self.started_at
        self.turn = set(self.wants)

    def become_stopped(self, error: str | None, now: float, chance: Chance) -> None:
        """Be gone, by itself if there is an ``error``; whom it served is served no more."""
        if self.was_ready and now - self.ready_since >= STABLE:
            self.failures.forget()
        if error is not None and self.was_ready:
            self.failures.crashed(error, now, chance)
        elif error is not None:
            self.failures.start_failed(error, now, chance)
        self.state, self.stuck = ModelState.STOPPED, None
        self.leaving, self.leave_by = None, None
        self.serving, self.turn, self.displaced = set(), set(), set()

    def may_admit(self, ticket: Ticket, last: Ticket | None) -> bool:
        """Tell whether ``ticket`` comes before ``last``, for whom this model must make way."""
        return last is None or ticket < last or ticket in self.turn

    def leave(self, ticket: Ticket) -> None:
        """Take ``ticket`` out of those who wait."""
        del self.wants[ticket]
        self.turn.discard(ticket)

    def release(self, ticket: Ticket, now: float) -> None:
        """Serve ``ticket`` no more, unless a generation served it that is over."""
        if ticket in self.serving:
            self.serving.remove(ticket)
            self.idle_since = now

    def retire(self, reason: Reason, by: float | None) -> None:
        """Admit nobody any more and stop when idle, or at clock time ``by``, if that is sooner."""
        self.leaving = self.leaving or reason
        self.leave_by = min((t for t in (self.leave_by, by) if t is not None), default=None)

    def displaces(self, victim: Seat) -> None:
        """Note that ``victim`` is stopped for this one, and whom that has displaced itself."""
        loses = victim.state is ModelState.READY or victim.is_restored
        self.displaced |= {victim.model} if loses else victim.displaced

    def cut(self, refusal: Refusal) -> list[Revoke]:
        """Cut whoever is served."""
        return [Revoke(ticket, refusal) for ticket in sorted(self.serving)]

    def stop(self, reason: Reason, why: str | None = None) -> StopModel:
        """End the present generation; ``why`` is for people."""
        self.state = ModelState.STOPPING
        return StopModel(self.model, self.generation, reason, why)
