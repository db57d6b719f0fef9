"""What a connection leaves when it is over: nothing that only the collector of garbage would find.

That collector comes so seldom that what waits for it is memory that grows for a quarter of an hour.
"""

from __future__ import annotations

import gc
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
import trio
from hypercorn.protocol import ProtocolWrapper
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import HTTPScope

from swapd.web.client import Client
from swapd.web.exchange import Exchange
from swapd.web.plain_http1 import PlainHttp1
from tests.web.raw import (
    WAYS_TO_LEAVE,
    receive_until,
    relaying,
    request,
    serving,
)

#: Trio turns what a socket says into errors of its own, in a context manager made of a generator.
without_circles_of_python = pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="from Python 3.12 on contextlib leaves a circle of an error that became another",
)

_OF_A_CONNECTION = (TCPServer, ProtocolWrapper, H11Protocol, PlainHttp1, Exchange)


@contextmanager
def without_collecting() -> Iterator[Counter[str]]:
    """Collect nothing in the block; count what it leaves of connections, by type."""
    left: Counter[str] = Counter()
    gc.collect()
    before = {id(each) for each in gc.get_objects() if isinstance(each, _OF_A_CONNECTION)}
    gc.disable()
    try:
        yield left
        for each in gc.get_objects():
            if isinstance(each, _OF_A_CONNECTION) and id(each) not in before:
                left[type(each).__name__] += 1
    finally:
        gc.enable()


async def greet(scope: HTTPScope, client: Client) -> None:
    await client.begin(200, [(b"content-length", b"5")])
    await client.write(b"hello")
    await client.finish()


async def say_half(scope: HTTPScope, client: Client) -> None:
    await client.begin(200, [])
    await client.write(b"hello")
    await trio.sleep_forever()


async def test_a_connection_that_was_kept_leaves_nothing() -> None:
    with without_collecting() as left:
        async with serving(relaying({"/relay": greet})) as served:
            async with await served.connect() as client:
                for _ in range(2):
                    await client.send_all(request("/relay"))
                    await receive_until(client, b"hello")
            await served.ask(request("/relay", head=b"connection: close\r\n"))
    assert not left


@without_circles_of_python
@pytest.mark.parametrize("leave", WAYS_TO_LEAVE)
async def test_a_client_that_leaves_amid_its_answer_leaves_nothing(
    leave: Callable[[trio.SocketStream], Awaitable[None]],
) -> None:
    with without_collecting() as left:
        app = relaying({"/relay": say_half})
        async with serving(app) as served, await served.connect() as client:
            await client.send_all(request("/relay"))
            await receive_until(client, b"hello")
            await leave(client)
    assert not left


@without_circles_of_python
async def test_a_connection_that_h11_had_served_leaves_nothing() -> None:
    with without_collecting() as left:
        app = relaying({"/relay": greet})
        async with serving(app) as served, await served.connect() as client:
            for head in (b"expect: 100-continue\r\n", b"", b"connection: close, x\r\n"):
                await client.send_all(request("/relay", head=head))
                await receive_until(client, b"hello")
    assert not left
