"""Answers that break off, on raw sockets: no client takes one for a whole answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import trio
from hypercorn.typing import HTTPScope
from trio.testing import MockClock

from swapd.web.client import Client
from tests.web.floor import Reply
from tests.web.raw import answering, receive_until, relaying, request, rest, serving


async def test_an_aborted_chunked_answer_has_no_last_chunk() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"data: {}\n\n")
        await client.abort()

    async with serving(answering(relay)) as served:
        answer = await served.ask(request("/"))
    assert answer.endswith(b"data: {}\n\n\r\n")


@pytest.mark.parametrize("framing", [b"content-length: 9\r\n", b"transfer-encoding: chunked\r\n"])
async def test_the_end_of_an_aborted_answer_does_not_wait_for_the_rest_of_the_request(
    framing: bytes, autojump_clock: MockClock
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"begun")
        await client.abort()

    async with serving(answering(relay)) as served:
        asked, began = request("/", head=framing, method=b"POST"), trio.current_time()
        assert (await served.ask(asked)).endswith(b"begun\r\n")
        assert trio.current_time() == began


async def test_an_aborted_answer_with_a_length_falls_short_of_it() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-length", b"1000")])
        await client.write(b"short")
        await client.abort()

    async with serving(answering(relay)) as served:
        answer = await served.ask(request("/"))
    assert answer.endswith(b"\r\n\r\nshort")


@pytest.mark.parametrize("how", ["abort", "return", "raise", "view"])
async def test_an_answer_to_http_1_0_that_breaks_off_is_reset(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    read = trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.write(b"half")
        await read.wait()
        if how == "abort":
            await client.abort()
        elif how == "raise":
            raise ValueError("a bug")

    app = answering(relay)

    @app.get("/view")
    async def view() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"half"
            await read.wait()
            raise ValueError("a bug")

        return pieces()

    async with serving(app) as served, await served.connect() as client:
        path = "/view" if how == "view" else "/"
        await client.send_all(request(path, version=b"1.0"))
        assert (await receive_until(client, b"half")).endswith(b"half")
        read.set()
        with pytest.raises(trio.BrokenResourceError):
            await rest(client)
    assert bool(caplog.records) == (how in ("raise", "view"))


async def test_an_answer_that_is_only_a_head_is_whole_however_it_breaks_off() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        await client.abort()

    async with serving(answering(relay)) as served:
        answer = await served.ask(request("/", method=b"HEAD", version=b"1.0"))
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"\r\n\r\n")


async def test_an_abort_before_the_answer_resets_the_connection() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.abort()

    async with serving(answering(relay)) as served, await served.connect() as client:
        await client.send_all(request("/"))
        with pytest.raises(trio.BrokenResourceError):
            await rest(client)


async def test_a_relay_that_fails_before_its_answer_is_an_error_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        raise ValueError("a bug")

    async with serving(answering(relay)) as served:
        reply = Reply(await served.ask(request("/", head=b"connection: close\r\n")))
    assert (reply.status, reply.error["code"]) == (500, "internal_error")
    assert reply.headers["x-request-id"]
    assert "swapd.http" in {record.name for record in caplog.records}


async def fail() -> None:
    raise ValueError("a bug")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/chat/completions", b'\n\ndata: {"error":{"message":"something'),
        ("/v1/messages", b'\n\nevent: error\ndata: {"type":"error","src":"swapd"'),
    ],
)
async def test_a_relay_beside_which_something_fails_says_so_in_what_it_streams(
    path: str, told: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-type", b"text/event-stream")])
        await client.write(b"data: {}\n\n")
        client.beside(fail)
        await trio.sleep_forever()

    async with serving(relaying({path: relay})) as served:
        answer = await served.ask(request(path))
    assert told in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert "a bug" in caplog.text


async def test_a_relay_beside_which_something_fails_before_its_answer_is_an_error_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        client.beside(fail)
        await trio.sleep_forever()

    async with serving(relaying({"/v1/messages": relay})) as served:
        head = b"connection: close\r\n"
        reply = Reply(await served.ask(request("/v1/messages", head=head)))
    assert reply.status == 500
    assert json.loads(reply.body)["error"]["type"] == "api_error"
    assert "a bug" in caplog.text


async def test_a_relay_that_fails_behind_its_answer_leaves_that_as_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-type", b"text/event-stream")])
        await client.write(b"data: {}\n\n")
        await client.finish()
        raise ValueError("a bug")

    with caplog.at_level("INFO", "swapd"):
        async with serving(relaying({"/v1/messages": relay})) as served:
            answer = await served.ask(request("/v1/messages", head=b"connection: close\r\n"))
    assert answer.partition(b"\r\n\r\n")[2] == b"a\r\ndata: {}\n\n\r\n0\r\n\r\n"
    assert "a bug" in caplog.text
    assert 'HTTP/1.1" 200 ' in caplog.text
