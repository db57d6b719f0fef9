"""Decides which model runs next.  No I/O, no clock, no tasks: facts in, effects out.

Time is an argument, never a call: a fact arrives with ``now`` (seconds on a clock that
never steps back), and the scheduler asks to be woken by returning a WakeAt.

Rule 1: everything that decides lives on this floor; the supervisor only obeys.
Rule 2: a fact is recorded first, then the whole queue is walked, oldest first.
Rule 3: a busy model is never stopped to make room; only its owner's unload cuts it.
Rule 4: whatever names a generation that is over is ignored.

A *want* is a request or a load on its way to a ready model.  A request then becomes
*served* until it is finished; a load is complete.  A *claim* is a swap under way: the
victims of its target are being stopped, and nobody else may take the place meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import (
    Admit,
    Complete,
    Effect,
    Refusal,
    RefusalKind,
    Refuse,
    Revoke,
    StartModel,
    StopModel,
    WakeAt,
)
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.facts import (
    Fact,
    LoadRequested,
    ModelReady,
    ModelStopped,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason

#: Seconds after which a client may try again when nothing better is known.
RETRY_SOON = 1.0


@dataclass(frozen=True, slots=True)
class Want:
    """A request or a load that waits for its model since clock time ``since``."""

    model: ModelId
    reason: Reason
    since: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What the configuration says of one model; 0 means no limit in each.

    ``ttl`` is how many seconds it may idle before it is unloaded; ``concurrency_limit``
    how many requests it may have at once, waiting and served together.
    """

    ttl: float = 0.0
    concurrency_limit: int = 0


@dataclass(slots=True)
class _Seat:
    """What the scheduler knows of one model's process."""

    terms: Terms
    state: ModelState = ModelState.STOPPED
    generation: Generation = Generation(0)
    serving: set[Ticket] = field(default_factory=set)  # of this generation only
    idle_since: float = 0.0  # the later of ready and last release


class Scheduler:
    """First come, first served, over models that cannot all be loaded at once.

    Requests for one model share one load, models that may run together load in parallel,
    and whoever asks for a ready model is served at once, whoever else waits.
    """

    def __init__(self, models: Mapping[ModelId, Terms], policy: EvictionPolicy) -> None:
        self._seats = {model: _Seat(terms) for model, terms in models.items()}
        self._policy = policy
        self._waiting: dict[Ticket, Want] = {}  # insertion order is the queue
        self._serving: dict[Ticket, ModelId] = {}
        self._claims: set[ModelId] = set()
        self._unloads: dict[Ticket, tuple[ModelId, ...]] = {}
        self._ending = False

    def state(self, model: ModelId) -> ModelState:
        """Tell where ``model`` is in its life, as far as facts have said."""
        return self._seats[model].state

    def queue(self) -> Mapping[Ticket, Want]:
        """Show who waits, in the order of arrival."""
        return self._waiting

    def in_flight(self, model: ModelId) -> int:
        """Count the requests that ``model`` serves in its present life."""
        return len(self._seats[model].serving)

    def waiting(self, model: ModelId) -> int:
        """Count the requests and loads that wait for ``model``."""
        return sum(want.model == model for want in self._waiting.values())

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        """Record ``fact`` and return all that can be done now, in order."""
        return [*self._record(fact, now), *self._advance(now)]

    # -- what happened -----------------------------------------------------------------

    def _record(self, fact: Fact, now: float) -> Iterator[Effect]:
        match fact:
            case RequestArrived(ticket, model):
                self._waiting[ticket] = Want(model, Reason.REQUEST, now)
                if self._is_over_its_limit(model):
                    yield self._refuse(
                        ticket, f"{model} is at its concurrencyLimit", RefusalKind.FULL
                    )
            case LoadRequested(ticket, model, reason):
                self._waiting[ticket] = Want(model, reason, now)
            case RequestFinished(ticket):  # always comes, exactly once
                self._waiting.pop(ticket, None)
                self._release(ticket, now)
            case UnloadRequested(ticket, models):
                yield from self._unload(ticket, models)
            case ModelReady(model, generation):
                self._record_ready(model, generation, now)
            case ModelStopped(model, generation, error):
                yield from self._record_stopped(model, generation, error)
            case ShutdownBegan():
                self._ending = True
            case Woke():
                pass  # the walk that follows every fact is the point
            case _:
                assert_never(fact)

    def _release(self, ticket: Ticket, now: float) -> None:
        if model := self._serving.pop(ticket, None):
            seat = self._seats[model]
            if ticket in seat.serving:  # else it was served by an earlier generation
                seat.serving.remove(ticket)
                seat.idle_since = now

    def _record_ready(self, model: ModelId, generation: Generation, now: float) -> None:
        seat = self._seats[model]
        if seat.generation == generation and seat.state is ModelState.STARTING:
            seat.state, seat.idle_since = ModelState.READY, now

    def _record_stopped(
        self, model: ModelId, generation: Generation, error: str | None
    ) -> Iterator[Effect]:
        seat = self._seats[model]
        if seat.generation != generation:
            return
        failed_to_start = seat.state is ModelState.STARTING and error is not None
        seat.state = ModelState.STOPPED
        if failed_to_start:
            yield from self._refuse_all(model, f"{model} could not be started: {error}")

    def _refuse_all(self, model: ModelId, message: str) -> Iterator[Effect]:
        for ticket in [t for t, want in self._waiting.items() if want.model == model]:
            yield self._refuse(ticket, message)

    def _refuse(
        self, ticket: Ticket, message: str, kind: RefusalKind = RefusalKind.UNAVAILABLE
    ) -> Refuse:
        del self._waiting[ticket]
        return Refuse(ticket, Refusal(kind, message, RETRY_SOON))

    def _unload(self, order: Ticket, models: tuple[ModelId, ...]) -> Iterator[Effect]:
        self._unloads[order] = models
        for model in models:
            message = f"{model} was unloaded"
            yield from self._refuse_all(model, message)
            for ticket in sorted(self._seats[model].serving):
                yield Revoke(ticket, Refusal(RefusalKind.UNAVAILABLE, message, RETRY_SOON))
            if self._seats[model].state in {ModelState.STARTING, ModelState.READY}:
                yield self._stop(model, Reason.UNLOAD)

    # -- what can be done now ----------------------------------------------------------

    def _advance(self, now: float) -> Iterator[Effect]:
        yield from self._admit_ready()
        yield from self._complete_unloads()
        if self._ending:
            yield from self._turn_away()
        else:
            yield from self._swap()
        yield from self._unload_idle(now)

    def _admit_ready(self) -> Iterator[Effect]:
        """Serve whoever wants a model that is ready and has its place to itself."""
        for ticket, want in list(self._waiting.items()):
            seat = self._seats[want.model]
            if seat.state is not ModelState.READY:
                continue
            if want.reason is not Reason.REQUEST:
                del self._waiting[ticket]
                yield Complete(ticket)
            elif not self._policy.victims(want.model, self._up()).evict:
                del self._waiting[ticket]
                self._serving[ticket] = want.model
                seat.serving.add(ticket)
                yield Admit(ticket, want.model, seat.generation)

    def _complete_unloads(self) -> Iterator[Effect]:
        for order, models in list(self._unloads.items()):
            if all(self._seats[m].state is ModelState.STOPPED for m in models):
                del self._unloads[order]
                yield Complete(order)

    def _turn_away(self) -> Iterator[Effect]:
        """Refuse whoever would need a start or an eviction: swapd is ending."""
        self._claims.clear()
        for ticket, want in list(self._waiting.items()):
            if self._seats[want.model].state is not ModelState.STARTING:
                yield self._refuse(ticket, "swapd is shutting down")

    def _swap(self) -> Iterator[Effect]:
        wanted: dict[ModelId, Reason] = {}
        for want in self._waiting.values():
            wanted.setdefault(want.model, want.reason)
        self._claims &= wanted.keys()
        held = {model for models in self._unloads.values() for model in models}
        settled = {ModelState.STOPPED, ModelState.READY}
        for model, reason in wanted.items():  # oldest first, by each model's oldest want
            if self._seats[model].state in settled and model not in held:
                yield from self._make_room(model, reason)

    def _make_room(self, target: ModelId, reason: Reason) -> Iterator[Effect]:
        """Stop all victims of ``target`` if all may go; start it once none is left."""
        victims = self._policy.victims(target, self._up() | self._claims).evict
        if self._is_claimed_against(target) or not all(map(self._may_go, victims)):
            return
        self._claims.add(target)
        for victim in sorted(victims):
            if self._seats[victim].state is not ModelState.STOPPING:
                ready = self._seats[victim].state is ModelState.READY
                yield self._stop(victim, Reason.SWAP if ready else Reason.ABORTED)
        if not victims and self._seats[target].state is ModelState.STOPPED:
            self._claims.discard(target)
            yield self._start(target, reason)

    def _is_claimed_against(self, target: ModelId) -> bool:
        """Tell whether starting ``target`` would add a victim to a swap under way."""
        beside = self._up() | self._claims | {target}
        return any(
            target in self._policy.victims(claimant, beside).evict
            for claimant in self._claims - {target}
        )

    def _may_go(self, victim: ModelId) -> bool:
        match self._seats[victim].state:
            case ModelState.STOPPED:
                return False  # a claimant: its place is being made
            case ModelState.STARTING:
                return not self.waiting(victim)  # whoever wanted it has left
            case ModelState.READY:
                return victim not in self._claims and not self.in_flight(victim)
            case ModelState.STOPPING:
                return True

    def _unload_idle(self, now: float) -> Iterator[Effect]:
        due = {
            model: seat.idle_since + seat.terms.ttl
            for model, seat in self._seats.items()
            if seat.terms.ttl and seat.state is ModelState.READY and not self._is_used(model)
        }
        for model in [model for model, when in due.items() if when <= now]:
            del due[model]
            yield self._stop(model, Reason.TTL)
        if due:
            yield WakeAt(min(due.values()))

    # -- words for the above -----------------------------------------------------------

    def _start(self, model: ModelId, reason: Reason) -> StartModel:
        seat = self._seats[model]
        seat.state = ModelState.STARTING
        seat.generation = Generation(seat.generation + 1)
        seat.serving = set()
        return StartModel(model, seat.generation, reason)

    def _stop(self, model: ModelId, reason: Reason) -> StopModel:
        seat = self._seats[model]
        seat.state = ModelState.STOPPING
        return StopModel(model, seat.generation, reason)

    def _up(self) -> set[ModelId]:
        """Every model that holds its place: starting, ready, or not gone yet."""
        return {m for m, seat in self._seats.items() if seat.state is not ModelState.STOPPED}

    def _is_over_its_limit(self, model: ModelId) -> bool:
        limit = self._seats[model].terms.concurrency_limit
        return bool(limit) and self.in_flight(model) + self.waiting(model) > limit

    def _is_used(self, model: ModelId) -> bool:
        return bool(self.in_flight(model) or self.waiting(model))
