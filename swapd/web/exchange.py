"""One plain request and its answer on the fast transport: what ASGI says of it, as bytes.

It takes the places of Hypercorn's ``HTTPStream`` and of h11 for requests that are plain, and frames
answers as those do.

Rule 1: an answer is as long as it promised to be, or its connection does not go on.
Rule 2: the app hears at once that its client has left, before what is still to be read.
Rule 3: a body that nobody reads is not taken in: the client waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from enum import Enum, auto
from typing import Protocol, TypeAlias, cast
from urllib.parse import unquote

import trio
from hypercorn.typing import (
    ASGIReceiveEvent,
    ASGISendEvent,
    ConnectionState,
    HTTPScope,
)

from swapd.cuttable import Lasting
from swapd.ids import Header
from swapd.web.errors import Problem
from swapd.web.plain_head import PlainHead

#: Pieces of a body that may wait to be read, each of one receive.
_PIECES = 10

_WITHOUT_BODY = frozenset({204, 304})

_NO_ANSWER = b"HTTP/1.1 500 \r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


#: Where a request's ASGI scope keeps its exchange, for ``exchange_of``.
_EXTENSION = "swapd.exchange"

#: Sends bytes whole, whoever is cancelled, or finds out that the client has left.
Put: TypeAlias = Callable[[bytes], Awaitable[None]]


class Listener(Protocol):
    """Who hears what the client does without asking for it."""

    async def take(self, piece: bytes, *, more: bool) -> None:
        """Take the next piece of the request's body, of which there is ``more`` or not."""

    def left(self) -> None:
        """Hear that the client has left."""


class Line(Protocol):
    """The connection, as one exchange on it needs it."""

    async def is_over(self, exchange: Exchange, *, may_go_on: bool) -> None:
        """Go on with the next request, or close the connection."""


class _State(Enum):
    ASKED = auto()
    ANSWERING = auto()
    ANSWERED = auto()


class Exchange:
    """One request and its answer."""

    def __init__(self, line: Line, put: Put, head: PlainHead, body: bytes = b"") -> None:
        """Await the body that ``head`` announces, unless ``body`` is all of it."""
        self._line = line
        self._put = put
        #: Ends whoever serves it.
        self.ended_by: trio.CancelScope | None = None
        #: What ASGI says of the request, as long as it is served.
        self.scope: HTTPScope | None = None
        #: Of the task that serves it.
        self.blocks: Lasting | None = None
        self._listener: Listener | None = None
        self._head = head
        #: How many bytes of the body have yet to come.
        self.lacks = head.length - len(body)
        self._keeps = head.keeps
        self._state = _State.ASKED
        self._is_over = False
        self._is_left = False
        #: For what the client was sent away, if it was.
        self.fault: Problem | None = None
        self._inbox: deque[ASGIReceiveEvent] = deque()
        self._news: trio.Event | None = None
        self._room: trio.Event | None = None
        self._head_bytes = b""
        self._is_chunked = False
        self._has_body = True
        self._owed: int | None = None
        if not self.lacks:
            self._inbox.append({"type": "http.request", "body": body, "more_body": False})

    @property
    def is_answered(self) -> bool:
        """Tell whether any of the answer is out."""
        return self._state is not _State.ASKED

    # -- what the client sends ---------------------------------------------------------

    async def feed(self, piece: bytes) -> None:
        """Take the next ``piece`` of the body; wait while nobody reads it (rule 3)."""
        while self._has_no_room():
            self._room = trio.Event()
            await self._room.wait()
        self.lacks -= len(piece)
        more = self.lacks > 0
        if self._listener is not None:  # now; it may have come while there was no room
            await self._listener.take(piece, more=more)
        else:
            self._tell({"type": "http.request", "body": piece, "more_body": more})

    def _has_no_room(self) -> bool:
        return len(self._inbox) >= _PIECES and not (self._is_left or self._is_over)

    def leave(self, fault: Problem | None = None) -> None:
        """Note that the client has left, or is sent away for ``fault``.  Once; then do nothing."""
        if not self._is_left:
            self.fault = fault
        if self._listener is not None and not self._is_left:
            self._listener.left()
        self._is_left = True
        self._wake()

    async def listen(self, listener: Listener) -> None:
        """Have ``listener`` hear from now on what ``receive`` would have returned."""
        while self._inbox and not self._is_left:
            event = self._inbox.popleft()
            assert event["type"] == "http.request"
            await listener.take(event["body"], more=event["more_body"])
        self._listener = listener
        self._wake()
        if self._is_left:
            listener.left()

    async def receive(self) -> ASGIReceiveEvent:
        """Return what the client did next, as ASGI has it."""
        while not (self._inbox or self._is_left or self._is_over):
            self._news = trio.Event()
            await self._news.wait()
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._is_left or self._is_over:
            return {"type": "http.disconnect"}
        if self._room is not None:
            self._room.set()
        return self._inbox.popleft()

    def _tell(self, event: ASGIReceiveEvent) -> None:
        self._inbox.append(event)
        if self._news is not None:
            self._news.set()

    def _wake(self) -> None:
        for event in (self._news, self._room):
            if event is not None:
                event.set()

    # -- what the app sends ------------------------------------------------------------

    async def send(self, message: ASGISendEvent | None) -> None:
        """Send ``message``, of which None is the end of the app."""
        if message is None:
            await self._end()
        elif message["type"] == "http.response.body":
            await self.write(message.get("body", b""), more=message.get("more_body", False))
        elif message["type"] == "http.response.start":
            await self.begin(message["status"], message["headers"])
        else:
            raise RuntimeError(f"unexpected {message['type']}")

    async def begin(self, status: int, headers: Iterable[Header], *, more: bool = False) -> None:
        """Send the head of the answer; with its first piece if there is ``more`` at once."""
        if self._is_left:
            await trio.lowlevel.checkpoint()  # whoever goes on sending must not hold up others
            return
        if self._state is not _State.ASKED:
            raise RuntimeError(f"a second head when {self._state.name}")
        self._begin(status, headers)
        if not more:
            head, self._head_bytes = self._head_bytes, b""
            await self._put(head)

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the answer, which is the last unless there is ``more``."""
        if self._is_left:
            await trio.lowlevel.checkpoint()
            return
        if self._state is not _State.ANSWERING:
            raise RuntimeError(f"a piece of an answer when {self._state.name}")
        framed = self._framed(bytes(data)) if data and self._has_body else b""
        if self._head_bytes:
            framed, self._head_bytes = self._head_bytes + framed, b""
        if not more:
            framed += self._end_of_body()
            self._state = _State.ANSWERED
        if framed:
            await self._put(framed)
        if not more:
            await self._is_done(may_go_on=self._keeps and not self.lacks)

    def _begin(self, status: int, headers: Iterable[Header]) -> None:
        is_empty = status in _WITHOUT_BODY
        self._has_body = not is_empty and self._head.method != "HEAD"
        lines = [b"HTTP/1.1 %d " % status]
        for name, value in headers:
            match name.lower():
                case b"content-length":
                    self._owed = int(value)
                case b"connection":
                    self._keeps = self._keeps and b"close" not in value.lower()
                    continue
                case b"transfer-encoding":
                    continue  # that of this hop is decided here
            lines.append(name + b": " + value.strip())
        if self._owed is None and not is_empty:
            self._is_chunked = True
            lines.append(b"transfer-encoding: chunked")
        if not self._keeps:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError(f"a header of the answer has more than one line: {lines!r}")
        self._head_bytes = head + b"\r\n\r\n"
        self._state = _State.ANSWERING

    def _framed(self, data: bytes) -> bytes:
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._owed is not None:
            if len(data) > self._owed:
                raise ValueError("the answer is longer than it promised to be")
            self._owed -= len(data)
        return data

    def _end_of_body(self) -> bytes:
        if not self._has_body:
            return b""
        if self._owed:
            raise ValueError(f"the answer ended {self._owed} bytes before its promised length")
        return b"0\r\n\r\n" if self._is_chunked else b""

    async def _end(self) -> None:
        if self._is_over:
            return
        if self._state is _State.ASKED and not self._is_left:
            await self._put(_NO_ANSWER)
        await self._is_done(may_go_on=False)

    async def _is_done(self, *, may_go_on: bool) -> None:
        if not self._is_over:
            self._is_over = True
            self._listener = None  # which knows us, too: whoever is in no ring is freed at once
            self._wake()
            await self._line.is_over(self, may_go_on=may_go_on and not self._is_left)


def scope_of(
    exchange: Exchange,
    head: PlainHead,
    *,
    is_tls: bool,
    client: tuple[str, int] | None,
    server: tuple[str, int] | None,
    state: ConnectionState,
) -> HTTPScope:
    """Return what ASGI says of a request."""
    path, _, query = head.target.partition(b"?")
    text = path.decode("ascii")
    return {
        "type": "http",
        "http_version": "1.1",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "method": head.method,
        "scheme": "https" if is_tls else "http",
        "path": unquote(text) if "%" in text else text,
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": head.headers,
        "client": client,
        "server": server,
        "state": ConnectionState(state.copy()),
        "extensions": {_EXTENSION: {"exchange": exchange}},
    }


def exchange_of(scope: HTTPScope) -> Exchange | None:
    """Return the exchange of a request that is served by the fast transport."""
    found = scope.get("extensions", {}).get(_EXTENSION)
    return None if found is None else cast(Exchange, found["exchange"])
