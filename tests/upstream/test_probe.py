"""What a probe says about servers in every state."""

from __future__ import annotations

import gc

import pytest
import trio

from swapd.upstream.message import Message
from swapd.upstream.probe import Prober
from tests.upstream.scripted import Connection, answering, serving


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nwhat matters is here", None),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", None),
        (b"HTTP/1.1 503 Loading\r\ncontent-length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
        (b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", "status 302"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP answer"),
        (
            b"\x15\x03\x01\x00\x02\x02\x46",
            "it speaks TLS there: its proxy in the configuration must begin with https://",
        ),
        (b"HTTP/1.1 200", "no HTTP answer"),
        (b"", "no HTTP answer"),
    ],
)
async def test_only_200_is_ready(response: bytes, said: str | None) -> None:
    async with answering(response) as server:
        assert await Prober(server.url, "/health").probe() == said


async def test_the_endpoint_is_sent_as_written_behind_the_base_path() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n") as server:
        await Prober(server.url + "/base", "/he%61lth?deep=1&x").probe()

    host = server.url.removeprefix("http://").encode()
    assert server.requests == [
        b"GET /base/he%61lth?deep=1&x HTTP/1.1\r\nhost: " + host + b"\r\n\r\n"
    ]


async def test_nobody_there_is_said_in_the_systems_words() -> None:
    async with serving() as server:
        prober = Prober(server.url, "/health")
    assert await prober.probe() == "connection refused"


@pytest.mark.parametrize("response", [b"HTTP/1.1 200 OK\r\n\r\n", b"no HTTP\r\n", b""])
async def test_a_probe_leaves_nothing_that_only_the_collector_finds(response: bytes) -> None:
    async with answering(response) as server:
        gc.collect()
        gc.disable()
        try:
            await Prober(server.url, "/health").probe()
            assert not [each for each in gc.get_objects() if isinstance(each, Message)]
        finally:
            gc.enable()


async def test_every_probe_has_a_new_connection() -> None:
    ready = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    async with serving() as server:
        server.then(server.answer(ready), server.answer(ready))
        prober = Prober(server.url, "/health")
        assert await prober.probe() is None
        assert await prober.probe() is None
    assert server.connections == 2


async def test_a_cancelled_probe_leaves_no_connection() -> None:
    asked = trio.Event()
    gone = trio.Event()

    async def silent(connection: Connection) -> None:
        await connection.request()
        asked.set()
        await connection.left()
        gone.set()

    async with serving(silent) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Prober(server.url, "/health").probe)
            await asked.wait()
            nursery.cancel_scope.cancel(reason="the model died")
        await gone.wait()
