"""Numbers every transition, remembers the newest, and tells all who listen.

Rule 1: whoever listens gets every transition after the snapshot, in order, or is told that
it was too slow; nothing is lost in silence (telemetry/subscription.py).
Rule 2: publishing never blocks: one slow listener is its own problem.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from swapd.ids import ModelId
from swapd.policy.life import ModelState, Transition
from swapd.telemetry.feed import Feed

#: How many transitions a client that comes back may have missed.
HISTORY = 4096


@dataclass(frozen=True, slots=True)
class Event:
    """A transition with its number and its time (Unix seconds)."""

    seq: int
    time: float
    transition: Transition


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
        #: Each transition, for those who need no more than to be told at once.
        self.news: Feed[Event] = Feed()
        self._ends: Feed[None] = Feed()
        self._closed = False

    def publish(self, transition: Transition) -> None:
        """Number ``transition`` and tell everybody.  Never blocks."""
        self.seq += 1
        event = Event(self.seq, self._wall_clock(), transition)
        self._history.append(event)
        self._latest[transition.model] = event
        self.news.tell(event)

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

    def missed(self, after: int | None) -> list[Event]:
        """Return what came after ``after``, as far as it is known; nothing if that is None."""
        return [] if after is None else [event for event in self._history if event.seq > after]

    @contextmanager
    def telling(self, tell: Callable[[Event], None], end: Callable[[], None]) -> Iterator[None]:
        """Call ``tell`` with all transitions for the length of the block, or ``end`` before it."""
        if self._closed:
            end()
        with self.news.listen(tell), self._ends.listen(lambda _: end()):
            yield

    def close(self) -> None:
        """Have all who listen end, after what they were told so far."""
        self._closed = True
        self._ends.tell(None)
