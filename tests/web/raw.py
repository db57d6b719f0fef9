"""A served app and clients on raw sockets, which can do what no HTTP client would."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import trio
import trustme
from hypercorn.typing import HTTPScope

from swapd.web.certificate import Certificate
from swapd.web.client import Client
from swapd.web.connection import Relay, Web
from swapd.web.limits import Patience
from swapd.web.listener import bind
from swapd.web.serving import PATIENCE, serve

#: Paths that a test serves by a relay and by a Quart view.
PATHS = ("/relay", "/quart")

OPEN_WEBSOCKET = (
    b"GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)

#: No test of this floor takes that many seconds unless something hangs: not on a machine that has
#: ten times as much to do as it can either.
LONG = 60.0


#: Whether the fast transport serves; tests/web/conftest.py has each test run with and without.
is_fast = True


@dataclass
class Served:
    """An app that is being served."""

    port: int
    closing: trio.Event = field(default_factory=trio.Event)
    hurry: trio.Event = field(default_factory=trio.Event)
    ended: trio.Event = field(default_factory=trio.Event)

    async def connect(self, *, receive_buffer: int | None = None) -> trio.SocketStream:
        """Connect; with a small ``receive_buffer`` a client that does not read blocks soon."""
        client = trio.socket.socket()
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await client.connect(("127.0.0.1", self.port))
        return trio.SocketStream(client)

    async def connect_by_tls(
        self, authority: trustme.CA, *, receive_buffer: int | None = None
    ) -> trio.SSLStream[trio.SocketStream]:
        """Connect as a client that takes no end for one without TLS's own goodbye."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2", "http/1.1"])
        authority.configure_trust(context)
        client = await self.connect(receive_buffer=receive_buffer)
        return trio.SSLStream(client, context, server_hostname="localhost")

    async def ask(self, request: bytes) -> bytes:
        """Send ``request`` on a new connection; return all that comes until it is closed."""
        client = await self.connect()
        async with client:
            await client.send_all(request)
            return await rest(client)


@asynccontextmanager
async def serving(
    app: Web,
    *,
    grace: float = LONG,
    patience: Patience = PATIENCE,
    certificate: Certificate | None = None,
    most: int | None = None,
    limit: float = LONG,
) -> AsyncIterator[Served]:
    """Serve ``app`` while the block runs, which may take ``limit`` seconds."""
    listener = bind("127.0.0.1:0", certificate)
    served = Served(listener.port)

    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(
                partial(
                    serve,
                    app,
                    listener,
                    grace=grace,
                    closing=served.closing,
                    hurry=served.hurry,
                    patience=patience,
                    most=most,
                    is_fast=is_fast,
                )
            )
            task_status.started()
        served.ended.set()

    with trio.fail_after(limit):
        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            yield served
            served.closing.set()
            served.hurry.set()


def relaying(relays: Mapping[str, Relay]) -> Web:
    """Return an app that relays the paths of ``relays`` and greets on ``/hello``."""

    def route_of(scope: HTTPScope) -> Relay | None:
        return relays.get(scope["path"])

    app = Web(__name__, route_of=route_of)

    @app.route("/hello", methods=["GET", "POST"])
    async def hello() -> str:
        return "hello"

    return app


def answering(relay: Relay) -> Web:
    """Return an app that relays ``/``."""
    return relaying({"/": relay})


def request(
    path: str, *, head: bytes = b"", method: bytes = b"GET", version: bytes = b"1.1"
) -> bytes:
    return b"%s %s HTTP/%s\r\nhost: localhost\r\n%s\r\n" % (method, path.encode(), version, head)


def upload(path: str, body: bytes, *, head: bytes = b"connection: close\r\n") -> bytes:
    length = b"content-length: %d\r\n" % len(body)
    return request(path, head=head + length, method=b"POST") + body


async def rest(client: trio.abc.ReceiveStream) -> bytes:
    """Return all that comes until the connection is closed; raises if it is reset."""
    return b"".join([bytes(piece) async for piece in client])


async def receive_until(client: trio.abc.ReceiveStream, end: bytes) -> bytes:
    """Return what comes until ``end`` has come, or all if the connection ends before."""
    received = b""
    while end not in received and (piece := await client.receive_some()):
        received += piece
    return received


async def leave_with_fin(client: trio.SocketStream) -> None:
    await client.aclose()


async def leave_with_rst(client: trio.SocketStream) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await client.aclose()


async def leave_by_half(client: trio.SocketStream) -> None:
    await client.send_eof()


WAYS_TO_LEAVE = (leave_with_fin, leave_with_rst, leave_by_half)


class Flood:
    """A relay that sends without end, as fast as it may."""

    def __init__(self) -> None:
        self.sent = 0
        #: Set when every buffer between us and a client that does not read is full.
        self.stuck = trio.Event()
        self.ended = trio.Event()

    async def relay(self, scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await self.pour(client.write)

    async def pour(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._notice_standstill)
                while True:
                    await write(b"x" * 65536)
                    self.sent += 65536
        finally:
            self.ended.set()

    async def _notice_standstill(self) -> None:
        before = -1
        while before != self.sent:
            before = self.sent
            await trio.sleep(0.1)
        self.stuck.set()
