"""A websocket to a model's server, and what goes to and fro between it and a client.

Rule 1: one message at a time in each direction.  What one side does not take is not read from
    the other.
Rule 2: who leaves is heard on the other side, with the code and the reason that it gave.
Rule 3: a server that has nothing to say must answer pings, or it is given up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, cast

import h11
import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.connection import ConnectionState
from wsproto.frame_protocol import CloseReason as Code
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from swapd.errors import UpstreamFailed, UpstreamTooSlow, UpstreamUnreachable
from swapd.ids import Header
from swapd.upstream.close_codes import know_all_close_codes
from swapd.upstream.handshake import Handshake, answered_to
from swapd.upstream.http1 import feed, receive_head
from swapd.upstream.line import Line
from swapd.upstream.message import Message
from swapd.upstream.origin import Origin
from swapd.upstream.pieces import send_message
from swapd.upstream.wire import Wire

#: Seconds between two pings.
PING_EVERY = 20.0

#: Seconds of silence after which a server is given up: it may be busy, and one that computes
#: answers nothing meanwhile.
SILENT_AFTER = 120.0

#: Seconds for which a server may take its leave after the client has.
GOODBYE = 2.0

#: The most of an answer that is passed on in the place of a websocket.
REFUSAL_BYTES = 1024 * 1024

_RECEIVE_BYTES = 64 * 1024

know_all_close_codes()


@dataclass(frozen=True, slots=True)
class Farewell:
    """How one side has left: a code of RFC 6455, section 7.4, and words."""

    code: int
    reason: str = ""

    @property
    def is_abnormal(self) -> bool:
        """Tell whether it left without a word."""
        return self.code == Code.ABNORMAL_CLOSURE


class Downstream(Protocol):
    """The client's side; it does not matter who serves it."""

    #: The most that it takes in one message.
    max_message_bytes: int

    async def accept(self, subprotocol: str | None, headers: Sequence[Header]) -> None:
        """Open the websocket."""

    async def refuse(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Answer with something else than a websocket."""

    async def receive(self) -> str | bytes | Farewell:
        """Wait for the client's next message, or for its leave."""

    async def send(self, message: str | bytes) -> None:
        """Send a message; waits for as long as the client does not read."""

    async def close(self, farewell: Farewell) -> None:
        """Take leave of the client."""


async def tunnel(handshake: Handshake, origin: Origin, downstream: Downstream) -> None:
    """Open a websocket to ``origin`` and pass messages on, both ways, until one side leaves.

    However this ends, nothing of it is left upstream.  What the server answers in the place of a
    websocket is passed on.

    Raises:
      UpstreamUnreachable: Nothing of the request can have reached the server.
      UpstreamTooSlow: The server did not answer the handshake in time.
      UpstreamFailed: The server broke off, or what it answers is no HTTP.
    """
    line = Line(await origin.reach())
    try:
        passing = _Tunnel(line, downstream)
        await passing.run(handshake, origin)
    finally:
        line.close()
    if passing.failure is not None:
        raise passing.failure
    if passing.farewell is not None:
        await downstream.close(passing.farewell)


class _Tunnel:
    """One websocket, passed through.  Its ends are values: they come from several tasks."""

    def __init__(self, line: Line, downstream: Downstream) -> None:
        self._line = line
        self._downstream = downstream
        #: How the server has left, if it was the first.
        self.farewell: Farewell | None = None
        self.failure: UpstreamFailed | None = None
        self._is_over = trio.CancelScope()
        self._has_client_left = False

    async def run(self, handshake: Handshake, origin: Origin) -> None:
        """Shake hands with the server, then with the client, and pass on what they say."""
        connection: WebSocketConnection | None = None
        try:
            async with trio.open_nursery() as reading:
                with self._is_over:
                    connection = await self._shake_hands(reading, handshake, origin)
                    if connection is not None:
                        headers = answered_to(connection.handshake_headers)
                        await self._downstream.accept(connection.subprotocol, headers)
                        await self._pass(connection)
                reading.cancel_scope.cancel(reason="over")
        except* (h11.ProtocolError, LocalProtocolError, RemoteProtocolError):
            # The library cannot answer a ping that comes after its own leave.
            if not self._has_client_left:
                self.failure = UpstreamFailed("what the server says is no websocket")
        if self._line.answer is not None:
            await self._pass_refusal(self._line.answer)

    async def _shake_hands(
        self, reading: trio.Nursery, handshake: Handshake, origin: Origin
    ) -> WebSocketConnection | None:
        connection: WebSocketConnection | None = None
        patience = origin.timeouts.response_header
        with trio.move_on_after(patience or math.inf) as waiting:
            async with trio.open_nursery() as shaking:
                shaking.start_soon(self._notice_refusal, shaking.cancel_scope)
                connection = await wrap_client_stream(
                    reading,
                    cast(trio.SocketStream, self._line),  # any stream will do
                    handshake.host(origin),
                    origin.target(handshake.target).decode("ascii"),
                    subprotocols=handshake.subprotocols,
                    extra_headers=handshake.for_upstream(),
                    max_message_size=self._downstream.max_message_bytes,
                    receive_buffer_size=_RECEIVE_BYTES,
                )
                shaking.cancel_scope.cancel(reason="hands are shaken")
        if waiting.cancelled_caught:
            self.failure = UpstreamTooSlow(
                f"the server did not begin to answer within {patience} s (timeouts.responseHeader)"
            )
        elif connection is None and self._line.answer is None:
            self.failure = UpstreamFailed("the connection broke amid the handshake")
        return connection

    async def _notice_refusal(self, shaking: trio.CancelScope) -> None:
        """End the shaking of hands when the server will not shake them."""
        await self._line.decided.wait()
        if self._line.answer is None:
            await self._line.ended.wait()
        shaking.cancel(reason="no websocket")

    async def _pass(self, connection: WebSocketConnection) -> None:
        async with trio.open_nursery() as ways:
            ways.start_soon(self._to_client, connection)
            ways.start_soon(self._to_server, connection)
            ways.start_soon(self._ping, connection)
            ways.start_soon(self._watch_silence)

    async def _to_client(self, connection: WebSocketConnection) -> None:
        while True:
            try:
                message = await connection.get_message()
            except ConnectionClosed as closed:
                if not self._has_client_left:
                    # As long as it is open, that is the word of the parser, and not the server's.
                    is_fault = connection._wsproto.state is ConnectionState.OPEN
                    self._hear_leave(closed.reason, is_fault=is_fault)
                return
            await self._downstream.send(message)

    def _hear_leave(self, reason: CloseReason | None, *, is_fault: bool) -> None:
        """Note how the server has left, or why it is left."""
        farewell = Farewell(reason.code, reason.reason or "") if reason else _ABNORMAL
        if farewell.is_abnormal:
            self.failure = UpstreamFailed("the server broke the websocket off")
        elif is_fault:
            what = f"the server broke the rules of websockets: {farewell.reason}"
            self.failure = UpstreamFailed(what)
        else:
            self.farewell = farewell
        self._is_over.cancel(reason="the server has left")

    async def _to_server(self, connection: WebSocketConnection) -> None:
        while True:
            message = await self._downstream.receive()
            if isinstance(message, Farewell):
                break
            try:
                await send_message(connection, message)
            except ConnectionClosed:
                return  # the other way hears of it, behind the last messages
        self._has_client_left = True
        if not message.is_abnormal:
            with trio.move_on_after(GOODBYE, shield=True):
                await connection.aclose(*_words(message))
        self._is_over.cancel(reason="the client has left")

    async def _ping(self, connection: WebSocketConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await trio.sleep(PING_EVERY)
                await connection.ping()

    async def _watch_silence(self) -> None:
        while (silent_for := self._line.silent_for) < SILENT_AFTER:  # noqa: ASYNC110  time passes
            await trio.sleep(SILENT_AFTER - silent_for)
        self.failure = UpstreamFailed(f"the server was silent for {SILENT_AFTER:g} s")
        self._is_over.cancel(reason="the server is silent")

    async def _pass_refusal(self, begun: bytes) -> None:
        """Pass on what the server answers in the place of a websocket."""
        message, wire = Message(b"GET"), Wire(self._line.socket)
        try:
            if begun:
                message.feed(begun)
            await receive_head(message, wire)
            body = await _body(message, wire)
        except UpstreamFailed as error:
            is_unreached = message.untouched and not self._line.taken
            self.failure = UpstreamUnreachable(str(error)) if is_unreached else error
        else:
            await self._downstream.refuse(message.status, answered_to(message.headers), body)
        finally:
            message.forget()


_ABNORMAL = Farewell(Code.ABNORMAL_CLOSURE)


def _words(farewell: Farewell) -> tuple[int, str | None]:
    """Return the code and the reason to send; who left without any is followed without any."""
    if farewell.code == Code.NO_STATUS_RCVD:
        return Code.NO_STATUS_RCVD, None
    return farewell.code, farewell.reason or None


async def _body(message: Message, wire: Wire) -> bytes:
    body = bytearray()
    while len(body) <= REFUSAL_BYTES:
        if piece := message.take():
            body += piece
        elif message.ended:
            return bytes(body)
        else:
            await feed(message, wire)
    raise UpstreamFailed("what the server answers in the place of a websocket is too large")
