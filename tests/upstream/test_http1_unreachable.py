"""Which failures say that the server cannot have read the whole request."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.errors import UpstreamFailed, UpstreamUnreachable
from swapd.upstream.http1 import Pool
from swapd.upstream.wire import Wire
from tests.upstream.asking import OK, ask
from tests.upstream.scripted import Connection, answering, serving


async def gone() -> str:
    """Return the URL of a server that is there no more."""
    async with serving() as server:
        return server.url


async def test_a_server_that_is_not_there_was_not_reached() -> None:
    with pytest.raises(UpstreamUnreachable, match="connection refused"):
        await ask(Pool(await gone()), b"POST", b"x")


async def test_a_server_that_leaves_without_an_answer_was_reached() -> None:
    async def leave(connection: Connection) -> None:
        await connection.request()

    async with serving(leave) as server:
        with pytest.raises(UpstreamFailed) as failure:
            await ask(Pool(server.url), b"POST", b"x")
    assert type(failure.value) is UpstreamFailed


async def test_a_server_whose_connection_is_reset_had_not_read_all() -> None:
    async def end(connection: Connection) -> None:
        await connection.request()
        connection.reset()  # as the kernel does where something is unread

    async with serving(end) as server:
        with pytest.raises(UpstreamUnreachable, match="reset the connection before it answered"):
            await ask(Pool(server.url), b"POST", b"x")


async def test_a_server_whose_connection_is_reset_amid_its_answer_was_reached() -> None:
    async def end(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.1 200")
        await heard.wait()
        connection.reset()

    heard = trio.Event()
    async with serving(end) as server, trio.open_nursery() as nursery:

        async def hear() -> None:
            await wait_all_tasks_blocked()
            heard.set()

        nursery.start_soon(hear)
        with pytest.raises(UpstreamFailed, match="broke after 0 bytes") as failure:
            await ask(Pool(server.url), b"POST", b"x")
    assert type(failure.value) is UpstreamFailed


async def test_a_kept_connection_found_dead_at_checkout_has_carried_nothing() -> None:
    async with answering(OK) as server:
        pool = Pool(server.url)
        await ask(pool)
        await wait_all_tasks_blocked()  # the server hangs up
    with pytest.raises(UpstreamUnreachable, match="connection refused"):
        await ask(pool, b"POST", b"x")


async def test_a_request_that_a_kept_connection_carried_may_be_what_the_server_died_of() -> None:
    dying = trio.Event()
    closed = trio.Event()

    async def die_when_asked_again(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await connection.request()
        dying.set()
        await closed.wait()

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]

        async def serve() -> None:
            stream = await listeners[0].accept()
            async with stream:
                await die_when_asked_again(Connection(stream))

        async def stop_listening() -> None:
            await dying.wait()
            await listeners[0].aclose()
            closed.set()

        nursery.start_soon(serve)
        nursery.start_soon(stop_listening)
        pool = Pool(f"http://127.0.0.1:{port}")
        await ask(pool)
        with pytest.raises(UpstreamFailed, match="connection refused") as failure:
            await ask(pool, b"POST", b"x")
    assert type(failure.value) is UpstreamFailed


def refusing_wire() -> tuple[Wire, socket.socket]:
    """Return a connection that is quiet, and takes not one byte; and its other end."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ours.shutdown(socket.SHUT_WR)
    return Wire(ours), theirs


async def test_a_kept_connection_that_takes_no_byte_has_carried_nothing() -> None:
    wire, other_end = refusing_wire()
    pool = Pool(await gone())
    pool.release(wire, reusable=True)

    async with trio.open_nursery() as nursery:

        async def leave() -> None:
            await wait_all_tasks_blocked()
            other_end.close()

        nursery.start_soon(leave)
        with pytest.raises(UpstreamUnreachable, match="connection refused"):
            await ask(pool, b"POST", b"x")


async def test_bytes_of_an_earlier_request_do_not_count_for_this_one() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    wire = Wire(ours)
    wire.send(b"an earlier request")
    ours.shutdown(socket.SHUT_WR)
    pool = Pool(await gone())
    pool.release(wire, reusable=True)
    async with trio.open_nursery() as nursery:

        async def leave() -> None:
            await wait_all_tasks_blocked()
            theirs.recv(100)
            theirs.close()

        nursery.start_soon(leave)
        with pytest.raises(UpstreamUnreachable):
            await ask(pool, b"POST", b"x")


async def test_an_answer_counts_though_no_byte_of_the_request_was_taken() -> None:
    wire, other_end = refusing_wire()
    pool = Pool(await gone())
    pool.release(wire, reusable=True)
    async with trio.open_nursery() as nursery:

        async def refuse() -> None:
            await wait_all_tasks_blocked()
            other_end.sendall(OK)
            other_end.close()

        nursery.start_soon(refuse)
        assert await ask(pool, b"POST", b"x") == b"ok"


async def test_who_breaks_off_within_an_answer_was_reached() -> None:
    wire, other_end = refusing_wire()
    pool = Pool(await gone())
    pool.release(wire, reusable=True)
    async with trio.open_nursery() as nursery:

        async def break_off() -> None:
            await wait_all_tasks_blocked()
            other_end.sendall(b"HTTP/1.1 503")
            other_end.close()

        nursery.start_soon(break_off)
        with pytest.raises(UpstreamFailed, match="broke after 0 bytes") as failure:
            await ask(pool, b"POST", b"x")
    assert type(failure.value) is UpstreamFailed
