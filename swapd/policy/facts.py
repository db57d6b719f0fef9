"""What happened: the only input the scheduler ever sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.eviction import EvictionPolicy
from swapd.policy.life import Reason
from swapd.policy.seats import Rules, Terms


@dataclass(frozen=True, slots=True)
class RequestArrived:
    """A client wants ``model``; exactly one RequestFinished will follow."""

    ticket: Ticket
    model: ModelId


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """The request is over: answered, refused, revoked, failed or abandoned."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class LoadRequested:
    """The owner wants ``model`` loaded; counts as one waiter until it is ready or failed."""

    ticket: Ticket
    model: ModelId
    reason: Reason


@dataclass(frozen=True, slots=True)
class UnloadRequested:
    """The owner wants ``models`` gone, now or once what they serve is done (``drain``)."""

    ticket: Ticket
    models: tuple[ModelId, ...]
    drain: bool = False


@dataclass(frozen=True, slots=True)
class ModelReady:
    """The health check of this generation passed."""

    model: ModelId
    generation: Generation


@dataclass(frozen=True, slots=True)
class ModelFailing:
    """This generation ends by itself: its process is gone, or is ended for being hung.

    It serves nobody any more; a ModelStopped will follow.
    """

    model: ModelId
    generation: Generation


@dataclass(frozen=True, slots=True)
class ModelStuck:
    """Something of this generation lives on after SIGKILL; ``why`` is for people.

    It keeps its place, maybe for ever: nobody may wait for its ModelStopped.
    """

    model: ModelId
    generation: Generation
    why: str


@dataclass(frozen=True, slots=True)
class ModelStopped:
    """The process group of this generation is gone; ``error`` says why if nobody asked.

    ``timed_out`` if it was ended because it did not get ready in time.
    """

    model: ModelId
    generation: Generation
    error: str | None = None
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """From now on these are the models and their terms.

    What runs of ``changed`` models, and of models that are no more, is of the old
    configuration: it may finish what it serves until clock time ``drain_by``.
    """

    models: Mapping[ModelId, Terms]
    policy: EvictionPolicy
    changed: frozenset[ModelId]
    drain_by: float
    rules: Rules = Rules()  # noqa: RUF009  frozen


@dataclass(frozen=True, slots=True)
class ShutdownBegan:
    """swapd is ending: what is served may finish, nothing starts any more."""


@dataclass(frozen=True, slots=True)
class GraceOver:
    """The time is over that requests had to finish in while swapd ends."""


@dataclass(frozen=True, slots=True)
class Woke:
    """The time a WakeAt asked for has come."""


Fact: TypeAlias = (
    RequestArrived
    | RequestFinished
    | LoadRequested
    | UnloadRequested
    | ModelReady
    | ModelFailing
    | ModelStuck
    | ModelStopped
    | Reconfigured
    | ShutdownBegan
    | GraceOver
    | Woke
)
