"""Websockets to servers on real sockets, with a client in memory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
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


@pytest.mark.parametrize(
    ("sent", "how"),
    [
        (b"\xff\xff\xff\xff", "Invalid opcode 0xf"),
        (b"\x81\x82\0\0\0\0hi", "masked frame"),
        (b"\xc1\x02hi", "Reserved bit set"),
        (b"\x09\x00", "fragment control frame"),
        (b"\x89\x7e\x00\x7e" + bytes(126), "payload len > 125"),
        (b"\x00\x01x", "unexpected CONTINUATION"),
        (b"\x01\x01a\x81\x01b", "expected CONTINUATION"),
        (b"\x01\x01\xe2\x80\x01x", "can't decode"),
        (b"\x88\x01\x03", "1 byte payload"),
        (b"\x88\x02\x03\xe7", "invalid code"),
        (b"\x88\x02\x03\xed", "local-only reason"),
        (b"\x88\x02\x07\xd0", "reserved code"),
        (b"\x88\x03\x03\xe8\xff", "Error decoding CLOSE reason"),
    ],
)
async def test_a_server_that_breaks_the_rules_of_websockets_has_failed(
    sent: bytes, how: str
) -> None:
    async def lawless(connection: Connection) -> None:
        await accept(connection)
        await connection.send(b"\x81\x04good" + sent + b"\x81\x04late")
        await connection.left()

    wrong = f"the server broke the rules of websockets: .*{re.escape(how)}"
    failed = pytest.RaisesExc(UpstreamFailed, match=wrong)
    with pytest.RaisesGroup(failed, flatten_subgroups=True):
        async with serving(lawless) as server, tunnelled(server.url) as client:
            assert await client.hear() == "good"
            await trio.sleep_forever()


@pytest.mark.parametrize("code", [1002, 1007])
async def test_a_server_may_say_that_the_client_broke_the_rules(code: int) -> None:
    async with websockets(leaving(code, "you did")) as server, tunnelled(server.url) as client:
        pass
    assert client.closed == Farewell(code, "you did")


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
