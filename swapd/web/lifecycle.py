"""The websocket that tells what happens to the models, as it happens.

Rule 1: a message of another topic than the transitions stands behind the last transition before
    it, and names that one: who has heard so much can go on from there, and misses nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, assert_never

import trio
from quart import Blueprint, websocket

from swapd.errors import MalformedRequest
from swapd.policy.life import ModelState
from swapd.telemetry.activity.row import Row
from swapd.telemetry.finished import Finished
from swapd.telemetry.inflight import InFlight, Step
from swapd.telemetry.lifecycle import Event
from swapd.telemetry.line_reader import LineReader
from swapd.telemetry.subscription import LAG, Subscription, TooSlow
from swapd.web import limits
from swapd.web.answer import connection_of
from swapd.web.messages import Queue, lines, names, snapshot, transition
from swapd.web.request_messages import (
    Happened,
    finished_message,
    requests_message,
    row_message,
    step_message,
)
from swapd.web.services import Services
from swapd.web.websocket_stream import take_at_most

#: Websocket close codes (RFC 6455, section 7.4, and IANA's registry): going away; try again later.
GOING_AWAY, TRY_AGAIN_LATER = 1001, 1013

#: Seconds between two messages of the queue: of what changes in between only the last is told.
PACE = 0.1

#: Digits of the longest number of a transition that is looked at.
LONGEST_SEQ = 18

#: How much who hears of requests may lag behind: there are many more of them than transitions.
LAG_IN_REQUESTS = 8 * LAG


@dataclass(frozen=True, slots=True)
class Said:
    """What there is to say of one moment, in words already: it has its place in the order."""

    message: str


#: What is told in its order, and never left out.
Told: TypeAlias = Event | Said | Happened | Finished | Row


class Topic(StrEnum):
    """What a listener may want to hear of."""

    LIFECYCLE = "lifecycle"
    QUEUE = "queue"
    REQUESTS = "requests"
    LOGS = "logs"
    ACTIVITY = "activity"


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
        with _Teller(services, topics).listening(after) as teller:
            # Made at this very moment, from which on the teller listens.
            first = snapshot(services, gap=since is not None) if after is None else None
            take_at_most(websocket.scope, limits.LISTENER_MESSAGE_BYTES)
            await websocket.accept()  # there may be nothing to say yet, also to who comes back
            if first is not None:
                await websocket.send(first)
            await teller.tell()

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

    def __init__(self, services: Services, topics: frozenset[Topic]) -> None:
        self._services = services
        self._topics = topics
        self._turn = trio.Lock()
        self._is_closed = False
        self._lines = LineReader()
        self._seq = services.lifecycle.seq
        self._models = names(services)
        self._told = Subscription[Told]()

    @contextmanager
    def listening(self, after: int | None) -> Iterator[_Teller]:
        """Listen for the length of the block, to what comes after ``after`` (default: now)."""
        services, topics = self._services, self._topics
        many = {Topic.REQUESTS, Topic.ACTIVITY} & topics
        missed = services.lifecycle.missed(after)
        self._told = Subscription[Told](missed, lag=LAG_IN_REQUESTS if many else LAG)
        if after is not None:
            self._seq = after
        with ExitStack() as stack:
            stack.enter_context(services.lifecycle.telling(self._note_change, self._told.close))
            stack.enter_context(services.news.listen(self._note_models))
            if Topic.REQUESTS in topics:
                stack.enter_context(services.requests.news.listen(self._note_step))
                stack.enter_context(services.over.listen(self._told.tell))
            if Topic.ACTIVITY in topics:
                stack.enter_context(services.stored.listen(self._told.tell))
            if Topic.LOGS in topics:
                stack.enter_context(services.logs.news.listen(self._lines.tell))
            if after is not None and self._knows_other_models(after, missed):
                self._told.tell(Said(snapshot(services, gap=False)))
            if Topic.REQUESTS in topics:
                now = requests_message(services.requests, services.lifecycle.seq)
                self._told.tell(Said(now))
            yield self

    def _knows_other_models(self, after: int, missed: Iterable[Event]) -> bool:
        """Tell whether who was told all until ``after`` may know of other models than there are."""
        gone = any(event.transition.model not in self._models for event in missed)
        return Topic.LIFECYCLE in self._topics and (gone or after <= self._services.models_since)

    def _note_change(self, event: Event) -> None:
        self._told.tell(event)
        if event.transition.new is ModelState.STOPPED:  # that may be the end of one taken out
            self._note_models(None)

    def _note_models(self, _: None) -> None:
        models = names(self._services)
        if models != self._models and Topic.LIFECYCLE in self._topics:
            self._models = models
            self._told.tell(Said(snapshot(self._services, gap=False)))

    def _note_step(self, news: tuple[Step, InFlight]) -> None:
        step, request = news
        if step is Step.ANSWERED or (step is Step.OVER and not request.is_websocket):
            return  # of an end more is known a moment later
        self._told.tell(Happened(step, request, time.time()))  # noqa: TID251  shown

    async def tell(self) -> None:
        """Tell until swapd ends or the listener is too slow, then close with the reason."""
        code = GOING_AWAY
        async with trio.open_nursery() as nursery:
            if Topic.QUEUE in self._topics:
                nursery.start_soon(self._tell_queue)
            if Topic.LOGS in self._topics:
                nursery.start_soon(self._tell_logs)
            nursery.start_soon(self._hang_up_at_the_end)
            try:
                async for told in self._told:
                    if message := self._message(told):
                        await self._send(message)
            except TooSlow:
                code = TRY_AGAIN_LATER
            await self._close(code)
            nursery.cancel_scope.cancel(reason="the stream is over")

    async def _close(self, code: int) -> None:
        async with self._turn:
            await websocket.close(code)
            self._is_closed = True

    async def _hang_up_at_the_end(self) -> None:
        """See to it that who does not read does not hold up the end of swapd."""
        await self._services.closing.wait()
        await trio.sleep(limits.LAST_WORDS)
        if connection := connection_of(websocket.scope):
            connection.reset()

    def _message(self, told: Told) -> str | None:
        match told:
            case Event():
                self._seq = told.seq
                return transition(told) if Topic.LIFECYCLE in self._topics else None
            case Said():
                return told.message
            case Happened():
                return step_message(told, self._seq)
            case Finished():
                return finished_message(told, self._seq)
            case Row():
                captures = self._services.activity.captures
                return row_message(told, self._seq, has_capture=told.id in captures)
            case _:
                assert_never(told)

    async def _tell_queue(self) -> None:
        queue = Queue(self._services)
        while True:
            changed = self._services.supervisor.changed
            if news := queue.news(self._seq):
                await self._send(news)
            await changed.wait()
            await trio.sleep(PACE)

    async def _tell_logs(self) -> None:
        async for some in self._lines:
            await self._send(lines(some, self._seq))

    async def _send(self, message: str) -> None:
        async with self._turn:
            if not self._is_closed:
                await websocket.send(message)
