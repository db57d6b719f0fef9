"""Who does not take, who says nothing, and who is cut: none of them holds anything."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import WebSocketConnection

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed
from swapd.upstream.origin import Origin
from swapd.upstream.websocket import PING_EVERY, SILENT_AFTER, tunnel
from tests.upstream.scripted import Connection, serving
from tests.upstream.tunnels import tunnelled, wanting
from tests.upstream.websockets import (
    Client,
    accept,
    listen,
    websockets,
)


async def test_what_a_client_does_not_take_is_not_read() -> None:
    sent = 0

    async def flood(websocket: WebSocketConnection) -> None:
        nonlocal sent
        while True:
            await websocket.send_message(bytes(1024 * 1024))
            sent += 1

    async with websockets(flood) as server, tunnelled(server.url) as client:
        await client.hear()
        before = -1
        while before != sent:
            before = sent
            await trio.sleep(0.2)
        assert sent < 40
        await client.leave()


async def test_what_a_server_does_not_take_is_not_taken_from_the_client() -> None:
    async def deaf(connection: Connection) -> None:
        await accept(connection)
        await trio.sleep_forever()

    said = 0
    async with serving(deaf) as server, tunnelled(server.url) as client:
        with trio.move_on_after(1):
            while True:
                await client.say(bytes(1024 * 1024))
                said += 1
        assert said < 40
        client.cut()


async def let_pass(seconds: float, clock: MockClock) -> None:
    """Let time pass, with a moment for what is sent every few seconds."""
    for _ in range(int(seconds / PING_EVERY)):
        clock.jump(PING_EVERY)
        await wait_all_tasks_blocked(0.01)


async def test_a_server_that_answers_pings_may_have_nothing_to_say(mock_clock: MockClock) -> None:
    async with websockets(listen) as server, tunnelled(server.url, limit=1000) as client:
        await let_pass(3 * SILENT_AFTER, mock_clock)
        await client.say("still there?")
        assert server.open == 1
        await client.leave()


async def test_a_server_that_answers_no_ping_is_given_up(mock_clock: MockClock) -> None:
    pings: list[bytes] = []

    async def deaf(connection: Connection) -> None:
        await accept(connection)
        pings.append(await connection.receive())
        await connection.left()

    silent = pytest.RaisesExc(UpstreamFailed, match=f"the server was silent for {SILENT_AFTER:g} s")
    with pytest.RaisesGroup(silent, flatten_subgroups=True):
        async with serving(deaf, limit=1000) as server, tunnelled(server.url, limit=1000) as client:
            await let_pass(SILENT_AFTER - PING_EVERY, mock_clock)
            assert client.closed is None
            await let_pass(2 * PING_EVERY, mock_clock)
            await trio.sleep_forever()
    assert pings[0][:1] == b"\x89"


async def test_a_server_whose_client_does_not_listen_is_not_silent(mock_clock: MockClock) -> None:
    async def flood(websocket: WebSocketConnection) -> None:
        while True:
            await websocket.send_message("x" * 100_000)

    async with websockets(flood) as server, tunnelled(server.url, limit=1000) as client:
        await let_pass(3 * SILENT_AFTER, mock_clock)
        assert await client.hear() == "x" * 100_000
        await client.leave()


@pytest.mark.parametrize("attempt", range(5))
@pytest.mark.parametrize("stage", ["handshake", "idle", "talking"])
async def test_whatever_is_cut_closes_its_connection(stage: str, attempt: int) -> None:
    reached, gone = trio.Event(), trio.Event()

    async def script(connection: Connection) -> None:
        if stage == "handshake":
            await connection.request()
        else:
            await accept(connection)
        if stage == "talking":
            await connection.receive()
        reached.set()
        await connection.left()
        gone.set()

    client = Client()

    async def talk() -> None:
        while stage == "talking":
            await client.say(bytes(1_000_000))

    async with serving(script) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tunnel, wanting(), Origin(server.url, Timeouts()), client)
            nursery.start_soon(talk)
            await reached.wait()
            nursery.cancel_scope.cancel(reason="cut")
        await gone.wait()
