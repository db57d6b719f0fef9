"""Clients that leave or do not read, on raw sockets: their requests end, and nothing piles up."""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio
from hypercorn.typing import HTTPScope
from quart import Response, websocket
from quart import request as quart_request

from swapd.web.client import Client
from swapd.web.limits import LOOK_EVERY
from tests.web.raw import (
    LONG,
    OPEN_WEBSOCKET,
    PATHS,
    WAYS_TO_LEAVE,
    Flood,
    answering,
    receive_until,
    relaying,
    request,
    serving,
    upload,
)

Leave = Callable[[trio.SocketStream], Awaitable[None]]

#: What makes Hypercorn stop reading: only the watch sees a client leave then.
UNREAD = {
    "nothing": (b"", b""),
    "pipelined": (b"", b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"),
    "stray_crlf": (b"", b"\r\n"),
    "upgrade": (b"connection: upgrade\r\nupgrade: foo\r\n", b""),
    "upgrade_h2c": (b"connection: upgrade\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n", b""),
}


class Left:
    """An app whose requests never end by themselves, and what becomes of them."""

    def __init__(self, *, stream: bool) -> None:
        self.began = trio.Event()
        self.cancelled = trio.Event()
        self.app = relaying({"/relay": self._relay})
        self.app.add_url_rule("/quart", "quart", self._stream if stream else self._wait)
        self._streams = stream

    async def _wait(self) -> str:
        self.began.set()
        try:
            await trio.sleep_forever()
        finally:
            self.cancelled.set()

    async def _stream(self) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"piece"
            await self._wait()

        return Response(pieces())

    async def _relay(self, scope: HTTPScope, client: Client) -> None:
        await client.body()
        if self._streams:
            await client.begin(200, [])
            await client.write(b"piece")
        await self._wait()


@pytest.mark.parametrize("stream", [False, True], ids=["waiting", "streaming"])
@pytest.mark.parametrize("path", PATHS)
async def test_a_client_that_leaves_ends_its_request(path: str, stream: bool) -> None:
    """However it leaves, and whatever it sent that nobody reads."""
    async with trio.open_nursery() as nursery:
        for leave in WAYS_TO_LEAVE:
            for unread in UNREAD:
                nursery.start_soon(ask_and_leave, path, stream, leave, unread)


async def ask_and_leave(path: str, stream: bool, leave: Leave, unread: str) -> None:
    left = Left(stream=stream)
    head, after = UNREAD[unread]
    async with serving(left.app) as served, await served.connect() as client:
        await client.send_all(request(path, head=head) + after)
        await left.began.wait()
        if stream:
            await receive_until(client, b"piece")
        await leave(client)
        await left.cancelled.wait()


@pytest.mark.parametrize("leave", WAYS_TO_LEAVE)
async def test_a_client_that_leaves_amid_its_upload_ends_its_request(leave: Leave) -> None:
    began, cancelled = trio.Event(), trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        began.set()
        try:
            await client.body()
        finally:
            cancelled.set()

    async with serving(answering(relay)) as served, await served.connect() as client:
        head = b"content-length: 1000\r\n"
        await client.send_all(request("/", head=head, method=b"POST") + b"half")
        await began.wait()
        await leave(client)
        await cancelled.wait()


@pytest.mark.parametrize("leave", WAYS_TO_LEAVE)
async def test_a_client_that_reads_nothing_and_leaves_ends_its_request(leave: Leave) -> None:
    flood = Flood()
    async with (
        serving(answering(flood.relay)) as served,
        await served.connect(receive_buffer=4096) as client,
    ):
        await client.send_all(request("/"))
        await flood.stuck.wait()
        await leave(client)
        await flood.ended.wait()


async def test_who_sends_to_a_client_that_is_gone_learns_of_it_by_that() -> None:
    """Also before the reader of the connection had its turn; else nobody else would have one."""
    begun, gone, ended = trio.Event(), trio.Event(), trio.Event()
    most = 10_000

    async def relay(scope: HTTPScope, client: Client) -> None:
        sent = 0
        try:
            await client.begin(200, [])
            begun.set()
            await gone.wait()
            while sent < most:
                await client.write(b"x")
                sent += 1
        finally:
            counts.append(sent)
            ended.set()

    counts: list[int] = []
    async with serving(answering(relay)) as served:
        for _ in range(8):
            begun, gone, ended = trio.Event(), trio.Event(), trio.Event()
            client = await served.connect()
            await client.send_all(request("/"))
            await begun.wait()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.close()
            gone.set()  # at once: who sends may be the first to have a turn
            await ended.wait()
    assert max(counts) < most


async def test_a_client_that_does_not_read_stops_the_producer() -> None:
    flood = Flood()
    async with (
        serving(answering(flood.relay)) as served,
        await served.connect(receive_buffer=4096) as client,
    ):
        await client.send_all(request("/"))
        await flood.stuck.wait()
        assert flood.sent < 8 * 1024 * 1024


async def test_a_client_that_leaves_with_all_that_was_promised_does_not_cancel() -> None:
    """It may close as soon as it has the content-length; the relay still has to finish."""
    finished = trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-length", b"4")])
        await client.write(b"four")
        await trio.sleep(LOOK_EVERY * 1.5)
        await client.finish()
        finished.set()

    async with serving(answering(relay)) as served:
        async with await served.connect() as client:
            await client.send_all(request("/"))
            await receive_until(client, b"four")
        await finished.wait()


def living_tasks() -> int:
    """Return how many tasks there are: each connection has some of its own."""
    return trio.lowlevel.current_statistics().tasks_living


async def test_a_client_that_has_left_leaves_no_connection_behind() -> None:
    """Not until its keep-alive is over either, whatever it did before it left."""
    finish = trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-length", b"4")])
        await client.write(b"four")
        await finish.wait()
        await client.finish()

    async with serving(relaying({"/relay": relay})) as served:
        before = living_tasks()
        for _ in range(20):
            async with await served.connect() as client:
                await client.send_all(request("/hello"))
                await receive_until(client, b"hello")
        async with await served.connect():
            pass
        async with await served.connect() as client:
            await client.send_all(request("/relay"))
            await receive_until(client, b"four")
        finish.set()
        with trio.fail_after(LONG):
            while living_tasks() > before:  # noqa: ASYNC110  connections announce no end
                await trio.sleep(0.01)


async def test_a_pipelined_request_whose_client_leaves_is_ended_too() -> None:
    """The reader may begin it before the answer to the one before has been sent for good."""
    began, cancelled = trio.Event(), trio.Event()

    async def hang(scope: HTTPScope, client: Client) -> None:
        await client.body()
        began.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async def echo(scope: HTTPScope, client: Client) -> None:
        body = (await client.body()).held
        assert body is not None
        await client.begin(200, [(b"content-length", b"%d" % len(body))])
        await client.write(body)
        await client.finish()

    async with serving(relaying({"/echo": echo, "/hang": hang})) as served:
        async with await served.connect() as client:
            posts = [upload(path, b"body", head=b"") for path in ("/echo", "/hang", "/echo")]
            await client.send_all(b"".join(posts))
            await began.wait()
        await cancelled.wait()


async def test_a_websocket_that_only_sends_does_not_stop_the_others_when_its_client_leaves() -> (
    None
):
    flood = Flood()
    app = relaying({})

    @app.websocket("/ws")
    async def pour() -> None:
        await flood.pour(websocket.send)

    async with serving(app) as served:
        async with await served.connect() as client:
            await client.send_all(OPEN_WEBSOCKET)
            await receive_until(client, b"xxx")
        await flood.ended.wait()


async def test_no_client_that_leaves_is_logged_as_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    left = Left(stream=True)

    @left.app.websocket("/ws")
    async def listen() -> None:
        await websocket.send("ready")
        await websocket.receive()

    @left.app.post("/upload")
    async def take() -> str:
        async for _ in quart_request.body:
            left.began.set()
        return "unreachable"

    half = request("/upload", method=b"POST", head=b"content-length: 10\r\n") + b"half"
    async with serving(left.app) as served:
        for path in PATHS:
            async with await served.connect() as client:
                await client.send_all(request(path))
                await receive_until(client, b"piece")
        left.began = trio.Event()
        async with await served.connect() as client:
            await client.send_all(half)
            await left.began.wait()
        async with await served.connect() as client:
            await client.send_all(OPEN_WEBSOCKET)
            await receive_until(client, b"ready")
        served.closing.set()
        await served.ended.wait()
    assert not caplog.records
