"""Large messages to clients: they come in frames, between which there is time for others."""

from __future__ import annotations

import gc
import random
import zlib

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.upstream.pieces import PIECE
from swapd.web.client_websocket import ClientWebsocket
from swapd.web.limits import PING_EVERY, SILENT_AFTER
from swapd.web.websocket_stream import WebsocketStream
from tests.upstream.frames import PING, Frames
from tests.web.raw import rest, serving
from tests.web.test_websocket_stream import (
    PONG,
    app_of,
    deflated,
    frame,
    open_deflating,
    open_websocket,
)

MEBIBYTE = 1024 * 1024

#: What a client takes between two pings: more than the kernel keeps for it in three.
AT_A_TIME = 4 * MEBIBYTE


GO = frame(1, b"go")


async def whole(frames: Frames) -> bytes:
    """Return the next message, which may have several frames, as it came."""
    payloads = []
    while not (taken := await frames.take()).is_last:
        payloads.append(taken.payload)
    return b"".join([*payloads, taken.payload])


@pytest.mark.parametrize("message", [random.Random(1).randbytes(5 * PIECE), "✓" * 2 * PIECE, b""])
async def test_a_large_message_comes_whole_compressed_or_not(message: str | bytes) -> None:
    async def talk(client: ClientWebsocket) -> None:
        await client.receive()
        for _ in range(2):  # the second one is compressed by what the first one was
            await client.send(message)

    said = message.encode() if isinstance(message, str) else message
    async with serving(app_of(talk)) as served:
        async with await open_websocket(served) as client:
            await client.send_all(GO)
            frames = Frames(client.receive_some)
            assert [await whole(frames), await whole(frames)] == [said, said]
            await rest(client)
        inflate = zlib.decompressobj(wbits=-15)
        async with await open_deflating(served) as client:
            await client.send_all(GO)
            frames = Frames(client.receive_some)
            for _ in range(2):
                assert inflate.decompress(await whole(frames) + b"\0\0\xff\xff") == said
            await rest(client)


async def test_others_have_their_turn_while_a_large_message_is_compressed() -> None:
    turns = 0

    async def talk(client: ClientWebsocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(take_turns)
            await client.send(bytes(100 * PIECE))  # so little that the socket takes it at once
            nursery.cancel_scope.cancel(reason="it is sent")

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with serving(app_of(talk)) as served, await open_deflating(served) as client:
        await rest(client)
    assert turns >= 100


async def test_a_client_that_takes_its_time_over_a_large_message_is_not_gone(
    mock_clock: MockClock,
) -> None:
    """It can say that it is there only if it is asked amid the message."""
    size = 60 * MEBIBYTE

    async def talk(client: ClientWebsocket) -> None:
        await client.send(bytes(size))

    async def listen() -> None:
        frames = Frames(client.receive_some)
        for taken in range(0, size, PIECE):
            if taken % AT_A_TIME == 0:
                await trio.sleep(PING_EVERY)
            while (await frames.take()).kind == PING:
                await client.send_all(PONG)
        over.set()

    over = trio.Event()
    async with (
        serving(app_of(talk), limit=1000) as served,
        await open_websocket(served) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(listen)
        while not over.is_set():
            mock_clock.jump(PING_EVERY)
            await wait_all_tasks_blocked(0.01)
        assert mock_clock.current_time() > 2 * SILENT_AFTER


def streams() -> list[WebsocketStream]:
    return [one for one in gc.get_objects() if isinstance(one, WebsocketStream)]


async def test_others_have_their_turn_while_a_large_message_is_inflated() -> None:
    async def talk(client: ClientWebsocket) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            assert await client.receive() == sent
            nursery.cancel_scope.cancel(reason="it has come")

    async def watch() -> None:
        [stream] = (one for one in streams() if one not in others)
        while True:
            lengths.add(stream.buffer.length)
            await trio.lowlevel.checkpoint()

    others = streams()  # of other tests, until Python looks for garbage
    sent, lengths = bytes(100 * MEBIBYTE), set[int]()
    async with serving(app_of(talk)) as served, await open_deflating(served) as client:
        await client.send_all(deflated(sent))  # so little that it comes at once
        await rest(client)
    assert len(lengths) > 4
