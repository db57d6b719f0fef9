"""Decides which model runs next.  No I/O, no clock, no tasks: facts in, effects out.

Time is an argument: a fact comes with ``now`` (seconds on a monotonic clock), a WakeAt asks.

Rule 1: everything that decides lives on this floor; the supervisor only obeys.
Rule 2: a fact is recorded first, then the whole queue is walked, oldest first.  Where that would
    come to nothing new, it is left out (policy/calm.py).
Rule 3: a busy model is never stopped to make room; only its owner's unload cuts it.
Rule 4: whatever names a generation that is over is ignored.

A *want* is a request or a load on its way to a ready model.  A request then becomes
*served* until it is finished; a load is complete.  Who must go for whom is asked of
policy/places.py, room is made by policy/swaps.py.  A model is *doomed* while somebody overdue
waits for its place (policy/turns.py): it finishes what it serves, and whoever waited when it
became ready or came before that one, and admits nobody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import assert_never

from swapd.ids import ModelId, Ticket
from swapd.policy import refusals
from swapd.policy.calm import Calm, calm
from swapd.policy.effects import Admit, Complete, Effect, Refusal, Refuse
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.explaining import Explanation, explain
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
from swapd.policy.orders import Unloads
from swapd.policy.places import Places
from swapd.policy.queue import Place, queue_of
from swapd.policy.restarts import Chance, no_chance
from swapd.policy.seats import Rules, Seat, Terms, Want
from swapd.policy.swaps import Swaps
from swapd.policy.turns import Plan, plan, wake


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
        chance: Chance = no_chance,
    ) -> None:
        """Schedule ``models``; ``chance`` keeps those that fail from being tried in step."""
        self._rules = rules
        self._chance = chance
        self._seats = {model: Seat(model, terms) for model, terms in models.items()}
        self._places = Places(self._seats, policy)
        self._swaps = Swaps(self._places)
        self._unloads = Unloads()
        self._waiting: dict[Ticket, Seat] = {}
        self._serving: dict[Ticket, Seat] = {}
        self._ending = False
        self._calm: Calm | None = None  # if it is known to be one

    def state(self, model: ModelId) -> ModelState:
        """Tell where ``model`` is in its life, as far as facts have said."""
        return self._seats[model].state

    def is_open(self, model: ModelId) -> bool:
        """Tell whether ``model`` is ready, and is not to be stopped as soon as it is idle."""
        return self._seats[model].is_open

    def queue(self, now: float) -> list[Place]:
        """Tell who waits, and for whom, in the order in which they would be served."""
        return queue_of(self._plan(now), self._places, self._rules, now)

    def doomed(self, now: float) -> Mapping[ModelId, ModelId]:
        """Tell who admits nobody any more, and for whose sake."""
        return self._plan(now).doomed

    def backoff(self, model: ModelId, now: float) -> float:
        """Return for how many seconds ``model`` may not be started, for it has failed."""
        return self._seats[model].failures.left(now)

    def in_flight(self, model: ModelId) -> int:
        """Count the requests that ``model`` serves in its present life."""
        return len(self._seats[model].serving)

    def waiting(self, model: ModelId) -> int:
        """Count the requests and loads that wait for ``model``."""
        return len(self._seats[model].wants)

    def explain(self, model: ModelId) -> Explanation:
        """Tell whom a start of ``model`` would evict now, and why."""
        return explain(self._places.policy, model, self._places.taken(model))

    def clash(self, one: ModelId, other: ModelId) -> bool:
        """Tell whether one of two would drive the other out, whoever came first."""
        return self._places.clash(one, other)

    def copy(self) -> Scheduler:
        """Return one that knows the same, and can be told what has not happened."""
        wants = [want for seat in self._seats.values() for want in seat.wants.values()]
        shared = [self._places.policy, self._rules, *wants]  # nothing changes them
        return deepcopy(self, {id(each): each for each in shared})

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        """Record ``fact`` and return all that can be done now, in order."""
        if (effects := self._at_once(fact, now)) is not None:
            return effects
        self._calm = None
        return [*self._record(fact, now), *self._advance(now)]

    def _at_once(self, fact: Fact, now: float) -> list[Effect] | None:
        """Return what ``fact`` comes to if that needs no thought."""
        if not isinstance(fact, (RequestArrived, RequestFinished)):
            return None
        if self._calm is None:
            self._calm = calm(fact, self._places, self._rules, self._serving)
        return self._calm.answer(fact, now) if self._calm else None

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
            case UnloadRequested(ticket, models, drain):
                yield from self._unload(ticket, models, drain=drain)
            case ModelReady() | ModelFailing() | ModelStuck() | ModelStopped():
                yield from self._record_life(fact, now)
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
        if want.reason is Reason.LOAD:
            seat.failures.forget()  # its owner knows better
        refusal = self._objection(seat, want, now)
        if refusal is not None:
            yield Refuse(ticket, refusal)
        else:
            self._waiting[ticket] = seat
            seat.wants[ticket] = want

    def _objection(self, seat: Seat, want: Want, now: float) -> Refusal | None:
        """Return why ``want`` may not even wait, if it may not."""
        left = seat.failures.left(now)
        if not seat.configured:
            return refusals.was_removed(seat.model)
        if left and seat.state is ModelState.STOPPED:
            return refusals.is_backing_off(seat.model, seat.failures.error, left)
        if want.reason is Reason.REQUEST and not seat.has_room:
            return refusals.at_its_limit(seat.model)
        if want.reason is Reason.REQUEST and self._would_overflow(seat, now):
            loads = sum(other.load_seconds for other in self._seats.values() if other.wants)
            return refusals.queue_is_full(loads)
        return None

    def _leave(self, ticket: Ticket) -> None:
        """Take ``ticket`` out of the queue, if it is there."""
        if seat := self._waiting.pop(ticket, None):
            seat.leave(ticket)

    def _would_overflow(self, seat: Seat, now: float) -> bool:
        """Tell whether one more would wait for ``seat``, and be one too many."""
        if not self._rules.max_queue or len(self._waiting) < self._rules.max_queue:
            return False
        doomed = self._plan(now).doomed
        served = self._places.has_its_place(seat) and not seat.is_full
        return not served or seat.model in doomed

    def _release(self, ticket: Ticket, now: float) -> None:
        if seat := self._serving.pop(ticket, None):
            seat.release(ticket, now)

    def _record_life(
        self, fact: ModelReady | ModelFailing | ModelStuck | ModelStopped, now: float
    ) -> Iterator[Effect]:
        seat = self._seats[fact.model]
        if seat.generation != fact.generation or seat.state is ModelState.STOPPED:
            return
        match fact:
            case ModelReady():
                if seat.state is ModelState.STARTING:
                    seat.become_ready(now)
            case ModelFailing():
                seat.state = ModelState.STOPPING
            case ModelStuck(why=why):
                seat.state, seat.stuck = ModelState.STOPPING, why
                yield from seat.cut(refusals.is_stuck(seat.model, why))
            case ModelStopped():
                yield from self._record_stopped(seat, fact, now)

    def _record_stopped(self, seat: Seat, fact: ModelStopped, now: float) -> Iterator[Effect]:
        error, was_ready, displaced = fact.error, seat.was_ready, seat.displaced
        seat.become_stopped(error, now, self._chance)
        if error is None:
            return
        delay = seat.failures.left(now)
        if not was_ready:
            why = refusals.did_not_start(seat.model, error, delay, timed_out=fact.timed_out)
            yield from self._refuse_all(seat, why)
            if self._rules.restore_on_failure:
                self._swaps.bring_back(displaced)
        elif delay:
            yield from self._refuse_all(seat, refusals.keeps_crashing(seat.model, error, delay))

    def _refuse_all(self, seat: Seat, refusal: Refusal) -> Iterator[Effect]:
        for ticket in list(seat.wants):
            self._leave(ticket)
            yield Refuse(ticket, refusal)

    def _unload(
        self, order: Ticket, models: tuple[ModelId, ...], *, drain: bool
    ) -> Iterator[Effect]:
        self._unloads.add(order, models, drain=drain)
        for seat in (self._seats[model] for model in models):
            refusal = refusals.was_unloaded(seat.model)
            if drain and seat.serving:
                yield from self._refuse_all(seat, refusal)
                seat.retire(Reason.UNLOAD, by=None)
                continue
            yield from self._send_away(seat, refusal)
            if seat.is_loaded:
                yield seat.stop(Reason.UNLOAD)

    def _send_away(self, seat: Seat, refusal: Refusal) -> Iterator[Effect]:
        """Refuse who waits and cut who is served."""
        yield from self._refuse_all(seat, refusal)
        yield from seat.cut(refusal)

    def _reconfigure(self, new: Reconfigured) -> Iterator[Effect]:
        self._places.policy, self._rules = new.policy, new.rules
        for model, terms in new.models.items():
            self._seats.setdefault(model, Seat(model, terms)).terms = terms
        for model, seat in self._seats.items():
            seat.configured = model in new.models
            if not seat.configured:
                yield from self._refuse_all(seat, refusals.was_removed(model))
            if model in new.changed or not seat.configured:
                seat.failures.forget()
                if seat.is_loaded:
                    seat.retire(Reason.RELOAD, by=new.drain_by)

    # -- what can be done now ----------------------------------------------------------

    def _advance(self, now: float) -> Iterator[Effect]:
        seats = self._concerned()
        yield from self._see_off(seats, now)
        if self._waiting:
            yield from self._refuse_the_hopeless()
            yield from self._admit_ready(seats, self._plan(now).doomed)
        yield from self._unloads.answer(self._seats)
        if self._ending:
            yield from self._turn_away()
        elif self._waiting or self._swaps.are_under_way:
            yield from self._swaps.advance(self._plan(now), self._unloads.held(), now)
        yield from [seat.stop(Reason.TTL) for seat in seats if seat.is_expired(now)]
        yield from wake(seats, self._rules, now)

    def _concerned(self) -> list[Seat]:
        """Return whose time or turn may have come: not who is stopped and wanted by nobody."""
        stopped = ModelState.STOPPED
        return [seat for seat in self._seats.values() if seat.wants or seat.state is not stopped]

    def _see_off(self, seats: Sequence[Seat], now: float) -> Iterator[Effect]:
        """Stop what is on its way out: when it is idle, or its time is over."""
        for seat in seats:
            if seat.leaving is None or not seat.is_loaded:
                continue
            if seat.leave_by is not None and now >= seat.leave_by:
                yield from seat.cut(refusals.drained_too_long(seat.model))
                yield seat.stop(Reason.RELOAD)  # nobody else sets a limit
            elif not seat.serving:
                yield seat.stop(seat.leaving)

    def _refuse_the_hopeless(self) -> Iterator[Effect]:
        """Let nobody wait for a place that may never become free."""
        if not any(seat.stuck for seat in self._seats.values()):
            return
        for seat in [seat for seat in self._seats.values() if seat.wants]:
            if blocker := self._places.stuck_for(seat):
                why = blocker.stuck or ""
                refusal = refusals.is_in_the_way(seat.model, blocker.model, why)
                yield from self._refuse_all(seat, refusal)
                if seat.state is ModelState.STOPPED and self._rules.restore_on_failure:
                    self._swaps.bring_back(seat.displaced)

    def _plan(self, now: float) -> Plan:
        return plan(self._seats.values(), self._places.victims, self._rules, now)

    def _admit_ready(
        self, seats: Sequence[Seat], doomed: Mapping[ModelId, ModelId]
    ) -> Iterator[Effect]:
        """Serve whoever wants a model that is ready and has its place to itself.

        A model that must make way still serves those who waited when it became ready, and
        those who have waited for longer than the one for whom it must.
        """
        for seat in [seat for seat in seats if seat.wants and seat.is_open]:
            alone, heir = self._places.is_alone(seat), doomed.get(seat.model)
            last = self._seats[heir].oldest[0] if heir is not None else None
            for ticket, want in list(seat.wants.items()):
                if want.reason is not Reason.REQUEST:
                    self._leave(ticket)
                    yield Complete(ticket)
                elif alone and not seat.is_full and seat.may_admit(ticket, last):
                    self._leave(ticket)
                    self._serving[ticket] = seat
                    seat.serving.add(ticket)
                    yield Admit(ticket, seat.model, seat.generation)

    def _turn_away(self) -> Iterator[Effect]:
        """Refuse whoever would need a start or an eviction: swapd is ending."""
        for seat in self._seats.values():
            if seat.state is not ModelState.STARTING:
                yield from self._refuse_all(seat, refusals.shutting_down())
