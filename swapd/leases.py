"""What stands between a request and its model: a gate, then a lease."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from swapd.errors import ModelTooSlow, ModelUnavailable, RequestError, TooManyRequests
from swapd.ids import Generation, ModelId
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


@dataclass(frozen=True, slots=True)
class Lease:
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

    def __init__(self) -> None:
        self.scope = trio.CancelScope()  # around whatever is done behind the gate
        self._answered = trio.Event()
        self._refusal: Refusal | None = None
        self.generation = Generation(0)
        self.end = End()

    def open(self, generation: Generation, end: End) -> None:
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
        case RefusalKind.LATE:
            return ModelTooSlow(refusal.message, retry_after=refusal.retry_after)
        case RefusalKind.FULL:
            return TooManyRequests(refusal.message, retry_after=refusal.retry_after)
