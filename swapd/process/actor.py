"""One task per model: the only code that starts, watches or stops its process.

Rule 1: the actor is the only writer of its model's state; every change is one Transition.
Rule 2: a Stop names the generation it is about, and touches no other.
Rule 3: however a life ends, even by cancellation, its last transition leads to stopped.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from swapd.ids import Generation, ModelId
from swapd.policy.facts import Fact, ModelReady, ModelStopped
from swapd.policy.life import ModelState, Reason, Transition
from swapd.process.child import Witness


@dataclass(frozen=True, slots=True)
class Start:
    """Begin this generation; ``reason`` is what asked for it."""

    generation: Generation
    reason: Reason


@dataclass(frozen=True, slots=True)
class Stop:
    """End this generation, if it still lives; ``why`` is for people."""

    generation: Generation
    reason: Reason
    why: str | None = None


#: Runs a model's server once, to its end, and returns why it ended by itself.  When
#: cancelled it stops the server first: once it is over, no process of it is left.
RunServer = Callable[[Witness], Awaitable[str]]


class Log(Protocol):
    """Where a model's words go, and its last ones come from."""

    def begin(self) -> None:
        """Forget the last words of the life before."""
        ...

    def write(self, data: bytes) -> None:
        """Keep what the model wrote.  Must not block."""
        ...

    def last_words(self) -> str:
        """Return the last lines of this life, fit to be shown to anyone."""
        ...


class ModelActor:
    """Owns one model's process; talks only by ``tell`` (in) and its callbacks (out).

    A Start behind a Stop waits its turn in the inbox, so a model never has two processes,
    and every Start is answered by exactly one ModelStopped.
    """

    def __init__(
        self,
        model: ModelId,
        *,
        report: Callable[[Fact], None],
        show: Callable[[Transition], None],
        log: Log,
    ) -> None:
        """Tell the scheduler by ``report`` and the world by ``show``; neither may block."""
        self._model = model
        self._run_server: RunServer = _nothing_to_run
        self._report = report
        self._show = show
        self._log = log
        self._life: _Life | None = None
        self._post, self._inbox = trio.open_memory_channel[Start | Stop](math.inf)

    @property
    def pid(self) -> int | None:
        """The process that lives now, if one does."""
        return self._life.pid if self._life else None

    @property
    def trouble(self) -> str | None:
        """Why the last life ended by itself, or what is wrong with this one."""
        return self._life.trouble if self._life else None

    def run_by(self, run_server: RunServer) -> None:
        """Start the server in this way from the next start on."""
        self._run_server = run_server

    def tell(self, command: Start | Stop) -> None:
        """Queue ``command``.  Never blocks, so it is safe in any ``finally``."""
        self._post.send_nowait(command)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve the inbox until cancelled, which stops the process first."""
        task_status.started()
        async for command in self._inbox:
            if isinstance(command, Start):
                await self._live(command)

    async def _live(self, start: Start) -> None:
        self._log.begin()
        life = self._life = _Life(
            self._model, start, report=self._report, show=self._show, log=self._log
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey_stop, life, nursery.cancel_scope)
                life.ended_by_itself(await self._run_server(life))
                nursery.cancel_scope.cancel(reason="the server has ended")
        finally:
            life.close()

    async def _obey_stop(self, life: _Life, scope: trio.CancelScope) -> None:
        stop = Stop(life.generation, Reason.SHUTDOWN)  # what a cancellation from outside means
        try:
            stop = await self._told_to_stop(life.generation)
        finally:
            life.told_to_stop(stop.reason, stop.why)
            scope.cancel(reason=f"told to stop: {stop.reason}")

    async def _told_to_stop(self, generation: Generation) -> Stop:
        while True:
            command = await self._inbox.receive()
            if isinstance(command, Stop) and command.generation == generation:
                return command


async def _nothing_to_run(witness: Witness) -> str:
    return "nobody has said how to run it"


class _Life:
    """One generation: makes transitions and facts of what its server does."""

    def __init__(
        self,
        model: ModelId,
        start: Start,
        *,
        report: Callable[[Fact], None],
        show: Callable[[Transition], None],
        log: Log,
    ) -> None:
        self.generation = start.generation
        self.pid: int | None = None
        self.trouble: str | None = None
        self._model = model
        self._state = ModelState.STOPPED
        self._reason = start.reason
        self._report = report
        self._show = show
        self._log = log
        self._exit_code: int | None = None
        self._error: str | None = None
        self._become(ModelState.STARTING, start.reason)

    # -- what the server does (process.child.Witness) ----------------------------------

    def spawned(self, pid: int) -> None:
        self.pid = pid

    def output(self, data: bytes) -> None:
        self._log.write(data)

    def ready(self) -> None:
        if self._state is ModelState.STARTING:
            self._become(ModelState.READY, self._reason)
            self._report(ModelReady(self._model, self.generation))

    def stopping(self, why: str) -> None:
        if self._state is ModelState.STARTING:
            self._become(ModelState.STOPPING, Reason.START_FAILED, why)

    def exited(self, code: int) -> None:
        self._exit_code = code

    def stuck(self, why: str) -> None:
        self.trouble = why

    # -- what the actor does -----------------------------------------------------------

    def told_to_stop(self, reason: Reason, why: str | None) -> None:
        """Show the stop, unless the server has ended or is being stopped already."""
        if self._error is None and self._state in {ModelState.STARTING, ModelState.READY}:
            self._become(ModelState.STOPPING, reason, why)

    def ended_by_itself(self, why: str) -> None:
        """Keep why, and the server's last words, for whoever waits for it."""
        words = self._log.last_words()
        self._error = f"{why}; its last words:\n{words}" if words else why
        self.trouble = self._error
        if self._state is ModelState.STARTING:
            self._reason = Reason.START_FAILED
        elif self._state is ModelState.READY:
            self._reason = Reason.CRASH

    def close(self) -> None:
        """Say that it is over; sync, so that no cancellation can lose it."""
        self._become(ModelState.STOPPED, self._reason, self._error)
        self._report(ModelStopped(self._model, self.generation, self._error))
        self.pid = None

    def _become(self, new: ModelState, reason: Reason, detail: str | None = None) -> None:
        old, self._state, self._reason = self._state, new, reason
        self._show(
            Transition(
                self._model, old, new, reason, self.generation, self.pid, self._exit_code, detail
            )
        )
