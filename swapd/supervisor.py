"""Obeys the scheduler: one task, one inbox, no awaits between two facts.

Rule 1: facts are answered in the order in which they come.  Those of a request are answered where
    they are told if none is before them: no task need be woken for that.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, assert_never

import trio

from swapd.cuttable import Cuttable
from swapd.errors import ModelUnavailable
from swapd.ids import ModelId, Ticket
from swapd.leases import End, Gate, Hold
from swapd.policy.effects import (
    Admit,
    Complete,
    Effect,
    Refuse,
    Revoke,
    StartModel,
    StopModel,
    WakeAt,
)
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.facts import (
    Fact,
    GraceOver,
    LoadRequested,
    ModelFailing,
    ModelStopped,
    ModelStuck,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import Reason, Transition
from swapd.policy.outlook import Outlook, outlook
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.process.actor import Log, ModelActor, RunServer, Start, Stop
from swapd.views import ModelView, Waiting

_log = logging.getLogger("swapd")


@dataclass(frozen=True, slots=True)
class _Reform:
    """A new configuration, and how to run its models."""

    fact: Reconfigured
    servers: Mapping[ModelId, RunServer]


@dataclass(frozen=True, slots=True)
class _Bug:
    """What no answer to a fact should have raised."""

    error: Exception


class Supervisor:
    """The only caller of the scheduler, and the only one who commands the actors."""

    def __init__(
        self,
        scheduler: Scheduler,
        *,
        show: Callable[[Transition], None],
        log_of: Callable[[ModelId], Log],
    ) -> None:
        """Have every transition shown by ``show``, which may not block."""
        self._scheduler = scheduler
        self._show = show
        self._log_of = log_of
        self._actors: dict[ModelId, ModelActor] = {}
        self._gates: dict[Ticket, Gate] = {}
        self._ends: dict[ModelId, End] = {}  # of the generation that lives or lived last
        self._tickets = itertools.count(1)
        self._wake_at = math.inf
        self._sleep = trio.CancelScope()
        self._changed: trio.Event | None = None
        #: What must be over before a fact may be answered where it is told; first that we run.
        self._before = 1
        self._post, self._inbox = trio.open_memory_channel[Fact | _Reform | _Bug](math.inf)

    @property
    def changed(self) -> trio.Event:
        """Set when anything happens next; there is another one then."""
        if self._changed is None:
            self._changed = trio.Event()
        return self._changed

    def post(self, fact: Fact) -> None:
        """Tell the supervisor what happened.  Never blocks."""
        self._put(fact)

    def _put(self, message: Fact | _Reform | _Bug) -> None:
        self._before += 1
        self._post.send_nowait(message)

    def _tell(self, fact: RequestArrived | RequestFinished) -> None:
        """Have ``fact`` answered: at once, unless others are before it (rule 1).  Never blocks."""
        if self._before:
            self._put(fact)
            return
        self._before += 1
        try:
            self._answer(fact)
        except Exception as error:  # noqa: BLE001  raised by the supervisor, whose bug it is
            self._put(_Bug(error))
        finally:
            self._before -= 1
        if self._wake_at < self._sleep.deadline:  # one wake too many does no harm
            self._sleep.deadline = self._wake_at

    async def run(
        self,
        servers: Mapping[ModelId, RunServer],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Run each model by its server, answer every fact, until cancelled: that stops all."""
        async with trio.open_nursery() as actors:
            self._staff(servers, actors)
            task_status.started()
            self._before -= 1
            try:
                while True:
                    await self._serve_next(actors)
            finally:
                self._before += 1

    async def _serve_next(self, actors: trio.Nursery) -> None:
        message = None
        with trio.CancelScope(deadline=self._wake_at) as self._sleep:
            message = await self._inbox.receive()
        if message is None:
            self._answer(Woke())
            return
        if isinstance(message, _Bug):
            raise message.error
        if isinstance(message, _Reform):
            self._staff(message.servers, actors)
            message = message.fact
        self._answer(message)
        self._before -= 1

    def _staff(self, servers: Mapping[ModelId, RunServer], actors: trio.Nursery) -> None:
        """Give every model an actor, and every actor its server.

        An actor whose model was taken out stays, idle: the model may come back.
        """
        for model, server in servers.items():
            if model not in self._actors:
                self._actors[model] = ModelActor(
                    model, report=self.post, show=self._show, log=self._log_of(model)
                )
                actors.start_soon(self._actors[model].run)
            self._actors[model].run_by(server)

    def _answer(self, fact: Fact) -> None:
        self._wake_at = math.inf
        if isinstance(fact, ModelStopped):
            self._ends[fact.model].come(fact.error)
        elif isinstance(fact, ModelFailing):
            self._ends[fact.model].error = self._actors[fact.model].trouble
        elif isinstance(fact, ModelStuck):
            _log.warning("%s: %s; the model keeps its place until then", fact.model, fact.why)
        self._obey(self._scheduler.handle(fact, now=trio.current_time()))
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def _obey(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Admit(ticket, model, generation):
                    # A client may leave in this very instant: its RequestFinished is then
                    # in the inbox already, and nobody is left to be answered.
                    if gate := self._gates.get(ticket):
                        gate.open(generation, self._ends[model])
                case Complete(ticket):
                    if gate := self._gates.get(ticket):
                        gate.complete()
                case Refuse(ticket, refusal) | Revoke(ticket, refusal):
                    if gate := self._gates.get(ticket):
                        gate.shut(refusal)
                case StartModel(model, generation, reason):
                    self._ends[model] = End()
                    self._actors[model].tell(Start(generation, reason))
                case StopModel(model, generation, reason, why):
                    self._actors[model].tell(Stop(generation, reason, why))
                case WakeAt(when):
                    self._wake_at = when
                case _:
                    assert_never(effect)

    # -- what the floors above ask -----------------------------------------------------

    def lease(self, model: ModelId, around: Cuttable) -> Hold:
        """Hold ``model`` ready for the length of the block, which must be ``around``'s last part.

        That is cut when the owner unloads the model meanwhile.

        Raises:
          ModelUnavailable: If the model could not be started, or was unloaded; also instead
            of a RequestError that the block raised, where it was unloaded under it.
          TooManyRequests: If the model is at its limit.
        """
        return Hold(self, model, around)

    def arrive(self, model: ModelId) -> tuple[Ticket, Gate]:
        """Have a request for ``model`` wait at a gate, until ``leave``, which must follow."""
        ticket, gate = self._next_ticket(), Gate()
        self._gates[ticket] = gate
        self._tell(RequestArrived(ticket, model))
        return ticket, gate

    def leave(self, ticket: Ticket) -> None:
        """Take note that a request is over.  Never blocks, so no cancellation can lose it."""
        self._tell(RequestFinished(ticket))
        del self._gates[ticket]

    async def load(self, model: ModelId, reason: Reason = Reason.LOAD) -> None:
        """Load ``model`` and return when it is ready.  Leaving early does not undo it.

        Raises:
          ModelUnavailable: If it could not be started, or was unloaded meanwhile.
        """
        with self._ticket() as (ticket, gate):
            self.post(LoadRequested(ticket, model, reason))
            await gate.wait()

    def begin_load(self, model: ModelId, reason: Reason = Reason.LOAD) -> None:
        """Have ``model`` loaded; how that goes is shown by its transitions."""
        self.post(LoadRequested(self._next_ticket(), model, reason))

    async def unload(self, models: Iterable[ModelId], *, drain: bool = False) -> None:
        """Stop ``models`` now and return when their process groups are gone.

        Their waiting requests are refused, their running ones are cut, or with ``drain``
        awaited first.  Leaving early does not undo it.

        Raises:
          ModelUnavailable: If a process cannot be brought to an end.
        """
        with self._ticket() as (ticket, gate):
            self.post(UnloadRequested(ticket, tuple(models), drain))
            await gate.wait()

    def reconfigure(
        self,
        models: Mapping[ModelId, Terms],
        policy: EvictionPolicy,
        rules: Rules,
        servers: Mapping[ModelId, RunServer],
        *,
        changed: Iterable[ModelId],
        drain: float,
    ) -> None:
        """Go over to a new configuration, without touching what it does not change.

        Args:
          models: All models from now on.
          policy: Who makes room for whom from now on.
          rules: What holds for the whole queue from now on.
          servers: How each model is run from its next start on.
          changed: The models whose running process is of the old configuration.
          drain: Seconds that such a process may go on with what it serves.
        """
        by = trio.current_time() + drain
        fact = Reconfigured(models, policy, frozenset(changed), by, rules)
        self._put(_Reform(fact, servers))

    def begin_shutdown(self) -> None:
        """Let what is served finish, and start nothing any more."""
        self.post(ShutdownBegan())

    def end_requests(self) -> None:
        """Cut what is served and refuse who waits, with the word that swapd is ending."""
        self.post(GraceOver())

    def view(self, model: ModelId) -> ModelView:
        """Tell what is known of ``model`` now."""
        if (actor := self._actors.get(model)) is None:  # a reload brought it, but not to us yet
            return ModelView(model)
        return ModelView(
            model,
            pid=actor.pid,
            is_open=self._scheduler.is_open(model),
            in_flight=self._scheduler.in_flight(model),
            waiting=self._scheduler.waiting(model),
            backoff=self._scheduler.backoff(model, trio.current_time()),
            stuck=actor.stuck,
            error=actor.trouble,
        )

    def queue(self) -> list[Waiting]:
        """Tell who waits now, in the order in which they would be served."""
        now = trio.current_time()
        return [
            Waiting(
                place.want.model,
                place.want.reason,
                waited=now - place.want.since,
                position=position,
                overdue=place.overdue,
                waits_for=place.waits_for,
            )
            for position, place in enumerate(self._scheduler.queue(now), start=1)
        ]

    def doomed(self) -> Mapping[ModelId, ModelId]:
        """Tell which models admit nobody any more, and which overdue one must each make way for."""
        return self._scheduler.doomed(trio.current_time())

    def outlook(self, model: ModelId) -> Outlook:
        """Tell what a request for ``model`` would come to now.

        Raises:
          ModelUnavailable: A reload brought it, and has not come to us yet.
        """
        if model not in self._actors:
            raise ModelUnavailable(f"{model} is about to be configured", retry_after=1.0)
        return outlook(self._scheduler, model, trio.current_time())

    def _next_ticket(self) -> Ticket:
        return Ticket(next(self._tickets))

    @contextmanager
    def _ticket(self) -> Iterator[tuple[Ticket, Gate]]:
        ticket, gate = self._next_ticket(), Gate()
        self._gates[ticket] = gate
        try:
            yield ticket, gate
        finally:
            del self._gates[ticket]
