"""One plain request and its answer, on a line that only notes what happens to it."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from swapd.web.exchange import Exchange
from swapd.web.plain_head import read
from tests.web.raw import request, serving
from tests.web.test_transport import PLAIN, telling


class Line:
    """Notes what is sent, and how the exchange ended."""

    def __init__(self) -> None:
        self.sent = b""
        self.goes_on: bool | None = None

    async def put(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.sent += data

    async def is_over(self, exchange: Exchange, *, may_go_on: bool) -> None:
        self.goes_on = may_go_on


def begun(*, method: bytes = b"GET", head: bytes = b"") -> tuple[Line, Exchange]:
    line = Line()
    plain = read(request("/", method=method, head=head))
    assert plain is not None
    return line, Exchange(line, line.put, plain)


def start(*headers: tuple[bytes, bytes], status: int = 200) -> Any:
    return {"type": "http.response.start", "status": status, "headers": headers}


def body(data: bytes, *, more: bool = False) -> Any:
    return {"type": "http.response.body", "body": data, "more_body": more}


LENGTH = (b"content-length", b"3")


@pytest.mark.parametrize(
    ("method", "status", "headers", "sent"),
    [
        (b"GET", 200, [LENGTH], b"content-length: 3\r\n\r\nabc"),
        (b"GET", 200, [], b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        (b"HEAD", 200, [LENGTH], b"content-length: 3\r\n\r\n"),
        (b"HEAD", 200, [], b"transfer-encoding: chunked\r\n\r\n"),
        (b"GET", 304, [LENGTH], b"content-length: 3\r\n\r\n"),
        (b"GET", 204, [], b"\r\n"),
        (b"GET", 200, [(b"X", b" a "), LENGTH], b"X: a\r\ncontent-length: 3\r\n\r\nabc"),
    ],
)
async def test_an_answer_is_framed_as_its_head_says(
    method: bytes, status: int, headers: list[tuple[bytes, bytes]], sent: bytes
) -> None:
    line, exchange = begun(method=method)
    await exchange.send(start(*headers, status=status))
    await exchange.send(body(b"abc"))
    assert line.sent == b"HTTP/1.1 %d \r\n" % status + sent
    assert line.goes_on


@pytest.mark.parametrize(("data", "more"), [(b"ab", False), (b"abcd", False), (b"abcd", True)])
async def test_an_answer_that_breaks_its_promise_ends_the_connection(
    data: bytes, more: bool
) -> None:
    line, exchange = begun()
    await exchange.send(start(LENGTH))
    with pytest.raises(ValueError, match="promised"):
        await exchange.send(body(data, more=more))
    await exchange.send(None)
    assert line.goes_on is False


@pytest.mark.parametrize("asked", [b"connection: close\r\n", b""])
async def test_either_side_may_end_the_connection(asked: bytes) -> None:
    line, exchange = begun(head=asked)
    own = [] if asked else [(b"connection", b"close")]
    await exchange.send(start(LENGTH, *own))
    await exchange.send(body(b"abc"))
    assert line.sent.count(b"connection: close\r\n") == 1
    assert line.goes_on is False


@pytest.mark.parametrize("value", [b"a\nb: c", b"a\rb", b"a\r\n\r\nb"])
async def test_a_header_is_one_line(value: bytes) -> None:
    line, exchange = begun()
    with pytest.raises(ValueError, match="one line"):
        await exchange.send(start((b"x", value)))
    assert not line.sent


async def test_a_head_waits_for_its_first_piece_only_when_told_to() -> None:
    line, exchange = begun()
    await exchange.send(start(LENGTH))
    assert line.sent
    line, exchange = begun()
    await exchange.begin(200, [LENGTH], more=True)
    assert not line.sent
    await exchange.send(body(b"a", more=True))
    assert line.sent.endswith(b"\r\n\r\na")


async def test_an_app_that_answers_nothing_is_an_error() -> None:
    line, exchange = begun()
    await exchange.send(None)
    assert line.sent.startswith(b"HTTP/1.1 500 ")
    assert line.goes_on is False


async def test_a_body_that_nobody_reads_waits(nursery: trio.Nursery) -> None:
    _, exchange = begun(method=b"POST", head=b"content-length: 1000\r\n")

    async def upload() -> None:
        for _ in range(100):
            await exchange.feed(b"x" * 10)

    nursery.start_soon(upload)
    await wait_all_tasks_blocked()
    assert exchange.lacks == 900
    taken = 0
    more = True
    while more:
        event: Any = await exchange.receive()
        taken, more = taken + len(event["body"]), event["more_body"]
    assert taken == 1000


class Heard:
    """Notes what it hears, each piece after a while, as if a disk took it."""

    def __init__(self) -> None:
        self.pieces: list[tuple[bytes, bool]] = []

    async def take(self, piece: bytes, *, more: bool) -> None:
        await trio.lowlevel.checkpoint()
        self.pieces.append((piece, more))

    def left(self) -> None:
        raise AssertionError


async def test_a_listener_that_comes_late_hears_the_piece_that_waited(
    nursery: trio.Nursery,
) -> None:
    _, exchange = begun(method=b"POST", head=b"content-length: 12\r\n")

    async def feed() -> None:
        for number in range(12):
            await exchange.feed(b"%x" % number)

    nursery.start_soon(feed)
    await wait_all_tasks_blocked()
    assert exchange.lacks == 2  # no room for more
    heard = Heard()
    await exchange.listen(heard)
    await wait_all_tasks_blocked()
    assert b"".join(piece for piece, _ in heard.pieces) == b"0123456789ab"
    assert [more for _, more in heard.pieces] == [True] * 11 + [False]


@pytest.mark.parametrize("is_left", [True, False])
async def test_a_piece_that_nobody_will_read_is_not_waited_with(
    nursery: trio.Nursery, is_left: bool
) -> None:
    _, exchange = begun(method=b"POST", head=b"content-length: 99\r\n")
    fed = trio.Event()

    async def feed() -> None:
        for _ in range(12):
            await exchange.feed(b"x")
        fed.set()

    nursery.start_soon(feed)
    await wait_all_tasks_blocked()
    assert not fed.is_set()
    if is_left:
        exchange.leave()
    else:
        await exchange.send(start(LENGTH))
        await exchange.send(body(b"abc"))
    await wait_all_tasks_blocked()
    assert fed.is_set()
    assert await exchange.receive() == {"type": "http.disconnect"}


class Told(Heard):
    """Notes also that the client has left."""

    def __init__(self) -> None:
        super().__init__()
        self.times_left = 0

    def left(self) -> None:
        self.times_left += 1


async def test_a_listener_that_comes_when_the_client_has_left_hears_that_and_nothing_else() -> None:
    _, exchange = begun(method=b"POST", head=b"content-length: 9\r\n")
    await exchange.feed(b"x")
    exchange.leave()
    told = Told()
    await exchange.listen(told)
    exchange.leave()
    assert (told.pieces, told.times_left) == ([], 1)


async def test_nobody_is_told_of_a_client_that_leaves_with_its_whole_answer() -> None:
    _, exchange = begun()
    told = Told()
    await exchange.listen(told)
    await exchange.send(start(LENGTH))
    await exchange.send(body(b"abc"))
    exchange.leave()
    assert not told.times_left


@pytest.mark.parametrize("comes", [0, 8, 9])
async def test_a_connection_goes_on_only_behind_a_whole_body(comes: int) -> None:
    line, exchange = begun(method=b"POST", head=b"content-length: 9\r\n")
    await exchange.feed(b"x" * comes)
    await exchange.send(start(LENGTH))
    await exchange.send(body(b"abc"))
    assert line.goes_on is (comes == 9)


async def test_a_client_that_leaves_as_its_last_piece_is_sent_asks_nothing_more() -> None:
    line, plain = Line(), read(request("/"))
    assert plain is not None

    async def put(data: bytes) -> None:
        await line.put(data)
        if data.endswith(b"abc"):
            exchange.leave()

    exchange = Exchange(line, put, plain)
    await exchange.send(start(LENGTH))
    await exchange.send(body(b"abc"))
    assert line.goes_on is False


async def test_who_left_is_told_before_what_is_still_to_be_read() -> None:
    line, exchange = begun(method=b"POST", head=b"content-length: 9\r\n")
    await exchange.feed(b"x")
    exchange.leave()
    assert await exchange.receive() == {"type": "http.disconnect"}
    await exchange.send(start(LENGTH))
    await exchange.send(None)
    assert not line.sent
    assert line.goes_on is False


async def test_a_body_that_ends_too_soon_is_told_so(transport: str) -> None:
    async with serving(telling()) as served, await served.connect() as client:
        await client.send_all(PLAIN[:-1])
        await wait_all_tasks_blocked(0.01)
        await client.send_eof()
        answer = b"".join([bytes(piece) async for piece in client])
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
