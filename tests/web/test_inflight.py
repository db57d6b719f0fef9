"""The requests that are under way: listed, and cancelled in each phase."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio
from trio_websocket import ConnectionClosed

from swapd.errors import ModelUnavailable, RequestCancelled
from swapd.telemetry.inflight import InFlight, Phase, Step
from swapd.web import limits
from tests.upstream.scripted import Connection, Script
from tests.web.floor import Floor, Reply, chat, floor, get
from tests.web.opened import opened, talking
from tests.web.raw import receive_until, request, rest, upload

CHUNK = b'data: {"choices": []}\n\n'
BEGUN = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def streaming(left: trio.Event, *pieces: bytes) -> Script:
    """Return a server that begins an answer and does not end it; ``left`` is set when we leave."""

    async def script(connection: Connection) -> None:
        await connection.request()
        for piece in pieces:
            await connection.send(piece)
        await connection.left()
        left.set()

    return script


async def reached(web: Floor, phase: Phase) -> None:
    """Wait until there is a request in ``phase``."""
    requests = web.services.requests
    while all(request.phase is not phase for request in requests):
        news = trio.Event()

        def hear(_: object, news: trio.Event = news) -> None:
            news.set()

        with requests.news.listen(hear):
            await news.wait()


async def cancel(web: Floor, number: object = 1, head: bytes = b"") -> Reply:
    return await web.ask(get(f"/api/inflight/{number}/cancel", method=b"POST", head=head))


@asynccontextmanager
async def asking(web: Floor, asked: bytes) -> AsyncIterator[trio.SocketStream]:
    """Send a request whose answer is read in the block."""
    async with await web.served.connect() as client:
        await client.send_all(asked)
        yield client


async def test_who_waits_for_a_model_is_told_that_it_was_cancelled_and_waits_no_more() -> None:
    async with floor() as web, trio.open_nursery() as nursery:
        web.models.held = trio.Event()
        replies: list[Reply] = []

        async def ask() -> None:
            replies.append(await web.ask(chat()))

        nursery.start_soon(ask)
        await reached(web, Phase.WAITING)
        assert (await cancel(web)).body == b'{"msg":"ok"}\n'
    (reply,) = replies
    assert (reply.status, reply.error["code"]) == (499, "cancelled")
    assert "the request to m was cancelled" in reply.error["message"]
    assert (web.models.leases, [*web.services.requests]) == (0, [])
    (finished,) = web.finished
    assert (finished.status, finished.error) == (499, reply.error["message"])


async def test_who_has_no_answer_yet_gets_an_envelope_and_its_server_is_left() -> None:
    came, left = trio.Event(), trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        came.set()
        await connection.left()
        left.set()

    async with floor(script) as web, asking(web, chat()) as client:
        await came.wait()
        await reached(web, Phase.SERVED)
        assert (await cancel(web)).status == 200
        reply = Reply(await rest(client))
        await left.wait()
    assert (reply.status, reply.error["code"]) == (499, "cancelled")


async def test_requests_of_one_connection_are_cancelled_one_by_one() -> None:
    came, asked = trio.open_memory_channel[bytes](0)

    async def script(connection: Connection) -> None:
        await came.send(await connection.request())
        await connection.left()

    chat_again = upload("/v1/chat/completions", b'{"model": "m"}', head=b"")
    async with floor(*[script] * 3) as web, await web.served.connect() as client:
        for number in (1, 2, 3):
            await client.send_all(chat_again)
            assert await asked.receive()
            await cancel(web, number)
            assert b"HTTP/1.1 499" in await receive_until(client, b"was cancelled by hand")


async def test_a_stream_that_has_begun_ends_with_an_error_and_without_its_proper_end() -> None:
    left = trio.Event()
    piece = b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK)
    async with floor(streaming(left, BEGUN, piece)) as web, asking(web, chat()) as client:
        received = await receive_until(client, CHUNK)
        assert (await cancel(web)).status == 200
        received += await rest(client)
        await left.wait()
    last = received.split(b"\n\ndata: ")[-1].partition(b"\n\n")[0]
    error = json.loads(last)
    assert (error["src"], error["error"]["code"]) == ("swapd", "cancelled")
    assert not received.endswith(b"0\r\n\r\n")
    assert b"[DONE]" not in received


async def test_an_answer_that_cannot_hold_an_error_is_just_cut() -> None:
    left = trio.Event()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n"
    async with floor(streaming(left, head + b"half")) as web, asking(web, chat()) as client:
        received = await receive_until(client, b"half")
        assert (await cancel(web)).status == 200
        received += await rest(client)
        await left.wait()
    assert received.endswith(b"\r\n\r\nhalf")


async def test_a_client_that_does_not_read_cannot_keep_its_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "LAST_WORDS", 0.05)
    stuck = trio.Event()

    async def flood(connection: Connection) -> None:
        await connection.request()
        await connection.send(BEGUN)
        while not stuck.is_set():
            with trio.move_on_after(0.2) as waiting:
                await connection.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            if waiting.cancelled_caught:
                stuck.set()
        await connection.left()

    async with floor(flood) as web:
        client = await web.served.connect(receive_buffer=4096)
        async with client:
            await client.send_all(chat())
            await stuck.wait()
            over = trio.Event()

            def hear(news: tuple[Step, InFlight]) -> None:
                if news[0] is Step.OVER:
                    over.set()

            with web.services.requests.news.listen(hear):
                assert (await cancel(web)).status == 200
                await over.wait()
        assert web.models.leases == 0


async def test_a_websocket_is_closed_and_told_why() -> None:
    async with talking() as (web, _), opened(web.served) as websocket:
        await websocket.send_message("hello")
        await websocket.get_message()
        (tracked,) = web.services.requests
        assert (tracked.path, tracked.is_websocket) == ("/ws", True)
        assert (await cancel(web)).status == 200
        with pytest.raises(ConnectionClosed) as closed:
            await websocket.get_message()
        assert closed.value.reason is not None
        assert (closed.value.reason.code, closed.value.reason.reason) == (
            1008,
            "the request to m was cancelled by hand",
        )


async def test_a_request_that_is_cancelled_twice_is_cancelled_once() -> None:
    cancelled: list[bool] = []
    async with floor() as web:
        with web.services.requests.track("m", method="GET", path="/", client=None) as tracked:

            async def cancel_twice() -> None:
                tracked.cancel()
                tracked.cancel()
                await trio.lowlevel.checkpoint()

            at_cancel = partial(cancelled.append, True)
            with pytest.raises(RequestCancelled), tracked.cancellable(at_cancel):
                await cancel_twice()
            assert (await cancel(web)).status == 200, "it is under way still"
    assert cancelled == [True]


async def test_a_request_that_hangs_though_it_was_cut_can_still_be_cancelled() -> None:
    cancelled: list[bool] = []
    async with floor() as web:
        with web.services.requests.track("m", method="GET", path="/", client=None) as tracked:
            around = tracked.cancellable(partial(cancelled.append, True))
            around.cut(ModelUnavailable("m was unloaded", retry_after=1))
            tracked.cancel()
            with pytest.raises(ModelUnavailable), around:
                await trio.lowlevel.checkpoint()
    assert cancelled == [True]


async def test_a_request_that_is_cancelled_before_it_is_sent_is_not_sent() -> None:
    async with floor() as web:
        with web.services.requests.track("m", method="GET", path="/", client=None) as tracked:
            assert (await cancel(web)).status == 200
            with pytest.raises(RequestCancelled), tracked.cancellable():
                await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("number", ["2", "0", "-1", "x", "1.0", "9" * 400, "%C2%B2"])
async def test_what_is_not_under_way_cannot_be_cancelled(number: str) -> None:
    async with floor() as web:
        with web.services.requests.track("m", method="GET", path="/", client=None):
            reply = await cancel(web, number)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert "inflight request not found" in reply.error["message"]


async def test_pages_of_other_sites_and_those_without_a_key_cancel_nothing() -> None:
    async with floor() as web:
        with web.services.requests.track("m", method="GET", path="/", client=None) as tracked:
            assert (await cancel(web, head=b"origin: http://evil.example\r\n")).status == 403
            with tracked.cancellable():
                await trio.lowlevel.checkpoint()
    async with floor(apiKeys=["k"]) as web:
        assert (await cancel(web)).status == 401
        assert (await cancel(web, head=b"x-api-key: k\r\n")).status == 404


@pytest.mark.parametrize(
    ("client", "shown"), [("127.0.0.1", "5.6.7.8"), ("9.9.9.9", "9.9.9.9"), (None, "5.6.7.8")]
)
async def test_who_asks_is_told_as_in_the_log(client: str | None, shown: str) -> None:
    headers = [(b"x-forwarded-for", b"5.6.7.8, 1.1.1.1")]
    async with floor() as web:
        requests = web.services.requests
        with requests.track("m", method="GET", path="/", client=client, headers=headers):
            (listed,) = json.loads((await web.ask(get("/api/inflight"))).body)["requests"]
    assert listed["remote_ip"] == shown


async def test_what_is_under_way_is_listed_with_its_number() -> None:
    async with floor() as web:
        headers = [(b"host", b"h"), (b"cookie", b"c"), (b"x-a", b"1")]
        tracking = web.services.requests.track(
            "m", method="POST", path="/p", client="1.2.3.4", headers=headers
        )
        with tracking as tracked:
            tracked.admitted()
            tracked.answered(200, [(b"content-type", b"t")])
            tracked.bytes_sent = 7
            (listed,) = json.loads((await web.ask(get("/api/inflight"))).body)["requests"]
        assert listed.pop("elapsed_ms") >= 0
        assert "T" in listed.pop("timestamp")
        assert listed == {
            "id": "1",
            "model": "m",
            "req_path": "/p",
            "method": "POST",
            "req_headers": {"Cookie": "[REDACTED]", "X-A": "1"},
            "remote_ip": "1.2.3.4",
            "resp_headers": {"Content-Type": "t"},
            "resp_bytes": 7,
            "phase": "served",
            "status": 200,
        }
        assert (
            await web.ask(request("/api/inflight", head=b"connection: close\r\n"))
        ).status == 200
