"""The answer to one HTTP request: what was sent of it, and whether its end can be told.

Rule 1: an answer that broke off must not look complete.  Where only the end of the connection
    ends an answer (HTTP/1.0), it is reset.
Rule 2: a message is sent or not, never half: a request may be cancelled at any moment, and what
    Hypercorn believes to have said, its client must have heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import trio
from hypercorn.typing import ASGISendCallable, ASGISendEvent, HTTPScope, WebsocketScope

from swapd.ids import Header
from swapd.web.exchange import exchange_of
from swapd.web.live_connection import STATE_KEY, LiveConnection

#: Gives the headers of an answer what every answer to such a request has.
Mark: TypeAlias = Callable[[HTTPScope, Sequence[Header]], Sequence[Header]]


def unmarked(scope: HTTPScope, headers: Sequence[Header]) -> Sequence[Header]:
    """Leave ``headers`` as they are."""
    return headers


def connection_of(scope: HTTPScope | WebsocketScope) -> LiveConnection | None:
    """Return the connection on which ``scope`` came, if it is a real one."""
    connection = scope.get("state", {}).get(STATE_KEY)
    return connection if isinstance(connection, LiveConnection) else None


class Answer:
    """What was sent of one answer so far."""

    def __init__(self, scope: HTTPScope, send: ASGISendCallable, mark: Mark = unmarked) -> None:
        """Send by ``send``, with the headers that ``mark`` makes of each."""
        self.scope = scope
        self._send = send
        self._mark = mark
        #: The one on which it goes, if that is a real one.
        self.connection = connection_of(scope)
        #: Its exchange on the fast transport.
        self.exchange = exchange_of(scope)
        self._owed: int | None = None
        self._ends_by_closing = False
        self.began = False
        #: What was sent: the status, and bytes of the body (of an answer to HEAD: would have been).
        self.status = 0
        self.size = 0
        #: Whether its last message was sent, or is being sent: no disconnect matters any more.
        self.complete = False

    async def send(self, message: ASGISendEvent) -> None:
        """Send ``message``; note what it says about the answer's end."""
        if message["type"] == "http.response.start":
            await self.begin(message["status"], list(message["headers"]))
        elif message["type"] == "http.response.body":
            await self.write(message.get("body", b""), more=message.get("more_body", False))
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            await self._send_whole(message)

    async def begin(self, status: int, headers: Sequence[Header], *, more: bool = False) -> None:
        """Send the head; with the first piece of the body if there is ``more`` at once."""
        await trio.lowlevel.checkpoint_if_cancelled()
        headers = self._mark(self.scope, headers)
        self._note_head(status, headers)
        if self.exchange is not None:
            await self.exchange.begin(status, headers, more=more)
        else:
            await self._send_whole(
                {"type": "http.response.start", "status": status, "headers": headers}
            )

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body, which is the last unless there is ``more``.

        Once the client has all, its end is said whoever is cancelled: it has had a whole answer.
        """
        if not self.complete:
            await trio.lowlevel.checkpoint_if_cancelled()
        self._note_body(len(data), more)
        if self.complete and self.connection is not None:
            # Its client may leave; its handler may still finish.  After this send the next
            # request may have begun already.
            self.connection.busy = False
        if self.exchange is not None:
            await self.exchange.write(data, more=more)
        else:
            await self._send_whole({"type": "http.response.body", "body": data, "more_body": more})

    async def _send_whole(self, message: ASGISendEvent) -> None:
        with trio.CancelScope(shield=True):  # rule 2; whoever cuts the connection ends the wait
            await self._send(message)

    def _note_head(self, status: int, headers: Sequence[Header]) -> None:
        self.began = True
        self.status = status
        has_body = self.scope["method"] != "HEAD" and status not in (204, 304)
        length = length_of(headers)
        self.size = (length or 0) if self.scope["method"] == "HEAD" else 0
        self._owed = length if has_body else None
        is_framed = length is not None or self.scope["http_version"] >= "1.1"
        self._ends_by_closing = has_body and not is_framed

    def _note_body(self, size: int, more: bool) -> None:
        if self.scope["method"] != "HEAD":
            self.size += size
        # Its client may leave as soon as it has the length that was promised.
        if self._owed is not None:
            self._owed -= size
        if not more or self._owed == 0:
            self.complete = True

    def reset(self) -> None:
        """Cut the connection, whatever is being sent on it."""
        if self.connection is not None:
            self.connection.reset()

    def break_off(self) -> None:
        """Let nobody take what was sent for a whole answer; a complete one stays whole.

        The server closes the connection of an answer that its handler left unfinished.  That
        shows where the answer is framed; elsewhere it would look like the end.
        """
        is_seen = self.began and not self._ends_by_closing
        if not self.complete and not is_seen:
            self.reset()


def length_of(headers: Iterable[Header]) -> int | None:
    """Return the length that ``headers`` promise, or None if they leave it open."""
    for name, value in headers:
        if name == b"content-length":
            return int(value)
    return None
