"""The seam for whoever wants a copy of requests and of their answers, body and all."""

from __future__ import annotations

from typing import Protocol

from swapd.telemetry.finished import Collector
from swapd.upstream.exchange import ProxiedRequest


class Collecting(Protocol):
    """Takes copies of requests and of their answers."""

    def collector(self, path: str, request: ProxiedRequest) -> Collector | None:
        """Return what takes the answer to ``request``, or None if that is not wanted.

        It comes back with what is told of the request when that is over (``Finished.collected``).
        Neither blocks nor raises.  The body of the request is gone when the request is over.

        Args:
          path: As ``Finished.path``.
          request: As it is sent to the model's server.
        """
