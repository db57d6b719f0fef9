"""A small HTTP/1.1 client with a pool of connections per server.  Follows no redirects.

Rule 1: one receive brings at most one piece of a body.  Under load pieces grow, so the work
    per byte falls just when it must.
Rule 2: closing is sync, so it is safe in any ``finally``, and it is what cancels the
    server's work.
Rule 3: the end of a message is an end only if its framing says so.
"""

from __future__ import annotations

import errno
import math
from collections import deque
from collections.abc import Sequence

import trio

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed, UpstreamTooSlow, UpstreamUnreachable
from swapd.ids import Header
from swapd.upstream.bodies.body import Body
from swapd.upstream.message import Message
from swapd.upstream.origin import Origin
from swapd.upstream.wire import Wire

Headers = Sequence[Header]

#: A body up to this size is copied, to go out with the head in one packet.
_SMALL_BODY_BYTES = 64 * 1024

_ALWAYS_SIZED = (b"POST", b"PUT", b"PATCH")

_TIMEOUTS = Timeouts()


class Response:
    """An answer whose head is here; its body comes as it comes."""

    def __init__(self, pool: Pool, wire: Wire, message: Message) -> None:
        """Made by ``Pool.request`` alone."""
        self._pool = pool
        self._wire = wire
        self._message = message
        self._closed = False

    @property
    def status(self) -> int:
        return self._message.status

    @property
    def headers(self) -> list[Header]:
        """Names in lower case, in the order and as often as they came."""
        return self._message.headers

    @property
    def has_more(self) -> bool:
        """Tell whether a piece of the body came already."""
        return self._message.has_piece

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing follows what was received."""
        return self._message.ended

    @property
    def ends_by_closing(self) -> bool:
        """Tell whether only the end of the connection says where it ends."""
        return self._message.until_close

    async def receive(self) -> bytes:
        """Return what the next receive brings of the body; empty at the message's end.

        Raises:
          UpstreamFailed: The connection ended before the message did, or what came is no HTTP.
        """
        if self._closed:
            raise trio.ClosedResourceError("the response is closed")
        while not (piece := self._message.take()) and not self._message.ended:
            await feed(self._message, self._wire)
        return piece

    def close(self) -> None:
        """Give the connection back, or close it if the message did not end.  Never waits."""
        if not self._closed:
            self._closed = True
            self._pool.release(self._wire, reusable=self._message.reusable)
            self._message.forget()


class Pool:
    """Connections to one server.  Idle ones are kept, youngest first in use."""

    def __init__(
        self, base_url: str, timeouts: Timeouts = _TIMEOUTS, *, max_idle: int = 32
    ) -> None:
        """Connect nowhere yet.

        Raises:
          CannotStart: ``base_url`` cannot be used.
        """
        #: Where the server is.
        self.origin = Origin(base_url, timeouts)
        self._max_idle = max_idle
        self._idle: deque[tuple[Wire, float]] = deque()  # oldest first, with when it was left
        self._closed = False

    def wait_by(self, timeouts: Timeouts) -> None:
        """Wait no longer than ``timeouts`` say from now on."""
        self.origin.timeouts = timeouts

    async def request(
        self, method: bytes, target: bytes, headers: Headers, body: bytes | Body
    ) -> Response:
        """Send a request and return the answer as soon as its head is here.

        Cancelling closes the connection at once.

        Raises:
          UpstreamUnreachable: The server cannot have read the whole request.
          UpstreamTooSlow: The server did not begin to answer in time.
          UpstreamFailed: The server broke off before its answer.
        """
        if isinstance(body, bytes):
            body = Body(body)
        head = request_head(self.origin, method, target, headers, body.length)
        wire = self._checkout()
        if wire is None:
            return await self._ask(await self._connect(), Message(method), head, body)
        message = Message(method)
        try:
            return await self._ask(wire, message, head, body)
        except UpstreamFailed as error:
            if not message.untouched or isinstance(error, UpstreamTooSlow):
                raise
            was_sent = not isinstance(error, UpstreamUnreachable)
        # The server left while we were asking: it closes connections that were idle for
        # long.  The body can be sent again, so ask again, once, on a connection of our own.
        try:
            return await self._ask(await self._connect(), Message(method), head, body)
        except UpstreamUnreachable as error:
            if was_sent:  # it may be what the server died of
                raise UpstreamFailed(str(error)) from error
            raise

    def release(self, wire: Wire, *, reusable: bool) -> None:
        """Take a connection back: keep it if it is ``reusable``, else close it."""
        if not (reusable and wire.sent) or self._closed or self._max_idle < 1:
            wire.close()
            return
        self._idle.append((wire, trio.current_time()))
        if len(self._idle) > self._max_idle:
            self._idle.popleft()[0].close()

    def close(self) -> None:
        """Close the idle connections now, and others when they are released."""
        self._closed = True
        while self._idle:
            self._idle.popleft()[0].close()

    def _checkout(self) -> Wire | None:
        expired = trio.current_time() - (self.origin.timeouts.idle_conn or math.inf)
        while self._idle and self._idle[0][1] <= expired:
            self._idle.popleft()[0].close()
        while self._idle:
            wire, _ = self._idle.pop()
            if wire.is_quiet():
                return wire
            wire.close()
        return None

    async def _connect(self) -> Wire:
        return Wire(await self.origin.reach())

    async def _ask(self, wire: Wire, message: Message, head: bytes, body: Body) -> Response:
        taken_before = wire.taken
        try:
            _send(wire, head, body)
            await self._receive_head(message, wire)
        except UpstreamFailed as error:
            wire.close()
            message.forget()
            # The kernel resets the connections of a process that ended before it had read all.
            was_read = wire.taken > taken_before and not message.was_reset
            if message.untouched and not was_read:
                raise UpstreamUnreachable(str(error)) from error
            raise
        except BaseException:
            wire.close()
            message.forget()
            raise
        return Response(self, wire, message)

    async def _receive_head(self, message: Message, wire: Wire) -> None:
        limit = self.origin.timeouts.response_header
        if not limit:
            await receive_head(message, wire)
            return
        await wire.flush()  # a large request takes its time
        with trio.move_on_after(limit) as patience:
            await receive_head(message, wire)
        if patience.cancelled_caught:
            what = f"the server did not begin to answer within {limit} s"
            raise UpstreamTooSlow(f"{what} (timeouts.responseHeader)")


async def receive_head(message: Message, wire: Wire) -> None:
    """Receive until the final response's head is complete.

    Raises:
      UpstreamFailed: It never will be.
    """
    while not message.status:
        await feed(message, wire)
        message.check()


async def feed(message: Message, wire: Wire) -> None:
    """Give ``message`` what comes next; whether that breaks it, it tells itself."""
    try:
        message.feed(await wire.receive())
    except OSError as error:
        message.broke("reset" if error.errno == errno.ECONNRESET else "broke")


def _send(wire: Wire, head: bytes, body: Body) -> None:
    held = body.held
    if held is None:
        wire.send(head, rest=body.reader())
    elif len(held) <= _SMALL_BODY_BYTES:
        wire.send(head + held)
    else:
        wire.send(head, held)


def request_head(
    origin: Origin, method: bytes, target: bytes, headers: Headers, length: int
) -> bytes:
    """Return a request's head, with what the framing of a body of ``length`` needs."""
    lines = [method + b" " + origin.target(target) + b" HTTP/1.1"]
    if b"host" not in [name.lower() for name, _ in headers]:
        lines.append(b"host: " + origin.host_header)
    lines += map(b": ".join, headers)
    if length or method in _ALWAYS_SIZED:
        lines.append(b"content-length: %d" % length)
    lines.append(b"\r\n")
    return b"\r\n".join(lines)
