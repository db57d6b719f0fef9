"""The words with which a ticket is turned away, and when trying again makes sense."""

from __future__ import annotations

from dataclasses import replace

from swapd.ids import ModelId
from swapd.policy.effects import Refusal, RefusalKind

#: Seconds after which a client may try again when nothing better is known.
RETRY_SOON = 1.0

#: Seconds after which it may be worth a look whether somebody has helped.
RETRY_LATE = 60.0


def unavailable(message: str, retry_after: float = RETRY_SOON) -> Refusal:
    """Say that the model, or swapd, cannot serve now."""
    return Refusal(RefusalKind.UNAVAILABLE, message, max(retry_after, RETRY_SOON))


def at_its_limit(model: ModelId) -> Refusal:
    """Say that ``model`` has as many requests as it may have."""
    return Refusal(RefusalKind.FULL, f"{model} is at its concurrencyLimit", RETRY_SOON)


def queue_is_full(load_seconds: float) -> Refusal:
    """Say that too many wait, for models whose loads take so long together."""
    return unavailable("the queue is full: as many wait as maxQueue allows", load_seconds)


def did_not_start(model: ModelId, error: str, delay: float, *, timed_out: bool) -> Refusal:
    """Say why ``model`` could not be started, and after how many seconds it may be again."""
    refusal = unavailable(f"{model} could not be started: {error}", delay)
    return replace(refusal, kind=RefusalKind.LATE) if timed_out else refusal


def keeps_crashing(model: ModelId, error: str, delay: float) -> Refusal:
    """Say what ``model`` ended of, and after how many seconds it may be started again."""
    return unavailable(f"{model} ended by itself again: {error}", delay)


def is_backing_off(model: ModelId, error: str, left: float) -> Refusal:
    """Say that ``model`` failed, and may not be started again for ``left`` seconds."""
    wait = f"it is not started again for another {left:.1f} s"
    return unavailable(f"{model} has failed, and {wait}: {error}", left)


def is_stuck(model: ModelId, why: str) -> Refusal:
    """Say that the process of ``model`` cannot be brought to an end."""
    return unavailable(f"{model} cannot be stopped: {why}", RETRY_LATE)


def is_in_the_way(model: ModelId, other: ModelId, why: str) -> Refusal:
    """Say that ``model`` cannot start, for the process of ``other`` does not end."""
    if other == model:
        return is_stuck(model, why)
    why = f"{other}, which cannot be stopped: {why}"
    return unavailable(f"{model} needs the place of {why}", RETRY_LATE)


def was_unloaded(model: ModelId) -> Refusal:
    """Say that the owner unloaded ``model``."""
    return unavailable(f"{model} was unloaded")


def was_removed(model: ModelId) -> Refusal:
    """Say that a reload took ``model`` out."""
    return unavailable(f"{model} was taken out of the configuration")


def drained_too_long(model: ModelId) -> Refusal:
    """Say that a reload changed ``model``, and nobody can be served any longer."""
    return unavailable(f"{model} has a new configuration, and its time to drain is over")


def shutting_down() -> Refusal:
    """Say that swapd is ending."""
    return unavailable("swapd is shutting down")
