"""The words with which a ticket is turned away, and when trying again makes sense."""

from __future__ import annotations

from swapd.ids import ModelId
from swapd.policy.effects import Refusal, RefusalKind

#: Seconds after which a client may try again when nothing better is known.
RETRY_SOON = 1.0


def unavailable(message: str, retry_after: float = RETRY_SOON) -> Refusal:
    """Say that the model, or swapd, cannot serve now."""
    return Refusal(RefusalKind.UNAVAILABLE, message, max(retry_after, RETRY_SOON))


def at_its_limit(model: ModelId) -> Refusal:
    """Say that ``model`` has as many requests as it may have."""
    return Refusal(RefusalKind.FULL, f"{model} is at its concurrencyLimit", RETRY_SOON)


def queue_is_full(load_seconds: float) -> Refusal:
    """Say that too many wait, for models whose loads take so long together."""
    return unavailable("the queue is full", load_seconds)


def did_not_start(model: ModelId, error: str) -> Refusal:
    """Say why ``model`` could not be started."""
    return unavailable(f"{model} could not be started: {error}")


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
