"""What the log says of a change of a model's state.  No I/O.

Rule 1: where llama-swap has a line of its own for the same thing, its words are in ours: many a
    script looks for them.
"""

from __future__ import annotations

import logging

from swapd.config.models import Model
from swapd.policy.life import ModelState, Reason, Transition

_FAILURES = frozenset({Reason.CRASH, Reason.START_FAILED, Reason.HUNG})

_log = logging.getLogger("swapd")


def log_transition(transition: Transition, model: Model | None) -> None:
    """Log ``transition`` of ``model``, which is None if a reload has taken it out."""
    said = (_known_words(transition, model), transition.detail)
    detail = {} if transition.detail is None else {"detail": transition.detail}
    _log.log(
        logging.WARNING if transition.reason in _FAILURES else logging.INFO,
        "%s: %s -> %s (%s)%s",
        transition.model,
        transition.old,
        transition.new,
        transition.reason,
        "".join(f": {words}" for words in said if words),
        extra={
            "model": transition.model,
            "old": transition.old,
            "new": transition.new,
            "reason": transition.reason,
            "generation": transition.generation,
            **detail,
        },
    )


def _known_words(transition: Transition, model: Model | None) -> str:
    """Return what llama-swap says of it, if it says anything."""
    name = transition.model
    match transition.new, transition.reason:
        case ModelState.READY, _ if model is not None and model.check_endpoint:
            return f"<{name}> Health check passed on {model.proxy}{model.check_endpoint}"
        case ModelState.STOPPING, Reason.TTL if model is not None:
            return f"<{name}> Unloading model, TTL of {model.ttl:g}s reached"
        case ModelState.STOPPED, Reason.CRASH:
            return f"<{name}> upstream process exited unexpectedly"
        case ModelState.STOPPED, Reason.START_FAILED:
            return f"group: starting {name} failed"
        case _:
            return ""
