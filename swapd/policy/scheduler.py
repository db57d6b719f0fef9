"""Decides which model runs next.  No I/O, no clock, no tasks: facts in, effects out.

Time is an argument: a fact comes with ``now`` (seconds on a monotonic clock), a WakeAt asks.

Rule 1: everything that decides lives on this floor; the supervisor only obeys.
Rule 2: a fact is recorded first, then the whole queue is walked, oldest first.
Rule 3: a busy model is never stopped to make room; only its owner's unload cuts it.
Rule 4: whatever names a generation that is over is ignored.

A *want* is a request or a load on its way to a ready model.  A request then becomes
*served* until it is finished; a load is complete.  A *claim* is a swap under way, from the
first stop of a victim until its target is ready and alone: nobody else may take the place.
A model is *doomed* while somebody overdue waits for its place (policy/turns.py): it finishes
what it serves, and whoever waited when it became ready, and admits nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import assert_never

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy import refusals
from swapd.policy.effects import (
    Admit,
    Complete,
    Effect,
    Refusal,
    Refuse,
    Revoke,
    WakeAt,
)
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.facts import (
    Fact,
    GraceOver,
    LoadRequested,
    ModelFailing,
    ModelReady,
    ModelStopped,
    ModelStuck,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason
from swapd.policy.seats import Rules, Seat, Terms, Want
from swapd.policy.turns import Plan, next_time, plan


class Scheduler:
    """First come, first served, over models that cannot all be loaded at once.

    Requests for one model share one load, models that may run together load in parallel,
    and whoever asks for a ready model is served at once, whoever else waits; until one who
    waits is *overdue*.  That one *dooms* whoever is in its way, and its place is kept for it.
    """

    def __init__(
        self,
        models: Mapping[ModelId, Terms],
        policy: EvictionPolicy,
        rules: Rules = Rules(),  # noqa: B008  frozen
    ) -> None:
        self._rules = rules
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
                yield from self._enqueue(ticket, Want(model, Reason.REQUEST, now), now)
            case LoadRequested(ticket, model, reason):
                yield from self._enqueue(ticket, Want(model, reason, now), now)
            case RequestFinished(ticket):  # always comes, exactly once
                self._leave(ticket)
                self._release(ticket, now)
            case UnloadRequested(ticket, models):
                yield from self._unload(ticket, models)
            case ModelReady(model, generation):
                self._record_ready(model, generation, now)
            case ModelFailing(model, generation):
                self._record_failing(model, generation)
            case ModelStuck():
                pass
            case ModelStopped(model, generation, error):
                yield from self._record_stopped(model, generation, error)
            case Reconfigured():
                yield from self._reconfigure(fact)
            case ShutdownBegan():
                self._ending = True
            case GraceOver():
                for seat in self._seats.values():
                    yield from self._send_away(seat, refusals.shutting_down())
            case Woke():
                pass  # the walk that follows every fact is the point
            case _:
                assert_never(fact)

    def _enqueue(self, ticket: Ticket, want: Want, now: float) -> Iterator[Effect]:
        seat = self._seats[want.model]
        if not seat.configured:
            yield Refuse(ticket, refusals.was_removed(seat.model))
        elif want.reason is Reason.REQUEST and not seat.has_room:
            yield Refuse(ticket, refusals.at_its_limit(seat.model))
        elif want.reason is Reason.REQUEST and self._would_overflow(seat, now):
            loads = sum(other.load_seconds for other in self._seats.values() if other.wants)
            yield Refuse(ticket, refusals.queue_is_full(loads))
        else:
            self._waiting[ticket] = seat
            seat.wants[ticket] = want

    def _leave(self, ticket: Ticket) -> None:
        """Take ``ticket`` out of the queue, if it is there."""
        if seat := self._waiting.pop(ticket, None):
            seat.leave(ticket)

    def _would_overflow(self, seat: Seat, now: float) -> bool:
        """Tell whether one more would wait for ``seat``, and be one too many."""
        if not self._rules.max_queue or len(self._waiting) < self._rules.max_queue:
            return False
        doomed = self._plan(now).doomed
        served = self._has_its_place(seat) and not seat.is_full and seat.model not in doomed
        return not served

    def _release(self, ticket: Ticket, now: float) -> None:
        seat = self._serving.pop(ticket, None)
        if seat and ticket in seat.serving:  # else it was served by a generation that is over
            seat.serving.remove(ticket)
            seat.idle_since = now

    def _record_ready(self, model: ModelId, generation: Generation, now: float) -> None:
        seat = self._seats[model]
        if seat.generation == generation and seat.state is ModelState.STARTING:
            seat.become_ready(now)

    def _record_failing(self, model: ModelId, generation: Generation) -> None:
        seat = self._seats[model]
        if seat.generation == generation and seat.is_loaded:
            seat.state = ModelState.STOPPING

    def _record_stopped(
        self, model: ModelId, generation: Generation, error: str | None
    ) -> Iterator[Effect]:
        seat = self._seats[model]
        if seat.generation != generation:
            return
        did_not_start = not seat.was_ready
        seat.become_stopped()
        if did_not_start and error is not None:
            yield from self._refuse_all(seat, refusals.did_not_start(model, error))

    def _refuse_all(self, seat: Seat, refusal: Refusal) -> Iterator[Effect]:
        for ticket in list(seat.wants):
            self._leave(ticket)
            yield Refuse(ticket, refusal)

    def _unload(self, order: Ticket, models: tuple[ModelId, ...]) -> Iterator[Effect]:
        self._unloads[order] = models
        for seat in (self._seats[model] for model in models):
            yield from self._send_away(seat, refusals.was_unloaded(seat.model))
            if seat.is_loaded:
                yield seat.stop(Reason.UNLOAD)

    def _send_away(self, seat: Seat, refusal: Refusal) -> Iterator[Effect]:
        """Refuse who waits and cut who is served."""
        yield from self._refuse_all(seat, refusal)
        yield from self._cut(seat, refusal)

    def _cut(self, seat: Seat, refusal: Refusal) -> Iterator[Effect]:
        for ticket in sorted(seat.serving):
            yield Revoke(ticket, refusal)

    def _reconfigure(self, new: Reconfigured) -> Iterator[Effect]:
        self._policy, self._rules = new.policy, new.rules
        for model, terms in new.models.items():
            self._seats.setdefault(model, Seat(model, terms)).terms = terms
        for model, seat in self._seats.items():
            seat.configured = model in new.models
            if not seat.configured:
                yield from self._refuse_all(seat, refusals.was_removed(model))
            if seat.is_loaded and (model in new.changed or not seat.configured):
                seat.leave_by = min(seat.leave_by or new.drain_by, new.drain_by)

    # -- what can be done now ----------------------------------------------------------

    def _advance(self, now: float) -> Iterator[Effect]:
        yield from self._see_off(now)
        yield from self._admit_ready(self._plan(now).doomed)
        yield from self._complete_unloads()
        if self._ending:
            yield from self._turn_away()
        else:
            yield from self._swap(now)
        yield from self._unload_idle(now)
        yield from self._wake(now)

    def _see_off(self, now: float) -> Iterator[Effect]:
        """Stop what runs by an old configuration: idle at once, busy when its time is over."""
        for seat in self._seats.values():
            if seat.leave_by is None or not seat.is_loaded:
                continue
            if now >= seat.leave_by:
                yield from self._cut(seat, refusals.drained_too_long(seat.model))
            elif seat.serving:
                continue
            yield seat.stop(Reason.RELOAD)

    def _plan(self, now: float) -> Plan:
        return plan(self._seats.values(), self._victims, self._rules, now)

    def _admit_ready(self, doomed: Set[ModelId]) -> Iterator[Effect]:
        """Serve whoever wants a model that is ready and has its place to itself.

        A model that must make way still serves those who waited when it became ready.
        """
        for seat in [seat for seat in self._seats.values() if seat.wants and seat.is_open]:
            alone, must_go = self._is_alone(seat), seat.model in doomed
            for ticket, want in list(seat.wants.items()):
                if want.reason is not Reason.REQUEST:
                    self._leave(ticket)
                    yield Complete(ticket)
                elif alone and not seat.is_full and (not must_go or ticket in seat.turn):
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
                yield from self._refuse_all(seat, refusals.shutting_down())

    def _swap(self, now: float) -> Iterator[Effect]:
        made = self._plan(now)
        self._claims &= {seat.model for seat in made.order if self._needs_its_place(seat)}
        held = {model for models in self._unloads.values() for model in models}
        ahead: list[Seat] = []  # whose turn comes first, and whose place is kept for that
        for seat in made.order:
            settled = seat.state is ModelState.STOPPED or seat.is_open
            if settled and seat.model not in held and self._keeps_clear(seat, ahead):
                yield from self._make_room(seat, now)
            if seat in made.reserved:
                ahead.append(seat)

    def _keeps_clear(self, target: Seat, ahead: Sequence[Seat]) -> bool:
        """Tell whether ``target`` can start without getting into anybody's way.

        A swap that is under way goes on: what it stops is lost already.
        """
        return target.model in self._claims or not any(
            target.model in self._victims(seat.model, target.model)
            or seat.model in self._victims(target.model, seat.model)
            for seat in ahead
        )

    def _make_room(self, target: Seat, now: float) -> Iterator[Effect]:
        """Stop all victims of ``target`` if all may go; start it once none is left."""
        victims = self._victims(target.model)
        if target.is_open and not victims:
            return  # it is ready: its clients wait for a place beside those it serves
        if self._is_claimed_against(target.model) or not all(map(self._may_go, victims)):
            return
        self._claims.add(target.model)
        for victim in (self._seats[model] for model in sorted(victims)):
            if victim.is_loaded:
                ready = victim.state is ModelState.READY
                yield victim.stop(Reason.SWAP if ready else Reason.ABORTED)
        if not victims and target.state is ModelState.STOPPED:
            yield target.start(target.oldest[1].reason, now)

    def _is_claimed_against(self, target: ModelId) -> bool:
        """Tell whether starting ``target`` would add a victim to a swap under way."""
        return any(target in self._victims(other, target) for other in self._claims - {target})

    def _may_go(self, victim: ModelId) -> bool:
        match self._seats[victim].state:
            case ModelState.STOPPED:
                return False  # a claimant: its place is being made
            case ModelState.STARTING:
                return not self._seats[victim].wants  # whoever wanted it has left
            case ModelState.READY:
                seat = self._seats[victim]
                has_its_turn = bool(seat.turn) and self._has_its_place(seat)
                return victim not in self._claims and not (seat.serving or has_its_turn)
            case ModelState.STOPPING:
                return True

    def _unload_idle(self, now: float) -> Iterator[Effect]:
        for seat in self._seats.values():
            if seat.expires_at is not None and seat.expires_at <= now:
                yield seat.stop(Reason.TTL)

    def _wake(self, now: float) -> Iterator[WakeAt]:
        when = next_time(self._seats.values(), self._rules, now)
        if when is not None:
            yield WakeAt(when)

    def _needs_its_place(self, seat: Seat) -> bool:
        return seat.state is not ModelState.STOPPING and not self._has_its_place(seat)

    def _has_its_place(self, seat: Seat) -> bool:
        return seat.is_open and self._is_alone(seat)

    def _is_alone(self, seat: Seat) -> bool:
        """Tell whether a ready model has its place to itself, but for what a reload took out."""
        victims = self._policy.victims(seat.model, self._up()).evict
        return not any(self._seats[victim].configured for victim in victims)

    def _victims(self, target: ModelId, *beside: ModelId) -> frozenset[ModelId]:
        """Return who must go for ``target``, if ``beside`` had a place, too.

        Whoever's place is being made counts as having it.  ``target`` counts if it stays, or
        a policy that never evicts for a model that runs would take it for one.
        """
        places = self._up() | self._claims | {*beside}
        if not self._seats[target].is_loaded:
            places.discard(target)
        return self._policy.victims(target, places).evict

    def _up(self) -> set[ModelId]:
        """Every model that holds its place: starting, ready, or not gone yet."""
        return {m for m, seat in self._seats.items() if seat.state is not ModelState.STOPPED}
