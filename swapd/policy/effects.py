"""What to do: the only output of the scheduler, performed by the supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.life import Reason


class RefusalKind(Enum):
    """Whose fault it is that a ticket is turned away."""

    UNAVAILABLE = auto()  # the model's, or swapd's
    LATE = auto()  # the model's: it did not get ready in time
    FULL = auto()  # its clients ask for more than it may have at once


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a ticket is turned away; ``retry_after`` is in seconds."""

    kind: RefusalKind
    message: str
    retry_after: float


@dataclass(frozen=True, slots=True)
class Admit:
    """Let the request through to this generation of ``model``, which is ready."""

    ticket: Ticket
    model: ModelId
    generation: Generation


@dataclass(frozen=True, slots=True)
class Refuse:
    """Turn the ticket away: it will never be admitted or completed."""

    ticket: Ticket
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Revoke:
    """Cut a request that was admitted; its RequestFinished will follow."""

    ticket: Ticket
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Complete:
    """The load or unload of this ticket is done."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class StartModel:
    """Start the model's process; a ModelReady or ModelStopped will follow."""

    model: ModelId
    generation: Generation
    reason: Reason


@dataclass(frozen=True, slots=True)
class StopModel:
    """Stop this generation of the model's process; a ModelStopped will follow.

    ``why`` is for people, and says more than the reason.
    """

    model: ModelId
    generation: Generation
    reason: Reason
    why: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Feed a Woke at clock time ``when`` (seconds); the newest WakeAt wins."""

    when: float


Effect: TypeAlias = Admit | Refuse | Revoke | Complete | StartModel | StopModel | WakeAt
