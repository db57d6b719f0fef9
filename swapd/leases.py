"""What stands between a request and its model: a gate, then a lease."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Protocol

import trio

from swapd.errors import ModelTooSlow, ModelUnavailable, RequestError, TooManyRequests
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Refusal, RefusalKind


class End:
    """How one generation ended, for those who were served by it."""

    def __init__(self) -> None:
        self.came = trio.Event()
        #: Why it ended by itself; known before the end came while something of it lives on.
        self.error: str | None = None

    def come(self, error: str | None) -> None:
        self.error = error
        self.came.set()


class Lease(NamedTuple):
    """A ready model, held for one request."""

    model: ModelId
    generation: Generation
    end: End

    async def cause_of_death(self, patience: float) -> str | None:
        """Return why the model's process ended by itself, if it does within ``patience`` s."""
        with trio.move_on_after(patience):
            await self.end.came.wait()
        return self.end.error


class Gate:
    """The answer to one ticket: the supervisor gives it, one task awaits it."""

    __slots__ = ("_is_answered", "_news", "_refusal", "end", "generation", "scope")

    def __init__(self) -> None:
        self.scope = trio.CancelScope()  # around whatever is done behind the gate
        self._is_answered = False
        self._news: trio.Event | None = None  # if anybody waits for it
        self._refusal: Refusal | None = None
        self.generation = Generation(0)
        self.end: End | None = None

    def open(self, generation: Generation, end: End) -> None:
        """Let the request through to this generation."""
        self.generation, self.end = generation, end
        self.complete()

    def complete(self) -> None:
        """Say that the order is carried out."""
        self._is_answered = True
        if self._news is not None:
            self._news.set()

    def shut(self, refusal: Refusal) -> None:
        """Refuse who waits; cut who has passed."""
        self._refusal = refusal
        self.complete()
        self.scope.cancel(reason=refusal.message)

    async def wait(self) -> None:
        """Wait for the answer.

        Raises:
          TryLater: If the gate was shut.
        """
        if self._is_answered:
            await trio.lowlevel.checkpoint_if_cancelled()
        else:
            self._news = trio.Event()
            await self._news.wait()
        self.check()

    def check(self) -> None:
        """Raise what the gate was shut with, if it was."""
        if self._refusal is not None:
            raise _as_error(self._refusal)


class Office(Protocol):
    """Who answers requests for models."""

    def arrive(self, model: ModelId) -> tuple[Ticket, Gate]:
        """Have a request for ``model`` wait at a gate, until it has left."""

    def leave(self, ticket: Ticket) -> None:
        """Take note that a request is over.  Never blocks, so no cancellation can lose it."""


class Hold:
    """Holds a model ready for the length of the block; see ``Supervisor.lease``."""

    __slots__ = ("_gate", "_model", "_office", "_ticket")

    def __init__(self, office: Office, model: ModelId) -> None:
        """Ask nothing yet."""
        self._office = office
        self._model = model

    async def __aenter__(self) -> Lease:
        self._ticket, gate = self._office.arrive(self._model)
        self._gate = gate
        try:
            await gate.wait()
        except BaseException:
            self._office.leave(self._ticket)
            raise
        assert gate.end is not None  # it was opened
        gate.scope.__enter__()
        return Lease(self._model, gate.generation, gate.end)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        scope = self._gate.scope
        try:
            was_cut = scope.__exit__(kind, error, trace)
            # A block that was done before it could be cut has not failed.  Of one that was not,
            # the unload is the cause, not what it broke.
            if scope.cancelled_caught or isinstance(error, RequestError):
                self._gate.check()
            return was_cut
        finally:
            self._office.leave(self._ticket)


def _as_error(refusal: Refusal) -> RequestError:
    match refusal.kind:
        case RefusalKind.UNAVAILABLE:
            return ModelUnavailable(refusal.message, retry_after=refusal.retry_after)
        case RefusalKind.LATE:
            return ModelTooSlow(refusal.message, retry_after=refusal.retry_after)
        case RefusalKind.FULL:
            return TooManyRequests(refusal.message, retry_after=refusal.retry_after)
