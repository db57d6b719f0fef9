"""What a peer is sent, and by which connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.config.filters import Filters
from swapd.config.peers import Peer
from swapd.config.timeouts import PeerTimeouts
from swapd.errors import UnknownModel, UpstreamFailed
from swapd.upstream.bodies.body import Body
from swapd.upstream.exchange import ProxiedRequest
from swapd.upstream.peers import Peers
from tests.upstream.asking import OK
from tests.upstream.scripted import Connection, Server, serving, staying

REQUEST = ProxiedRequest(
    method=b"POST",
    target=b"/v1/x?y=%2F",
    headers=[
        (b"host", b"swapd:8080"),
        (b"x-forwarded-for", b"10.0.0.1"),
        (b"X-Forwarded-Host", b"swapd"),
        (b"x-forwarded-proto", b"https"),
        (b"X-Forwarded-Port", b"8080"),
        (b"x-forwarded-server", b"swapd"),
        (b"forwarded", b"for=10.0.0.1"),
        (b"X-Real-IP", b"10.0.0.1"),
        (b"Origin", b"http://swapd:8080"),
        (b"Referer", b"http://swapd:8080/ui/"),
        (b"Sec-Fetch-Site", b"same-origin"),
        (b"Sec-Fetch-Mode", b"cors"),
        (b"Authorization", b"Bearer client"),
        (b"x-api-key", b"client"),
        (b"user-agent", b"me"),
    ],
    body=Body(b"{}"),
    client="10.0.0.7",
)


class Sink:
    """A downstream that keeps the answer."""

    def __init__(self) -> None:
        self.body = b""

    async def begin(
        self, status: int, headers: Sequence[tuple[bytes, bytes]], *, more: bool = False
    ) -> None:
        await trio.lowlevel.checkpoint()

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.body += data

    async def finish(self, last: bytes = b"") -> None:
        await trio.lowlevel.checkpoint()
        self.body += last

    async def abort(self) -> None:
        await trio.lowlevel.checkpoint()


def peer(server: Server, key: str = "", path: str = "") -> Peer:
    return Peer("there", server.url + path, key, ("m",), Filters(), PeerTimeouts())


async def ask(peers: Peers) -> bytes:
    sink = Sink()
    await peers.relay("there", REQUEST, sink)
    return sink.body


async def sent_to(key: str) -> tuple[bytes, dict[bytes, bytes]]:
    """Return the request line and the headers that a peer with ``key`` gets."""
    async with serving() as server:
        server.then(server.answer(OK))
        peers = Peers({"there": peer(server, key, "/base")})
        assert await ask(peers) == b"ok"
        peers.close()
        head = server.requests[0].partition(b"\r\n\r\n")[0]
    line, *fields = head.split(b"\r\n")
    pairs = [field.split(b": ", 1) for field in fields]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs)  # none came twice
    assert headers.pop(b"host") == server.url.removeprefix("http://").encode()
    return line, headers


async def test_a_peer_is_not_told_who_our_clients_are() -> None:
    line, headers = await sent_to("")
    assert line == b"POST /base/v1/x?y=%2F HTTP/1.1"
    assert headers == {
        b"authorization": b"Bearer client",
        b"x-api-key": b"client",
        b"user-agent": b"me",
        b"content-length": b"2",
    }


async def test_a_peers_key_takes_the_place_of_what_the_client_brought() -> None:
    _, headers = await sent_to("secret")
    assert headers == {
        b"authorization": b"Bearer secret",
        b"x-api-key": b"secret",
        b"user-agent": b"me",
        b"content-length": b"2",
    }


async def test_connections_are_kept_until_the_peer_is_another() -> None:
    left: list[int] = []

    async def notice(connection: Connection) -> None:
        await staying(OK, OK)(connection)
        left.append(server.connections)

    async with serving(notice, staying(OK)) as server:
        there = peer(server)
        peers = Peers({"there": there})
        assert [await ask(peers), server.connections] == [b"ok", 1]
        peers.reconfigure({"there": there, "elsewhere": replace(there, id="elsewhere")})
        assert [await ask(peers), server.connections] == [b"ok", 1]
        peers.reconfigure({"there": replace(there, api_key="new")})
        await wait_all_tasks_blocked()
        assert left == [1]
        assert [await ask(peers), server.connections] == [b"ok", 2]
        peers.close()


async def test_a_peer_that_was_taken_out_is_told_as_unknown() -> None:
    async with serving() as server:
        peers = Peers({"there": peer(server)})
        peers.reconfigure({})
        with pytest.raises(UnknownModel, match="the peer 'there' was taken out"):
            await ask(peers)


async def test_a_peer_that_cannot_be_reached_is_an_error() -> None:
    async with serving() as server:
        gone = peer(server)
    with pytest.raises(UpstreamFailed, match=r"could not connect to http://127.0.0.1:\d+: "):
        await ask(Peers({"there": gone}))
