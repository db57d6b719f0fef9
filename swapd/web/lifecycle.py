"""The websocket that tells what happens to the models, as it happens."""

from __future__ import annotations

from enum import StrEnum

import trio
from quart import Blueprint, websocket

from swapd.errors import MalformedRequest
from swapd.telemetry.lifecycle import Subscription, TooSlow
from swapd.web.messages import Queue, snapshot, transition
from swapd.web.services import Services

#: Websocket close codes (RFC 6455, section 7.4, and IANA's registry): going away; try again later.
GOING_AWAY, TRY_AGAIN_LATER = 1001, 1013

#: Seconds between two messages of the queue: of what changes in between only the last is told.
PACE = 0.1

#: Digits of the longest number of a transition that is looked at.
LONGEST_SEQ = 18


class Topic(StrEnum):
    """What a listener may want to hear of."""

    LIFECYCLE = "lifecycle"
    QUEUE = "queue"


def lifecycle_views(services: Services) -> Blueprint:
    """Return the view of the lifecycle stream."""
    views = Blueprint("lifecycle", __name__)

    @views.websocket("/api/lifecycle")
    async def stream() -> None:
        topics = _topics(websocket.args.get("topics"))
        since = websocket.args.get("since")
        after = _number(since)
        if after is not None and not services.lifecycle.can_resume(
            after, websocket.args.get("instance")
        ):
            after = None
        with services.lifecycle.subscribe(after) as subscription:
            if after is None:
                await websocket.send(snapshot(services, gap=since is not None))
            await _Teller(services).tell(subscription, topics)

    return views


def _topics(asked: str | None) -> frozenset[Topic]:
    if asked is None:
        return frozenset({Topic.LIFECYCLE})
    try:
        return frozenset(map(Topic, asked.split(",")))
    except ValueError:
        known = ", ".join(Topic)
        raise MalformedRequest(f"topics={asked}: there are these topics: {known}") from None


def _number(since: str | None) -> int | None:
    """Return the number that a client has written; None if it is none, or out of all bounds."""
    if since is None or not since.isascii() or not since.isdecimal() or len(since) > LONGEST_SEQ:
        return None
    return int(since)


class _Teller:
    """Tells one listener of its topics, one message at a time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._turn = trio.Lock()

    async def tell(self, subscription: Subscription, topics: frozenset[Topic]) -> None:
        """Tell until swapd ends or the listener is too slow, then close with the reason."""
        code = GOING_AWAY
        async with trio.open_nursery() as nursery:
            if Topic.QUEUE in topics:
                nursery.start_soon(self._tell_queue)
            try:
                async for event in subscription:
                    if Topic.LIFECYCLE in topics:
                        await self._send(transition(event))
            except TooSlow:
                code = TRY_AGAIN_LATER
            nursery.cancel_scope.cancel(reason="the stream is over")
        await websocket.close(code)

    async def _tell_queue(self) -> None:
        queue = Queue(self._services)
        while True:
            changed = self._services.supervisor.changed
            if news := queue.news():
                await self._send(news)
            await changed.wait()
            await trio.sleep(PACE)

    async def _send(self, message: str) -> None:
        async with self._turn:
            await websocket.send(message)
