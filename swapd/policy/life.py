"""The words of a model's life: its states, and the reasons why they change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from swapd.ids import Generation, ModelId


class ModelState(StrEnum):
    """Where a model's process is in its life."""

    STOPPED = "stopped"
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class Reason(StrEnum):
    """What asked for a change of state; a closed set that clients may rely on."""

    REQUEST = "request"
    PRELOAD = "preload"
    LOAD = "load"
    SWAP = "swap"
    TTL = "ttl"
    UNLOAD = "unload"
    RELOAD = "reload"
    CRASH = "crash"
    HUNG = "hung"
    START_FAILED = "start_failed"
    ABORTED = "aborted"
    RESTORED = "restored"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a model's state; ``old`` and ``new`` always differ.

    ``pid`` is the model's own, which is its group's and session's ID too, or None while it
    has none.  ``exit_code`` is negative for a signal, as in ``subprocess``, and None until
    the process has exited.  ``detail`` is for people.
    """

    model: ModelId
    old: ModelState
    new: ModelState
    reason: Reason
    generation: Generation
    pid: int | None = None
    exit_code: int | None = None
    detail: str | None = None
