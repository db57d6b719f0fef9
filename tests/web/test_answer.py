"""Answers that are ended from outside, on raw sockets."""

from __future__ import annotations

import trio
from hypercorn.typing import HTTPScope

from swapd.web.client import Client
from tests.web.raw import receive_until, relaying, request, serving


async def test_an_answer_that_its_client_has_whole_is_ended_though_it_is_cancelled_then() -> None:
    caught = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        await client.begin(200, [(b"content-length", b"2")])
        with trio.CancelScope() as around:
            await client.write(b"hi")
            around.cancel()
            await client.finish()
        caught.append(around.cancelled_caught)

    async with serving(relaying({"/relay": relay})) as served, await served.connect() as client:
        for _ in range(2):
            await client.send_all(request("/relay"))
            with trio.fail_after(5):
                await receive_until(client, b"hi")
    assert caught == [False, False]
