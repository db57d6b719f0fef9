"""The listening socket, what is spoken on it, and how serving ends."""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio
import trio.testing
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import HTTPScope
from quart import websocket

from swapd.errors import CannotStart
from swapd.web.compatibility import check
from swapd.web.connection import Client, Web
from swapd.web.connections import STATE_KEY
from swapd.web.listener import bind, is_loopback, serve, url_of
from tests.web.raw import (
    LONG,
    OPEN_WEBSOCKET,
    Flood,
    Served,
    answering,
    receive_until,
    relaying,
    rest,
    serving,
)

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
GET_HELLO = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"


# --- where we listen


def test_a_taken_port_is_said_by_name() -> None:
    with bind("127.0.0.1:0") as first:
        address = f"127.0.0.1:{first.getsockname()[1]}"
        with pytest.raises(CannotStart) as refused:
            bind(address)
    assert (
        str(refused.value) == f"{address} is already in use; choose another with --listen HOST:PORT"
    )


@pytest.mark.parametrize(
    "address", ["", "8080", "127.0.0.1", "127.0.0.1:", "h:70000", "h:-1", "h:x", "::1:80", "[h]:80"]
)
def test_a_bad_address_is_answered_with_good_ones(address: str) -> None:
    with pytest.raises(CannotStart, match=r"looks like 127\.0\.0\.1:8080, \[::1\]:8080"):
        bind(address)


def test_an_address_of_another_machine_is_said_to_be_one() -> None:
    with pytest.raises(CannotStart, match="no such address"):
        bind("192.0.2.1:0")


def test_a_name_that_does_not_resolve_is_said() -> None:
    with pytest.raises(CannotStart, match=r"cannot listen on no\.such\.host\.invalid:80: "):
        bind("no.such.host.invalid:80")


@pytest.mark.parametrize(
    ("address", "loopback", "url"),
    [
        ("127.0.0.1:0", True, "http://127.0.0.1:"),
        ("localhost:0", True, "http://"),
        ("0.0.0.0:0", False, "http://localhost:"),
        (":0", False, "http://localhost:"),
    ],
)
def test_a_listener_knows_its_url_and_who_can_reach_it(
    address: str, loopback: bool, url: str
) -> None:
    with bind(address) as listener:
        assert is_loopback(listener) is loopback
        assert url_of(listener).startswith(url)
        assert url_of(listener).endswith(f":{listener.getsockname()[1]}")


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs IPv6")
def test_an_ipv6_address_is_written_in_brackets() -> None:
    with bind("[::1]:0") as listener:
        assert is_loopback(listener)
        assert url_of(listener) == f"http://[::1]:{listener.getsockname()[1]}"


def test_a_hypercorn_that_is_not_as_we_know_it_is_refused() -> None:
    class Renamed:
        async def run(self) -> None: ...

    check(TCPServer, H11Protocol)
    with pytest.raises(CannotStart, match=r"Renamed\.protocol_send.*hypercorn>=0\.18,<0\.19"):
        check(Renamed, H11Protocol)


# --- what is spoken


async def test_http_2_with_prior_knowledge_is_refused() -> None:
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    async with serving(relaying({})) as served:
        answer = await served.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    assert answer.startswith(b"HTTP/1.1 4")


@pytest.mark.parametrize("body", [b"", b"content-length: 0\r\n"])
async def test_an_upgrade_to_h2c_is_answered_in_http_1_1(body: bytes) -> None:
    upgrade = b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"
    head = b"GET /hello HTTP/1.1\r\nhost: x\r\n" + upgrade + body + b"\r\n"
    async with serving(relaying({})) as served, await served.connect() as client:
        await client.send_all(head)
        answer = await receive_until(client, b"hello")
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"hello")


async def test_a_long_request_head_is_taken_in_small_pieces() -> None:
    async with serving(relaying({})) as served, await served.connect() as client:
        await client.send_all(b"GET /hello HTTP/1.1\r\nhost: x\r\ncookie: ")
        for _ in range(40):
            await client.send_all(b"x" * 1000)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await client.send_all(b"\r\n\r\n")
        assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x16\x03\x01hello\r\n\r\n", 400, "bad_request"),
        (b"GET /hello HTTP/1.1\r\n\r\n", 400, "bad_request"),
        (b"GET /hello HTTP/1.1\r\nhost: x\r\nx: " + b"x" * 5_000_000, 431, "head_too_large"),
        (
            b"POST /hello HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
            501,
            "not_implemented",
        ),
        (
            b"POST /upload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            400,
            "bad_request",
        ),
    ],
    ids=["garbage", "no_host", "long_head", "coding", "bad_chunk"],
)
async def test_what_is_no_request_gets_an_envelope_that_is_not_lost(
    sent: bytes, status: int, code: str
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()

    async with serving(relaying({"/upload": relay})) as served, await served.connect() as client:
        await client.send_all(sent)
        head, _, body = (await rest(client)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status)
    assert json.loads(body)["error"]["code"] == code


async def test_a_request_whose_body_is_no_http_is_cancelled_at_once() -> None:
    """Not only when what is left of it has been swallowed and the connection is closed."""
    was_open = False
    cancelled = trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        nonlocal was_open
        try:
            await client.body()
        finally:
            was_open = scope["state"][STATE_KEY].fileno() >= 0
            cancelled.set()

    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with serving(answering(relay)) as served, await served.connect() as client:
        await client.send_all(head + b"zz\r\n")
        await cancelled.wait()
    assert was_open


@pytest.mark.parametrize("apart", [True, False])
async def test_empty_lines_before_a_request_are_no_error(apart: bool) -> None:
    async with serving(relaying({})) as served, await served.connect() as client:
        for _ in range(2):
            await client.send_all(b"\r\n\n")
            if apart:
                await trio.testing.wait_all_tasks_blocked(0.01)
            await client.send_all(b"\r\n" + GET_HELLO)
            assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")
        await client.send_eof()
        assert await rest(client) == b""


async def test_an_empty_line_behind_a_body_is_no_error() -> None:
    post = b"POST /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
    async with serving(relaying({})) as served, await served.connect() as client:
        for _ in range(2):
            await client.send_all(post)
            await receive_until(client, b"hello")
            await client.send_all(b"\r\n")


@pytest.mark.parametrize(
    "handshake", [OPEN_WEBSOCKET.replace(b"13", b"8"), OPEN_WEBSOCKET.replace(b"/ws", b"/no")]
)
async def test_a_websocket_that_is_refused_ends_its_connection(handshake: bytes) -> None:
    async with serving(relaying({})) as served:
        assert (await served.ask(handshake)).startswith(b"HTTP/1.1 4")


async def test_a_client_that_sends_nothing_is_closed_when_its_time_is_over() -> None:
    async with serving(relaying({}), keep_alive=0.05) as served:
        assert await served.ask(b"") == b""


async def test_a_client_gone_before_it_was_accepted_hurts_nobody() -> None:
    async with serving(relaying({})) as served:
        for _ in range(20):
            client = await served.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await client.aclose()
        assert b"hello" in await served.ask(
            GET_HELLO.replace(b"x\r\n", b"x\r\nconnection: close\r\n")
        )


# --- how serving ends


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
    served = Served(listener.getsockname()[1])

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
