"""One proxied request: sent to a model's server, and the answer passed on as it comes.

Rule 1: one receive, at most one write.  Nothing is held back, nothing is taken apart.
Rule 2: a failure is raised, not shown: only who serves the client knows how to say it there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

from swapd.ids import Header
from swapd.upstream.bodies.body import Body
from swapd.upstream.headers import for_client, for_upstream
from swapd.upstream.http1 import Pool


class Downstream(Protocol):
    """Where an answer goes; it does not matter who serves it."""

    async def begin(self, status: int, headers: Sequence[Header], *, more: bool = False) -> None:
        """Pass on the head, which may wait for the body if there is ``more`` at once."""

    async def write(self, data: bytes) -> None: ...

    async def finish(self, last: bytes = b"") -> None:
        """Pass on the end, and the ``last`` piece with it if they came together."""

    async def abort(self) -> None:
        """Cut the answer, so that nobody takes it for a clean end."""


class ProxiedRequest(NamedTuple):
    """A client's request, ready to be sent on.

    Attributes:
      method: In capitals, as on the wire.
      target: Path and query exactly as the client sent them, percent-encoding included.
      headers: As the client sent them.
      body: All of it.
      client: The client's IP address, or None if it has none.
    """

    method: bytes
    target: bytes
    headers: Sequence[Header]
    body: Body
    client: str | None


async def relay(
    request: ProxiedRequest,
    pool: Pool,
    downstream: Downstream,
    check_end: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Send ``request`` upstream and pass the answer on, piece by piece as it comes.

    An end that only the connection's end has told is passed on when ``check_end`` has not raised.

    However this ends, nothing of it is left upstream: a cancelled relay closes the server's
    connection at once, which is how the server learns that nobody wants the rest.

    Raises:
      UpstreamFailed: The server broke the exchange.  ``downstream`` is left as it is, begun or
        not: the caller frames the error and aborts.
    """
    headers = for_upstream(request.headers, client=request.client)
    response = await pool.request(request.method, request.target, headers, request.body)
    try:
        headers = for_client(response.headers, status=response.status)
        await downstream.begin(response.status, headers, more=response.has_more)
        piece = await response.receive()
        while not response.has_ended:
            await downstream.write(piece)
            piece = await response.receive()
        if response.ends_by_closing and check_end is not None:
            await check_end()
        await downstream.finish(piece)
    finally:
        response.close()
