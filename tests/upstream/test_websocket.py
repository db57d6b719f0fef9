"""Websockets to servers on real sockets, with a client in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked
from trio_websocket import WebSocketConnection

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed, UpstreamTooSlow, UpstreamUnreachable
from swapd.upstream.handshake import Handshake
from swapd.upstream.origin import Origin
from swapd.upstream.websocket import PING_EVERY, REFUSAL_BYTES, SILENT_AFTER, Farewell, tunnel
from tests.upstream.asking import waiting
from tests.upstream.certificates import Authority, authority
from tests.upstream.scripted import Connection, Server, answering, serving
from tests.upstream.websockets import (
    LARGE,
    Client,
    Header,
    accept,
    echo,
    leaving,
    listen,
    websockets,
)

__all__ = ["authority"]

LONG = 10.0


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


async def test_texts_and_bytes_go_both_ways_also_empty_ones() -> None:
    async with websockets(echo) as server, tunnelled(server.url) as client:
        for message in ("hello", b"\x00\xff", "", b"", "ünïcode ✓", "x" * 70_000):
            await client.say(message)
            assert await client.hear() == message
        await client.leave()


async def test_large_messages_pass_whole() -> None:
    binary = bytes(range(256)) * 40_000  # 10 MB
    async with websockets(echo) as server, tunnelled(server.url) as client:
        for message in (binary, "✓" * 1_000_000):
            await client.say(message)
            assert await client.hear() == message
        await client.leave()


async def test_the_handshake_says_what_the_client_has_said() -> None:
    headers = (
        (b"origin", b"http://swapd.example"),
        (b"cookie", b"c=1"),
        (b"connection", b"Upgrade, x-hop"),
        (b"upgrade", b"websocket"),
        (b"x-hop", b"1"),
        (b"sec-websocket-key", b"client's"),
        (b"sec-websocket-version", b"13"),
        (b"sec-websocket-extensions", b"permessage-deflate"),
        (b"sec-websocket-protocol", b"one, two"),
        (b"x-forwarded-for", b"192.0.2.1"),
    )
    handshake = wanting(b"/a%2Fb//?x=%20&y", "one", "two", headers=headers)
    async with websockets(echo) as server, tunnelled(server.url + "/base", handshake) as client:
        await client.leave()
    asked = server.asked[0]
    assert asked.path == "/base/a%2Fb//?x=%20&y"
    assert asked.proposed_subprotocols == ("one", "two")
    assert (server.headers[b"origin"], server.headers[b"cookie"]) == (
        b"http://swapd.example",
        b"c=1",
    )
    assert server.headers[b"x-forwarded-for"] == b"192.0.2.1, 127.0.0.1"
    for of_the_hop in (b"x-hop", b"sec-websocket-key", b"sec-websocket-extensions"):
        assert server.headers.get(of_the_hop) not in {b"1", b"client's", b"permessage-deflate"}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (b"swapd.example:8080", b"swapd.example:8080"),
        (b"", b"127.0.0.1"),
        (b"a..b", b"127.0.0.1"),
        (b"x" * 64, b"127.0.0.1"),
    ],
)
async def test_the_server_is_called_what_the_client_calls_it(asked: bytes, sent: bytes) -> None:
    hosts: list[bytes] = []

    async def refuse(connection: Connection) -> None:
        lines = (await connection.request()).split(b"\r\n")
        hosts.extend(line[6:] for line in lines if line.lower().startswith(b"host: "))
        await connection.send(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    async with serving(refuse) as server:
        handshake = Handshake(b"/", [(b"Host", asked)] if asked else [], (), None)
        await tunnel(handshake, Origin(server.url, Timeouts()), Client())
    assert [host.startswith(sent) for host in hosts] == [True]


async def test_what_the_server_chooses_and_adds_reaches_the_client() -> None:
    async with websockets(echo) as server:
        async with tunnelled(server.url, wanting(b"/", "two", "one")) as client:
            await client.leave()
        assert client.accepted == ("two", [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
        async with tunnelled(server.url) as client:
            await client.leave()
        assert client.accepted is not None
        assert client.accepted[0] is None


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "done"), (4321, "so be it"), (1001, None), (1013, "x" * 123)]
)
async def test_the_client_hears_how_the_server_leaves(code: int, reason: str | None) -> None:
    last = ("one", b"two")
    talk = leaving(code, reason, *last)
    async with websockets(talk) as server, tunnelled(server.url) as client:
        assert [await client.hear(), await client.hear()] == [*last]
    assert client.closed == Farewell(code, reason or "")


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "done"), (4321, "so be it"), (1001, ""), (1005, "")]
)
async def test_the_server_hears_how_the_client_leaves(code: int, reason: str) -> None:
    async with websockets(listen) as server:
        async with tunnelled(server.url) as client:
            await client.say("something")
            await client.leave(code, reason)
        assert client.closed is None
        await wait_all_tasks_blocked()
        assert server.farewells == [(code, reason or None)]
        assert server.open == 0


async def test_a_client_that_vanishes_does_so_for_the_server_too() -> None:
    async with websockets(listen) as server:
        async with tunnelled(server.url) as client:
            await client.leave(1006)
        await wait_all_tasks_blocked()
        assert server.farewells == [(1006, None)]


async def test_a_server_that_vanishes_is_a_failure() -> None:
    async def vanish(websocket: WebSocketConnection) -> None:
        await websocket.get_message()
        await websocket._stream.aclose()

    broken = pytest.RaisesExc(UpstreamFailed, match="broke the websocket off")
    with pytest.RaisesGroup(broken, flatten_subgroups=True):
        async with websockets(vanish) as server, tunnelled(server.url) as client:
            await client.say("x")
    assert client.closed is None


async def test_a_server_that_does_not_take_its_leave_is_not_waited_for() -> None:
    async def rude(connection: Connection) -> None:
        await accept(connection)
        await connection.left()

    async with serving(rude) as server, tunnelled(server.url) as client:
        await client.leave()


@pytest.mark.parametrize("cut_at", [1, 9, 12, 60])
async def test_a_websocket_may_begin_piece_by_piece(cut_at: int) -> None:
    async def script(connection: Connection) -> None:
        await accept(connection, cut_at=cut_at)
        await connection.send(b"\x81\x02hi")
        await connection.left()

    async with serving(script) as server, tunnelled(server.url) as client:
        assert await client.hear() == "hi"
        await client.leave(1006)


async def test_a_message_that_is_too_large_ends_the_websocket() -> None:
    async def boast(websocket: WebSocketConnection) -> None:
        await websocket.send_message(bytes(LARGE + 1))
        await websocket.get_message()

    async with websockets(boast) as server, tunnelled(server.url) as client:
        pass
    assert client.closed is not None
    assert (client.closed.code, server.farewells[0][0]) == (1009, 1009)


async def test_what_a_client_does_not_take_is_not_read() -> None:
    sent = 0

    async def flood(websocket: WebSocketConnection) -> None:
        nonlocal sent
        while True:
            await websocket.send_message(bytes(1024 * 1024))
            sent += 1

    async with websockets(flood) as server, tunnelled(server.url) as client:
        await client.hear()
        before = -1
        while before != sent:
            before = sent
            await trio.sleep(0.2)
        assert sent < 40
        await client.leave()


async def test_what_a_server_does_not_take_is_not_taken_from_the_client() -> None:
    async def deaf(connection: Connection) -> None:
        await accept(connection)
        await trio.sleep_forever()

    said = 0
    async with serving(deaf) as server, tunnelled(server.url) as client:
        with trio.move_on_after(1):
            while True:
                await client.say(bytes(1024 * 1024))
                said += 1
        assert said < 40
        client.cut()


# -- what is no websocket ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status", "headers", "body"),
    [
        (
            b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\ncontent-length: 4\r\n\r\nnone",
            404,
            [(b"content-type", b"text/plain")],
            b"none",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            200,
            [],
            b"abcd",
        ),
        (
            b"HTTP/1.0 503 Busy\r\nretry-after: 5\r\n\r\nbusy",
            503,
            [(b"retry-after", b"5")],
            b"busy",
        ),
        (b"HTTP/1.1 302 Found\r\nlocation: /x\r\n\r\n", 302, [(b"location", b"/x")], b""),
        (b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", 401, [], b""),
    ],
)
async def test_another_answer_than_a_websocket_is_passed_on(
    answer: bytes, status: int, headers: list[Header], body: bytes
) -> None:
    async with answering(answer) as server:
        assert await refusal_by(server) == (status, headers, body)


async def test_another_answer_may_come_piece_by_piece() -> None:
    async def slow(connection: Connection) -> None:
        await connection.request()
        for piece in (b"HT", b"TP/1.1 4", b"04 Not Found\r\ncontent-length: 2\r\n\r\nn", b"o"):
            await connection.send(piece)
            await wait_all_tasks_blocked(0.01)

    async with serving(slow) as server:
        assert await refusal_by(server) == (404, [], b"no")


async def test_another_answer_has_its_limit() -> None:
    endless = b"HTTP/1.1 200 OK\r\n\r\n" + bytes(REFUSAL_BYTES + 1)
    async with answering(endless) as server:
        failure = await failure_of(server.url)
    assert str(failure) == "what the server answers in the place of a websocket is too large"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the server sent an invalid response"),
        (b"", "the server closed the connection before it answered"),
        (b"HTTP/1.1 5", "the connection broke after 0 bytes"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nsome", "the connection broke after 4 bytes"),
        (b"HTTP/1.1 101 Switching\r\nupgrade: web", "the connection broke amid the handshake"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "what the server says is no websocket"),
        (
            b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: wrong\r\n\r\n",
            "what the server says is no websocket",
        ),
        (b"HTTP/1.1 101 Switching\r\nx: " + b"y" * 100_000, "what the server says is no websocket"),
    ],
)
async def test_what_is_no_answer_to_the_handshake_is_a_failure(answer: bytes, said: str) -> None:
    async with answering(answer) as server:
        failure = await failure_of(server.url)
    assert type(failure) is UpstreamFailed
    assert str(failure).startswith(said)


async def test_what_breaks_the_rules_of_websockets_ends_it_with_a_code() -> None:
    async def lawless(connection: Connection) -> None:
        await accept(connection)
        await connection.send(b"\xff\xff\xff\xff")
        await connection.left()

    async with serving(lawless) as server, tunnelled(server.url) as client:
        pass
    assert client.closed is not None
    assert client.closed.code == 1002


async def test_a_server_that_is_not_there_was_not_reached() -> None:
    async with serving() as server:
        url = server.url
    failure = await failure_of(url)
    assert isinstance(failure, UpstreamUnreachable)
    assert str(failure) == f"could not connect to {url}: connection refused"


async def test_a_server_that_does_not_answer_the_handshake_in_time_is_given_up(
    mock_clock: MockClock,
) -> None:
    async def deaf(connection: Connection) -> None:
        await connection.left()

    failures: list[UpstreamFailed] = []

    async def give_up(url: str) -> None:
        with pytest.raises(UpstreamTooSlow) as failure:
            await tunnel(wanting(), Origin(url, waiting(response_header=60)), Client())
        failures.append(failure.value)

    async with serving(deaf, limit=100) as server, trio.open_nursery() as nursery:
        nursery.start_soon(give_up, server.url)
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(60)
    assert [str(failure) for failure in failures] == [
        "the server did not begin to answer within 60 s"
    ]


# -- who is silent ----------------------------------------------------------------------


async def let_pass(seconds: float, clock: MockClock) -> None:
    """Let time pass, with a moment for what is sent every few seconds."""
    for _ in range(int(seconds / PING_EVERY)):
        clock.jump(PING_EVERY)
        await wait_all_tasks_blocked(0.01)


async def test_a_server_that_answers_pings_may_have_nothing_to_say(mock_clock: MockClock) -> None:
    async with websockets(listen) as server, tunnelled(server.url, limit=1000) as client:
        await let_pass(3 * SILENT_AFTER, mock_clock)
        await client.say("still there?")
        assert server.open == 1
        await client.leave()


async def test_a_server_that_answers_no_ping_is_given_up(mock_clock: MockClock) -> None:
    pings: list[bytes] = []

    async def deaf(connection: Connection) -> None:
        await accept(connection)
        pings.append(await connection.receive())
        await connection.left()

    silent = pytest.RaisesExc(UpstreamFailed, match=f"the server was silent for {SILENT_AFTER:g} s")
    with pytest.RaisesGroup(silent, flatten_subgroups=True):
        async with serving(deaf, limit=1000) as server, tunnelled(server.url, limit=1000) as client:
            await let_pass(SILENT_AFTER - PING_EVERY, mock_clock)
            assert client.closed is None
            await let_pass(2 * PING_EVERY, mock_clock)
            await trio.sleep_forever()
    assert pings[0][:1] == b"\x89"


async def test_a_server_whose_client_does_not_listen_is_not_silent(mock_clock: MockClock) -> None:
    async def flood(websocket: WebSocketConnection) -> None:
        while True:
            await websocket.send_message("x" * 100_000)

    async with websockets(flood) as server, tunnelled(server.url, limit=1000) as client:
        await let_pass(3 * SILENT_AFTER, mock_clock)
        assert await client.hear() == "x" * 100_000
        await client.leave()


# -- other ways to a server -------------------------------------------------------------


async def test_a_websocket_goes_over_tls(authority: Authority) -> None:
    message = bytes(range(256)) * 4000
    async with websockets(echo, tls=authority.server("127.0.0.1")) as server:
        async with tunnelled(server.url) as client:
            await client.say(message)
            assert await client.hear() == message
            await client.leave(4000, "bye")
        await wait_all_tasks_blocked(0.02)
        assert server.farewells == [(4000, "bye")]


async def test_a_websocket_goes_over_a_unix_socket(tmp_path: Path) -> None:
    async with websockets(echo, unix=tmp_path / "s") as server, tunnelled(server.url) as client:
        await client.say("x")
        assert await client.hear() == "x"
        await client.leave()


# -- whoever is cut leaves nothing ------------------------------------------------------


@pytest.mark.parametrize("attempt", range(5))
@pytest.mark.parametrize("stage", ["handshake", "idle", "talking"])
async def test_whatever_is_cut_closes_its_connection(stage: str, attempt: int) -> None:
    reached, gone = trio.Event(), trio.Event()

    async def script(connection: Connection) -> None:
        if stage == "handshake":
            await connection.request()
        else:
            await accept(connection)
        if stage == "talking":
            await connection.receive()
        reached.set()
        await connection.left()
        gone.set()

    client = Client()

    async def talk() -> None:
        while stage == "talking":
            await client.say(bytes(1_000_000))

    async with serving(script) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(tunnel, wanting(), Origin(server.url, Timeouts()), client)
            nursery.start_soon(talk)
            await reached.wait()
            nursery.cancel_scope.cancel(reason="cut")
        await gone.wait()
