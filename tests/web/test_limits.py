"""How much a client may send and how long it may take, on raw sockets."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from hypercorn.typing import HTTPScope
from quart import request as quart_request
from quart import websocket

from swapd.web import limits
from swapd.web.client import Client
from swapd.web.connection import Web
from swapd.web.limits import Patience
from tests.web.raw import (
    LONG,
    OPEN_WEBSOCKET,
    Served,
    answering,
    receive_until,
    relaying,
    request,
    rest,
    serving,
)

GET_HELLO = request("/hello")

#: Seconds that a client gets which does not use them.
SHORT = 0.05


def head_of(size: int) -> bytes:
    """Return a whole request with a head of ``size`` bytes."""
    head = b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx: %s\r\n\r\n"
    return head % (b"x" * (size - len(head % b"")))


def line_of(size: int) -> bytes:
    """Return a whole request whose first line has ``size`` bytes with its end."""
    line = b"GET /hello?%s HTTP/1.1\r\n"
    filled = line % (b"x" * (size - len(line % b"")))
    return filled + b"host: x\r\nconnection: close\r\n\r\n"


def fields_of(count: int) -> bytes:
    """Return a whole request with ``count`` header fields."""
    fields = b"host: x\r\nconnection: close\r\n" + b"x: y\r\n" * (count - 2)
    return b"GET /hello HTTP/1.1\r\n" + fields + b"\r\n"


@pytest.mark.parametrize(
    "just_right",
    [
        head_of(limits.HEAD_BYTES),
        line_of(limits.REQUEST_LINE_BYTES),
        fields_of(limits.FIELDS),
    ],
    ids=["head", "line", "fields"],
)
async def test_a_request_at_its_limit_is_taken(just_right: bytes) -> None:
    async with serving(relaying({})) as served:
        assert (await served.ask(just_right)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("apart", [False, True], ids=["at_once", "in_pieces"])
@pytest.mark.parametrize(
    ("too_much", "status", "code", "words"),
    [
        (head_of(limits.HEAD_BYTES + 1), 431, "head_too_large", "65536 bytes"),
        (head_of(5_000_000)[:-4], 431, "head_too_large", "65536 bytes"),
        (line_of(limits.REQUEST_LINE_BYTES + 2), 414, "uri_too_long", "16384 bytes"),
        (b"GET /" + b"x" * 20_000, 414, "uri_too_long", "16384 bytes"),
        (fields_of(limits.FIELDS + 1), 431, "head_too_large", "256 header fields"),
    ],
    ids=["head", "endless_head", "line", "endless_line", "fields"],
)
async def test_a_request_beyond_its_limit_is_told_which(
    too_much: bytes, status: int, code: str, words: str, apart: bool
) -> None:
    async with serving(relaying({})) as served, await served.connect() as client:
        first, then = (too_much[:100], too_much[100:]) if apart else (too_much, b"")
        await client.send_all(first)
        if apart:
            await trio.testing.wait_all_tasks_blocked(0.01)
            await client.send_all(then)
        head, _, body = (await rest(client)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    error = json.loads(body)["error"]
    assert error["code"] == code
    assert words in error["message"]


async def test_the_limit_of_a_head_holds_for_pipelined_ones_too() -> None:
    async with serving(relaying({})) as served:
        answer = await served.ask(GET_HELLO + fields_of(limits.FIELDS + 1))
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 431" in answer


async def test_a_message_on_a_websocket_that_is_too_large_is_code_1009() -> None:
    received: list[int] = []
    app = relaying({})

    @app.websocket("/ws")
    async def take() -> None:
        while True:
            received.append(len(await websocket.receive()))

    mebibyte = 1024 * 1024
    assert 128 * mebibyte == limits.WEBSOCKET_MESSAGE_BYTES
    piece = b"\0" * mebibyte
    begin, more, end = b"\x02", b"\x00", b"\x80"
    async with serving(app) as served, await served.connect() as client:
        await client.send_all(OPEN_WEBSOCKET)
        await receive_until(client, b"\r\n\r\n")
        for opcode in (begin, *[more] * 126, end):
            await client.send_all(frame(opcode, piece))
        for opcode in (begin, *[more] * 127):
            await client.send_all(frame(opcode, piece))
        await client.send_all(end + b"\x81" + bytes(4) + b"x")
        for _ in range(32):  # what comes behind it does not take the closing frame along
            await client.send_all(frame(more, piece))
        closing = await rest(client)
    assert closing.endswith(b"\x88\x02" + struct.pack("!H", 1009))
    assert received == [128 * mebibyte]


def frame(first_byte: bytes, payload: bytes) -> bytes:
    """Return a frame of a client with a large payload, masked with zeros."""
    return first_byte + b"\xff" + struct.pack("!Q", len(payload)) + bytes(4) + payload


# --- how long


@asynccontextmanager
async def serving_with(patience: Patience, app: Web | None = None) -> AsyncIterator[Served]:
    async with serving(app or relaying({}), patience=patience) as served:
        yield served


async def told_late(client: trio.SocketStream) -> None:
    """Check that ``client`` is told that it was too slow."""
    head, _, body = (await rest(client)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["error"]["code"] == "request_timeout"


async def test_a_head_that_does_not_end_is_told_so() -> None:
    patience = Patience(head=lambda: SHORT)
    async with serving_with(patience) as served, await served.connect() as client:
        await client.send_all(b"GET /hello HTTP/1.1\r\nho")
        await told_late(client)


async def test_a_head_that_comes_in_drops_has_no_more_time() -> None:
    patience = Patience(head=lambda: 4 * SHORT)
    async with serving_with(patience) as served, await served.connect() as client:

        async def drip() -> None:
            while True:
                await client.send_all(b"x")
                await trio.sleep(SHORT)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip)
            await told_late(client)
            nursery.cancel_scope.cancel()


async def test_the_time_of_a_head_begins_with_its_first_byte() -> None:
    patience = Patience(head=lambda: 1.0)
    async with serving_with(patience) as served, await served.connect() as client:
        for _ in range(2):
            await trio.sleep(1.1)
            await client.send_all(GET_HELLO[:5])
            await trio.sleep(SHORT)
            await client.send_all(GET_HELLO[5:])
            assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")


async def test_a_pipelined_head_that_does_not_end_is_told_so_too() -> None:
    patience = Patience(head=lambda: SHORT)
    async with serving_with(patience) as served, await served.connect() as client:
        await client.send_all(GET_HELLO + GET_HELLO[:9])
        assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")
        await told_late(client)


async def test_without_a_limit_a_head_may_take_its_time() -> None:
    patience = Patience(head=lambda: 0, idle=1.0)
    async with serving_with(patience) as served, await served.connect() as client:
        await client.send_all(GET_HELLO[:9])
        await trio.sleep(1.2)
        await client.send_all(GET_HELLO[9:])
        assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")


async def test_another_limit_holds_for_the_next_head() -> None:
    seconds = 0.0
    patience = Patience(head=lambda: seconds)
    async with serving_with(patience) as served, await served.connect() as client:
        await client.send_all(GET_HELLO[:9])
        await trio.testing.wait_all_tasks_blocked(0.01)
        seconds = SHORT
        await client.send_all(GET_HELLO[9:])
        await receive_until(client, b"hello")
        await client.send_all(GET_HELLO[:9])
        await told_late(client)


async def test_the_time_until_the_next_request_begins_anew_with_each_answer() -> None:
    patience = Patience(idle=2.0)
    async with serving_with(patience) as served, await served.connect() as client:
        for _ in range(3):
            await client.send_all(GET_HELLO)
            assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")
            await trio.sleep(1.2)
        assert await rest(client) == b""


class Uploads:
    """Takes uploads by a relay and by a view, and knows when one was given up."""

    def __init__(self) -> None:
        self.given_up = trio.Event()
        self.app = relaying({"/relay": self.relay})
        self.app.add_url_rule("/quart", "quart", self.view, methods=["POST"])

    async def relay(self, scope: HTTPScope, client: Client) -> None:
        try:
            body = await client.body()
        except trio.Cancelled:
            self.given_up.set()
            raise
        answer = b"%d" % (body.length)
        await client.begin(200, [(b"content-length", b"%d" % len(answer))])
        await client.write(answer)
        await client.finish()

    async def view(self) -> str:
        try:
            return str(len(await quart_request.get_data()))
        except trio.Cancelled:
            self.given_up.set()
            raise


def upload_head(path: str, length: int) -> bytes:
    return request(path, head=b"content-length: %d\r\n" % length, method=b"POST")


@pytest.mark.parametrize("path", ["/relay", "/quart"])
async def test_a_body_that_does_not_go_on_is_told_so_and_given_up(path: str) -> None:
    uploads = Uploads()
    patience = Patience(body=SHORT)
    async with serving_with(patience, uploads.app) as served, await served.connect() as client:
        await client.send_all(upload_head(path, 10) + b"half")
        await told_late(client)
        await uploads.given_up.wait()


@pytest.mark.parametrize("path", ["/relay", "/quart"])
async def test_a_body_may_take_as_long_as_it_likes_while_it_goes_on(path: str) -> None:
    uploads = Uploads()
    patience = Patience(body=1.0)
    async with serving_with(patience, uploads.app) as served, await served.connect() as client:
        await client.send_all(upload_head(path, 6))
        for _ in range(6):
            await trio.sleep(0.3)
            await client.send_all(b"x")
        assert (await receive_until(client, b"\r\n\r\n6")).startswith(b"HTTP/1.1 200")


async def test_a_body_that_nobody_reads_is_not_late() -> None:
    app = relaying({})

    @app.post("/upload")
    async def take() -> str:
        await trio.sleep(10 * SHORT)
        return str(len(await quart_request.get_data()))

    size = 8 * 1024 * 1024  # more than fits into what lies between us and a client
    patience = Patience(body=2 * SHORT)
    async with serving_with(patience, app) as served, await served.connect() as client:
        await client.send_all(upload_head("/upload", size) + b"x" * size)
        assert (await receive_until(client, b"%d" % size)).startswith(b"HTTP/1.1 200")


async def test_an_answer_that_begins_ends_the_time_of_the_body() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"begun")
        body = await client.body()
        await client.write(b"got %d" % body.length)
        await client.finish()

    patience = Patience(body=SHORT)
    async with (
        serving_with(patience, answering(relay)) as served,
        await served.connect() as client,
    ):
        await client.send_all(upload_head("/", 10) + b"half")
        await receive_until(client, b"begun")
        await trio.sleep(3 * SHORT)
        await client.send_all(b"x" * 6)
        assert b"got 10" in await receive_until(client, b"got 10")


async def test_who_waits_for_an_answer_has_all_the_time() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        await trio.sleep(5 * SHORT)
        await client.begin(200, [])
        await client.finish()

    patience = Patience(idle=SHORT, head=lambda: SHORT, body=SHORT, handshake=SHORT)
    async with serving_with(patience, answering(relay)) as served:
        answer = await served.ask(request("/", head=b"connection: close\r\n"))
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_websocket_may_be_silent() -> None:
    app = relaying({})

    @app.websocket("/ws")
    async def wait() -> None:
        await trio.sleep(5 * SHORT)
        await websocket.send("still there")

    patience = Patience(idle=SHORT, head=lambda: SHORT, body=SHORT)
    async with serving_with(patience, app) as served:
        assert b"still there" in await served.ask(OPEN_WEBSOCKET)


async def test_a_head_that_has_begun_does_not_hold_the_end() -> None:
    async with serving(relaying({}), grace=10 * LONG) as served, await served.connect() as client:
        await client.send_all(GET_HELLO[:9])
        await trio.testing.wait_all_tasks_blocked(0.01)
        served.closing.set()
        await served.ended.wait()
        assert await rest(client) == b""
