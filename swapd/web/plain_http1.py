"""HTTP/1.1 as nearly all requests speak it, without h11; for any other request, h11.

It knows no socket: what comes is handed to it, and what goes is handed on by ``Line``.

Rule 1: a request is handed to h11 whole, from its first byte, and nothing else is served by this
    connection until h11 is done with it.
Rule 2: one request at a time.  What comes behind it waits, and nothing more is received then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio
from hypercorn.events import Closed, Event, RawData

from swapd.web.errors import CUT, LATE, Problem
from swapd.web.exchange import Exchange
from swapd.web.http1 import Http1Protocol, Owed
from swapd.web.plain_head import PlainHead, read
from swapd.web.unasked import unasked


class Line(Protocol):
    """The connection, as what is spoken on it needs it."""

    def begins(self, exchange: Exchange, head: PlainHead) -> None:
        """Have ``exchange`` served."""

    def is_idle(self) -> bool:
        """Note that nothing is served any more; tell whether another request may come."""

    async def put(self, data: bytes) -> None:
        """Send ``data``, all of it, or find out that the client has left."""

    async def close(self) -> None:
        """Close the connection when the client has read what was sent."""


class PlainHttp1:
    """Reads the requests of one connection, and has them served."""

    def __init__(self, line: Line, by_h11: Callable[[], Http1Protocol]) -> None:
        """Serve plain requests by ``line``, and all others by what ``by_h11`` returns."""
        self._line = line
        self._make_h11 = by_h11
        self._h11: Http1Protocol | None = None
        self._received = b""
        self._exchange: Exchange | None = None
        self._next: trio.Event | None = None
        self._is_closing = False
        self._has_failed = False

    @property
    def owed(self) -> Owed:
        """What the client has to send next; nothing as soon as its request is answered."""
        if self._h11 is not None:
            return self._h11.owed
        if self._exchange is None:
            return Owed.NOTHING if self._is_closing else Owed.REQUEST
        is_awaited = self._exchange.lacks and not self._exchange.is_answered
        return Owed.BODY if is_awaited else Owed.NOTHING

    @property
    def has_unread(self) -> bool:
        """Tell whether the client has sent, or is sending, what nobody will read."""
        if self._h11 is not None:
            return self._h11.has_unread
        is_amid_body = self._exchange is not None and self._exchange.lacks > 0
        return self._has_failed or bool(self._received) or is_amid_body

    @property
    def is_amid_answer(self) -> bool:
        """Tell whether an answer goes on whose request turned out to be none; only h11's may."""
        return self._h11 is not None and self._h11.is_amid_answer

    async def give_up(self) -> None:
        """Tell the client that its time is over, and end the connection."""
        if self._h11 is not None:
            await self._h11.give_up()
        else:
            await self._fail(LATE)

    def serve(self, data: bytes) -> bool:
        """Have the request served that ``data`` is; do nothing if it is less, more, or not plain.

        Returns:
          Whether it is just one whole request.
        """
        if self._exchange or self._received or self._is_closing or self._h11:
            return False
        head = read(data)
        if head is None or head.size + head.length != len(data):
            return False
        self._begin(head, data[head.size :])
        return True

    async def handle(self, event: Event) -> None:
        """Take what the client did."""
        if self._h11 is not None and self._h11.owed is not Owed.REQUEST:
            await self._h11.handle(event)
        elif isinstance(event, RawData):
            self._h11 = None
            await self._take(event.data)
        elif isinstance(event, Closed) and self._exchange is not None:
            self._exchange.leave()

    def let_go(self) -> None:
        """Let go of what was served: the connection is over."""
        self._exchange = self._h11 = None

    async def _take(self, data: bytes) -> None:
        if not data:
            if self.owed is Owed.BODY:
                await self._fail(CUT)
            return
        if self._is_closing:
            return  # nobody will read it
        self._received += data
        while self._received and not self._is_closing:
            exchange = self._exchange
            if exchange is None:
                await self._next_request()
            elif exchange.lacks:
                piece = self._received[: exchange.lacks]
                self._received = self._received[len(piece) :]
                await exchange.feed(piece)
            else:
                self._next = trio.Event()
                await self._next.wait()  # rule 2

    async def _next_request(self) -> None:
        received = self._received.lstrip(b"\r\n")  # some clients send that behind a body
        head = read(received)
        if head is None:
            self._received = b""
            if received:
                self._h11 = self._make_h11()
                await self._h11.handle(RawData(received))
            return
        self._received = received[head.size :]
        self._begin(head)

    def _begin(self, head: PlainHead, body: bytes = b"") -> None:
        self._exchange = Exchange(self, self._line.put, head, body)
        self._line.begins(self._exchange, head)

    async def _fail(self, problem: Problem) -> None:
        """Say ``problem`` in place of an answer, of which nothing is out yet."""
        exchange, self._exchange = self._exchange, None
        self._is_closing = self._has_failed = True
        if exchange is not None:
            exchange.leave(None if exchange.is_answered else problem)
            if not exchange.is_answered:
                await self._line.put(unasked(problem, exchange.scope))
        await self._line.close()

    async def is_over(self, exchange: Exchange, *, may_go_on: bool) -> None:
        """Go on with the next request behind ``exchange``, or close the connection."""
        if exchange is not self._exchange:
            return
        if may_go_on:
            self._exchange = None
        if not (may_go_on and self._line.is_idle()):
            self._is_closing = True
            await self._line.close()
        if self._next is not None:
            self._next.set()
