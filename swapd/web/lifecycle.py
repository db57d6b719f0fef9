"""The websocket that tells what happens to the models, as it happens."""

from __future__ import annotations

import msgspec
from quart import Blueprint, websocket

from swapd.ids import ModelId
from swapd.supervisor import Waiting
from swapd.telemetry.lifecycle import Event, Subscription, TooSlow
from swapd.web.services import Services

#: Websocket close codes (RFC 6455, section 7.4, and IANA's registry): going away; try again later.
GOING_AWAY, TRY_AGAIN_LATER = 1001, 1013

#: Digits of the longest number of a transition that is looked at.
LONGEST_SEQ = 18


def lifecycle_views(services: Services) -> Blueprint:
    """Return the view of the lifecycle stream."""
    views = Blueprint("lifecycle", __name__)

    @views.websocket("/api/lifecycle")
    async def stream() -> None:
        since = websocket.args.get("since")
        after = _number(since)
        if after is not None and not services.lifecycle.can_resume(
            after, websocket.args.get("instance")
        ):
            after = None
        with services.lifecycle.subscribe(after) as subscription:
            if after is None:
                await websocket.send(snapshot(services, gap=since is not None))
            await _tell(subscription)

    return views


def _number(since: str | None) -> int | None:
    """Return the number that a client has written; None if it is none, or out of all bounds."""
    if since is None or not since.isascii() or not since.isdecimal() or len(since) > LONGEST_SEQ:
        return None
    return int(since)


async def _tell(subscription: Subscription) -> None:
    code = GOING_AWAY
    try:
        async for event in subscription:
            await websocket.send(transition(event))
    except TooSlow:
        code = TRY_AGAIN_LATER
    await websocket.close(code)


def snapshot(services: Services, *, gap: bool) -> str:
    """Return the state of everything at this moment, as the first message.

    ``gap`` tells a client that wanted to resume that it has missed something.
    """
    names = services.config.models.keys() | services.lifecycle.alive()
    doomed = services.supervisor.doomed()
    message: dict[str, object] = {
        "type": "snapshot",
        "instance": services.lifecycle.instance,
        "seq": services.lifecycle.seq,
        "models": [_model(model, services, doomed.get(model)) for model in sorted(names)],
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
        "error": seen.error,
    }


def _place(place: Waiting) -> dict[str, object]:
    return {**msgspec.to_builtins(place), "waited": round(place.waited, 3)}
