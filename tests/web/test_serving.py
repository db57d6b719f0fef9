"""How serving ends, whatever its clients do."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from hypercorn.typing import HTTPScope
from quart import websocket

from swapd.web import limits
from swapd.web.client import Client
from swapd.web.connection import Relay, Web
from swapd.web.limits import Patience
from swapd.web.listener import bind
from swapd.web.serving import serve
from tests.web import raw
from tests.web.raw import (
    LONG,
    OPEN_WEBSOCKET,
    Flood,
    Served,
    answering,
    receive_until,
    relaying,
    request,
    rest,
    serving,
)

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
GET_HELLO = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"


async def closed(served: Served) -> None:
    served.closing.set()
    await served.ended.wait()


async def test_an_idle_connection_does_not_hold_the_end() -> None:
    async with serving(relaying({})) as served, await served.connect() as client:
        await client.send_all(GET_HELLO)
        await receive_until(client, b"hello")
        await closed(served)
        assert await rest(client) == b""


async def test_a_connection_without_a_request_does_not_hold_the_end() -> None:
    async with serving(relaying({})) as served, await served.connect() as client:
        await trio.testing.wait_all_tasks_blocked(0.01)
        await closed(served)
        assert await rest(client) == b""


async def test_a_stream_that_ends_within_the_grace_is_whole() -> None:
    closing = trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"one ")
        await closing.wait()
        await client.write(b"two")
        await client.finish()

    async with serving(answering(relay)) as served, await served.connect() as client:
        await client.send_all(GET)
        await receive_until(client, b"one ")
        served.closing.set()
        with pytest.raises(OSError, match="all attempts to connect"):
            await refused_at(served.port)
        closing.set()
        assert (await rest(client)).endswith(b"two\r\n0\r\n\r\n")
        await served.ended.wait()


async def refused_at(port: int) -> None:
    """Connect until nobody listens any more."""
    while True:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
        await stream.aclose()


async def begin_endless(flood: Flood, client: trio.SocketStream) -> None:
    await client.send_all(GET)
    await receive_until(client, b"data: x")


async def begin_unread(flood: Flood, client: trio.SocketStream) -> None:
    await client.send_all(b"GET /flood HTTP/1.1\r\nhost: x\r\n\r\n")
    await flood.stuck.wait()


async def begin_websocket(flood: Flood, client: trio.SocketStream) -> None:
    await client.send_all(OPEN_WEBSOCKET)
    await receive_until(client, b"\r\n\r\n")


async def begin_unread_websocket(flood: Flood, client: trio.SocketStream) -> None:
    await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", b"/ws_flood"))
    await flood.stuck.wait()


async def begin_half_an_upload(flood: Flood, client: trio.SocketStream) -> None:
    await client.send_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nhalf")
    await receive_until(client, b"data: x")


async def begin_pipelined(flood: Flood, client: trio.SocketStream) -> None:
    await client.send_all(GET + GET_HELLO)
    await receive_until(client, b"data: x")


Begin = Callable[[Flood, trio.SocketStream], Awaitable[None]]
ENDLESS = (
    begin_endless,
    begin_unread,
    begin_websocket,
    begin_unread_websocket,
    begin_half_an_upload,
    begin_pipelined,
)


def endless(flood: Flood) -> Web:
    async def stream(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"data: x")
        await trio.sleep_forever()

    app = relaying({"/": stream, "/flood": flood.relay})

    @app.websocket("/ws")
    async def wait() -> None:
        await websocket.receive()

    @app.websocket("/ws_flood")
    async def pour() -> None:
        await flood.pour(websocket.send)

    return app


@pytest.mark.parametrize("begin", ENDLESS)
async def test_what_does_not_end_is_cut_after_the_grace(begin: Begin) -> None:
    flood = Flood()
    async with (
        serving(endless(flood), grace=0.2) as served,
        await served.connect(receive_buffer=4096) as client,
    ):
        await begin(flood, client)
        began = trio.current_time()
        await closed(served)
        assert trio.current_time() - began >= 0.2
        with pytest.raises(trio.BrokenResourceError):
            await rest(client)


@pytest.mark.parametrize("begin", ENDLESS)
async def test_hurry_cuts_what_is_left_at_once(begin: Begin) -> None:
    flood = Flood()
    async with (
        serving(endless(flood), grace=10 * LONG) as served,
        await served.connect(receive_buffer=4096) as client,
    ):
        await begin(flood, client)
        served.closing.set()
        served.hurry.set()
        await served.ended.wait()
        with pytest.raises(trio.BrokenResourceError):
            await rest(client)


@pytest.mark.parametrize("begin", ENDLESS)
async def test_serving_can_be_cancelled_whatever_its_clients_do(begin: Begin) -> None:
    flood = Flood()
    listener = bind("127.0.0.1:0")
    served = Served(listener.port)

    serving_it = partial(
        serve,
        endless(flood),
        listener,
        grace=10 * LONG,
        closing=served.closing,
        hurry=served.hurry,
    )
    with trio.fail_after(LONG):
        async with trio.open_nursery() as nursery:
            await nursery.start(serving_it)
            async with await served.connect(receive_buffer=4096) as client:
                await begin(flood, client)
                nursery.cancel_scope.cancel()


async def test_a_websocket_that_has_ended_does_not_hold_the_end() -> None:
    """Its next ping is due in many seconds, and nobody waits for that."""
    app = relaying({})

    @app.websocket("/ws")
    async def say_one_thing() -> None:
        await websocket.send("said")

    async with serving(app, grace=10 * LONG) as served:
        assert b"said" in await served.ask(OPEN_WEBSOCKET)
        await closed(served)


async def test_a_unix_socket_is_served_to_clients_without_an_address(tmp_path: Path) -> None:
    seen: list[object] = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        seen.append(scope["client"])
        await client.begin(200, [])
        await client.finish()

    app = answering(relay)
    place = str(tmp_path / "s")
    closing = trio.Event()
    serving_it = partial(
        serve, app, bind(f"unix:{place}"), grace=LONG, closing=closing, hurry=trio.Event()
    )
    with trio.fail_after(LONG):
        async with trio.open_nursery() as nursery:
            await nursery.start(serving_it)
            for path in ("/", "/hello"):
                async with await trio.open_unix_socket(place) as client:
                    asked = request(path, head=b"connection: close\r\n")
                    await client.send_all(asked)
                    assert (await rest(client)).startswith(b"HTTP/1.1 200")
            closing.set()
    assert seen == [None]
    assert os.listdir(tmp_path) == []


@asynccontextmanager
async def unix_client(place: str, relay: Relay) -> AsyncIterator[trio.SocketStream]:
    """Ask ``relay`` over a Unix socket, where a client may read nothing for a moment only."""
    closing = trio.Event()
    serving_it = partial(
        serve,
        answering(relay),
        bind(f"unix:{place}"),
        grace=LONG,
        closing=closing,
        hurry=trio.Event(),
        patience=Patience(unread=0.2),
        is_fast=raw.is_fast,
    )
    with trio.fail_after(LONG):
        async with trio.open_nursery() as nursery:
            await nursery.start(serving_it)
            async with await trio.open_unix_socket(place) as client:
                await client.send_all(GET)
                yield client
            closing.set()


async def test_a_client_of_a_unix_socket_that_reads_nothing_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel cuts one of TCP."""
    monkeypatch.setattr(limits, "LOOK_EVERY", 0.05)
    flood = Flood()
    async with unix_client(str(tmp_path / "s"), flood.relay):
        await flood.ended.wait()


async def test_a_client_of_a_unix_socket_that_has_read_all_is_not_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pause(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"x" * 1_000_000)  # more than the socket takes at once
        await trio.sleep(0.5)
        await client.write(b"the end")
        await client.finish()

    monkeypatch.setattr(limits, "LOOK_EVERY", 0.05)
    async with unix_client(str(tmp_path / "s"), pause) as client:
        assert b"the end" in await receive_until(client, b"the end")


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel in its way")
async def test_many_may_wait_to_be_accepted_while_it_serves() -> None:
    """Hypercorn tells the kernel once more how many."""
    listener = bind("127.0.0.1:0")
    served = Served(listener.port)
    serving_it = partial(
        serve, relaying({}), listener, grace=LONG, closing=served.closing, hurry=served.hurry
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(serving_it)
        info = listener.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        (backlog,) = struct.unpack_from("=I", info, 28)  # tcpi_sacked, of one that listens
        served.closing.set()
    assert backlog >= 1024


async def test_a_place_is_given_back_before_it_is_listened_on_no_more(tmp_path: Path) -> None:
    """Or a successor would take the file for a dead one's, and lose its own to us."""
    place = tmp_path / "s"
    flood = Flood()
    served = Served(0)
    serving_it = partial(
        serve,
        answering(flood.relay),
        bind(f"unix:{place}"),
        grace=LONG,
        closing=served.closing,
        hurry=served.hurry,
    )
    with trio.fail_after(LONG):
        async with trio.open_nursery() as nursery:
            await nursery.start(serving_it)
            async with await trio.open_unix_socket(str(place)) as client:
                await client.send_all(GET)
                await flood.stuck.wait()
                served.closing.set()
                while place.exists():  # noqa: ASYNC110  a file tells nobody when it goes
                    await trio.sleep(0.01)
                with bind(f"unix:{place}"):
                    served.hurry.set()
                    await flood.ended.wait()
                    await trio.testing.wait_all_tasks_blocked(0.01)
                    assert place.exists()
