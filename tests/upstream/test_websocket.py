"""Websockets to servers on real sockets, with a client in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from trio.testing import wait_all_tasks_blocked
from trio_websocket import WebSocketConnection

from swapd.errors import UpstreamFailed
from swapd.upstream.websocket import Farewell
from tests.upstream.certificates import Authority, authority
from tests.upstream.scripted import Connection, serving
from tests.upstream.tunnels import tunnelled
from tests.upstream.websockets import (
    LARGE,
    accept,
    echo,
    leaving,
    listen,
    websockets,
)

__all__ = ["authority"]


async def test_texts_and_bytes_go_both_ways_also_empty_ones() -> None:
    async with websockets(echo) as server, tunnelled(server.url) as client:
        for message in ("hello", b"\x00\xff", "", b"", "ünïcode ✓", "x" * 70_000):
            await client.say(message)
            assert await client.hear() == message
        await client.leave()


async def test_large_messages_pass_whole() -> None:
    binary = bytes(range(256)) * 40_000  # 10 MB
    async with websockets(echo) as server, tunnelled(server.url) as client:
        for message in (binary, "✓" * 1_000_000):
            await client.say(message)
            assert await client.hear() == message
        await client.leave()


@pytest.mark.parametrize(
    ("code", "reason"),
    [(1000, "done"), (4321, "so be it"), (1001, None), (1013, "x" * 123), (1014, "no")],
)
async def test_the_client_hears_how_the_server_leaves(code: int, reason: str | None) -> None:
    last = ("one", b"two")
    talk = leaving(code, reason, *last)
    async with websockets(talk) as server, tunnelled(server.url) as client:
        assert [await client.hear(), await client.hear()] == [*last]
    assert client.closed == Farewell(code, reason or "")


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "done"), (4321, "so be it"), (1001, ""), (1005, ""), (1014, "no")]
)
async def test_the_server_hears_how_the_client_leaves(code: int, reason: str) -> None:
    async with websockets(listen) as server:
        async with tunnelled(server.url) as client:
            await client.say("something")
            await client.leave(code, reason)
        assert client.closed is None
        await wait_all_tasks_blocked()
        assert server.farewells == [(code, reason or None)]
        assert server.open == 0


async def test_a_client_that_vanishes_does_so_for_the_server_too() -> None:
    async with websockets(listen) as server:
        async with tunnelled(server.url) as client:
            await client.leave(1006)
        await wait_all_tasks_blocked()
        assert server.farewells == [(1006, None)]


async def test_a_server_that_vanishes_is_a_failure() -> None:
    async def vanish(websocket: WebSocketConnection) -> None:
        await websocket.get_message()
        await websocket._stream.aclose()

    broken = pytest.RaisesExc(UpstreamFailed, match="broke the websocket off")
    with pytest.RaisesGroup(broken, flatten_subgroups=True):
        async with websockets(vanish) as server, tunnelled(server.url) as client:
            await client.say("x")
    assert client.closed is None


async def test_a_server_that_does_not_take_its_leave_is_not_waited_for() -> None:
    async def rude(connection: Connection) -> None:
        await accept(connection)
        await connection.left()

    async with serving(rude) as server, tunnelled(server.url) as client:
        await client.leave()


async def test_a_message_that_is_too_large_ends_the_websocket() -> None:
    async def boast(websocket: WebSocketConnection) -> None:
        await websocket.send_message(bytes(LARGE + 1))
        await websocket.get_message()

    async with websockets(boast) as server, tunnelled(server.url) as client:
        pass
    assert client.closed is not None
    assert (client.closed.code, server.farewells[0][0]) == (1009, 1009)


async def test_what_breaks_the_rules_of_websockets_ends_it_with_a_code() -> None:
    async def lawless(connection: Connection) -> None:
        await accept(connection)
        await connection.send(b"\xff\xff\xff\xff")
        await connection.left()

    async with serving(lawless) as server, tunnelled(server.url) as client:
        pass
    assert client.closed is not None
    assert client.closed.code == 1002


async def test_a_websocket_goes_over_tls(authority: Authority) -> None:
    message = bytes(range(256)) * 4000
    async with websockets(echo, tls=authority.server("127.0.0.1")) as server:
        async with tunnelled(server.url) as client:
            await client.say(message)
            assert await client.hear() == message
            await client.leave(4000, "bye")
        await wait_all_tasks_blocked(0.02)
        assert server.farewells == [(4000, "bye")]


async def test_a_websocket_goes_over_a_unix_socket(tmp_path: Path) -> None:
    async with websockets(echo, unix=tmp_path / "s") as server, tunnelled(server.url) as client:
        await client.say("x")
        assert await client.hear() == "x"
        await client.leave()
