"""Knows every request that is under way: who asked for which model, since when, how far it is."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """How far a request is."""

    #: For its model to be ready.
    WAITING = "waiting"
    #: By its model.
    SERVED = "served"


@dataclass(slots=True)
class InFlight:
    """One request that is under way.

    Attributes:
      id: Counts the requests of this run of swapd.
      model: The model's ID, or the full name of a peer's.
      method: In capitals.
      path: As the client asked, without the query.
      client: The client's IP address, or None if it has none.
      since: Since when, in Unix seconds.
      phase: How far it is.
      status: Of the answer of the model's server; 0 before there is one.
      bytes_sent: How much of that answer's body was passed on.
    """

    id: int
    model: str
    method: str
    path: str
    client: str | None
    since: float
    phase: Phase = Phase.WAITING
    status: int = 0
    bytes_sent: int = 0

    def admitted(self) -> None:
        """Note that the model serves it from now on."""
        self.phase = Phase.SERVED


class Requests:
    """All requests that are under way."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:  # noqa: TID251  shown
        """Know of none; ``wall_clock`` gives Unix seconds."""
        self._wall_clock = wall_clock
        self._ids = itertools.count(1)
        self._requests: dict[int, InFlight] = {}
        self._counts: Counter[str] = Counter()

    @contextmanager
    def track(
        self, model: str, *, method: str, path: str, client: str | None
    ) -> Iterator[InFlight]:
        """Know of a request for the length of the block."""
        request = InFlight(next(self._ids), model, method, path, client, self._wall_clock())
        self._requests[request.id] = request
        self._counts[model] += 1
        try:
            yield request
        finally:
            del self._requests[request.id]
            self._counts[model] -= 1

    def count(self, model: str) -> int:
        """Count the requests for ``model`` that are under way."""
        return self._counts[model]

    def __iter__(self) -> Iterator[InFlight]:
        """Yield every request that is under way, oldest first."""
        yield from self._requests.values()
