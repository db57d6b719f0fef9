"""The messages of the lifecycle websocket, made of what the floors below know at the moment."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import msgspec

from swapd.ids import ModelId
from swapd.telemetry.lifecycle import Event
from swapd.telemetry.line_reader import Lines
from swapd.views import Waiting
from swapd.web.services import Services


def snapshot(services: Services, *, gap: bool) -> str:
    """Return the state of everything at this moment, as the first message.

    ``gap`` tells a client that wanted to resume that it has missed something.
    """
    known = names(services)
    doomed = services.supervisor.doomed()
    message: dict[str, object] = {
        "type": "snapshot",
        "instance": services.lifecycle.instance,
        "seq": services.lifecycle.seq,
        "models": [_model(model, services, doomed.get(model)) for model in sorted(known)],
        "queue": [_place(place) for place in services.supervisor.queue()],
    }
    if gap:
        message["gap"] = True
    return msgspec.json.encode(message).decode()


def transition(event: Event) -> str:
    """Return one transition as a message."""
    change = msgspec.to_builtins(event.transition)
    stamp = {"type": "transition", "seq": event.seq, "time": event.time}
    return msgspec.json.encode({**stamp, **change}).decode()


def lines(some: Lines, after: int) -> str:
    """Return some lines of a log as a message; ``after`` is the last transition before them."""
    message: dict[str, object] = {
        "type": "log",
        "after": after,
        "source": some.source,
        "lines": some.lines,
    }
    if some.missed:
        message["missed_bytes"] = some.missed
    return msgspec.json.encode(message).decode()


class Queue:
    """The queue as one listener was told of it last, and who is served in its place."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: object = None

    def news(self, after: int) -> str | None:
        """Return a message if anybody has come, left, or changed place since the last one.

        ``after`` is the number of the last transition that the listener was told.
        """
        supervisor = self._services.supervisor
        queue, doomed = supervisor.queue(), dict(supervisor.doomed())
        seen = [supervisor.view(model) for model in sorted(names(self._services))]
        in_flight = {view.model: view.in_flight for view in seen if view.in_flight}
        backoff = {view.model: round(view.backoff, 3) for view in seen if view.backoff}
        known = [replace(place, waited=0.0) for place in queue], doomed, in_flight, [*backoff]
        if known == self._told:  # what only passes with time is no news
            return None
        self._told = known
        message = {
            "type": "queue",
            "after": after,
            "queue": [_place(place) for place in queue],
            "doomed": doomed,
            "in_flight": in_flight,
            "backoff": backoff,
        }
        return msgspec.json.encode(message).decode()


def names(services: Services) -> Set[ModelId]:
    """Return all models, also those that a reload has taken out while they ran."""
    return services.config.models.keys() | services.lifecycle.alive()


def _model(model: ModelId, services: Services, doomed_for: ModelId | None) -> dict[str, object]:
    latest = services.lifecycle.latest(model)
    seen = services.supervisor.view(model)
    return {
        "model": model,
        "state": services.state(model),
        "since": services.lifecycle.since(model),
        "generation": latest.transition.generation if latest else 0,
        "pid": seen.pid,
        "in_flight": seen.in_flight,
        "waiting": seen.waiting,
        "doomed_for": doomed_for,
        "backoff": round(seen.backoff, 3) or None,
        "stuck": seen.stuck,
        "error": seen.error,
    }


def _place(place: Waiting) -> dict[str, object]:
    return {**msgspec.to_builtins(place), "waited": round(place.waited, 3)}
