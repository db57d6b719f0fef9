"""Which connections are used again, which are not, and what a stale one costs."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.errors import UpstreamFailed
from swapd.upstream.http1 import Pool
from tests.upstream.asking import OK, ask, waiting, whole
from tests.upstream.scripted import Connection, Script, answering, serving, staying


async def test_connections_are_kept_and_used_again() -> None:
    async with answering(OK, OK, OK) as server:
        pool = Pool(server.url)
        for _ in range(3):
            assert await ask(pool, b"POST", b"x") == b"ok"
        pool.close()
    assert server.connections == 1


async def test_requests_at_the_same_time_have_connections_of_their_own() -> None:
    async with serving() as server:
        server.then(server.answer(OK), server.answer(OK))
        pool = Pool(server.url)
        first = await pool.request(b"GET", b"/1", [], b"")
        second = await pool.request(b"GET", b"/2", [], b"")
        assert await whole(first) == await whole(second) == b"ok"
        first.close()
        second.close()
        pool.close()
    assert server.connections == 2


async def test_a_kept_connection_that_the_server_closed_is_not_used() -> None:
    async with serving() as server:
        server.then(server.answer(OK), server.answer(OK))
        pool = Pool(server.url)
        assert await ask(pool, b"POST", b"1") == b"ok"
        await wait_all_tasks_blocked()
        assert await ask(pool, b"POST", b"2") == b"ok"
        pool.close()
    assert [request[-1:] for request in server.requests] == [b"1", b"2"]


async def test_a_kept_connection_on_which_something_came_unasked_is_not_used() -> None:
    said = trio.Event()

    async def talkative(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await more.wait()
        await connection.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        said.set()
        await connection.left()

    more = trio.Event()
    async with serving(talkative) as server:
        server.then(server.answer(OK))
        pool = Pool(server.url)
        assert await ask(pool) == b"ok"
        more.set()
        await said.wait()
        assert await ask(pool) == b"ok"
        pool.close()
    assert server.connections == 2


async def leave_when_asked_again(connection: Connection) -> None:
    await connection.request()
    await connection.send(OK)
    await connection.request()


async def reset_when_asked_again(connection: Connection) -> None:
    await leave_when_asked_again(connection)
    connection.reset()


@pytest.mark.parametrize("stale", [leave_when_asked_again, reset_when_asked_again])
async def test_a_kept_connection_that_fails_unanswered_is_tried_once_more_on_a_new_one(
    stale: Script,
) -> None:
    async with serving(stale) as server:
        server.then(server.answer(OK))
        pool = Pool(server.url)
        assert await ask(pool, b"POST", b"1") == b"ok"
        assert await ask(pool, b"POST", b"2") == b"ok"
        pool.close()
    assert server.connections == 2


async def leave_without_answer(connection: Connection) -> None:
    await connection.request()


async def test_the_second_try_is_the_last() -> None:
    async with serving(leave_when_asked_again, leave_without_answer) as server:
        pool = Pool(server.url)
        await ask(pool)
        with pytest.raises(UpstreamFailed, match="closed the connection before it answered"):
            await ask(pool)
    assert server.connections == 2


async def test_a_new_connection_that_fails_is_not_tried_again() -> None:
    async with serving(leave_without_answer) as server:
        with pytest.raises(UpstreamFailed, match="closed the connection before it answered"):
            await ask(Pool(server.url), b"POST", b"x")
    assert server.connections == 1


async def test_a_kept_connection_that_fails_within_its_answer_is_not_tried_again() -> None:
    async def half(connection: Connection) -> None:
        await leave_when_asked_again(connection)
        await connection.send(b"HTTP/1.1 200")

    async with serving(half) as server:
        pool = Pool(server.url)
        await ask(pool)
        with pytest.raises(UpstreamFailed, match="broke after 0 bytes of the answer"):
            await ask(pool)
    assert server.connections == 1


async def test_idle_connections_expire(mock_clock: MockClock) -> None:
    mock_clock.rate = 1
    async with serving(staying(OK, OK), staying(OK), limit=60) as server:
        pool = Pool(server.url, waiting(idle_conn=20))
        await ask(pool)
        mock_clock.jump(10)
        await ask(pool)
        mock_clock.jump(20)
        await ask(pool)
        pool.close()
    assert server.connections == 2


async def test_no_more_than_so_many_idle_connections_are_kept() -> None:
    async with serving(staying(OK), staying(OK, OK), staying(OK)) as server:
        pool = Pool(server.url, max_idle=1)
        first = await pool.request(b"GET", b"/", [], b"")
        second = await pool.request(b"GET", b"/", [], b"")
        first.close()  # its body came with the head: it ended
        second.close()
        third = await pool.request(b"GET", b"/", [], b"")
        fourth = await pool.request(b"GET", b"/", [], b"")
        third.close()
        fourth.close()
        pool.close()
    assert server.connections == 3


async def test_of_several_idle_connections_the_one_used_last_is_used_again() -> None:
    """So that those that are not needed any more grow old."""
    async with serving(staying(OK), staying(OK, OK), limit=10) as server:
        pool = Pool(server.url)
        first = await pool.request(b"GET", b"/", [], b"")
        second = await pool.request(b"GET", b"/", [], b"")
        assert await whole(first) == await whole(second) == b"ok"
        first.close()
        second.close()
        assert await ask(pool) == b"ok"
        pool.close()
    assert server.connections == 2


async def test_a_closed_pool_keeps_nothing() -> None:
    left: list[str] = []

    def noting(name: str) -> Script:
        async def script(connection: Connection) -> None:
            await connection.request()
            await connection.send(OK)
            await connection.left()
            left.append(name)

        return script

    async with serving(noting("idle"), noting("busy")) as server:
        pool = Pool(server.url)
        idle = await pool.request(b"GET", b"/", [], b"")
        busy = await pool.request(b"GET", b"/", [], b"")
        idle.close()
        pool.close()
        await wait_all_tasks_blocked()
        assert left == ["idle"]
        assert await whole(busy) == b"ok"
        busy.close()
        await wait_all_tasks_blocked()
        assert left == ["idle", "busy"]
