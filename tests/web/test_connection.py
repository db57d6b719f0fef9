"""One request over a raw socket: what it asks, and how its answer ends."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest
import trio
from hypercorn.typing import ASGISendEvent, HTTPScope
from quart import request as quart_request
from trio.testing import MockClock

from swapd.errors import BodyNotKept, BodyTooLarge
from swapd.upstream.bodies.body import PIECE_BYTES, Body
from swapd.upstream.bodies.spool import HELD_BYTES
from swapd.upstream.exchange import Downstream
from swapd.web.answer import Answer
from swapd.web.client import Client
from swapd.web.connection import Web
from swapd.web.limits import Patience
from tests.upstream.bodies.test_nameless import files_of_at_most
from tests.web.raw import (
    PATHS,
    Served,
    answering,
    receive_until,
    relaying,
    request,
    serving,
    upload,
)


async def echo(scope: HTTPScope, client: Client) -> None:
    body = (await client.body()).held
    assert body is not None
    await client.begin(200, [(b"content-length", b"%d" % len(body))])
    await client.write(body)
    await client.finish()


async def count_to_three(scope: HTTPScope, client: Client) -> None:
    await client.begin(200, [(b"Content-Type", b"text/plain")])
    for piece in (b"one ", b"two ", b"three"):
        await client.write(piece)
    await client.finish()


def counting() -> Web:
    """Count to three on every path, by a relay and by a view."""
    app = relaying({"/relay": count_to_three})

    @app.get("/quart")
    async def count() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for piece in (b"one ", b"two ", b"three"):
                yield piece

        return pieces()

    return app


@pytest.mark.parametrize("path", PATHS)
async def test_connection_close_is_honoured(path: str) -> None:
    async with serving(counting()) as served:
        answer = await served.ask(request(path, head=b"connection: close\r\n"))
    assert answer.endswith(b"three\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", PATHS)
async def test_a_stream_to_an_http_1_0_client_ends_with_the_connection(path: str) -> None:
    async with serving(counting()) as served:
        answer = await served.ask(request(path, version=b"1.0"))
    assert answer.endswith(b"\r\n\r\none two three")
    assert b"chunked" not in answer.lower()


@pytest.mark.parametrize("path", [*PATHS, "/hello"])
async def test_an_idle_connection_is_closed_after_its_request_too(path: str) -> None:
    async with serving(counting(), patience=Patience(idle=0.05)) as served:
        answer = await served.ask(request(path))
    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", PATHS)
async def test_a_connection_serves_one_request_after_the_other(path: str) -> None:
    async with serving(counting()) as served, await served.connect() as client:
        for _ in range(3):
            await client.send_all(request(path))
            assert b"one " in await receive_until(client, b"0\r\n\r\n")


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(answering(echo)) as served:
        bodies = [b"first", b"second", b"third"]
        pipelined = b"".join(upload("/", body, head=b"") for body in bodies)
        answer = await served.ask(pipelined + upload("/", b"last"))
    assert [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 200")] == [
        b"",
        *bodies,
        b"last",
    ]


async def test_a_content_length_is_passed_on_and_nothing_else_frames_the_answer() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        hop = [(b"Transfer-Encoding", b"chunked"), (b"Connection", b"keep-alive")]
        await client.begin(200, [(b"Content-Length", b"4"), *hop])
        await client.write(b"four")
        await client.finish()

    async with serving(answering(relay)) as served:
        answer = await served.ask(request("/", head=b"connection: close\r\n"))
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    assert head.count(b"content-length: 4") == 1
    assert b"transfer-encoding" not in head
    assert b"keep-alive" not in head
    assert body == b"four"


@pytest.mark.parametrize(
    ("method", "status", "length"),
    [(b"HEAD", 200, b"1000"), (b"HEAD", 200, None), (b"GET", 204, None), (b"GET", 304, b"1000")],
)
async def test_an_answer_without_a_body_leaves_the_connection_in_step(
    method: bytes, status: int, length: bytes | None
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(status, [] if length is None else [(b"content-length", length)])
        await client.finish()

    async with serving(answering(relay)) as served:
        following = request("/hello", head=b"connection: close\r\n")
        answer = await served.ask(request("/", method=method) + following)
    first, _, second = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d" % status)
    assert (length is None) == (b"content-length" not in first)
    assert second.startswith(b"HTTP/1.1 200")
    assert second.endswith(b"hello")


async def test_the_upstreams_server_and_date_are_the_only_ones() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"Server", b"llama.cpp"), (b"Date", b"today")])
        await client.finish()

    async with serving(answering(relay)) as served:
        answer = await served.ask(request("/", head=b"connection: close\r\n"))
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert head.count(b"server:") == head.count(b"date:") == 1


@pytest.mark.parametrize("path", ["/", "/echo"])
async def test_an_upload_larger_than_quarts_default_is_taken(path: str) -> None:
    app = answering(echo)

    @app.post("/echo")
    async def take() -> str:
        return str(len(await quart_request.get_data()))

    body = random.Random(17).randbytes(17 * 1024 * 1024)
    async with serving(app) as served:
        answer = await served.ask(upload(path, body))
    # No comparison that pytest explains: it would print megabytes.
    is_whole = answer.endswith(body if path == "/" else b"%d" % len(body))
    assert is_whole


async def test_a_handler_that_fails_amid_a_large_upload_ends_its_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With many of them, for it takes some luck to have more pieces come than may wait."""
    answers = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        raise RuntimeError("a bug")

    async def ask(served: Served) -> None:
        chunks = b"1000\r\n%s\r\n" % (b"x" * 0x1000) * 160
        head = b"transfer-encoding: chunked\r\n"
        answers.append(await served.ask(request("/", method=b"POST", head=head) + chunks))

    async with serving(answering(relay)) as served, trio.open_nursery() as clients:
        for _ in range(10):
            clients.start_soon(ask, served)
    assert all(answer.startswith(b"HTTP/1.1 500") for answer in answers)
    assert caplog.text.count("RuntimeError: a bug") == len(answers) == 10


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_the_limit_is_refused_before_its_end(announced: bool) -> None:
    """At once if its length is told; else as soon as there is too much of it."""

    async def relay(scope: HTTPScope, client: Client) -> None:
        with pytest.raises(BodyTooLarge, match="larger than 1000 bytes"):
            await client.body()
        await client.begin(413, [(b"content-length", b"0")])
        await client.finish()

    app = answering(relay)
    app.max_body_bytes = lambda: 1000
    head = b"content-length: 1001\r\n" if announced else b"transfer-encoding: chunked\r\n"
    body = b"" if announced else b"1f4\r\n%s\r\n3e8\r\nx" % (b"x" * 500)
    async with serving(app) as served, await served.connect() as client:
        await client.send_all(request("/", head=head, method=b"POST") + body + b"x" * 600)
        assert b"413" in await receive_until(client, b"\r\n\r\n")


async def test_a_body_of_just_the_limit_is_taken() -> None:
    app = answering(echo)
    app.max_body_bytes = lambda: 1000
    async with serving(app) as served:
        assert (await served.ask(upload("/", b"x" * 1000))).endswith(b"\r\n\r\n" + b"x" * 1000)


async def test_a_body_is_not_held_when_it_is_given_away_or_too_large() -> None:
    mebibyte = 1024 * 1024

    async def held_after(pieces: int) -> int:
        """Return how many bytes a client of 8 MiB at most holds after so many of 1 MiB."""
        client = Client(Answer(scope_of("/"), ignore), [], 8 * mebibyte)
        messages = iter(range(pieces - 1, -1, -1))

        async def receive() -> Any:
            for left in messages:
                return {"type": "http.request", "body": piece, "more_body": left > 0}
            return {"type": "http.disconnect"}

        tracemalloc.start()
        async with trio.open_nursery() as nursery:
            await client.attend(receive, nursery)
        with suppress(BodyTooLarge):
            await client.body()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return held

    piece = b"x" * mebibyte
    assert await held_after(7) < mebibyte
    assert await held_after(9) < mebibyte


async def test_a_large_body_can_be_used_until_its_request_is_over() -> None:
    seen: list[Body] = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        seen.append(await client.body())
        assert await seen[0].reader().read() == b"x" * PIECE_BYTES
        await count_to_three(scope, client)

    async with serving(answering(relay)) as served:
        answer = await served.ask(upload("/", b"x" * (HELD_BYTES + 1)))
    assert answer.endswith(b"three\r\n0\r\n\r\n")
    with pytest.raises(ValueError, match="closed"):
        await seen[0].reader().read()


async def test_a_body_that_the_disk_refused_stays_refused() -> None:
    client = Client(Answer(scope_of("/"), ignore), [(b"content-length", b"%d" % 10**8)], 0)

    refusing = ExitStack()
    refusing.enter_context(files_of_at_most(1000))
    bodies = iter([True, False])

    async def receive() -> Any:
        for more in bodies:
            if not more:
                refusing.close()
            return {"type": "http.request", "body": b"x" * PIECE_BYTES, "more_body": more}
        return {"type": "http.disconnect"}

    with refusing:
        async with trio.open_nursery() as nursery:
            await client.attend(receive, nursery)
    with pytest.raises(BodyNotKept):
        await client.body()
    client.close()


@pytest.mark.parametrize("path", ["/early", "/hello"])
async def test_an_answer_before_the_end_of_a_large_upload_is_not_lost(path: str) -> None:
    async def refuse(scope: HTTPScope, client: Client) -> None:
        await client.begin(401, [(b"content-length", b"5")])
        await client.write(b"hello")
        await client.finish()

    async with serving(relaying({"/early": refuse})) as served:
        answer = await served.ask(upload(path, b"x" * 30_000_000))
    assert answer.endswith(b"\r\n\r\nhello")


async def test_quart_does_not_cut_an_answer_that_takes_minutes(
    autojump_clock: MockClock,
) -> None:
    app = relaying({})

    @app.get("/slow")
    async def slow() -> AsyncIterator[bytes]:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                await trio.sleep(1000)
                yield b"x"

        return pieces()

    sent = await asgi(app, "/slow")
    assert [message.get("body") for message in sent] == [None, b"x", b"x", b"x", b""]


async def ignore(message: ASGISendEvent) -> None:
    """Take the place of a server that sends."""


def scope_of(path: str) -> Any:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"x")],
        "http_version": "1.1",
    }


async def asgi(app: Web, path: str) -> list[Any]:
    """Ask ``app`` for ``path`` without any server; return what it sends."""
    received = iter([{"type": "http.request", "body": b"", "more_body": False}])
    sent: list[Any] = []

    async def receive() -> Any:
        for message in received:
            return message
        await trio.sleep_forever()

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope_of(path), receive, send)
    return sent


async def test_a_client_knows_what_it_was_told() -> None:
    seen: list[tuple[bool, bool]] = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        downstream: Downstream = client
        seen.append((client.began, client.takes_events))
        await downstream.begin(200, [(b"Content-Type", b"text/event-stream; charset=utf-8")])
        seen.append((client.began, client.takes_events))
        await downstream.finish()

    async with serving(answering(relay)) as served:
        await served.ask(request("/", head=b"connection: close\r\n"))
    assert seen == [(False, False), (True, True)]


async def test_a_message_is_sent_or_not_and_never_half() -> None:
    """What the server believes to have said, its client must have heard."""
    sent: list[str] = []

    async def send(message: ASGISendEvent) -> None:
        if message["type"] == "http.response.body":
            sent.append("begun")
            order.cancel(reason="unloaded")
        await trio.lowlevel.checkpoint()
        sent.append(message["type"])

    answer = Answer(scope_of("/"), send)
    with trio.CancelScope() as order:
        await answer.send({"type": "http.response.start", "status": 200, "headers": []})
        await answer.send({"type": "http.response.body", "body": b"x", "more_body": True})
        await answer.send({"type": "http.response.body", "body": b"", "more_body": False})
    assert sent == ["http.response.start", "begun", "http.response.body"]
    assert not answer.complete
