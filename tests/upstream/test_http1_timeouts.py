"""How long each step of a request may take, and that no other step is bounded by it."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.errors import UpstreamTooSlow, UpstreamUnreachable
from swapd.upstream.http1 import Pool
from tests.upstream.asking import OK, ask, waiting
from tests.upstream.scripted import Connection, serving

LARGE = bytes(20_000_000)

WHY = "the server did not begin to answer within 60 s (timeouts.responseHeader)"


class DeafResolver(trio.abc.HostnameResolver):
    """Never answers."""

    async def getaddrinfo(self, *_: Any, **__: Any) -> NoReturn:
        await trio.sleep_forever()

    async def getnameinfo(self, sockaddr: object, flags: int) -> NoReturn:
        await trio.sleep_forever()


async def test_a_connect_that_takes_too_long_is_given_up(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(DeafResolver())
    start = trio.current_time()

    with pytest.raises(UpstreamUnreachable) as failure:
        await ask(Pool("http://far.example:1", waiting(connect=7)), b"POST", b"x")

    assert str(failure.value) == "could not connect to http://far.example:1: no answer within 7 s"
    assert trio.current_time() - start == pytest.approx(7)


async def test_without_a_limit_a_connect_may_take_for_ever(autojump_clock: MockClock) -> None:
    trio.socket.set_custom_hostname_resolver(DeafResolver())
    with trio.move_on_after(1_000_000) as patience:
        await ask(Pool("http://far.example:1", waiting(connect=0)))
    assert patience.cancelled_caught


async def silent(connection: Connection) -> None:
    await connection.request()
    await connection.left()


async def test_a_server_that_does_not_begin_to_answer_in_time_is_given_up(
    mock_clock: MockClock,
) -> None:
    given_up = trio.Event()

    async def give_up(url: str) -> None:
        with pytest.raises(UpstreamTooSlow) as failure:
            await ask(Pool(url, waiting(response_header=60)), b"POST", b"x")
        assert str(failure.value) == WHY
        given_up.set()

    async with serving(silent, limit=100) as server, trio.open_nursery() as nursery:
        nursery.start_soon(give_up, server.url)
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(59)
        await wait_all_tasks_blocked()
        assert not given_up.is_set()
        mock_clock.jump(1)


async def test_who_is_silent_on_a_kept_connection_is_not_asked_again(mock_clock: MockClock) -> None:
    async def silent_at_last(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await silent(connection)

    async def give_up(pool: Pool) -> None:
        with pytest.raises(UpstreamTooSlow):
            await ask(pool, b"POST", b"x")

    async with serving(silent_at_last, limit=100) as server:
        pool = Pool(server.url, waiting(response_header=60))
        await ask(pool)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up, pool)
            await wait_all_tasks_blocked(0.05)
            mock_clock.jump(60)
    assert server.connections == 1


async def test_a_large_request_may_take_longer_to_be_sent(mock_clock: MockClock) -> None:
    go = trio.Event()
    answers: list[bytes] = []

    async def slow_reader(connection: Connection) -> None:
        await go.wait()
        await connection.request()
        await connection.send(OK)

    async def send(url: str) -> None:
        pool = Pool(url, waiting(response_header=60))
        answers.append(await ask(pool, b"POST", LARGE))
        pool.close()

    async with serving(slow_reader, limit=1000) as server, trio.open_nursery() as nursery:
        nursery.start_soon(send, server.url)
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(500)
        await wait_all_tasks_blocked()
        go.set()
    assert answers == [b"ok"]


async def test_the_rest_of_an_answer_may_take_longer(mock_clock: MockClock) -> None:
    go = trio.Event()
    answers: list[bytes] = []

    async def slow(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK[:-2])
        await go.wait()
        await connection.send(OK[-2:])

    async def read(url: str) -> None:
        pool = Pool(url, waiting(response_header=60))
        answers.append(await ask(pool))
        pool.close()

    async with serving(slow, limit=1000) as server, trio.open_nursery() as nursery:
        nursery.start_soon(read, server.url)
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(500)
        await wait_all_tasks_blocked()
        go.set()
    assert answers == [b"ok"]
