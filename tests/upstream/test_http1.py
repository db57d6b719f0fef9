"""The client against servers that do exactly what they are told, on real sockets."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.errors import UpstreamFailed
from swapd.upstream.http1 import Pool
from tests.upstream.asking import OK, ask, whole
from tests.upstream.scripted import Connection, answering, serving


async def test_a_request_goes_out_as_given_and_the_answer_comes_back() -> None:
    async with answering(
        b"HTTP/1.1 201 Created\r\nX-A: b\r\ncontent-length: 2\r\n\r\nok"
    ) as server:
        pool = Pool(server.url)
        response = await pool.request(
            b"POST", b"/v1/a%2Fb?q=%20%7e", [(b"host", b"h:1"), (b"x-b", b"\xff")], b"{}"
        )

        assert response.status == 201
        assert response.headers == [(b"x-a", b"b"), (b"content-length", b"2")]
        assert await response.receive() == b"ok"
        assert await response.receive() == b""
        response.close()
        pool.close()
    assert server.requests == [
        b"POST /v1/a%2Fb?q=%20%7e HTTP/1.1\r\nhost: h:1\r\nx-b: \xff\r\ncontent-length: 2\r\n\r\n{}"
    ]


@pytest.mark.parametrize(
    ("base", "target", "sent"),
    [
        ("", b"/v1/x", b"/v1/x"),
        ("/", b"/v1/x", b"/v1/x"),
        ("/base", b"/v1/x?a=1", b"/base/v1/x?a=1"),
        ("/b%2Fc/", b"/x", b"/b%2Fc/x"),
        ("/base?k=v", b"/x", b"/base/x?k=v"),
        ("/base?k=v", b"/x?a=%2F", b"/base/x?k=v&a=%2F"),
        ("?k=v", b"/x?", b"/x?k=v"),
    ],
)
async def test_the_path_and_query_of_the_base_url_come_first(
    base: str, target: bytes, sent: bytes
) -> None:
    async with answering(OK) as server:
        pool = Pool(server.url + base)
        (await pool.request(b"GET", target, [], b"")).close()
        pool.close()

    host = server.url.removeprefix("http://").encode()
    assert server.requests == [b"GET " + sent + b" HTTP/1.1\r\nhost: " + host + b"\r\n\r\n"]


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        (b"GET", b"", None),
        (b"DELETE", b"", None),
        (b"DELETE", b"x", b"1"),
        (b"POST", b"", b"0"),
        (b"PUT", b"", b"0"),
        (b"PATCH", b"xy", b"2"),
    ],
)
async def test_a_length_is_sent_where_a_body_belongs(
    method: bytes, body: bytes, length: bytes | None
) -> None:
    async with answering(OK) as server:
        pool = Pool(server.url)
        await ask(pool, method, body)
        pool.close()

    lines = server.requests[0].split(b"\r\n")
    assert [line for line in lines if line.startswith(b"content-length")] == (
        [] if length is None else [b"content-length: " + length]
    )


async def test_a_response_that_is_not_read_to_its_end_closes_its_connection() -> None:
    gone = trio.Event()

    async def endless(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nsome")
        await connection.left()
        gone.set()

    async with serving(endless) as server:
        response = await Pool(server.url).request(b"GET", b"/", [], b"")
        assert await response.receive() == b"some"
        response.close()
        response.close()
        await gone.wait()
        with pytest.raises(trio.ClosedResourceError):
            await response.receive()


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no"])
async def test_a_cancelled_request_closes_its_connection_at_once(start: bytes) -> None:
    asked = trio.Event()
    gone = trio.Event()

    async def silent(connection: Connection) -> None:
        await connection.request()
        await connection.send(start)
        asked.set()
        await connection.left()
        gone.set()

    async with serving(silent) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Pool(server.url))
            await asked.wait()
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel(reason="the client left")
        await gone.wait()


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome", "broke after 4 bytes of the answer"),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nsome\r\n",
            "broke after 4 bytes of the answer",
        ),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the server sent an invalid response: Expected HTTP/"),
        (b"", "the server closed the connection before it answered"),
    ],
)
async def test_an_answer_that_ends_too_early_is_a_failure(response: bytes, text: str) -> None:
    async with answering(response) as server:
        with pytest.raises(UpstreamFailed, match=text):
            await ask(Pool(server.url))


async def test_a_reset_within_a_body_without_framing_is_no_end() -> None:
    read = trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await read.wait()
        connection.reset()

    async with serving(script) as server:
        response = await Pool(server.url).request(b"GET", b"/", [], b"")
        assert await response.receive() == b"some"
        read.set()
        with pytest.raises(UpstreamFailed, match="broke after 4 bytes"):
            await response.receive()
        response.close()


async def test_a_body_without_framing_ends_when_the_server_closes() -> None:
    async with answering(b"HTTP/1.0 200 OK\r\n\r\nsome") as server:
        assert await ask(Pool(server.url)) == b"some"


async def test_a_head_request_waits_for_no_body_and_its_connection_is_kept() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n", OK) as server:
        pool = Pool(server.url)
        assert await ask(pool, b"HEAD") == b""
        assert await ask(pool) == b"ok"
        pool.close()
    assert server.connections == 1


async def test_an_endless_head_is_refused() -> None:
    gone = trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n")
        with suppress(trio.BrokenResourceError):
            while True:
                await connection.send(b"x: %s\r\n" % (b"a" * 10_000))
        gone.set()

    async with serving(script) as server:
        with pytest.raises(UpstreamFailed, match="its head is too large"):
            await ask(Pool(server.url))
        await gone.wait()


async def test_all_that_one_receive_brings_is_one_piece() -> None:
    more = trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await more.wait()
        await connection.send(b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n")

    async with serving(script) as server:
        pool = Pool(server.url)
        response = await pool.request(b"GET", b"/", [], b"")
        more.set()
        assert await response.receive() == b"onetwothree"
        assert await response.receive() == b""
        response.close()
        pool.close()


LARGE = bytes(range(256)) * 20_000  # 5 MB


async def test_a_large_body_arrives_whole_and_the_connection_is_kept() -> None:
    async with answering(OK, OK) as server:
        pool = Pool(server.url)
        assert await ask(pool, b"POST", LARGE) == b"ok"
        assert await ask(pool, b"POST", LARGE) == b"ok"
        pool.close()
    assert server.connections == 1
    assert [request.endswith(b"\r\n\r\n" + LARGE) for request in server.requests] == [True] * 2


@pytest.mark.parametrize("keep_alive", [b"keep-alive", b"close"])
async def test_an_early_refusal_is_delivered_though_the_body_cannot_be_sent(
    keep_alive: bytes,
) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.send(
            b"HTTP/1.1 413 Too Large\r\nconnection: %s\r\ncontent-length: 3\r\n\r\nno!" % keep_alive
        )
        if keep_alive == b"keep-alive":
            await connection.left()

    async with serving(refuse) as server:
        server.then(server.answer(OK))
        pool = Pool(server.url)
        response = await pool.request(b"POST", b"/", [], LARGE)
        assert response.status == 413
        assert await whole(response) == b"no!"
        response.close()
        assert await ask(pool) == b"ok"  # not on a connection with half a body on it
        pool.close()
    assert server.connections == 2


async def test_a_server_that_answers_at_length_before_it_reads_causes_no_deadlock() -> None:
    async def script(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(LARGE) + LARGE)
        assert (await connection.request()).endswith(LARGE)
        done.set()

    done = trio.Event()
    async with serving(script) as server:
        pool = Pool(server.url)
        response = await pool.request(b"POST", b"/", [], LARGE)
        assert await whole(response) == LARGE
        response.close()
        pool.close()


async def test_a_server_may_echo_a_large_body_while_it_reads() -> None:
    async def echo(connection: Connection) -> None:
        await connection.echo(len(LARGE))

    async with serving(echo) as server:
        pool = Pool(server.url)
        assert await ask(pool, b"POST", LARGE) == LARGE
        pool.close()


async def test_cancelling_while_a_large_body_goes_out_closes_the_connection() -> None:
    left = trio.Event()

    async def deaf(connection: Connection) -> None:
        await go.wait()
        await connection.left()
        left.set()

    go = trio.Event()
    async with serving(deaf) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Pool(server.url), b"POST", LARGE * 4)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel(reason="the client left")
        go.set()
        await left.wait()


async def test_a_server_that_is_not_there_is_named_with_the_reason() -> None:
    async with serving() as server:
        url = server.url
    with pytest.raises(UpstreamFailed) as failure:
        await ask(Pool(url + "/base"))
    assert str(failure.value) == f"could not connect to {url}: connection refused"
