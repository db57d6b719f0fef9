"""What is known of a swapd that is watched.  Messages in, state out: no clock, no I/O.

Rule 1: transitions count in the order of their numbers; a snapshot that is older than what
is known is passed over.
Rule 2: a transition tells states alone: what is served and who waits comes with snapshots.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from swapd.cli.messages import Message, ModelSeen, Place, Snapshot, Transition

#: More transitions than a screen has lines.
_REMEMBERED = 500


class Board:
    """The models, the queue, and what happened last."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.models: dict[str, ModelSeen] = {}
        self.queue: list[Place] = []
        #: The newest is the last; None stands for some that were missed.
        self.recent: deque[Transition | None] = deque(maxlen=_REMEMBERED)
        #: Which run of swapd this is about; empty before the first snapshot.
        self.instance = ""
        #: The number of the last transition that was told.
        self.seq = 0
        self._seen = 0  # the last transition that the models' states hold

    @property
    def place(self) -> str:
        """The query with which the websocket goes on where it was."""
        return f"?since={self.seq}&instance={self.instance}" if self.instance else ""

    def begin(self, snapshot: Snapshot, past: int) -> None:
        """Begin at ``snapshot``, with up to ``past`` transitions before it still to be told."""
        self.instance, self.seq = snapshot.instance, max(0, snapshot.seq - past)
        self._see(snapshot)

    def hear(self, message: Message) -> None:
        """Take in what the websocket that is followed says."""
        match message:
            case Snapshot():
                if self.instance:
                    self.recent.append(None)
                self.instance, self.seq = message.instance, message.seq
                self._see(message)
            case Transition():
                self.seq = message.seq
                self.recent.append(message)
                if message.seq > self._seen:
                    self._seen = message.seq
                    self._change(message)

    def glance(self, snapshot: Snapshot) -> None:
        """Take in a snapshot that was asked for beside the websocket that is followed."""
        if snapshot.instance == self.instance and snapshot.seq >= self._seen:
            self._see(snapshot)

    def _see(self, snapshot: Snapshot) -> None:
        self._seen = snapshot.seq
        self.models = {seen.model: seen for seen in snapshot.models}
        self.queue = snapshot.queue

    def _change(self, change: Transition) -> None:
        seen = self.models.get(change.model)
        if seen is None:
            seen = ModelSeen(model=change.model, state=change.new, since=change.time)
            self.models[change.model] = seen
        seen.state, seen.since, seen.pid = change.new, change.time, change.pid
        if change.new == "starting":
            seen.error = seen.backoff = None
        elif change.detail:
            seen.error = change.detail
        if change.new == "stopped":
            seen.in_flight, seen.doomed_for, seen.pid, seen.stuck = 0, None, None, None


def by_weight(models: Iterable[ModelSeen]) -> list[ModelSeen]:
    """Return ``models`` with those first that run, or are wanted, or went wrong; then by name."""
    return sorted(models, key=lambda seen: (_is_at_rest(seen), seen.model))


def _is_at_rest(seen: ModelSeen) -> bool:
    return seen.state == "stopped" and not (seen.waiting or seen.error or seen.backoff)
