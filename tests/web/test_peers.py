"""Peers that answer in every way that there is, well and badly, as their clients see it."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tests.upstream.asking import OK
from tests.upstream.certificates import Authority, authority
from tests.upstream.scripted import Connection, Script, Server
from tests.upstream.scripted import serving as scripted
from tests.web.floor import Floor, chat, floor

__all__ = ["authority"]

ASK = b'{"model": "far"}'
STREAM = b'{"model": "far", "stream": true}'
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
PACKED = gzip.compress(b'{"usage": {"prompt_tokens": 7, "completion_tokens": 9}}')


@asynccontextmanager
async def peered(*scripts: Script, **settings: object) -> AsyncIterator[tuple[Floor, Server]]:
    """Serve a peer that has the model ``far`` and runs ``scripts``."""
    async with scripted(*scripts) as there:
        peer = {"proxy": there.url, "models": ["far"], **settings}
        async with floor(peers={"p": peer}) as web:
            yield web, there


def saying(*pieces: bytes) -> Script:
    """Return a script: send ``pieces`` to a request, then hang up."""

    async def script(connection: Connection) -> None:
        await connection.request()
        for piece in pieces:
            await connection.send(piece)

    return script


async def resetting(connection: Connection) -> None:
    await connection.request()
    connection.reset()


async def silent(connection: Connection) -> None:
    await connection.request()
    await connection.left()


@pytest.mark.parametrize(
    ("answer", "status", "headers", "body"),
    [
        (
            b"HTTP/1.1 307 Temporary Redirect\r\nlocation: https://elsewhere/v1?a=%2F\r\n"
            b"content-length: 0\r\n\r\n",
            307,
            {"location": "https://elsewhere/v1?a=%2F"},
            b"",
        ),
        (
            b"HTTP/1.1 401 No\r\nwww-authenticate: Bearer\r\ncontent-length: 3\r\n\r\nkey",
            401,
            {"www-authenticate": "Bearer"},
            b"key",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(PACKED), PACKED),
            200,
            {"content-encoding": "gzip"},
            PACKED,
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, {}, b"until the end"),
        (b"HTTP/1.1 103 Early\r\nlink: </x>\r\n\r\n" + OK, 200, {}, b"ok"),
        (
            CHUNKED + b"9\r\ndata: 1\n\n\r\n0\r\n\r\n",
            200,
            {"x-accel-buffering": "no"},
            b"9\r\ndata: 1\n\n\r\n0\r\n\r\n",
        ),
    ],
    ids=["redirect", "401", "compressed", "HTTP/1.0", "1xx", "events"],
)
async def test_what_a_peer_answers_comes_as_it_is(
    answer: bytes, status: int, headers: Mapping[str, str], body: bytes
) -> None:
    async with peered(saying(answer)) as (web, _):
        reply = await web.ask(chat(ASK))
        await wait_all_tasks_blocked()
        (row,) = web.finished
    assert reply.status == status
    assert {name: reply.headers.get(name) for name in headers} == headers
    assert reply.body.replace(b"d\r\nuntil the end\r\n0\r\n\r\n", b"until the end") == body
    assert (row.model, row.status) == ("p/far", status)
    if body == PACKED:
        assert (row.usage.prompt, row.usage.generated) == (7, 9)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (saying(), "the server closed the connection before it answered"),
        (resetting, "the server reset the connection before it answered"),
        (
            saying(b"HTTP/1.1 200 OK\r\ncontent-"),
            "the connection broke after 0 bytes of the answer",
        ),
        (saying(b"SSH-2.0-OpenSSH_9.6\r\n"), "the server sent an invalid response: "),
    ],
    ids=["nothing", "reset", "half a head", "no HTTP"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/upstream/p/far/x"])
async def test_a_peer_that_breaks_the_exchange_is_an_envelope_that_names_it(
    script: Script, message: str, path: str
) -> None:
    async with peered(script) as (web, _):
        reply = await web.ask(chat(STREAM, path=path))
    assert reply.status == 502
    told = json.loads(reply.body)
    assert told["src"] == "swapd"
    assert told["error"]["message"].startswith(f"peer p: {message}")


async def test_a_peer_that_does_not_begin_in_time_is_left_and_is_a_504() -> None:
    async with peered(silent, timeouts={"responseHeader": 1}) as (web, _):
        reply = await web.ask(chat(ASK))
    assert (reply.status, reply.error["code"]) == (504, "gateway_timeout")
    why = "the server did not begin to answer within 1 s (timeouts.responseHeader)"
    assert reply.error["message"] == f"peer p: {why}"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
async def test_a_stream_that_a_peer_breaks_off_ends_with_the_error_and_no_proper_end(
    path: str,
) -> None:
    async with peered(saying(CHUNKED, b"9\r\ndata: 1\n\n\r\n")) as (web, _):
        reply = await web.ask(chat(STREAM, path=path))
    assert reply.status == 200
    assert b"peer p: the connection broke after 9 bytes of the answer" in reply.body
    assert not reply.body.endswith(b"0\r\n\r\n")
    assert (b"event: error\n" in reply.body) == (path != "/v1/chat/completions")


async def test_an_answer_that_a_peer_breaks_off_is_not_passed_on_as_whole() -> None:
    async with peered(saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")) as (web, _):
        reply = await web.ask(chat(ASK))
        await wait_all_tasks_blocked()
        (row,) = web.finished
    assert (reply.headers["content-length"], reply.body) == ("9", b"half")
    assert row.error == "peer p: the connection broke after 4 bytes of the answer"


async def test_a_client_that_leaves_ends_its_request_to_a_peer() -> None:
    left = trio.Event()

    async def streaming(connection: Connection) -> None:
        await connection.request()
        await connection.send(CHUNKED + b"9\r\ndata: 1\n\n\r\n")
        await connection.left()
        left.set()

    async with peered(streaming) as (web, _):
        async with await web.served.connect() as client:
            await client.send_all(chat(STREAM))
            await client.receive_some()
        with trio.fail_after(10):
            await left.wait()
        await wait_all_tasks_blocked()
        assert web.services.requests.count("p/far") == 0


async def test_a_peer_by_https_is_asked_under_its_name_and_base_path(authority: Authority) -> None:
    async with scripted(tls=authority.server("localhost")) as there:
        there.then(there.answer(OK))
        url = there.url.replace("127.0.0.1", "localhost")
        peer = {"proxy": f"{url}/base/", "models": ["far"], "apiKey": "theirs"}
        async with floor(peers={"p": peer}) as web:
            reply = await web.ask(chat(ASK, head=b"authorization: Bearer mine\r\n"))
    assert (reply.status, reply.body) == (200, b"ok")
    head = there.requests[0].partition(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"post /base/v1/chat/completions http/1.1\r\n")
    assert f"host: {url.removeprefix('https://')}".encode() in head
    assert head.count(b"authorization:") == 1
    assert b"authorization: bearer theirs" in head


async def test_a_peer_by_https_that_nobody_vouches_for_is_not_asked(authority: Authority) -> None:
    async with scripted(Connection.left, tls=authority.server("elsewhere.example")) as there:
        peer = {"proxy": there.url.replace("127.0.0.1", "localhost"), "models": ["far"]}
        async with floor(peers={"p": peer}) as web:
            reply = await web.ask(chat(ASK))
    assert reply.status == 502
    assert "its certificate" in reply.error["message"]


@pytest.mark.parametrize(
    "said",
    [
        b"origin: http://localhost\r\n",
        b"origin: https://chat.example\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: cors\r\n",
        b"referer: https://chat.example/x\r\norigin: https://chat.example\r\n",
    ],
)
async def test_a_page_that_may_ask_us_may_ask_a_peer_that_is_a_swapd_too(said: bytes) -> None:
    async with floor(name="far", model={}) as back:
        back.upstream.then(back.upstream.answer(OK))
        peer = {"proxy": f"http://127.0.0.1:{back.served.port}", "models": ["far"]}
        cors = {"origins": ["https://chat.example"]}
        async with floor(peers={"p": peer}, cors=cors) as front:
            reply = await front.ask(chat(ASK, head=said))
    assert (reply.status, reply.body) == (200, b"ok")
    assert b"origin" not in back.upstream.requests[0].lower()
