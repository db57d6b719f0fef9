"""HTTP/1 and websockets as Hypercorn reads and writes them, with what it gets wrong set right.

It knows no socket: what comes and goes is handed to it by web/live_connection.py.  Each rule cures
a defect of Hypercorn 0.18, and has a test on raw sockets:

Rule 1: no HTTP/2.  Its streams have no backpressure and do not end when the answer fails.
Rule 2: what is no request is told so, in an envelope that is not lost either.  An empty line
    before a request is no error: some clients send one behind each body.
Rule 3: a websocket handshake that was refused ends its connection, and what comes before its
    answer is dropped.  Hypercorn would answer it once more, an error that ends the server.
Rule 4: websocket pings end with their websocket, not at the next ping.
Rule 5: what could be read in two ways is no request (web/heads.py).
Rule 6: what no websocket may send, or too much, ends its connection.  Hypercorn says of what is
    too much, and goes on to keep what comes of it.
Rule 7: what waits behind the last answer is not waited for.  Hypercorn's reader would wait for the
    moment to read it, which does not come, and hold the connection and the end of the server.
Rule 8: a list that a client writes in several fields is one list to what opens a websocket;
    that may be one of several protocols which it would speak.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Any

import h11
import trio
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol.events import StreamClosed
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.typing import H11SendableEvent

from swapd.web.errors import LATE, Problem, unreadable
from swapd.web.heads import StrictConnection, joined
from swapd.web.request_log import blame, note
from swapd.web.unasked import last_answer
from swapd.web.websocket_stream import WebsocketStream

#: What comes then is nothing that is answered: after an error, or after the last request.
_PAST_READING = frozenset({h11.ERROR, h11.MUST_CLOSE, h11.CLOSED})


class Owed(Enum):
    """What a connection waits for its client to send."""

    NOTHING = auto()
    HANDSHAKE = auto()
    REQUEST = auto()
    HEAD = auto()
    BODY = auto()


class Http1Protocol(H11Protocol):
    """HTTP/1 and websockets, and nothing else (rules 1 to 3 and 5 to 8)."""

    connection: StrictConnection | H11WSConnection

    def __init__(self, *args: Any) -> None:
        """Take what Hypercorn's own takes."""
        super().__init__(*args)
        self.connection = http = StrictConnection(
            h11.SERVER, max_incomplete_event_size=self.config.h11_max_incomplete_size
        )
        self.send = partial(_pass_on, self.send, http)  # it must not know us, nor we ourselves
        self._is_late = False
        self._is_faulty = False

    @property
    def owed(self) -> Owed:
        """What the client has to send next; nothing as soon as its request is answered."""
        if self.connection.their_state is h11.IDLE:
            return Owed.HEAD if self.connection.trailing_data[0] else Owed.REQUEST
        theirs, ours = self.connection.their_state, self.connection.our_state
        is_awaited = theirs is h11.SEND_BODY and ours is h11.SEND_RESPONSE
        return Owed.BODY if is_awaited else Owed.NOTHING

    @property
    def has_unread(self) -> bool:
        """Tell whether the client has sent, or is sending, what nobody will read."""
        is_sending = self.connection.their_state in {h11.SEND_BODY, h11.ERROR}
        return is_sending or self._is_faulty or bool(self.connection.trailing_data[0])

    @property
    def is_amid_answer(self) -> bool:
        """Tell whether an answer goes on whose request has turned out to be none."""
        http = self.connection
        return http.our_state is h11.SEND_BODY and http.their_state is h11.ERROR

    async def give_up(self) -> None:
        """Tell the client that its time is over, and end the connection."""
        self._is_late = True
        await self.handle(RawData(b""))

    async def handle(self, event: Event) -> None:
        """Take what came, but for empty lines between requests and what follows an error."""
        if isinstance(event, RawData):
            if self._is_past_reading() or self._is_shaking_hands():
                return  # it would be one more error
            if event.data.startswith((b"\r", b"\n")) and self._is_between_requests():
                event = RawData(event.data.lstrip(b"\r\n"))
                if not event.data:
                    return  # to pass on nothing would be to tell of the end
        await super().handle(event)
        if isinstance(self.stream, WebsocketStream) and self.stream.is_faulty:
            self._is_faulty = True
            await self.stream_send(StreamClosed(stream_id=self.stream.stream_id))

    def _is_past_reading(self) -> bool:
        http = self.connection
        is_over = isinstance(http, StrictConnection) and http.is_over
        return is_over or http.their_state in _PAST_READING

    def _is_shaking_hands(self) -> bool:
        return isinstance(self.stream, WSStream) and not self.stream.handshake.accepted

    def _is_between_requests(self) -> bool:
        http = self.connection
        return http.their_state in {h11.IDLE, h11.DONE} and not http.trailing_data[0]

    async def _check_protocol(self, event: h11.Request) -> None:
        """Answer in HTTP/1.1, whatever else the client offers to speak."""

    async def _create_stream(self, request: h11.Request) -> None:
        if request.method == b"GET":
            request = joined(request)  # rule 8
        await super()._create_stream(request)
        if isinstance(self.connection, H11WSConnection):
            self.connection.buffer.clear()  # rule 3
        if isinstance(self.stream, WSStream) and self.stream.closed:
            await self.send(Closed())  # rule 3

    async def _send_error_response(self, status_code: int) -> None:
        problem = self._problem(status_code)
        scope = self.stream.scope if isinstance(self.stream, HTTPStream) else None
        if scope is not None:  # the line about that request tells it
            blame(scope, problem.kind.status, problem.message)
        else:
            note("unreadable request", problem.kind.status, problem.message)
        headers, body = last_answer(problem, scope)
        head = h11.Response(status_code=problem.kind.status, headers=headers)
        events = (head, h11.Data(data=body), h11.EndOfMessage())
        # In one piece: whoever serves the request may be about to begin its own answer.
        await self.send(RawData(b"".join(self._bytes_of(event) for event in events)))

    def _bytes_of(self, event: H11SendableEvent) -> bytes:
        with suppress(h11.LocalProtocolError):  # the answer to HEAD has no body
            return self.connection.send(event) or b""
        return b""

    def _problem(self, status_code: int) -> Problem:
        if self._is_late:
            return LATE
        fault = self.connection.fault if isinstance(self.connection, StrictConnection) else None
        return fault or unreadable(status_code)


async def _pass_on(
    send: Callable[[Event], Awaitable[None]], http: StrictConnection, event: Event
) -> None:
    if isinstance(event, Closed):
        http.is_over = True  # rule 7
    await send(event)


class Tasks(TaskGroup):
    """A connection's tasks, of which the pings end when it does (rule 4)."""

    def __init__(self, tasks: TaskGroup, pings: trio.CancelScope) -> None:
        super().__init__()
        self._nursery = tasks._nursery
        self._pings = pings

    def spawn(self, func: Callable[..., Awaitable[None]], *args: object) -> None:
        super().spawn(self._until_the_end, func, *args)

    async def _until_the_end(self, func: Callable[..., Awaitable[None]], *args: object) -> None:
        with self._pings:
            await func(*args)
