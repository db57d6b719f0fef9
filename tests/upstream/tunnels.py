"""Tunnels from a client in memory to a server on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed
from swapd.ids import Header
from swapd.upstream.handshake import Handshake
from swapd.upstream.origin import Origin
from swapd.upstream.websocket import tunnel
from tests.upstream.scripted import Server
from tests.upstream.websockets import Client

LONG = 30.0


def wanting(
    target: bytes = b"/ws", *subprotocols: str, headers: tuple[Header, ...] = ()
) -> Handshake:
    return Handshake(target, [(b"host", b"swapd.example"), *headers], subprotocols, "127.0.0.1")


@asynccontextmanager
async def tunnelled(
    url: str, handshake: Handshake | None = None, *, limit: float = LONG
) -> AsyncIterator[Client]:
    """Pass websockets on to ``url`` until the block has ended, or the tunnel has."""
    client = Client()
    with trio.fail_after(limit):
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                origin = Origin(url, Timeouts())
                await tunnel(handshake or wanting(), origin, client)
                if not client.opened.is_set():
                    nursery.cancel_scope.cancel(reason="it was refused")

            nursery.start_soon(run)
            client.scope = nursery.cancel_scope
            await client.opened.wait()
            yield client


async def failure_of(url: str) -> UpstreamFailed:
    """Return what becomes of a websocket to ``url``."""
    with pytest.raises(UpstreamFailed) as failure, trio.fail_after(LONG):
        await tunnel(wanting(), Origin(url, Timeouts()), Client())
    return failure.value


async def refusal_by(server: Server) -> tuple[int, list[Header], bytes]:
    """Return what the client is told of what ``server`` answers."""
    client = Client()
    with trio.fail_after(LONG):
        await tunnel(wanting(), Origin(server.url, Timeouts()), client)
    assert client.refused is not None
    status, headers, body = client.refused
    return status, list(headers), body
