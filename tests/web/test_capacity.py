"""More connections than there may be: who is not used makes room, nobody else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio
import trio.testing
import trustme
from hypercorn.typing import HTTPScope

from swapd.web.capacity import connections_within
from swapd.web.certificate import Certificate
from swapd.web.client import Client
from tests.web.raw import Flood, Served, answering, receive_until, relaying, request, rest, serving

GET_HELLO = request("/hello")


async def used(served: Served) -> trio.SocketStream:
    """Return a connection that has been used, and is not any more."""
    client = await served.connect()
    await client.send_all(GET_HELLO)
    assert (await receive_until(client, b"hello")).startswith(b"HTTP/1.1 200")
    return client


async def test_the_connection_that_is_unused_for_longest_makes_room() -> None:
    async with serving(relaying({}), most=3) as served:
        first, second, third = [await used(served) for _ in range(3)]
        async with first, second, third:
            await first.send_all(GET_HELLO)
            await receive_until(first, b"hello")
            async with await used(served):
                assert await rest(second) == b""
                for kept in (first, third):
                    await kept.send_all(GET_HELLO)
                    assert b"hello" in await receive_until(kept, b"hello")


@pytest.mark.parametrize("sent", [b"", b"GET /hello HTTP/1.1\r\nho"])
async def test_a_connection_that_asks_nothing_keeps_nobody_out(sent: bytes) -> None:
    async with serving(relaying({}), most=2) as served:
        silent = [await served.connect() for _ in range(5)]
        for client in silent:
            await client.send_all(sent) if sent else None
        await trio.testing.wait_all_tasks_blocked(0.01)
        async with await used(served):
            pass
        for client in silent:
            await client.aclose()


async def test_a_handshake_that_stalls_keeps_nobody_out(tmp_path: Path) -> None:
    authority = trustme.CA()
    pem = tmp_path / "both.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(pem)
    async with (
        serving(relaying({}), most=1, certificate=Certificate(pem, pem)) as served,
        await served.connect() as silent,
        await served.connect_by_tls(authority) as client,
    ):
        await trio.testing.wait_all_tasks_blocked(0.01)
        await client.send_all(GET_HELLO)
        assert b"hello" in await receive_until(client, b"hello")
        assert await rest(silent) == b""


async def test_who_comes_while_all_are_used_is_told_to_come_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flood = Flood()
    async with serving(relaying({"/": flood.relay}), most=1) as served:
        async with await served.connect(receive_buffer=4096) as busy:
            await busy.send_all(request("/"))
            await flood.stuck.wait()
            for _ in range(2):
                head, _, body = (await served.ask(GET_HELLO)).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503 ")
                assert b"retry-after: 1" in head
                assert json.loads(body)["error"]["code"] == "service_unavailable"
        await flood.ended.wait()
        await trio.testing.wait_all_tasks_blocked(0.01)
        async with await used(served):
            pass
    (record,) = caplog.records
    assert record.getMessage().startswith("all 1 connections are in use")


async def test_a_request_that_comes_or_is_answered_is_never_dismissed() -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()
        await client.begin(200, [])
        await client.finish()

    async with serving(answering(relay), most=1) as served, await served.connect() as client:
        await client.send_all(request("/", method=b"POST", head=b"content-length: 4\r\n") + b"ha")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert b"503" in await served.ask(GET_HELLO)
        await client.send_all(b"lf")
        assert (await receive_until(client, b"0\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_burst_of_clients_too_many_is_answered_or_closed() -> None:
    flood = Flood()
    async with (
        serving(answering(flood.relay), most=1) as served,
        await served.connect(receive_buffer=4096) as busy,
    ):
        await busy.send_all(request("/"))
        await flood.stuck.wait()
        answers: list[bytes] = []

        async def come() -> None:
            try:
                answers.append(await served.ask(b""))
            except OSError:
                answers.append(b"")

        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(come)
    assert len(answers) == 100
    assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 503", b""}
    assert any(answers)


@pytest.mark.parametrize(("descriptors", "connections"), [(1024, 448), (256, 64), (20, 5), (1, 1)])
def test_descriptors_are_left_for_all_else(descriptors: int, connections: int) -> None:
    assert connections_within(descriptors) == connections


@pytest.mark.parametrize(("soft", "hard", "then"), [(64, 128, 128), (128, 128, 128)])
def test_the_limit_of_descriptors_is_raised_as_far_as_the_system_lets(
    soft: int, hard: int, then: int
) -> None:
    script = (
        "import resource\n"
        "from swapd.web.capacity import raise_descriptor_limit\n"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "raise_descriptor_limit()\n"
        "print(*resource.getrlimit(resource.RLIMIT_NOFILE))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert ended.stdout.split() == [b"%d" % then, b"%d" % hard]


async def test_who_has_asked_for_more_than_one_thing_at_once_is_in_use() -> None:
    """Its reader waits for the first answer, and looks at nothing until that is out."""
    began, finish = trio.Event(), trio.Event()

    async def relay(scope: HTTPScope, client: Client) -> None:
        began.set()
        await finish.wait()
        await client.begin(200, [(b"content-length", b"1")])
        await client.write(b"x")
        await client.finish()

    async with serving(answering(relay), most=1) as served, await served.connect() as client:
        await client.send_all(request("/") * 2)
        await began.wait()
        assert (await served.ask(request("/"))).startswith(b"HTTP/1.1 503 ")
        finish.set()
        await receive_until(client, b"x")
        await client.send_all(request("/"))
        assert (await receive_until(client, b"x")).count(b"HTTP/1.1 200 ")
