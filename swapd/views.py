"""What the supervisor tells of its models, and of who waits for them."""

from __future__ import annotations

from dataclasses import dataclass

from swapd.ids import ModelId
from swapd.policy.life import Reason


@dataclass(frozen=True, slots=True)
class Waiting:
    """One place in the queue, the first being 1; ``waited`` is in seconds.

    It ``waits_for`` those who must be gone before it is served; they must make way for it as
    soon as it is ``overdue``.
    """

    model: ModelId
    reason: Reason
    waited: float
    position: int
    overdue: bool
    waits_for: tuple[ModelId, ...]


@dataclass(frozen=True, slots=True)
class ModelView:
    """What the supervisor knows of one model now.

    It ``is_open`` if it is ready, and is not to be stopped as soon as it is idle.
    ``backoff`` is for how many seconds it may not be started, for it has failed; ``stuck`` why
    its process cannot be brought to an end; ``error`` what it died of, or what is wrong with it.
    """

    model: ModelId
    pid: int | None = None
    is_open: bool = False
    in_flight: int = 0
    waiting: int = 0
    backoff: float = 0.0
    stuck: str | None = None
    error: str | None = None
