"""Large messages in frames: all of them arrives, and nobody waits for it."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as some
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.upstream.pieces import PIECE, pieces
from swapd.upstream.websocket import PING_EVERY, SILENT_AFTER, Farewell
from tests.upstream.frames import PING, Frames
from tests.upstream.scripted import Connection, serving
from tests.upstream.tunnels import tunnelled
from tests.upstream.websockets import LARGE, accept, echo, websockets

#: What a server takes between two pings: more than the kernel keeps for it in three.
AT_A_TIME = 4 * 1024 * 1024


@given(size=some.integers(0, 4 * PIECE), letter=some.sampled_from(["x", "✓", b"x"]))
def test_the_frames_of_a_message_are_all_of_it(size: int, letter: str | bytes) -> None:
    message = letter * size
    found = [*pieces(message)]
    parts = [message[at : at + PIECE] for at in range(0, max(size, 1), PIECE)]
    assert [piece.data for piece in found] == parts
    assert [piece.message_finished for piece in found] == [False] * (len(parts) - 1) + [True]


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
async def test_a_server_gets_whole_messages(size: int) -> None:
    async with websockets(echo) as server, tunnelled(server.url) as client:
        for message in (bytes(size), "✓" * size, ""):
            await client.say(message)
            assert await client.hear() == message
        await client.leave()


async def test_a_server_that_takes_its_time_over_a_large_message_is_not_silent(
    mock_clock: MockClock,
) -> None:
    """It can say that it is there only if it is asked amid the message."""
    over = trio.Event()

    async def slow(connection: Connection) -> None:
        await accept(connection)
        frames = Frames(connection.receive)
        for taken in range(0, LARGE, PIECE):
            if taken % AT_A_TIME == 0:
                await trio.sleep(PING_EVERY)
            while (frame := await frames.take()).kind == PING:
                await connection.send(b"\x8a\x04" + frame.payload)
        over.set()
        await connection.left()

    async with serving(slow, limit=1000) as server, tunnelled(server.url, limit=1000) as client:
        await client.say(bytes(LARGE))
        while not over.is_set():
            mock_clock.jump(PING_EVERY)
            await wait_all_tasks_blocked(0.01)
        assert mock_clock.current_time() > 2 * SILENT_AFTER
        client.cut()


@pytest.mark.parametrize("amid", [PIECE, 8 * 1024 * 1024])
async def test_a_server_that_leaves_amid_a_large_message_is_heard(amid: int) -> None:
    async def leave(connection: Connection) -> None:
        await accept(connection)
        frames = Frames(connection.receive)
        for _ in range(0, amid, PIECE):
            await frames.take()
        await connection.send(b"\x88\x02\x0f\xa0")
        await connection.left()

    async with serving(leave) as server, tunnelled(server.url) as client:
        await client.say(bytes(LARGE))
    assert client.closed == Farewell(4000, "")
