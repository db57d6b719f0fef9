"""Asks a server whether it is ready.  Decides neither when nor how often."""

from __future__ import annotations

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed
from swapd.upstream.dial import PROXY, reason_of
from swapd.upstream.http1 import receive_head, request_head
from swapd.upstream.message import Message
from swapd.upstream.origin import Origin
from swapd.upstream.wire import Wire


class Prober:
    """Probes one server, with a new connection each time."""

    def __init__(self, base_url: str, endpoint: str) -> None:
        """Probe ``endpoint``, path and query, behind the path of ``base_url``.

        Raises:
          CannotStart: ``base_url`` cannot be used.
        """
        self._origin = Origin(base_url, Timeouts())
        self._request = request_head(self._origin, b"GET", endpoint.encode(), (), 0)

    async def probe(self) -> str | None:
        """Return None if the server is ready (200), else what it did, for people to read.

        Waits as long as the server does: bound it with a cancel scope.
        """
        try:
            wire = Wire(await self._origin.dial())
        except OSError as error:
            return reason_of(error, PROXY)
        message = Message(b"GET")
        try:
            wire.send(self._request)
            await receive_head(message, wire)
        except UpstreamFailed:
            return message.wants_tls or "no HTTP answer"
        finally:
            wire.close()
            message.forget()
        return None if message.status == 200 else f"status {message.status}"
