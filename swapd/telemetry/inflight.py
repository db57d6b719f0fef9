"""Knows every request that is under way: who asked for which model, since when, how far it is.

Rule 1: a request costs next to nothing while nobody looks: what is told of it is made of what
    it holds when somebody does.
Rule 2: bytes are counted and not told: who shows them looks from time to time.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from swapd.cuttable import Cuttable, Lasting
from swapd.errors import RequestCancelled
from swapd.ids import Header
from swapd.telemetry.feed import Feed


class Phase(StrEnum):
    """How far a request is."""

    #: For its model to be ready.
    WAITING = "waiting"
    #: By its model.
    SERVED = "served"


class Step(StrEnum):
    """What happens to a request, in this order."""

    BEGUN = "begun"
    #: The wait for its model is over; may come again, if its model died before it could read.
    ADMITTED = "admitted"
    #: The head of the answer is there.
    ANSWERED = "answered"
    #: It is under way no more.
    OVER = "over"


@dataclass(slots=True, eq=False)
class InFlight:
    """One request that is under way.

    Attributes:
      id: Counts the requests of this run of swapd.
      model: The model's ID, or the full name of a peer's.
      method: In capitals.
      path: As the client asked, without the query; below ``/upstream/MODEL``, what follows that.
      client: The client's IP address, or None if it has none.
      since: Since when, in Unix seconds.
      began: The same in seconds of the monotonic clock.
      headers: Of the request, as they came.
      is_websocket: Whether it is a websocket: nobody meters those.
      phase: How far it is.
      status: Of the answer of the model's server; 0 before there is one.
      answer_headers: Of that answer.
      bytes_sent: How much of that answer's body was passed on.
    """

    id: int
    model: str
    method: str
    path: str
    client: str | None
    since: float
    began: float
    headers: Sequence[Header]
    is_websocket: bool
    _news: Feed[tuple[Step, InFlight]]
    phase: Phase = Phase.WAITING
    status: int = 0
    answer_headers: Sequence[Header] = ()
    bytes_sent: int = 0
    _block: Cuttable = field(default_factory=Cuttable)
    _at_cancel: Callable[[], None] | None = None
    _is_cancelled: bool = False

    def admitted(self) -> None:
        """Note that the model serves it from now on."""
        self.phase = Phase.SERVED
        self.tell(Step.ADMITTED)

    def waits_again(self) -> None:
        """Note that the model does not serve it after all: its process has died."""
        self.phase = Phase.WAITING

    def answered(self, status: int, headers: Sequence[Header]) -> None:
        """Note the head of the answer."""
        self.status, self.answer_headers = status, headers
        self.tell(Step.ANSWERED)

    def tell(self, step: Step) -> None:
        """Tell whoever listens what has happened."""
        if self._news:
            self._news.tell((step, self))

    def cancellable(
        self, at_cancel: Callable[[], None] | None = None, within: Lasting | None = None
    ) -> Cuttable:
        """Let it be cancelled while it is in the block, or end it there if it was before.

        Args:
          at_cancel: Called at the moment when that happens.
          within: Whose scope the block takes, if there is one.

        Raises:
          RequestCancelled: It was cancelled, and the block did not come to its end.
        """
        self._at_cancel = at_cancel
        self._block.within = within
        return self._block

    def cancel(self) -> None:
        """Have it end now, with the word that it was cancelled.  Once is enough.

        One that was cut already may hang on a client that does not read: that ends, too.
        """
        if self._is_cancelled:
            return
        self._is_cancelled = True
        self._block.cut(RequestCancelled(f"the request to {self.model} was cancelled by hand"))
        if self._at_cancel is not None:
            self._at_cancel()


class Requests:
    """All requests that are under way."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:  # noqa: TID251  shown
        """Know of none; ``wall_clock`` gives Unix seconds."""
        #: Each step of each request; that it is over when it is not among us any more.
        self.news: Feed[tuple[Step, InFlight]] = Feed()
        self._wall_clock = wall_clock
        self._ids = itertools.count(1)
        self._requests: dict[int, InFlight] = {}
        self._counts: Counter[str] = Counter()

    def track(
        self,
        model: str,
        *,
        method: str,
        path: str,
        client: str | None,
        headers: Sequence[Header] = (),
        is_websocket: bool = False,
    ) -> _Tracking:
        """Know of a request for the length of the block."""
        request = InFlight(
            next(self._ids),
            model,
            method,
            path,
            client,
            self._wall_clock(),
            time.monotonic(),
            headers,
            is_websocket,
            self.news,
        )
        return _Tracking(self, request)

    def add(self, request: InFlight) -> None:
        """Know of ``request`` until it is removed."""
        self._requests[request.id] = request
        self._counts[request.model] += 1
        request.tell(Step.BEGUN)

    def remove(self, request: InFlight) -> None:
        """Know of ``request`` no more."""
        del self._requests[request.id]
        self._counts[request.model] -= 1
        request.tell(Step.OVER)

    def count(self, model: str) -> int:
        """Count the requests for ``model`` that are under way."""
        return self._counts[model]

    def find(self, number: int) -> InFlight | None:
        """Return the request of this number, if it is under way."""
        return self._requests.get(number)

    def __iter__(self) -> Iterator[InFlight]:
        """Yield every request that is under way, oldest first."""
        yield from self._requests.values()


class _Tracking:
    __slots__ = ("_request", "_requests")

    def __init__(self, requests: Requests, request: InFlight) -> None:
        self._requests = requests
        self._request = request

    def __enter__(self) -> InFlight:
        self._requests.add(self._request)
        return self._request

    def __exit__(self, *_: object) -> None:
        self._requests.remove(self._request)
