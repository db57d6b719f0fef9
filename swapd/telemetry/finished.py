"""What is known of a request to a model when it is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from swapd.ids import Header
from swapd.telemetry.usage.usage import UNKNOWN, Usage


class Collector(Protocol):
    """Is given a copy of one answer while it comes; neither blocks nor raises."""

    def begin(self, status: int, headers: Sequence[Header]) -> None:
        """Take the head, as the client gets it."""

    def write(self, data: bytes) -> None:
        """Take a piece of the body, encoded as it came."""


class Finished(NamedTuple):
    """One request to a model that is over, however it ended.

    One is made of each: named tuples are made several times as fast as frozen dataclasses.
    One that brings no key, or may not come in for another reason, is none.  Nor is a websocket.

    Attributes:
      id: The number that it had while it was under way (``InFlight.id``); 0 if it was refused
        before it was.
      model: The model's ID, or the full name of a peer's; empty if it named none that there is.
      method: In capitals.
      path: As the client asked, without the query; below ``/upstream/MODEL``, what follows that.
      route: The path if it is one of swapd's routes, else the pattern that it matched, as
        ``/upstream/{model}``: there are not many of them, so that it can be a label.
      is_metered: Whether it is one of those that are remembered, each as a row: POST to a model's
        route.
      status: What it came to: that of the answer, or of the error that took its place or broke it
        off, whether its client could still be told so or not; 499 if the client left before.
      content_type: Of the answer of the model's server; empty if there was none.
      time: When it was over, in Unix seconds.
      duration: Seconds from its head to its end.
      queued: Seconds that it waited for others before its model was started for it, or was free.
      loaded: Seconds that it waited while its model was started.
      first_byte: Seconds from its head to the first byte of the model's answer; None if none came.
      usage: What its server said of tokens.
      error: In one line of at most some 500 characters why it failed; None if it did not.
      key: The name of the API key that it brought, which does not tell the key; None without.
      session: The session that it named by a header; None without one.
      selector: The selector that chose its model; None without one.
      priority: The priority that it was queued with; None for a peer's model.
      collected: What was given the copy of its answer; None if nobody wanted one.
      is_garbled: Whether ``error`` is no more than that the answer is not encoded as it says: its
        client has it whole.
    """

    id: int
    model: str
    method: str
    path: str
    route: str
    is_metered: bool
    status: int
    content_type: str
    time: float
    duration: float
    queued: float
    loaded: float
    first_byte: float | None = None
    usage: Usage = UNKNOWN
    error: str | None = None
    key: str | None = None
    session: str | None = None
    selector: str | None = None
    priority: int | None = None
    collected: Collector | None = None
    is_garbled: bool = False
