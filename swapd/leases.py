"""What stands between a request and its model: a gate, then a lease."""

from __future__ import annotations

from types import TracebackType
from typing import NamedTuple, Protocol

import trio

from swapd.cuttable import Cuttable
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

    __slots__ = ("_behind", "_is_answered", "_news", "_refusal", "end", "generation")

    def __init__(self) -> None:
        self._behind: Cuttable | None = None
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
        if self._behind is not None:
            self._behind.cut(error_of(refusal))

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

    def watch(self, block: Cuttable) -> None:
        """Have ``block``, which is behind the gate, cut when that is shut."""
        self._behind = block

    def check(self) -> None:
        """Raise what the gate was shut with, if it was."""
        if self._refusal is not None:
            raise error_of(self._refusal)


class Office(Protocol):
    """Who answers requests for models."""

    def arrive(self, model: ModelId) -> tuple[Ticket, Gate]:
        """Have a request for ``model`` wait at a gate, until it has left."""

    def leave(self, ticket: Ticket) -> None:
        """Take note that a request is over.  Never blocks, so no cancellation can lose it."""


class Hold:
    """Holds a model ready for the length of the block; see ``Supervisor.lease``."""

    __slots__ = ("_around", "_gate", "_model", "_office", "_ticket")

    def __init__(self, office: Office, model: ModelId, around: Cuttable) -> None:
        """Ask nothing yet."""
        self._office = office
        self._model = model
        self._around = around

    async def __aenter__(self) -> Lease:
        self._ticket, gate = self._office.arrive(self._model)
        self._gate = gate
        try:
            await gate.wait()
            gate.watch(self._around)
        except BaseException:
            self._office.leave(self._ticket)
            raise
        assert gate.end is not None  # it was opened
        return Lease(self._model, gate.generation, gate.end)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if isinstance(error, RequestError):
                self._gate.check()  # the unload is the cause, not what it broke
        finally:
            self._office.leave(self._ticket)


def error_of(refusal: Refusal) -> RequestError:
    """Return how whoever is refused learns of it."""
    match refusal.kind:
        case RefusalKind.UNAVAILABLE:
            return ModelUnavailable(refusal.message, retry_after=refusal.retry_after)
        case RefusalKind.LATE:
            return ModelTooSlow(refusal.message, retry_after=refusal.retry_after)
        case RefusalKind.FULL:
            return TooManyRequests(refusal.message, retry_after=refusal.retry_after)
