"""Servers under TLS: whom we believe, and that all else is as without it."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.config.timeouts import Timeouts
from swapd.errors import UpstreamFailed, UpstreamUnreachable
from swapd.upstream.http1 import Pool
from swapd.upstream.origin import Origin
from swapd.upstream.probe import Prober
from swapd.upstream.wire import Wire
from tests.upstream.asking import OK, ask, waiting, whole
from tests.upstream.certificates import Authority, authority
from tests.upstream.scripted import Connection, answering, serving, staying

__all__ = ["authority"]

HERE = "127.0.0.1"
LARGE = bytes(range(256)) * 20_000  # 5 MB


async def test_requests_go_over_tls_and_their_connection_is_kept(authority: Authority) -> None:
    async with answering(OK, OK, OK, tls=authority.server(HERE)) as server:
        pool = Pool(server.url + "/base")
        for _ in range(3):
            assert await ask(pool, b"POST", b"x") == b"ok"
        pool.close()
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /base/ HTTP/1.1\r\nhost: 127.0.0.1:")


async def test_a_server_is_known_by_its_name(authority: Authority) -> None:
    async with answering(OK, tls=authority.server("localhost")) as server:
        pool = Pool(server.url.replace(HERE, "localhost"))
        assert await ask(pool) == b"ok"
        pool.close()


async def test_a_server_under_tls_is_probed(authority: Authority) -> None:
    async with answering(OK, tls=authority.server(HERE)) as server:
        assert await Prober(server.url, "/health").probe() is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (
            "elsewhere.example",
            "ip address mismatch, certificate is not valid for '127.0.0.1'",
        ),
        (None, "unable to get local issuer certificate; SSL_CERT_FILE can name one to trust"),
    ],
)
async def test_a_server_that_is_not_who_it_should_be_is_not_asked(
    authority: Authority, tmp_path: Path, name: str | None, why: str
) -> None:
    (tmp_path / "other").mkdir()
    tls = authority.server(name) if name else Authority(tmp_path / "other").server(HERE)
    async with serving(refused, tls=tls) as server:
        with pytest.raises(UpstreamUnreachable) as failure:
            await ask(Pool(server.url), b"POST", b"x")
    said = f"could not connect to {server.url}: its certificate cannot be trusted: {why}"
    assert str(failure.value) == said


async def refused(connection: Connection) -> None:
    with pytest.raises(trio.BrokenResourceError):
        await connection.request()


async def test_a_server_without_tls_is_told_from_one_that_is_not_there() -> None:
    async def talk(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(talk) as server:
        url = server.url.replace("http", "https")
        with pytest.raises(
            UpstreamUnreachable, match=r"no TLS there: its proxy .* must begin with http://"
        ):
            await ask(Pool(url))


async def test_a_server_that_leaves_during_the_handshake_was_not_reached() -> None:
    async def leave(connection: Connection) -> None:
        pass

    async with serving(leave) as server:
        with pytest.raises(UpstreamUnreachable, match=r"no TLS: |connection reset"):
            await ask(Pool(server.url.replace("http", "https")))


async def test_a_handshake_that_takes_too_long_is_given_up(mock_clock: MockClock) -> None:
    async def give_up(url: str) -> None:
        with pytest.raises(UpstreamUnreachable, match="no TLS within 10 s"):
            await ask(Pool(url, waiting(tls_handshake=10)))

    async def deaf(connection: Connection) -> None:
        await connection.left()

    async with serving(deaf, limit=100) as server, trio.open_nursery() as nursery:
        nursery.start_soon(give_up, server.url.replace("http", "https"))
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(10)


async def test_large_bodies_pass_whole_both_ways_at_once(authority: Authority) -> None:
    async def echo(connection: Connection) -> None:
        await connection.echo(len(LARGE))

    async with serving(echo, tls=authority.server(HERE)) as server:
        pool = Pool(server.url)
        assert await ask(pool, b"POST", LARGE) == LARGE
        pool.close()


class SlowReader:
    """A server that says nothing but what TLS says unasked, and reads when it is told to.

    It runs in a thread: Trio's own TLS would hold back what the handshake leaves to be sent.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.go = threading.Event()
        self.shaken = trio.Event()
        self._tls = tls
        self._listener = socket.create_server((HERE, 0))
        self.url = f"https://{HERE}:{self._listener.getsockname()[1]}"

    def serve(self, size: int) -> None:
        """Read a request with a body of ``size``, answer it and hang up."""
        with (
            self._listener,
            self._listener.accept()[0] as plain,
            self._tls.wrap_socket(plain, server_side=True) as connection,
        ):
            trio.from_thread.run_sync(self.shaken.set)
            self.go.wait(10)
            left = size - len(connection.recv(100_000).partition(b"\r\n\r\n")[2])
            while left and (piece := connection.recv(left)):
                left -= len(piece)
            connection.sendall(OK)
            connection.unwrap()


async def test_a_large_body_has_its_time_though_tls_itself_says_something(
    authority: Authority, mock_clock: MockClock
) -> None:
    reader = SlowReader(authority.server(HERE))
    answers: list[bytes] = []

    async def send() -> None:
        pool = Pool(reader.url, waiting(response_header=60))
        answers.append(await ask(pool, b"POST", LARGE))
        pool.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, reader.serve, len(LARGE))
        nursery.start_soon(send)
        await reader.shaken.wait()
        await wait_all_tasks_blocked(0.05)
        mock_clock.jump(500)
        await wait_all_tasks_blocked()
        reader.go.set()
    assert answers == [b"ok"]


async def test_what_the_kernel_took_of_a_large_request_counts(authority: Authority) -> None:
    reader = SlowReader(authority.server(HERE))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, reader.serve, len(LARGE))
        connected = await Origin(reader.url, Timeouts()).dial()
        with socket.fromfd(connected.fileno(), socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)  # less than a piece
        wire = Wire(connected)
        wire.send(b"POST / HTTP/1.1\r\n\r\n" + LARGE)
        was_sent, taken = wire.sent, wire.taken
        reader.go.set()
        answer = await wire.receive()
        wire.close()
    assert (was_sent, answer) == (False, OK)
    assert taken > 0


async def test_a_server_may_begin_its_answer_before_it_has_read_all(authority: Authority) -> None:
    async def refuse(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!")
        await connection.left()

    async with serving(refuse, tls=authority.server(HERE)) as server:
        pool = Pool(server.url, waiting(response_header=60))
        response = await pool.request(b"POST", b"/", [], LARGE)
        assert response.status == 413
        assert await whole(response) == b"no!"
        response.close()
        pool.close()


async def test_a_body_without_framing_ends_where_the_server_says_so(authority: Authority) -> None:
    async with answering(b"HTTP/1.0 200 OK\r\n\r\nsome", tls=authority.server(HERE)) as server:
        assert await ask(Pool(server.url)) == b"some"


async def test_a_body_that_is_cut_is_no_whole_one(authority: Authority) -> None:
    read = trio.Event()

    async def cut(connection: Connection) -> None:
        await connection.request()
        await connection.send(b"HTTP/1.0 200 OK\r\n\r\nsome")
        await read.wait()
        connection.hang_up()

    async with serving(cut, tls=authority.server(HERE)) as server:
        response = await Pool(server.url).request(b"GET", b"/", [], b"")
        assert await response.receive() == b"some"
        read.set()
        with pytest.raises(UpstreamFailed, match="broke after 4 bytes"):
            await response.receive()
        response.close()


async def test_a_kept_connection_that_the_server_closed_is_not_used(authority: Authority) -> None:
    async with serving(tls=authority.server(HERE)) as server:
        server.then(server.answer(OK), server.answer(OK))
        pool = Pool(server.url)
        assert await ask(pool, b"POST", b"1") == b"ok"
        await wait_all_tasks_blocked(0.05)
        assert await ask(pool, b"POST", b"2") == b"ok"
        pool.close()
    assert server.connections == 2


async def test_a_kept_connection_on_which_something_came_unasked_is_not_used(
    authority: Authority,
) -> None:
    said = trio.Event()

    async def talkative(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        await more.wait()
        await connection.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        said.set()
        await connection.left()

    more = trio.Event()
    async with serving(talkative, staying(OK), tls=authority.server(HERE)) as server:
        pool = Pool(server.url)
        assert await ask(pool) == b"ok"
        more.set()
        await said.wait()
        assert await ask(pool) == b"ok"
        pool.close()
    assert server.connections == 2


async def test_a_server_hears_that_a_connection_is_closed_on_purpose(authority: Authority) -> None:
    told = trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(OK)
        assert await connection.receive() == b""  # raises where there was no word of leave
        told.set()

    async with serving(script, tls=authority.server(HERE)) as server:
        pool = Pool(server.url)
        assert await ask(pool) == b"ok"
        pool.close()
        await told.wait()


async def test_a_cancelled_request_closes_its_connection_at_once(authority: Authority) -> None:
    asked = trio.Event()
    gone = trio.Event()

    async def silent(connection: Connection) -> None:
        await connection.request()
        asked.set()
        await connection.left()
        gone.set()

    async with serving(silent, tls=authority.server(HERE)) as server:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, Pool(server.url))
            await asked.wait()
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel(reason="the client left")
        await gone.wait()


async def test_what_took_no_byte_of_the_request_was_not_reached(authority: Authority) -> None:
    async with serving(tls=authority.server(HERE)) as server:
        server.then(server.answer(OK))
        pool = Pool(server.url)
        await ask(pool)
        await wait_all_tasks_blocked(0.05)
    with pytest.raises(UpstreamUnreachable, match="connection refused"):
        await ask(pool, b"POST", b"x")
