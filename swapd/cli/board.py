"""What is known of a swapd that is watched.  Messages in, state out: no clock, no I/O.

Rule 1: transitions count in the order of their numbers; those that a snapshot holds already
change nothing.
Rule 2: a transition tells states alone: what is served and who waits comes by itself.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from swapd.cli.messages import (
    Message,
    ModelSeen,
    Place,
    Queue,
    Requests,
    RequestSeen,
    RequestStep,
    Snapshot,
    Transition,
)
from swapd.cli.speeds import Speeds

#: More transitions than a screen has lines.
_REMEMBERED = 500


class Board:
    """The models, the queue, and what happened last."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.models: dict[str, ModelSeen] = {}
        self.queue: list[Place] = []
        #: What is under way, oldest first, by number.
        self.requests: dict[int, RequestSeen] = {}
        self.speeds = Speeds()
        #: When the queue and all durations were told, in Unix seconds.
        self.told_at = 0.0
        #: The newest is the last; None stands for some that were missed.
        self.recent: deque[Transition | None] = deque(maxlen=_REMEMBERED)
        #: Which run of swapd this is about; empty before the first snapshot.
        self.instance = ""
        #: The number of the last transition that was told.
        self.seq = 0
        self._seen = 0  # the last transition that the models' states hold

    @property
    def place(self) -> str:
        """The query with which the websocket goes on where it was; empty to begin with."""
        return f"since={self.seq}&instance={self.instance}" if self.instance else ""

    def begin(self, snapshot: Snapshot, now: float, *, past: int) -> None:
        """Begin at ``snapshot``, with up to ``past`` transitions before it still to be told."""
        self._see(snapshot, now)
        self.seq = max(0, snapshot.seq - past)

    def hear(self, message: Message, now: float) -> None:
        """Take in what the websocket says ``now``, which is in Unix seconds."""
        match message:
            case Snapshot():
                if self.instance and (message.gap or message.instance != self.instance):
                    self._mark()
                self._see(message, now)
            case Queue():
                self._wait(message, now)
            case Requests():
                self.requests = {request.id: request for request in message.requests}
            case RequestStep():
                self._step(message)
            case Transition():
                self.seq = message.seq
                self.recent.append(message)
                if message.seq > self._seen:
                    self._seen = message.seq
                    self._change(message)

    def _mark(self) -> None:
        """Mark that some were missed; once is enough, however often swapd was restarted."""
        if not self.recent or self.recent[-1] is not None:
            self.recent.append(None)

    def _see(self, snapshot: Snapshot, now: float) -> None:
        for seen in snapshot.models:
            if seen.state == "stopped":
                self.speeds.forget(seen.model)
        if snapshot.instance != self.instance:
            self.requests, self.speeds = {}, Speeds()
        self.instance = snapshot.instance
        self.seq = self._seen = snapshot.seq
        self.models = {seen.model: seen for seen in snapshot.models}
        self.queue, self.told_at = snapshot.queue, now

    def _wait(self, told: Queue, now: float) -> None:
        self.queue, self.told_at = told.queue, now
        waiting = Counter(place.model for place in told.queue)
        for model, seen in self.models.items():
            seen.waiting = waiting[model]
            seen.in_flight = told.in_flight.get(model, 0)
            seen.doomed_for = told.doomed.get(model)
            seen.backoff = told.backoff.get(model)

    def _step(self, step: RequestStep) -> None:
        if step.event == "finished":
            self.requests.pop(step.id or 0, None)
            self.speeds.note(step)
        elif step.id is None:
            return
        elif step.event == "begun":
            self.requests[step.id] = RequestSeen(
                id=step.id,
                model=step.model,
                method=step.method,
                path=step.path,
                client=step.client,
                since=step.time,
            )
        elif step.event == "admitted" and step.id in self.requests:
            self.requests[step.id].phase = "served"

    def _change(self, change: Transition) -> None:
        seen = self.models.get(change.model)
        if seen is None:
            seen = ModelSeen(model=change.model, state=change.new, since=change.time)
            self.models[change.model] = seen
        seen.state, seen.since, seen.pid = change.new, change.time, change.pid
        if change.new == "starting":
            seen.error = None
        elif change.failed:
            seen.error = change.detail
        if change.new == "stopped":
            self.speeds.forget(change.model)
            seen.in_flight, seen.doomed_for, seen.stuck, seen.pid = 0, None, None, None


def by_weight(models: Iterable[ModelSeen]) -> list[ModelSeen]:
    """Return ``models`` with those first that run, or are wanted, or went wrong; then by name."""
    return sorted(models, key=lambda seen: (_is_at_rest(seen), seen.model))


def _is_at_rest(seen: ModelSeen) -> bool:
    return seen.state == "stopped" and not (seen.waiting or seen.error or seen.backoff)
