"""Numbers every transition, remembers the newest, and tells all who listen.

Rule 1: whoever listens gets every transition after the snapshot, in order, or is told that
it was too slow; nothing is lost in silence.
Rule 2: publishing never blocks: one slow listener is its own problem.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import trio

from swapd.ids import ModelId
from swapd.policy.life import ModelState, Transition

#: How many transitions a client that comes back may have missed.
HISTORY = 4096

#: How many a listener may lag behind before it is cut.
LAG = 1024


@dataclass(frozen=True, slots=True)
class Event:
    """A transition with its number and its time (Unix seconds)."""

    seq: int
    time: float
    transition: Transition


class TooSlow(Exception):
    """This listener did not keep up; what follows is not told to it."""


class Subscription:
    """The transitions from one moment on, for one listener."""

    def __init__(self, missed: Iterable[Event]) -> None:
        self._missed = deque(missed)
        self._overflowed = False
        self._send, self._receive = trio.open_memory_channel[Event](LAG)

    def tell(self, event: Event) -> None:
        """Queue ``event``, or give the listener up.  Never blocks."""
        try:
            self._send.send_nowait(event)
        except trio.WouldBlock:
            self._overflowed = True
            self._send.close()
        except trio.ClosedResourceError:
            pass  # given up already, or over

    def close(self) -> None:
        """End the stream after what is queued."""
        self._send.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return what was missed, then what comes, until the feed is closed.

        Raises:
          TooSlow: After the last event that was kept for a listener that lags.
        """
        if self._missed:
            return self._missed.popleft()
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            if self._overflowed:
                raise TooSlow from None
            raise StopAsyncIteration from None


class Lifecycle:
    """The history of all models, as one numbered stream."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:  # noqa: TID251  shown in JSON
        """Begin a history; ``wall_clock`` gives Unix seconds."""
        self.instance = secrets.token_hex(8)
        self.seq = 0
        self._wall_clock = wall_clock
        self._began = wall_clock()
        self._history: deque[Event] = deque(maxlen=HISTORY)
        self._latest: dict[ModelId, Event] = {}
        self._subscriptions: set[Subscription] = set()
        self._closed = False

    def publish(self, transition: Transition) -> None:
        """Number ``transition`` and tell everybody.  Never blocks."""
        self.seq += 1
        event = Event(self.seq, self._wall_clock(), transition)
        self._history.append(event)
        self._latest[transition.model] = event
        for subscription in self._subscriptions:
            subscription.tell(event)

    def latest(self, model: ModelId) -> Event | None:
        """Return the last transition of ``model``, or None if it never was started."""
        return self._latest.get(model)

    def alive(self) -> set[ModelId]:
        """Return every model that is not stopped, also one that a reload has taken out."""
        latest = self._latest.items()
        return {model for model, event in latest if event.transition.new != ModelState.STOPPED}

    def since(self, model: ModelId) -> float:
        """Return when ``model`` came into its present state, in Unix seconds."""
        event = self._latest.get(model)
        return event.time if event else self._began

    def can_resume(self, seq: int, instance: str | None) -> bool:
        """Tell whether everything after ``seq`` is still known."""
        oldest = self._history[0].seq if self._history else self.seq + 1
        return instance in {None, self.instance} and oldest - 1 <= seq <= self.seq

    @contextmanager
    def subscribe(self, after: int | None = None) -> Iterator[Subscription]:
        """Listen for the length of the block, to what comes after ``after`` (default: now)."""
        missed = [] if after is None else [event for event in self._history if event.seq > after]
        subscription = Subscription(missed)
        if self._closed:
            subscription.close()
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End every subscription after what it was told so far."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
