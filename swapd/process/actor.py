"""One task per model: the only code that starts, watches or stops its process.

Rule 1: the actor is the only writer of its model's state; every change is one Transition.
Rule 2: a Stop names the generation it is about, and touches no other.
Rule 3: however a life ends, even by cancellation, its last transition leads to stopped.
Rule 4: what is stuck holds only its own model: a life goes on until nothing is left of it, or
    until swapd ends.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from swapd.errors import LAST_WORDS
from swapd.ids import Generation, ModelId
from swapd.policy.facts import Fact, ModelFailing, ModelReady, ModelStopped, ModelStuck
from swapd.policy.life import ModelState, Reason, Transition
from swapd.process.child import Rest, Witness


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
#: cancelled it stops the server first: once it is over, no process of it is left, unless the
#: witness was told that it is stuck.
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

    A Start behind a life waits for the end of that, so a model never has two processes, and
    every Start is answered by exactly one ModelStopped.
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
        self._orders: dict[Generation, _Order] = {}  # of every life that is not over
        self._post, self._inbox = trio.open_memory_channel[_Order](math.inf)

    @property
    def pid(self) -> int | None:
        """The process that lives now, if one does."""
        return self._life.pid if self._life else None

    @property
    def trouble(self) -> str | None:
        """What is wrong with this life, or why the last one ended by itself."""
        return self._life.trouble if self._life else None

    @property
    def stuck(self) -> str | None:
        """What lives on after SIGKILL, for as long as it does."""
        return self._life.stuck_by if self._life else None

    def run_by(self, run_server: RunServer) -> None:
        """Start the server in this way from the next start on."""
        self._run_server = run_server

    def tell(self, command: Start | Stop) -> None:
        """Take ``command``.  Never blocks, so it is safe in any ``finally``."""
        match command:
            case Start(generation):
                order = self._orders[generation] = _Order(command)
                self._post.send_nowait(order)
            case Stop(generation) if generation in self._orders:
                self._orders[generation].end(command)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live as often as told to until cancelled, which stops the process first."""
        task_status.started()
        async for order in self._inbox:
            await self._live(order)
            del self._orders[order.start.generation]

    async def _live(self, order: _Order) -> None:
        self._log.begin()
        life = self._life = _Life(
            self._model, order.start, report=self._report, show=self._show, log=self._log
        )
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey_stop, life, order, nursery.cancel_scope)
                life.ended(await self._run_server(life))
                nursery.cancel_scope.cancel(reason="the server has ended")
            await life.outlast_what_is_stuck()
        finally:
            life.close()

    async def _obey_stop(self, life: _Life, order: _Order, scope: trio.CancelScope) -> None:
        try:
            await order.ended.wait()
        finally:
            life.told_to_stop(order.stop.reason, order.stop.why)
            scope.cancel(reason=f"told to stop: {order.stop.reason}")


class _Order:
    """One life as it was ordered, from its Start to its Stop, if that ever comes."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.ended = trio.Event()
        # What a cancellation from outside means.
        self.stop = Stop(start.generation, Reason.SHUTDOWN)

    def end(self, stop: Stop) -> None:
        if not self.ended.is_set():
            self.stop = stop
            self.ended.set()


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
        self.pid: int | None = None
        self.stuck_by: str | None = None
        self._model = model
        self._generation = start.generation
        self._state = ModelState.STOPPED
        self._reason = start.reason
        self._report = report
        self._show = show
        self._log = log
        self._exit_code: int | None = None
        self._error: str | None = None
        self._timed_out = False
        self._rest: Rest | None = None
        self._become(ModelState.STARTING, start.reason)

    @property
    def trouble(self) -> str | None:
        return _joined(self._error, self.stuck_by)

    # -- what the server does (process.child.Witness) ----------------------------------

    def spawned(self, pid: int) -> None:
        self.pid = pid

    def output(self, data: bytes) -> None:
        self._log.write(data)

    def ready(self) -> None:
        if self._state is ModelState.STARTING:
            self._become(ModelState.READY, self._reason)
            self._report(ModelReady(self._model, self._generation))

    def failing(self, why: str, reason: Reason) -> None:
        """Show it, unless all that is left to do is to sweep: that takes but a moment."""
        if not self._may_fail:
            return
        self._error, self._reason = why, reason
        if self._exit_code is None:
            self._timed_out = self._state is ModelState.STARTING
            self._become(ModelState.STOPPING, reason, why)
        self._report(ModelFailing(self._model, self._generation))

    def exited(self, code: int) -> None:
        self._exit_code = code

    def stuck(self, why: str, rest: Rest) -> None:
        self.stuck_by, self._rest = why, rest
        if self._state is not ModelState.STOPPING:  # nobody may take it for alive any longer
            self._become(ModelState.STOPPING, self._reason, _joined(self._error, why))
        self._report(ModelStuck(self._model, self._generation, why))

    # -- what the actor does -----------------------------------------------------------

    def told_to_stop(self, reason: Reason, why: str | None) -> None:
        """Show the stop, unless the server has ended or is being stopped already."""
        if self._may_fail:
            self._become(ModelState.STOPPING, reason, why)

    def ended(self, why: str) -> None:
        """Keep why, if it was not told to and has not said so before."""
        if self._may_fail:
            starts = self._state is ModelState.STARTING
            self._error, self._reason = why, Reason.START_FAILED if starts else Reason.CRASH

    async def outlast_what_is_stuck(self) -> None:
        """Wait for the end of what is stuck, maybe for ever."""
        if self._rest is not None:
            await self._rest()
            self.stuck_by = None

    def close(self) -> None:
        """Say that it is over; sync, so that no cancellation can lose it.

        With why it failed go the server's last words, for whoever waits for it.
        """
        if self._error is not None and (words := self._log.last_words()):
            self._error = f"{self._error}{LAST_WORDS}{words}"
        self._become(ModelState.STOPPED, self._reason, _joined(self.stuck_by, self._error))
        self._report(
            ModelStopped(self._model, self._generation, self._error, timed_out=self._timed_out)
        )
        self.pid = None

    @property
    def _may_fail(self) -> bool:
        """Whether it lives, and nothing else has ended it before."""
        return self._error is None and self._state in {ModelState.STARTING, ModelState.READY}

    def _become(self, new: ModelState, reason: Reason, detail: str | None = None) -> None:
        old, self._state, self._reason = self._state, new, reason
        self._show(
            Transition(
                self._model, old, new, reason, self._generation, self.pid, self._exit_code, detail
            )
        )


def _joined(*texts: str | None) -> str | None:
    return "; ".join(text for text in texts if text) or None
