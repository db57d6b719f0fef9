"""Moving bytes: who gets a turn, and what is waited for."""

from __future__ import annotations

import socket

import trio

from swapd.upstream.wire import Wire


async def test_a_server_that_always_has_more_does_not_starve_other_tasks() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    ours, theirs = socket.socketpair()
    theirs.close()
    ours.setblocking(False)
    wire = Wire(ours)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        for _ in range(1000):
            assert await wire.receive() == b""  # the end, which never waits
        nursery.cancel_scope.cancel(reason="enough")
    wire.close()
    assert turns > 10
