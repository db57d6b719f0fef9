"""Websocket servers that do what a test says, and a client's side in memory."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    wrap_server_stream,
)
from wsproto.utilities import generate_accept_token

from swapd.ids import Header
from swapd.upstream.websocket import Farewell
from tests.upstream.scripted import Connection, listener_at

Message: TypeAlias = str | bytes

#: What a server does with one websocket.
Talk: TypeAlias = Callable[[WebSocketConnection], Awaitable[None]]

LARGE = 64 * 1024 * 1024


class WebsocketServer:
    """Serves every websocket by the same talk."""

    def __init__(self, url: str, talk: Talk) -> None:
        self.url = url
        self.asked: list[WebSocketRequest] = []
        self.open = 0
        self.farewells: list[tuple[int, str | None]] = []
        self._talk = talk

    async def serve(self, stream: trio.SocketStream) -> None:
        """Accept the first of the subprotocols, talk, and note how it ends."""
        async with stream, trio.open_nursery() as nursery:
            limit = 2 * LARGE
            await self._serve(await wrap_server_stream(nursery, stream, max_message_size=limit))
            nursery.cancel_scope.cancel(reason="the websocket is over")

    async def _serve(self, request: WebSocketRequest) -> None:
        self.asked.append(request)
        offered = request.proposed_subprotocols
        websocket = await request.accept(
            subprotocol=offered[0] if offered else None,
            extra_headers=[(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
        )
        self.open += 1
        try:
            with suppress(ConnectionClosed):
                await self._talk(websocket)
                await websocket.aclose()
            if websocket.closed:
                self.farewells.append((websocket.closed.code, websocket.closed.reason))
        finally:
            self.open -= 1

    @property
    def headers(self) -> dict[bytes, bytes]:
        """Those of the last handshake."""
        return {name.lower(): value for name, value in self.asked[-1].headers}


async def echo(websocket: WebSocketConnection) -> None:
    """Say what is said."""
    while True:
        await websocket.send_message(await websocket.get_message())


async def listen(websocket: WebSocketConnection) -> None:
    """Say nothing."""
    while True:
        await websocket.get_message()


def leaving(code: int, reason: str | None, *before: Message) -> Talk:
    """Return a talk: say ``before``, then close."""

    async def talk(websocket: WebSocketConnection) -> None:
        for message in before:
            await websocket.send_message(message)
        await websocket.aclose(code, reason)

    return talk


async def accept(connection: Connection, *, cut_at: int = 0) -> None:
    """Open a websocket by hand, in two pieces of which the first has ``cut_at`` bytes."""
    lines = (await connection.request()).split(b"\r\n")
    key = next(line[19:] for line in lines if line.startswith(b"Sec-WebSocket-Key: "))
    answer = (
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: %s\r\n\r\n" % generate_accept_token(key)
    )
    if cut_at:
        await connection.send(answer[:cut_at])
        await wait_all_tasks_blocked(0.01)
    await connection.send(answer[cut_at:])


@asynccontextmanager
async def websockets(
    talk: Talk, *, tls: ssl.SSLContext | None = None, unix: Path | None = None
) -> AsyncIterator[WebsocketServer]:
    """Serve websockets for the length of the block."""
    async with trio.open_nursery() as nursery:
        listener = await listener_at(unix)
        where = f"unix:{unix}" if unix else f"127.0.0.1:{listener.socket.getsockname()[1]}"
        url = where if unix else f"{'https' if tls else 'http'}://{where}"
        server = WebsocketServer(url, talk)
        listening: trio.SSLListener[trio.SocketStream] | trio.SocketListener = listener
        if tls is not None:
            listening = trio.SSLListener(listener, tls)
        await nursery.start(partial(trio.serve_listeners, server.serve, [listening]))
        yield server
        nursery.cancel_scope.cancel(reason="the test is over")


class Client:
    """The client's side of a tunnel."""

    max_message_bytes = LARGE

    def __init__(self) -> None:
        self.accepted: tuple[str | None, Sequence[Header]] | None = None
        self.refused: tuple[int, Sequence[Header], bytes] | None = None
        self.closed: Farewell | None = None
        self.opened = trio.Event()
        self.scope: trio.CancelScope | None = None
        self._say, self._said = trio.open_memory_channel[Message | Farewell](0)
        self._hear, self._heard = trio.open_memory_channel[Message](0)

    # What a test does.

    async def say(self, message: Message) -> None:
        await self._say.send(message)

    async def hear(self) -> Message:
        return await self._heard.receive()

    async def leave(self, code: int = 1000, reason: str = "") -> None:
        await self._say.send(Farewell(code, reason))

    def cut(self) -> None:
        """End the tunnel from outside."""
        assert self.scope is not None
        self.scope.cancel(reason="cut")

    # What a tunnel does.

    async def accept(self, subprotocol: str | None, headers: Sequence[Header]) -> None:
        await trio.lowlevel.checkpoint()
        self.accepted = subprotocol, headers
        self.opened.set()

    async def refuse(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.refused = status, headers, body

    async def receive(self) -> Message | Farewell:
        return await self._said.receive()

    async def send(self, message: Message) -> None:
        await self._hear.send(message)

    async def close(self, farewell: Farewell) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = farewell
