"""Requests whose bodies lie in files: sent whole, sent again, and never in anybody's way."""

from __future__ import annotations

import socket

import trio

from swapd.upstream.bodies.body import PIECE_BYTES, Body
from swapd.upstream.http1 import Pool
from swapd.upstream.wire import Wire
from tests.upstream.asking import OK, ask, whole
from tests.upstream.bodies.test_body import stored
from tests.upstream.scripted import Connection, serving

LARGE = bytes(range(256)) * (PIECE_BYTES // 64) + b"the end"


async def post(pool: Pool, body: Body) -> bytes:
    response = await pool.request(b"POST", b"/", [], body)
    try:
        return await whole(response)
    finally:
        response.close()


async def test_a_body_in_a_file_arrives_whole_and_leaves_the_connection_usable() -> None:
    body = stored(LARGE)
    async with serving() as server:
        server.then(server.answer(OK, OK))
        pool = Pool(server.url)
        assert await post(pool, body) == b"ok"
        assert await ask(pool) == b"ok"
        pool.close()
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    assert b"\r\ncontent-length: %d" % len(LARGE) in head
    assert sent == LARGE
    body.close()


async def test_a_server_that_answers_while_it_reads_is_read_while_it_is_sent_to() -> None:
    async def echo(connection: Connection) -> None:
        await connection.echo(len(LARGE))

    body = stored(LARGE)
    async with serving(echo) as server:
        pool = Pool(server.url)
        assert await post(pool, body) == LARGE
        pool.close()
    body.close()


async def test_an_early_answer_ends_the_sending_and_the_connection() -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno"
    gone = trio.Event()

    async def refuse(connection: Connection) -> None:
        await connection.send(refusal)
        await connection.left()
        gone.set()

    body = stored(LARGE * 8)
    async with serving(refuse) as server:
        server.then(server.answer(OK))
        pool = Pool(server.url)
        assert await post(pool, body) == b"no"
        await gone.wait()
        assert await ask(pool) == b"ok"
        pool.close()
    assert server.connections == 2
    body.close()


class Endless:
    async def read(self) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"x"


async def test_a_connection_with_more_to_be_sent_has_not_sent_all() -> None:
    async def answer(connection: Connection) -> None:
        await connection.send(b"early")
        await connection.left()

    async with serving(answer) as server:
        stream = await trio.open_tcp_stream("127.0.0.1", int(server.url.rpartition(":")[2]))
        connected = socket.socket(fileno=stream.socket.detach())
        connected.setblocking(False)
        wire = Wire(connected)
        wire.send(b"head", rest=Endless())
        assert await wire.receive() == b"early"
        assert not wire.sent
        wire.close()


async def test_a_server_that_refuses_and_hangs_up_is_still_heard() -> None:
    async def refuse(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")

    body = stored(LARGE * 8)
    async with serving(refuse) as server:
        pool = Pool(server.url)
        response = await pool.request(b"POST", b"/", [], body)
        assert response.status == 413
        response.close()
        pool.close()
    body.close()


async def test_a_body_in_a_file_is_sent_again_where_a_kept_connection_is_gone() -> None:
    async def answer_and_leave_later(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.some()
        connection.reset()

    body = stored(LARGE)
    async with serving(answer_and_leave_later) as server:
        server.then(server.answer(OK))
        pool = Pool(server.url)
        assert await ask(pool) == b"ok"
        assert await post(pool, body) == b"ok"
        pool.close()
    assert server.requests[0].endswith(LARGE)
    body.close()
