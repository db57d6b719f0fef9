"""A websocket as Hypercorn speaks it, with what it gets wrong or keeps to itself set right.

Each rule cures a defect of Hypercorn 0.18, and has a test on raw sockets:

Rule 1: how a client has left is told: with its code and its reason.
Rule 2: a client that says nothing, not even to pings, is taken for gone.
Rule 3: what is not taken is not read: one message waits, not ten.
Rule 4: who is done is told no more.  Hypercorn would wait for it to listen, for ever.
Rule 5: a close without a code is passed on as such.
Rule 6: what of a handshake cannot be read is left out.  Hypercorn would end over it, with all that
    it serves.
Rule 7: what is wrong with a handshake is said.  Hypercorn answers with a status alone.
Rule 8: who breaks the rules of websockets hears a code.  Hypercorn would just hang up.
Rule 9: what a client has sent is not kept once it is gone, until Python looks for garbage.
Rule 10: what is compressed is undone in small steps, and no further than a message may go.
Rule 11: no message holds up others, however large it is: Hypercorn would compress it at one go.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import replace
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.protocol.events import Body, Data, EndBody, Event, Request, Response, StreamClosed
from hypercorn.protocol.ws_stream import ASGIWebsocketState, FrameTooLargeError, WSStream
from hypercorn.typing import (
    ASGIReceiveEvent,
    ASGISendEvent,
    HTTPScope,
    WebsocketDisconnectEvent,
    WebsocketReceiveEvent,
    WebsocketScope,
    WebsocketSendEvent,
)
from wsproto.connection import ConnectionState
from wsproto.events import CloseConnection, Message, Ping
from wsproto.events import Event as WebsocketEvent
from wsproto.frame_protocol import CloseReason
from wsproto.handshake import WEBSOCKET_VERSION

from swapd.ids import Header
from swapd.upstream.close_codes import know_all_close_codes
from swapd.upstream.pieces import pieces
from swapd.web import limits
from swapd.web.errors import BUG, NO_HANDSHAKE, OTHER_WEBSOCKETS, Problem, answer_of
from swapd.web.inflation import bounded
from swapd.web.request_log import asked, note

#: Names of extensions and their parameters, which are small numbers.
_EXTENSIONS = re.compile(rb"(?:[\w\- \t;,]|=[0-9]{1,2}(?![0-9]))*")

#: As many compressed bytes are undone in one step: they become a thousand times as many at most.
_STEP_BYTES = 8 * 1024

_TOO_LARGE = CloseConnection(code=CloseReason.MESSAGE_TOO_BIG)

#: Where the scope of a websocket keeps how large a message of its client may be.
_MOST = "swapd.message_bytes"

know_all_close_codes()


def take_at_most(scope: HTTPScope | WebsocketScope, size: int) -> None:
    """Take no message from the client that is larger than ``size``, in bytes or characters.

    To be said before the websocket is accepted, where less is awaited than models may be sent.
    """
    scope["state"][_MOST] = size


class WebsocketStream(WSStream):
    """One websocket of a client."""

    def __init__(self, app: Any, config: Config, *args: Any) -> None:
        """Take what Hypercorn's own takes."""
        config = copy(config)
        config.max_app_queue_size = 1  # rule 3
        super().__init__(app, config, *args)
        self._tell_app: Callable[[ASGIReceiveEvent], Awaitable[None]] | None = None
        self._is_app_done = False
        self._untold: set[trio.CancelScope] = set()
        self._is_taking = False
        self._heard_at = trio.current_time()
        #: Whether the client has sent what no websocket may, or too much: nothing more is read.
        self.is_faulty = False
        self._is_compressed: bool | None = None
        self._code: int | None = None
        self._reason: str | None = None

    async def handle(self, event: Event) -> None:
        """Take what the client says, or that it has left."""
        if isinstance(event, Request):
            await super().handle(replace(event, headers=[*filter(_can_be_read, event.headers)]))
            self._tell_app, self.app_put = self.app_put, self._tell
        elif isinstance(event, StreamClosed):
            await self._tell_of_leave()
        elif isinstance(event, Data):
            self._is_taking = True
            await self._take_bytes(event)
            self._is_taking, self._heard_at = False, trio.current_time()
        else:
            await super().handle(event)

    async def _take_bytes(self, event: Data) -> None:
        """Take what came; of what is compressed a little at a time (rule 10)."""
        if self._is_compressed is None and self.handshake.accepted:
            self.buffer.max_length = self.scope["state"].get(_MOST, self.buffer.max_length)
            self._is_compressed = bounded(self.connection, self.buffer.max_length)
        if not self._is_compressed:
            await super().handle(event)
            return
        for start in range(0, len(event.data), _STEP_BYTES):
            step = event.data[start : start + _STEP_BYTES]
            await super().handle(replace(event, data=step))
            if self.is_faulty or self.connection.state is ConnectionState.CLOSED:
                break
            await trio.lowlevel.checkpoint()  # rule 11

    async def _handle_events(self) -> None:
        for event in self.connection.events():
            if isinstance(event, Message):
                await self._take(event)
            elif isinstance(event, Ping):
                await self._send_wsproto_event(event.response())
            elif isinstance(event, CloseConnection):
                if self.connection.state is ConnectionState.OPEN:  # the parser's own word
                    await self._turn_away(event)
                    return
                if self.connection.state is ConnectionState.REMOTE_CLOSING:
                    await self._send_wsproto_event(event.response())
                await self.send(StreamClosed(stream_id=self.stream_id))
            if self.is_faulty:
                return

    async def _take(self, message: Message[Any]) -> None:
        try:
            self.buffer.extend(message)
        except FrameTooLargeError:
            await self._turn_away(_TOO_LARGE)
        else:
            if message.message_finished:
                whole = self.buffer.to_message()
                self.buffer.clear()
                await self._tell(cast(WebsocketReceiveEvent, whole))

    async def _turn_away(self, event: CloseConnection) -> None:
        """Say what the client has done; the app is told only that it sent too much."""
        self.is_faulty = True
        if event.code == _TOO_LARGE.code:
            await self._send_wsproto_event(_TOO_LARGE)
        else:
            await super()._send_wsproto_event(event)

    async def app_send(self, message: ASGISendEvent | None) -> None:
        """Send what the app says; None is its end."""
        if message is None:
            self._is_app_done = True
            for telling in self._untold:
                telling.cancel(reason="the app is done")
        if message is not None and message["type"] == "websocket.send":
            await self._send_message(message)
        else:
            await super().app_send(message)

    async def _send_message(self, message: WebsocketSendEvent) -> None:
        data, text = message["bytes"], message["text"]
        for piece in pieces(data if data is not None else text or ""):  # rule 11
            if self.closed:
                return  # the app may finish after that
            await self._send_wsproto_event(piece)
            await trio.lowlevel.checkpoint()

    async def _tell_of_leave(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._forget()
        is_ours = self.state in {ASGIWebsocketState.CLOSED, ASGIWebsocketState.HTTPCLOSED}
        otherwise = CloseReason.NORMAL_CLOSURE if is_ours else CloseReason.ABNORMAL_CLOSURE
        code = int(otherwise) if self._code is None else self._code
        # What Hypercorn takes for this event has no reason.
        told = {"type": "websocket.disconnect", "code": code, "reason": self._reason}
        await self._tell(cast(WebsocketDisconnectEvent, told))

    def _forget(self) -> None:
        """Let go of what came (rule 9): what reads the frames knows the last one, and itself."""
        self.buffer.clear()
        self.app_put = None  # which is our own, and knows us
        if self.handshake.accepted:
            self.connection._proto._parse_more.close()

    async def _tell(self, event: ASGIReceiveEvent) -> None:
        """Tell the app of ``event``; waits for as long as it does not listen, but not longer."""
        if self._is_app_done or self._tell_app is None:
            return
        with trio.CancelScope() as telling:
            self._untold.add(telling)
            await self._tell_app(event)
        self._untold.discard(telling)

    async def _send_wsproto_event(self, event: WebsocketEvent) -> None:
        if isinstance(event, CloseConnection):
            if self.state is ASGIWebsocketState.CONNECTED:  # the client's own leave, sent back
                self._code, self._reason = event.code, event.reason
            if event.code == CloseReason.NO_STATUS_RCVD:  # rule 5
                event = CloseConnection(code=CloseReason.NO_STATUS_RCVD)
        await super()._send_wsproto_event(event)

    async def _send_error_response(self, status_code: int) -> None:
        problem = self._problem(status_code)
        note(asked(self.scope), problem.kind.status, problem.message)
        headers, body = answer_of(problem)
        await self.send(Response(self.stream_id, headers, problem.kind.status))
        await self.send(Body(self.stream_id, body))
        await self.send(EndBody(self.stream_id))

    def _problem(self, status_code: int) -> Problem:
        if status_code >= 500:
            return BUG
        is_other = self.handshake.version not in {None, WEBSOCKET_VERSION}
        return OTHER_WEBSOCKETS if is_other else NO_HANDSHAKE

    async def _send_pings(self) -> None:
        self._heard_at = trio.current_time()
        while not self._is_silent():
            await trio.sleep(limits.PING_EVERY)  # a ping at once could meet a client's leave
            if self.closed:
                return
            await self._send_wsproto_event(Ping())
        if not self.closed:
            await self.send(StreamClosed(stream_id=self.stream_id))  # rule 2

    def _is_silent(self) -> bool:
        silent_for = trio.current_time() - self._heard_at
        return not self._is_taking and silent_for >= limits.SILENT_AFTER


def _can_be_read(header: Header) -> bool:
    name, value = header
    if name == b"sec-websocket-extensions":
        return _EXTENSIONS.fullmatch(value) is not None
    is_of_handshake = name.startswith(b"sec-websocket-") or name in {b"connection", b"upgrade"}
    return value.isascii() or not is_of_handshake
