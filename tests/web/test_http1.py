"""What is spoken on a connection, and what is refused there."""

from __future__ import annotations

import json
import re
import socket
import tracemalloc
from contextlib import suppress

import pytest
import trio
import trio.testing
from hypercorn.typing import HTTPScope

from swapd.web.client import Client
from swapd.web.limits import Patience
from swapd.web.live_connection import STATE_KEY
from tests.web.raw import (
    OPEN_WEBSOCKET,
    Flood,
    answering,
    receive_until,
    relaying,
    rest,
    serving,
)

GET_HELLO = b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n"


async def test_http_2_with_prior_knowledge_is_refused() -> None:
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    async with serving(relaying({})) as served:
        answer = await served.ask(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
    assert answer.startswith(b"HTTP/1.1 505")


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


@pytest.mark.parametrize("head", [b"content-length: 2\r\n", b"transfer-encoding: chunked\r\n"])
async def test_an_empty_line_that_comes_together_with_a_body_is_no_error(head: bytes) -> None:
    body = b"{}" if head.startswith(b"content") else b"2\r\n{}\r\n0\r\n\r\n"
    post = b"POST /hello HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n" + body
    async with serving(relaying({})) as served, await served.connect() as client:
        for _ in range(3):
            await client.send_all(post + b"\r\n")
            assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")
    async with serving(relaying({})) as served:
        answer = await served.ask((post + b"\r\n\r\n") * 3 + GET_LAST)
    assert answer.count(b"HTTP/1.1 200") == 4


@pytest.mark.parametrize(
    "handshake", [OPEN_WEBSOCKET.replace(b"13", b"8"), OPEN_WEBSOCKET.replace(b"/ws", b"/no")]
)
async def test_a_websocket_that_is_refused_ends_its_connection(handshake: bytes) -> None:
    async with serving(relaying({})) as served:
        assert (await served.ask(handshake)).startswith(b"HTTP/1.1 4")


async def test_a_client_that_sends_nothing_is_closed_when_its_time_is_over() -> None:
    async with serving(relaying({}), patience=Patience(idle=0.05)) as served:
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


# --- more than one request on a connection


GET_LAST = GET_HELLO.replace(b"x\r\n", b"x\r\nconnection: close\r\n")


@pytest.mark.parametrize("behind", [GET_HELLO, GET_HELLO * 100_000, b"\0" * 100, b"\r\n"])
async def test_what_comes_behind_the_last_request_is_dropped_and_its_answer_is_not(
    behind: bytes,
) -> None:
    async with serving(relaying({})) as served:
        answer = await served.ask(GET_LAST + behind)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\nhello")
    assert answer.count(b"HTTP/1.1") == 1


async def test_what_comes_behind_the_last_request_later_is_dropped_too() -> None:
    answered = trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        await answered.wait()
        await client.begin(200, [])
        await client.finish()

    async with serving(answering(relay)) as served, await served.connect() as client:
        await client.send_all(b"GET / HTTP/1.0\r\n\r\n")
        await trio.testing.wait_all_tasks_blocked(0.01)
        await client.send_all(GET_HELLO)
        await trio.testing.wait_all_tasks_blocked(0.01)
        answered.set()
        answer = await rest(client)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.count(b"HTTP/1.1") == 1


async def test_a_request_that_is_none_is_told_so_after_the_answers_before_it() -> None:
    async with serving(relaying({})) as served:
        answer = await served.ask(GET_HELLO * 2 + b"no request\r\n\r\n" + GET_HELLO)
    first, *others, last = answer.split(b"HTTP/1.1 ")
    assert first == b""
    assert [other[:3] for other in others] == [b"200", b"200"]
    assert last.startswith(b"400")


@pytest.mark.parametrize("attempt", range(20))
@pytest.mark.parametrize("path", ["/hello", "/nowhere", "/refusal"])
async def test_an_answer_that_has_begun_when_the_body_proves_to_be_no_http_is_whole(
    path: str, attempt: int
) -> None:
    async def refuse(scope: HTTPScope, client: Client) -> None:
        await client.begin(403, [(b"content-length", b"10")])
        for _ in range(10):
            await trio.lowlevel.checkpoint()
            await client.write(b"x")
        await client.finish()

    head = b"POST %s HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n" % path.encode()
    async with serving(relaying({"/refusal": refuse})) as served:
        answer = await served.ask(head + b"5\r\nhello\r\nzz\r\n" + GET_HELLO)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", head)
    assert length is not None
    assert len(body) == int(length[1])


async def test_a_body_that_is_no_http_breaks_an_answer_off_that_is_not_read() -> None:
    """The connection must end although its answer is stuck in a send."""
    flood = Flood()
    head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    async with (
        serving(answering(flood.relay)) as served,
        await served.connect(receive_buffer=4096) as client,
    ):
        await client.send_all(head)
        await flood.stuck.wait()
        await client.send_all(b"zz\r\n")
        await flood.ended.wait()


async def test_the_answer_to_head_that_is_refused_has_no_body() -> None:
    async with serving(relaying({})) as served:
        answer = await served.ask(
            b"HEAD /hello HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
        )
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 200"))
    assert answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("error", [b"no request", b"GET / HTTP/1.1\r\nhost: x\r\n folded"])
async def test_what_comes_behind_an_error_is_not_held(error: bytes) -> None:
    mebibyte = b"x" * 1024 * 1024
    tracemalloc.start()
    async with serving(relaying({})) as served, await served.connect() as client:
        await client.send_all(error + b"\r\n\r\n")
        with suppress(trio.BrokenResourceError):
            for _ in range(64):
                await client.send_all(mebibyte)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 16 * len(mebibyte)


# --- what a client expects


POST_HELLO = b"POST /hello HTTP/%s\r\nhost: x\r\nconnection: close\r\nexpect: 100-continue\r\n"
CONTINUE = b"HTTP/1.1 100 \r\n\r\n"


async def test_who_waits_to_be_told_to_go_on_is_told() -> None:
    async with serving(relaying({})) as served, await served.connect() as client:
        await client.send_all(POST_HELLO % b"1.1" + b"content-length: 4\r\n\r\n")
        assert await receive_until(client, CONTINUE) == CONTINUE
        await client.send_all(b"body")
        assert (await rest(client)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("coding", [b"content-length: 0", b"transfer-encoding: chunked"])
async def test_who_goes_on_untold_gets_its_answer_too(coding: bytes) -> None:
    body = b"0\r\n\r\n" if b"chunked" in coding else b""
    async with serving(relaying({})) as served:
        answer = await served.ask(POST_HELLO % b"1.1" + coding + b"\r\n\r\n" + body)
    assert answer.removeprefix(CONTINUE).startswith(b"HTTP/1.1 200")


async def test_what_http_1_0_expects_is_not_heard() -> None:
    async with serving(relaying({})) as served:
        answer = await served.ask(POST_HELLO % b"1.0" + b"content-length: 4\r\n\r\nbody")
    assert answer.startswith(b"HTTP/1.1 200")
