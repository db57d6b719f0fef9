"""What opens a websocket to a server, and what is no websocket."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed, UpstreamTooSlow, UpstreamUnreachable
from swapd.ids import Header
from swapd.upstream.handshake import Handshake
from swapd.upstream.origin import Origin
from swapd.upstream.websocket import REFUSAL_BYTES, tunnel
from tests.upstream.asking import waiting
from tests.upstream.scripted import Connection, answering, serving
from tests.upstream.tunnels import failure_of, refusal_by, tunnelled, wanting
from tests.upstream.websockets import (
    Client,
    accept,
    echo,
    websockets,
)


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


@pytest.mark.parametrize("cut_at", [1, 9, 12, 60])
async def test_a_websocket_may_begin_piece_by_piece(cut_at: int) -> None:
    async def script(connection: Connection) -> None:
        await accept(connection, cut_at=cut_at)
        await connection.send(b"\x81\x02hi")
        await connection.left()

    async with serving(script) as server, tunnelled(server.url) as client:
        assert await client.hear() == "hi"
        await client.leave(1006)


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
        "the server did not begin to answer within 60 s (timeouts.responseHeader)"
    ]
