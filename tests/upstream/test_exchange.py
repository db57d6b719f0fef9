"""One proxied request, from the client's request to the last byte of its answer."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.errors import UpstreamFailed
from swapd.upstream.bodies.body import Body
from swapd.upstream.exchange import ProxiedRequest, relay
from swapd.upstream.http1 import Pool
from tests.upstream.scripted import Connection, answering, serving, staying

STREAM = (
    b"HTTP/1.1 200 OK\r\nserver: llama\r\ncontent-type: text/event-stream\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
REQUEST = ProxiedRequest(
    method=b"POST",
    target=b"/v1/chat/completions?x=%2F",
    headers=[(b"host", b"swapd:8080"), (b"connection", b"close"), (b"content-length", b"2")],
    body=Body(b"{}"),
    client="10.0.0.7",
)


class Notes:
    """A downstream that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.wrote = trio.Event()

    async def begin(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], *, more: bool = False
    ) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((status, list(headers)))

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append(data)
        self.wrote.set()

    async def finish(self, last: bytes = b"") -> None:
        await trio.lowlevel.checkpoint()
        self.told.append((last, "finish"))

    async def abort(self) -> None:
        await trio.lowlevel.checkpoint()
        self.told.append("abort")


class Stuck(Notes):
    """A downstream whose client does not read."""

    async def write(self, data: bytes) -> None:
        await super().write(data)
        await trio.sleep_forever()


async def test_a_request_and_its_answer_pass_through() -> None:
    notes = Notes()
    async with answering(b"HTTP/1.1 404 Oh\r\nDate: x\r\ncontent-length: 2\r\n\r\nno") as server:
        pool = Pool(server.url)
        await relay(REQUEST, pool, notes)
        pool.close()

    assert server.requests == [
        b"POST /v1/chat/completions?x=%2F HTTP/1.1\r\nhost: swapd:8080\r\n"
        b"x-forwarded-for: 10.0.0.7\r\ncontent-length: 2\r\n\r\n{}"
    ]
    assert notes.told == [(404, [(b"date", b"x"), (b"content-length", b"2")]), (b"no", "finish")]


async def test_a_stream_passes_piece_by_piece_as_it_comes() -> None:
    notes = Notes()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(STREAM)
        for event in (b"one", b"two"):
            await connection.send(b"3\r\n%s\r\n" % event)
            await notes.wrote.wait()
            notes.wrote = trio.Event()
        await connection.send(b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n")

    async with serving(script) as server:
        pool = Pool(server.url)
        await relay(REQUEST, pool, notes)
        pool.close()

    assert notes.told == [
        (
            200,
            [
                (b"server", b"llama"),
                (b"content-type", b"text/event-stream"),
                (b"x-accel-buffering", b"no"),
            ],
        ),
        b"one",
        b"two",
        (b"ab", "finish"),
    ]


async def test_a_stream_that_breaks_is_raised_and_neither_finished_nor_aborted() -> None:
    notes = Notes()
    async with answering(STREAM + b"3\r\none\r\n") as server:
        with pytest.raises(UpstreamFailed, match="broke after 3 bytes of the answer"):
            await relay(REQUEST, Pool(server.url), notes)

    assert notes.told[1:] == [b"one"]


async def test_a_server_that_never_answers_leaves_the_downstream_untouched() -> None:
    notes = Notes()
    async with answering(b"") as server:
        with pytest.raises(UpstreamFailed, match="before it answered"):
            await relay(REQUEST, Pool(server.url), notes)

    assert notes.told == []


@pytest.mark.parametrize("downstream", [Notes, Stuck])
@pytest.mark.parametrize("answer", [b"", STREAM, STREAM + b"3\r\none\r\n"])
async def test_a_client_that_leaves_takes_the_upstream_connection_with_it(
    downstream: type[Notes], answer: bytes
) -> None:
    gone = trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer)
        await connection.left()
        gone.set()

    async with serving(script) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(relay, REQUEST, Pool(server.url), downstream())
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel(reason="the client left")
        await gone.wait()


async def test_a_downstream_that_fails_takes_the_upstream_connection_with_it() -> None:
    class Broken(Notes):
        async def begin(
            self, status: int, headers: Sequence[tuple[bytes, bytes]], *, more: bool = False
        ) -> None:
            raise trio.BrokenResourceError

    async with serving(staying(STREAM)) as server:
        with pytest.raises(trio.BrokenResourceError):
            await relay(REQUEST, Pool(server.url), Broken())
