"""Decides which model runs next.  No I/O, no clock, no tasks: facts in, effects out.

Time is an argument, never a call: a fact arrives with ``now`` (seconds on a clock that
never steps back), and the scheduler asks to be woken by returning a WakeAt.

Rule 1: everything that decides lives on this floor; the supervisor only obeys.
Rule 2: a fact is recorded first, then the whole queue is walked, oldest first.
Rule 3: a busy model is never stopped to make room; only its owner's unload cuts it.
Rule 4: whatever names a generation that is over is ignored.

A *want* is a request or a load on its way to a ready model.  A request then becomes
*served* until it is finished; a load is complete.  A *claim* is a swap under way, from the
first stop of a victim until those who wait are served: nobody else may take the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    WakeAt,
)
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.facts import (
    Fact,
    LoadRequested,
    ModelReady,
    ModelStopped,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason
from swapd.policy.seats import Seat, Terms, Want

#: Seconds after which a client may try again when nothing better is known.
RETRY_SOON = 1.0


class Scheduler:
    """First come, first served, over models that cannot all be loaded at once.

    Requests for one model share one load, models that may run together load in parallel,
    and whoever asks for a ready model is served at once, whoever else waits.
    """

    def __init__(self, models: Mapping[ModelId, Terms], policy: EvictionPolicy) -> None:
        self._seats = {model: Seat(model, terms) for model, terms in models.items()}
        self._policy = policy
        self._waiting: dict[Ticket, Seat] = {}
        self._serving: dict[Ticket, Seat] = {}
        self._claims: set[ModelId] = set()
        self._unloads: dict[Ticket, tuple[ModelId, ...]] = {}
        self._ending = False

    def state(self, model: ModelId) -> ModelState:
        """Tell where ``model`` is in its life, as far as facts have said."""
        return self._seats[model].state

    def queue(self) -> Mapping[Ticket, Want]:
        """Show who waits, in the order of arrival."""
        return {ticket: seat.wants[ticket] for ticket, seat in self._waiting.items()}

    def in_flight(self, model: ModelId) -> int:
        """Count the requests that ``model`` serves in its present life."""
        return len(self._seats[model].serving)

    def waiting(self, model: ModelId) -> int:
        """Count the requests and loads that wait for ``model``."""
        return len(self._seats[model].wants)

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        """Record ``fact`` and return all that can be done now, in order."""
        return [*self._record(fact, now), *self._advance(now)]

    # -- what happened -----------------------------------------------------------------

    def _record(self, fact: Fact, now: float) -> Iterator[Effect]:
        match fact:
            case RequestArrived(ticket, model):
                yield from self._enqueue(ticket, Want(model, Reason.REQUEST, now))
            case LoadRequested(ticket, model, reason):
                yield from self._enqueue(ticket, Want(model, reason, now))
            case RequestFinished(ticket):  # always comes, exactly once
                self._leave(ticket)
                self._release(ticket, now)
            case UnloadRequested(ticket, models):
                yield from self._unload(ticket, models)
            case ModelReady(model, generation):
                self._record_ready(model, generation, now)
            case ModelStopped(model, generation, error):
                yield from self._record_stopped(model, generation, error)
            case Reconfigured():
                yield from self._reconfigure(fact)
            case ShutdownBegan():
                self._ending = True
            case Woke():
                pass  # the walk that follows every fact is the point
            case _:
                assert_never(fact)

    def _enqueue(self, ticket: Ticket, want: Want) -> Iterator[Effect]:
        seat = self._seats[want.model]
        if not seat.configured:
            yield _refuse(ticket, _removed(seat))
        elif want.reason is Reason.REQUEST and not seat.has_room:
            yield _refuse(ticket, f"{seat.model} is at its concurrencyLimit", RefusalKind.FULL)
        else:
            self._waiting[ticket] = seat
            seat.wants[ticket] = want

    def _leave(self, ticket: Ticket) -> None:
        """Take ``ticket`` out of the queue, if it is there."""
        if seat := self._waiting.pop(ticket, None):
            del seat.wants[ticket]

    def _release(self, ticket: Ticket, now: float) -> None:
        seat = self._serving.pop(ticket, None)
        if seat and ticket in seat.serving:  # else it was served by a generation that is over
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
        seat.state, seat.leave_by, seat.serving = ModelState.STOPPED, None, set()
        if failed_to_start:
            yield from self._refuse_all(seat, f"{model} could not be started: {error}")

    def _refuse_all(self, seat: Seat, message: str) -> Iterator[Effect]:
        for ticket in list(seat.wants):
            self._leave(ticket)
            yield _refuse(ticket, message)

    def _unload(self, order: Ticket, models: tuple[ModelId, ...]) -> Iterator[Effect]:
        self._unloads[order] = models
        for seat in (self._seats[model] for model in models):
            message = f"{seat.model} was unloaded"
            yield from self._refuse_all(seat, message)
            yield from self._cut(seat, message)
            if seat.is_loaded:
                yield seat.stop(Reason.UNLOAD)

    def _cut(self, seat: Seat, message: str) -> Iterator[Effect]:
        for ticket in sorted(seat.serving):
            yield Revoke(ticket, Refusal(RefusalKind.UNAVAILABLE, message, RETRY_SOON))

    def _reconfigure(self, new: Reconfigured) -> Iterator[Effect]:
        self._policy = new.policy
        for model, terms in new.models.items():
            self._seats.setdefault(model, Seat(model, terms)).terms = terms
        for model, seat in self._seats.items():
            seat.configured = model in new.models
            if not seat.configured:
                yield from self._refuse_all(seat, _removed(seat))
            if seat.is_loaded and (model in new.changed or not seat.configured):
                seat.leave_by = new.drain_by

    # -- what can be done now ----------------------------------------------------------

    def _advance(self, now: float) -> Iterator[Effect]:
        yield from self._see_off(now)
        yield from self._admit_ready()
        yield from self._complete_unloads()
        if self._ending:
            yield from self._turn_away()
        else:
            yield from self._swap()
        yield from self._unload_idle(now)
        yield from self._wake()

    def _see_off(self, now: float) -> Iterator[Effect]:
        """Stop what runs by an old configuration: idle at once, busy when its time is over."""
        for seat in self._seats.values():
            if seat.leave_by is None or not seat.is_loaded:
                continue
            if now >= seat.leave_by:
                message = f"{seat.model} has a new configuration, and its time to drain is over"
                yield from self._cut(seat, message)
            elif seat.serving:
                continue
            yield seat.stop(Reason.RELOAD)

    def _admit_ready(self) -> Iterator[Effect]:
        """Serve whoever wants a model that is ready and has its place to itself."""
        for seat in [seat for seat in self._seats.values() if seat.wants and seat.is_open]:
            alone = not self._policy.victims(seat.model, self._up()).evict
            for ticket, want in list(seat.wants.items()):
                if want.reason is not Reason.REQUEST:
                    self._leave(ticket)
                    yield Complete(ticket)
                elif alone:
                    self._leave(ticket)
                    self._serving[ticket] = seat
                    seat.serving.add(ticket)
                    yield Admit(ticket, seat.model, seat.generation)

    def _complete_unloads(self) -> Iterator[Effect]:
        for order, models in list(self._unloads.items()):
            if all(self._seats[m].state is ModelState.STOPPED for m in models):
                del self._unloads[order]
                yield Complete(order)

    def _turn_away(self) -> Iterator[Effect]:
        """Refuse whoever would need a start or an eviction: swapd is ending."""
        self._claims.clear()
        for seat in self._seats.values():
            if seat.state is not ModelState.STARTING:
                yield from self._refuse_all(seat, "swapd is shutting down")

    def _swap(self) -> Iterator[Effect]:
        wanted = [seat for seat in self._seats.values() if seat.wants]
        self._claims &= {seat.model for seat in wanted}
        held = {model for models in self._unloads.values() for model in models}
        for seat in sorted(wanted, key=lambda seat: seat.oldest[0]):
            if (seat.state is ModelState.STOPPED or seat.is_open) and seat.model not in held:
                yield from self._make_room(seat)

    def _make_room(self, target: Seat) -> Iterator[Effect]:
        """Stop all victims of ``target`` if all may go; start it once none is left."""
        victims = self._policy.victims(target.model, self._up() | self._claims).evict
        if self._is_claimed_against(target.model) or not all(map(self._may_go, victims)):
            return
        self._claims.add(target.model)
        for victim in (self._seats[model] for model in sorted(victims)):
            if victim.is_loaded:
                ready = victim.state is ModelState.READY
                yield victim.stop(Reason.SWAP if ready else Reason.ABORTED)
        if not victims and target.state is ModelState.STOPPED:
            yield target.start(target.oldest[1].reason)

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
                return not self._seats[victim].wants  # whoever wanted it has left
            case ModelState.READY:
                return victim not in self._claims and not self._seats[victim].serving
            case ModelState.STOPPING:
                return True

    def _unload_idle(self, now: float) -> Iterator[Effect]:
        for seat in self._idle():
            if now >= seat.idle_since + seat.terms.ttl:
                yield seat.stop(Reason.TTL)

    def _wake(self) -> Iterator[WakeAt]:
        due = [seat.idle_since + seat.terms.ttl for seat in self._idle()]
        leaving = (seat.leave_by for seat in self._seats.values() if seat.is_loaded)
        due += [when for when in leaving if when is not None]
        if due:
            yield WakeAt(min(due))

    def _idle(self) -> Iterator[Seat]:
        """Yield whoever is ready, may not be so for ever, and is used by nobody."""
        for seat in self._seats.values():
            if seat.terms.ttl and seat.is_open and not seat.is_used:
                yield seat

    # -- words for the above -----------------------------------------------------------

    def _up(self) -> set[ModelId]:
        """Every model that holds its place: starting, ready, or not gone yet."""
        return {m for m, seat in self._seats.items() if seat.state is not ModelState.STOPPED}


def _refuse(ticket: Ticket, message: str, kind: RefusalKind = RefusalKind.UNAVAILABLE) -> Refuse:
    return Refuse(ticket, Refusal(kind, message, RETRY_SOON))


def _removed(seat: Seat) -> str:
    return f"{seat.model} was taken out of the configuration"
