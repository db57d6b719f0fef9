"""The client of the commands, against the web floor and against what is no swapd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
import trio.testing
from trio_websocket import wrap_server_stream

from swapd.cli.address import CONNECT_SECONDS, Address, parse
from swapd.cli.client import Client, Loaded
from swapd.cli.messages import read_snapshot
from swapd.errors import CannotReach, Refused
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.web.floor import Floor, floor

START = Transition(
    ModelId("m"), ModelState.STOPPED, ModelState.STARTING, Reason.REQUEST, Generation(1)
)


def client_of(web: Floor, key: str | None = None) -> Client:
    return Client(parse(f"http://127.0.0.1:{web.served.port}"), key)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Client]:
    """Serve ``answer`` to whoever asks, and hang up."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(answer)
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield Client(parse(f"http://127.0.0.1:{listener.socket.getsockname()[1]}"), "key")
        nursery.cancel_scope.cancel(reason="asked enough")


class InMemory(Address):
    """A place within this process, whose other end is ``theirs``."""

    def __init__(self, ours: trio.abc.Stream) -> None:
        super().__init__("memory", "memory", 80)
        object.__setattr__(self, "_ours", ours)

    async def open(self) -> trio.abc.Stream:
        stream: trio.abc.Stream = self._ours  # type: ignore[attr-defined]
        await trio.lowlevel.checkpoint()
        return stream


async def test_a_snapshot_is_what_the_websocket_says_first() -> None:
    async with floor() as web:
        said = read_snapshot(await client_of(web).snapshot())
    assert [(seen.model, seen.state) for seen in said.models] == [("m", "stopped")]


async def test_every_message_is_heard_until_swapd_ends() -> None:
    heard: list[bytes] = []
    order: list[str] = []
    async with floor() as web:

        def hear(said: bytes) -> None:
            order.append("heard")
            heard.append(said)
            if len(heard) == 1:
                web.lifecycle.publish(START)
            else:
                web.lifecycle.close()

        with pytest.raises(CannotReach, match="swapd has ended"):
            await client_of(web).listen("", hear, greet=lambda: order.append("greeted"))
    assert order == ["greeted", "heard", "heard"]
    assert b'"transition"' in heard[1]


async def test_a_key_is_brought_by_http_and_websocket() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        for wrong in (None, "wrong"):
            for asked in (client_of(web, wrong).snapshot, partial(client_of(web).id_of, "x")):
                with pytest.raises(Refused) as told:
                    await asked()
                assert str(told.value) == (
                    "invalid or missing API key: give one by --api-key or SWAPD_API_KEY"
                )
        assert b"snapshot" in await client_of(web, " sesame\n").snapshot()
        assert await client_of(web, "sesame").id_of("alias") == "m"


async def test_what_swapd_refuses_is_told_in_its_own_words() -> None:
    async with floor() as web:
        with pytest.raises(Refused, match="model not found: 'n/x y'") as told:
            await client_of(web).load("n/x y", wait=False)
        assert "\n" not in str(told.value)


async def test_an_alias_is_resolved_and_another_name_is_kept() -> None:
    async with floor() as web:
        names = [await client_of(web).id_of(name) for name in ("alias", "m", "other")]
    assert names == ["m", "m", "other"]


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno",
        b"HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\nno",
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
        b'HTTP/1.1 401 Unauthorized\r\ncontent-length: 13\r\n\r\n{"error": 42}',
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_what_is_no_swapd_is_told_soon(answer: bytes) -> None:
    async with answering(answer) as client:
        with trio.fail_after(CONNECT_SECONDS / 2):
            with pytest.raises(CannotReach, match=r"^there is no swapd at"):
                await client.snapshot()
            with pytest.raises(CannotReach, match=r"^there is no swapd at"):
                await client.load("m", wait=True)


async def test_whoever_accepts_and_says_nothing_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    with pytest.raises(CannotReach, match="no answer"):
        await Client(InMemory(ours), None).snapshot()
    assert trio.current_time() == pytest.approx(CONNECT_SECONDS)
    await theirs.aclose()


async def test_a_websocket_on_which_nothing_is_said_is_none_of_swapds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def accept() -> None:
            async with trio.open_nursery() as inner:
                await (await wrap_server_stream(inner, theirs)).accept()

        nursery.start_soon(accept)
        with trio.fail_after(1000), pytest.raises(CannotReach, match="says nothing"):
            await Client(InMemory(ours), None).snapshot()
        nursery.cancel_scope.cancel()


async def test_a_connection_that_died_without_a_word_is_found_by_its_pings(
    autojump_clock: trio.testing.MockClock,
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        accepted = trio.Event()

        async def accept() -> None:
            async with trio.open_nursery() as inner:
                request = await wrap_server_stream(inner, theirs)
                websocket = await request.accept()
                await websocket.send_message("first")
                await trio.sleep(70)  # answers pings
                accepted.set()
                inner.cancel_scope.cancel()  # answers none, but the connection stays

        nursery.start_soon(accept)
        heard: list[bytes] = []
        with trio.fail_after(1000), pytest.raises(CannotReach, match="no answer"):
            await Client(InMemory(ours), None).listen("", heard.append)
        assert accepted.is_set()
        assert heard == [b"first"]
        assert trio.current_time() < 70 + 3 * 20


async def test_a_swapd_that_is_gone_is_told_from_one_that_never_was() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def accept_and_leave() -> None:
            async with trio.open_nursery() as inner:
                await (await wrap_server_stream(inner, theirs)).accept()
                await theirs.aclose()

        nursery.start_soon(accept_and_leave)
        with pytest.raises(CannotReach, match=r"^memory: the connection broke$"):
            await Client(InMemory(ours), None).snapshot()


async def test_a_long_message_is_taken() -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def tell() -> None:
            async with trio.open_nursery() as inner:
                websocket = await (await wrap_server_stream(inner, theirs)).accept()
                await websocket.send_message("x" * 2**21)

        nursery.start_soon(tell)
        assert len(await Client(InMemory(ours), None).snapshot()) == 2**21
        nursery.cancel_scope.cancel()


async def test_where_swapd_is_below_a_path_all_is_asked_there() -> None:
    async with trio.open_nursery() as nursery:
        ours, theirs = trio.testing.memory_stream_pair()
        asked: list[bytes] = []

        async def serve() -> None:
            asked.append(bytes(await theirs.receive_some()))
            body = b'{"model": "m", "state": "ready"}'
            head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
            await theirs.send_all(head + body)

        nursery.start_soon(serve)
        address = InMemory(ours)
        object.__setattr__(address, "prefix", "/ai")
        told = await Client(address, "k").load("org/m x?", wait=True)
    assert told == Loaded("m", "ready")
    assert asked[0].startswith(b"POST /ai/api/models/load/org/m%20x%3F?wait=1 HTTP/1.1\r\n")
    assert b"\r\nauthorization: Bearer k\r\n" in asked[0].replace(b"A", b"a")
    assert b"\r\nuser-agent: swapd\r\n" in asked[0].lower()
