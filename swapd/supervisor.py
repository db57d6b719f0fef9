"""Obeys the scheduler: one task, one inbox, no awaits between two facts."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NoReturn, assert_never

import trio

from swapd.errors import ModelUnavailable, RequestError, TooManyRequests
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
from swapd.policy.facts import (
    Fact,
    LoadRequested,
    ModelStopped,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import Reason
from swapd.policy.scheduler import Scheduler
from swapd.process.actor import ModelActor, Start, Stop


@dataclass(frozen=True, slots=True)
class Waiting:
    """One place in the queue; ``waited`` is in seconds."""

    model: ModelId
    reason: Reason
    waited: float


@dataclass(frozen=True, slots=True)
class ModelView:
    """What the supervisor knows of one model now."""

    model: ModelId
    pid: int | None
    in_flight: int
    waiting: int
    error: str | None


class _End:
    """How one generation ended, for those who were served by it."""

    def __init__(self) -> None:
        self.came = trio.Event()
        self.error: str | None = None

    def come(self, error: str | None) -> None:
        self.error = error
        self.came.set()


@dataclass(frozen=True, slots=True)
class Lease:
    """A ready model, held for one request."""

    model: ModelId
    generation: Generation
    end: _End

    async def cause_of_death(self, patience: float) -> str | None:
        """Return why the model's process ended by itself, if it does within ``patience`` s."""
        with trio.move_on_after(patience):
            await self.end.came.wait()
        return self.end.error


class _Gate:
    """The answer to one ticket: the supervisor gives it, one task awaits it."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()  # around whatever is done behind the gate
        self._answered = trio.Event()
        self._refusal: Refusal | None = None
        self.generation = Generation(0)
        self.end = _End()

    def open(self, generation: Generation, end: _End) -> None:
        """Let the request through to this generation."""
        self.generation, self.end = generation, end
        self._answered.set()

    def complete(self) -> None:
        """Say that the order is carried out."""
        self._answered.set()

    def shut(self, refusal: Refusal) -> None:
        """Refuse who waits; cut who has passed."""
        self._refusal = refusal
        self._answered.set()
        self.scope.cancel(reason=refusal.message)

    async def wait(self) -> None:
        """Wait for the answer.

        Raises:
          TryLater: If the gate was shut.
        """
        await self._answered.wait()
        self.check()

    def check(self) -> None:
        """Raise what the gate was shut with, if it was."""
        if self._refusal is not None:
            raise _as_error(self._refusal)


def _as_error(refusal: Refusal) -> RequestError:
    match refusal.kind:
        case RefusalKind.UNAVAILABLE:
            return ModelUnavailable(refusal.message, retry_after=refusal.retry_after)
        case RefusalKind.FULL:
            return TooManyRequests(refusal.message, retry_after=refusal.retry_after)


class Supervisor:
    """The only caller of the scheduler, and the only one who commands the actors."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._actors: Mapping[ModelId, ModelActor] = {}
        self._gates: dict[Ticket, _Gate] = {}
        self._ends: dict[ModelId, _End] = {}  # of the generation that lives or lived last
        self._tickets = itertools.count(1)
        self._wake_at = math.inf
        self._post, self._inbox = trio.open_memory_channel[Fact](math.inf)

    def post(self, fact: Fact) -> None:
        """Tell the supervisor what happened.  Never blocks."""
        self._post.send_nowait(fact)

    async def run(
        self,
        actors: Mapping[ModelId, ModelActor],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> NoReturn:
        """Own every actor and answer every fact, until cancelled, which stops all models."""
        self._actors = actors
        async with trio.open_nursery() as nursery:
            for actor in actors.values():
                await nursery.start(actor.run)
            task_status.started()
            while True:
                fact: Fact = Woke()
                with trio.CancelScope(deadline=self._wake_at):
                    fact = await self._inbox.receive()
                self._wake_at = math.inf
                if isinstance(fact, ModelStopped):
                    self._ends[fact.model].come(fact.error)
                self._obey(self._scheduler.handle(fact, now=trio.current_time()))

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
                    self._ends[model] = _End()
                    self._actors[model].tell(Start(generation, reason))
                case StopModel(model, generation, reason):
                    self._actors[model].tell(Stop(generation, reason))
                case WakeAt(when):
                    self._wake_at = when
                case _:
                    assert_never(effect)

    # -- what the floors above ask -----------------------------------------------------

    @asynccontextmanager
    async def lease(self, model: ModelId) -> AsyncIterator[Lease]:
        """Hold ``model`` ready for the length of the block.

        The block is cancelled when the owner unloads the model meanwhile.

        Raises:
          ModelUnavailable: If the model could not be started, or was unloaded; instead of
            whatever the block raised, where it was unloaded under it.
          TooManyRequests: If the model is at its limit.
        """
        with self._ticket() as (ticket, gate):
            self.post(RequestArrived(ticket, model))
            try:
                await gate.wait()
                with gate.scope:
                    yield Lease(model, gate.generation, gate.end)
                gate.check()
            except RequestError:
                gate.check()  # the unload is the cause, not what it broke
                raise
            finally:
                self.post(RequestFinished(ticket))  # sync: no cancellation can lose it

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

    async def unload(self, models: Iterable[ModelId]) -> None:
        """Stop ``models`` now and return when their process groups are gone.

        Their waiting requests are refused, their running ones are cut.  Leaving early
        does not undo it.
        """
        with self._ticket() as (ticket, gate):
            self.post(UnloadRequested(ticket, tuple(models)))
            await gate.wait()

    def begin_shutdown(self) -> None:
        """Let what is served finish, and start nothing any more."""
        self.post(ShutdownBegan())

    def view(self, model: ModelId) -> ModelView:
        """Tell what is known of ``model`` now."""
        actor = self._actors[model]
        return ModelView(
            model,
            pid=actor.pid,
            in_flight=self._scheduler.in_flight(model),
            waiting=self._scheduler.waiting(model),
            error=actor.trouble,
        )

    def queue(self) -> list[Waiting]:
        """Tell who waits now, in the order of arrival."""
        now = trio.current_time()
        return [
            Waiting(want.model, want.reason, now - want.since)
            for want in self._scheduler.queue().values()
        ]

    def _next_ticket(self) -> Ticket:
        return Ticket(next(self._tickets))

    @contextmanager
    def _ticket(self) -> Iterator[tuple[Ticket, _Gate]]:
        ticket, gate = self._next_ticket(), _Gate()
        self._gates[ticket] = gate
        try:
            yield ticket, gate
        finally:
            del self._gates[ticket]
