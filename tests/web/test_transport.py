"""Who serves which requests: the fast transport the plain ones, h11 the others."""

from __future__ import annotations

import logging

import pytest
import trio
from hypercorn.trio import task_group
from hypercorn.typing import HTTPScope
from trio.testing import wait_all_tasks_blocked

from swapd.web.client import Client
from swapd.web.connection import Web
from swapd.web.exchange import exchange_of
from tests.web.raw import answering, receive_until, rest, serving, upload
from tests.web.raw import request as request_of


def telling() -> Web:
    """Return an app that says which transport serves a request."""

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        said = b"plain." if exchange_of(scope) is None else b"fast.."
        await client.begin(200, [(b"content-length", b"6")])
        await client.write(said)
        await client.finish()

    return answering(relay)


PLAIN = request_of("/", method=b"POST", head=b"content-length: 3\r\n") + b"abc"
LAST = upload("/", b"abc")
CHUNKED = (
    request_of("/", method=b"POST", head=b"transfer-encoding: chunked\r\n")
    + b"3\r\nabc\r\n0\r\n\r\n"
)


async def test_each_request_of_a_connection_is_served_by_who_can(transport: str) -> None:
    said = []
    async with serving(telling()) as served, await served.connect() as client:
        for pieces in (
            (PLAIN,),
            (CHUNKED,),
            (b"\r\n" + PLAIN,),
            (PLAIN[:20], PLAIN[20:]),
            (PLAIN,),
        ):
            for piece in pieces:
                await client.send_all(piece)
                await wait_all_tasks_blocked(0.01)
            said.append((await receive_until(client, b"."))[-6:])
    expected = [b"fast..", b"plain.", b"fast..", b"plain.", b"fast.."]
    assert said == (expected if transport == "fast" else [b"plain."] * 5)


async def test_what_does_not_ask_for_a_transport_is_run_on_both(
    request: pytest.FixtureRequest,
) -> None:
    """As nearly all tests of this floor; pytest tells what it meant to run it on."""
    named = request.node.callspec.params["transport"]
    async with serving(telling()) as served:
        answer = await served.ask(LAST)
    assert answer.endswith(b"fast.." if named == "fast" else b"plain.")


async def test_a_hypercorn_that_the_fast_transport_does_not_know_is_served_by_the_plain_one(
    transport: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(app: object, scope: object) -> None:
        """Take other parameters."""

    with monkeypatch.context() as patched:
        patched.setattr(task_group, "_handle", handle)
        with caplog.at_level(logging.WARNING, "swapd"):
            async with serving(telling()) as served:
                patched.undo()
                answer = await served.ask(LAST)
    assert answer.endswith(b"plain.")
    is_told = any("the plain one serves" in record.getMessage() for record in caplog.records)
    assert is_told == (transport == "fast")


async def test_a_piece_is_sent_whole_whoever_is_cancelled_meanwhile(transport: str) -> None:
    begun = trio.Event()
    piece = b"x" * 8 * 1024 * 1024

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [])
        with trio.CancelScope() as first:
            begun.set()
            first.deadline = trio.current_time() + 0.05
            await client.write(piece)
        await client.write(b"tail")
        await client.finish()

    async with serving(answering(relay)) as served:
        client = await served.connect(receive_buffer=4096)
        async with client:
            await client.send_all(LAST)
            await begun.wait()
            await trio.sleep(0.1)
            answer = await rest(client)
    _, _, body = answer.partition(b"\r\n\r\n")
    assert body == b"%x\r\n%b\r\n4\r\ntail\r\n0\r\n\r\n" % (len(piece), piece)


async def test_a_piece_is_sent_in_one_whoever_sends_another_meanwhile() -> None:
    first, second = b"a" * 2_000_000, b"b" * 2_000_000

    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-length", b"4000000")])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.write, first)
            nursery.start_soon(client.write, second)
        await client.finish()

    async with serving(answering(relay)) as served:
        client = await served.connect(receive_buffer=4096)
        async with client:
            await client.send_all(LAST)
            answer = await rest(client)
    _, _, body = answer.partition(b"\r\n\r\n")
    is_in_order = body in (first + second, second + first)
    assert is_in_order
