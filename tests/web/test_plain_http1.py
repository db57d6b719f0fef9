"""How the requests of a connection follow one another, and how they end, without h11."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest
import trio
from hypercorn.events import RawData
from hypercorn.typing import HTTPScope
from trio.testing import wait_all_tasks_blocked

from swapd.web.client import Client
from swapd.web.exchange import Exchange
from swapd.web.http1 import Http1Protocol, Owed
from swapd.web.limits import LINGER, Patience
from swapd.web.plain_head import PlainHead
from swapd.web.plain_http1 import PlainHttp1
from tests.web.raw import answering, receive_until, request, rest, serving, upload
from tests.web.test_departure import living_tasks

_MEBIBYTE = 1024 * 1024


class Line:
    """Notes what a connection is asked to do."""

    def __init__(self) -> None:
        self.begun: list[Exchange] = []
        self.sent = b""
        self.times_closed = 0

    def begins(self, exchange: Exchange, head: PlainHead) -> None:
        self.begun.append(exchange)

    def is_idle(self) -> bool:
        return True

    async def put(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent += data

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
        self.times_closed += 1


def by_nobody() -> Http1Protocol:
    raise AssertionError


async def test_what_still_comes_of_a_request_that_was_given_up_is_not_held() -> None:
    line = Line()
    spoken = PlainHttp1(line, by_nobody)
    await spoken.handle(RawData(upload("/", b"x" * 100)[:-1]))
    await spoken.give_up()
    assert line.sent.startswith(b"HTTP/1.1 408 ")
    assert line.times_closed == 1
    assert spoken.owed is Owed.NOTHING
    tracemalloc.start()
    for number in range(20):
        await spoken.handle(RawData(random.Random(number).randbytes(_MEBIBYTE)))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2 * _MEBIBYTE
    assert len(line.begun) == 1


async def test_a_client_whose_request_was_given_up_may_send_the_rest_of_it() -> None:
    """It has not read yet that it is too late; a reset would take that away from it."""

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()

    patience = Patience(body=0.05)
    async with (
        serving(answering(relay), patience=patience) as served,
        await served.connect() as client,
    ):
        await client.send_all(upload("/", b"x" * 100_000)[:-50_000])
        answer = await receive_until(client, b"}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        for _ in range(5):
            await client.send_all(b"x" * 10_000)
            await wait_all_tasks_blocked(0.01)
        assert b"HTTP/1.1" not in await rest(client)


async def test_what_waits_behind_a_request_is_not_begun_any_more_at_the_end() -> None:
    began, finish = trio.Event(), trio.Event()
    served_paths: list[str] = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        served_paths.append(scope["query_string"].decode())
        began.set()
        await finish.wait()
        await client.begin(200, [(b"content-length", b"1")])
        await client.write(b"x")
        await client.finish()

    async with serving(answering(relay)) as served, await served.connect() as client:
        await client.send_all(request("/?1") + request("/?2"))
        await began.wait()
        served.closing.set()
        await wait_all_tasks_blocked(0.05)
        finish.set()
        answer = await rest(client)
        await served.ended.wait()
    assert answer.count(b"HTTP/1.1 200 ") == 1
    assert served_paths == ["1"]


async def test_what_waits_behind_an_answer_that_failed_does_not_hold_its_connection() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        await client.begin(200, [(b"content-length", b"9")])
        raise OSError

    async with serving(answering(relay)) as served:
        before = living_tasks()
        async with await served.connect() as client:
            await client.send_all(request("/") * 2)
            answer = await rest(client)
        assert answer.count(b"HTTP/1.1") == 1
        with trio.fail_after(LINGER + 5):
            while living_tasks() > before:  # noqa: ASYNC110  connections announce no end
                await trio.sleep(0.01)


ANSWER: Any = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.parametrize("is_answered", [True, False])
async def test_what_was_given_up_is_told_so_only_in_place_of_an_answer(is_answered: bool) -> None:
    line = Line()
    spoken = PlainHttp1(line, by_nobody)
    await spoken.handle(RawData(upload("/", b"abc")[:-1]))
    (exchange,) = line.begun
    if is_answered:
        await exchange.send(ANSWER)
    await spoken.give_up()
    await exchange.send(None)
    assert line.sent.count(b"HTTP/1.1 ") == 1
    assert line.times_closed == 1


async def test_what_is_not_read_is_known() -> None:
    """Closing at once would take away from the client what it has been answered."""
    spoken = PlainHttp1(Line(), by_nobody)
    await spoken.handle(RawData(upload("/", b"abc")[:-1]))
    assert spoken.has_unread
    await spoken.handle(RawData(b"c"))
    assert not spoken.has_unread
    async with trio.open_nursery() as nursery:
        nursery.start_soon(spoken.handle, RawData(request("/")))
        await wait_all_tasks_blocked()
        assert spoken.has_unread
        nursery.cancel_scope.cancel()


async def test_nothing_is_served_while_a_request_is_or_behind_the_end() -> None:
    line = Line()
    spoken = PlainHttp1(line, by_nobody)
    assert not spoken.serve(upload("/", b"abc")[:-1])
    assert spoken.serve(upload("/", b"abc"))
    assert not spoken.serve(request("/"))
    await line.begun[0].send(None)
    assert not spoken.serve(request("/"))
    assert len(line.begun) == 1

    spoken = PlainHttp1(line, by_nobody)
    await spoken.handle(RawData(upload("/", b"abc")[:-1]))
    assert not spoken.serve(request("/"))
    await spoken.give_up()
    assert not spoken.serve(request("/"))
    assert len(line.begun) == 2


async def test_a_request_within_a_body_is_body_in_whatever_pieces_that_comes() -> None:
    bodies = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        bodies.append((await client.body()).held)
        await client.begin(200, [(b"content-length", b"1")])
        await client.write(b"x")
        await client.finish()

    inner = request("/hello")
    length = request("/", method=b"POST", head=b"content-length: %d\r\n" % len(inner))
    chunked = request("/", method=b"POST", head=b"transfer-encoding: chunked\r\n")
    chunk = b"%x\r\n" % len(inner)
    async with serving(answering(relay)) as served, await served.connect() as client:
        for pieces in ((chunked + chunk, inner, b"\r\n0\r\n\r\n"), (length, inner)):
            for piece in pieces:
                await client.send_all(piece)
                await wait_all_tasks_blocked(0.01)
            assert (await receive_until(client, b"x")).startswith(b"HTTP/1.1 200")
    assert bodies == [inner, inner]


async def test_a_request_that_comes_while_another_is_served_waits_for_its_turn() -> None:
    began, finish = trio.Event(), trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        began.set()
        await finish.wait()
        await client.begin(200, [(b"content-length", b"1")])
        await client.write(scope["query_string"])
        await client.finish()

    async with serving(answering(relay)) as served, await served.connect() as client:
        for number in (b"1", b"2", b"3"):
            await client.send_all(request("/?" + number.decode()))
            await began.wait()
            await wait_all_tasks_blocked(0.01)
        finish.set()
        answers = await receive_until(client, b"\r\n\r\n3")
    assert [answer[-1:] for answer in answers.split(b"HTTP/1.1 ")[1:]] == [b"1", b"2", b"3"]
