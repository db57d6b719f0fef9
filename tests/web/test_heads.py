"""Requests that two programs could read in two ways: none is read in a third way, or sent on."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Iterator

import h11
import pytest
import trio
from hypercorn.typing import HTTPScope

from swapd.web.client import Client
from swapd.web.heads import StrictConnection
from tests.upstream.asking import OK
from tests.upstream.scripted import Connection
from tests.web.floor import floor
from tests.web.raw import answering, receive_until, request, rest, serving

BODY = b'{"model": "m"}'
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
LENGTH = b"content-length: %d\r\n" % len(BODY)
CODING = b"transfer-encoding: chunked\r\n"

#: What a smuggler hopes to see served.
HIDDEN = b"GET /hidden HTTP/1.1\r\nhost: localhost\r\n\r\n"


def post(
    fields: bytes, body: bytes, *, version: bytes = b"1.1", path: bytes = b"/v1/completions"
) -> bytes:
    line = b"POST %s HTTP/%s\r\nhost: localhost\r\n" % (path, version)
    return line + fields + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(CODING, body)


#: Each is refused, and nothing behind it is read.
REFUSED = {
    "length and coding": post(LENGTH + CODING, CHUNKED),
    "coding and length": post(CODING + LENGTH, CHUNKED),
    "two lengths": post(LENGTH + b"content-length: 3\r\n", BODY),
    "two lengths in one": post(b"content-length: %d, 3\r\n" % len(BODY), BODY),
    "twice the same length": post(LENGTH + LENGTH.title(), BODY),
    "twice the same length in one": post(
        b"content-length: %d, %d\r\n" % (len(BODY), len(BODY)), BODY
    ),
    "signed length": post(b"content-length: +%d\r\n" % len(BODY), BODY),
    "negative length": post(b"content-length: -1\r\n", BODY),
    "hexadecimal length": post(b"content-length: 0xe\r\n", BODY),
    "length with underscore": post(b"content-length: 1_4\r\n", BODY),
    "length with a space in it": post(b"content-length: 1 4\r\n", BODY),
    "length in other digits": post(b"content-length: \xd9\xa1\xd9\xa4\r\n", BODY),
    "no length": post(b"content-length:\r\n", BODY),
    "endless length": post(b"content-length: " + b"9" * 5000 + b"\r\n", BODY),
    "space before the colon of a length": post(b"content-length : 14\r\n", BODY),
    "space before the colon of a coding": post(b"transfer-encoding : chunked\r\n", CHUNKED),
    "tab before the colon": post(b"transfer-encoding\t: chunked\r\n" + LENGTH, BODY),
    "folded coding": post(b"transfer-encoding:\r\n chunked\r\n", CHUNKED),
    "folded field": post(b"x: a\r\n\tb\r\n" + LENGTH, BODY),
    "fold before the first field": b"POST / HTTP/1.1\r\n host: x\r\n" + LENGTH + b"\r\n" + BODY,
    "coding that is none": post(b"transfer-encoding: identity\r\n", BODY),
    "coding behind chunked": post(b"transfer-encoding: chunked, identity\r\n", CHUNKED),
    "coding before chunked": post(b"transfer-encoding: gzip, chunked\r\n", CHUNKED),
    "two codings": post(CODING + b"transfer-encoding: identity\r\n", CHUNKED),
    "twice the same coding": post(CODING + CODING, CHUNKED),
    "quoted coding": post(b'transfer-encoding: "chunked"\r\n', CHUNKED),
    "coding with a parameter": post(b"transfer-encoding: chunked;q=1\r\n", CHUNKED),
    "nearly chunked": post(b"transfer-encoding: xchunked\r\n", CHUNKED),
    "vertical tab before a coding": post(b"transfer-encoding: \x0bchunked\r\n", CHUNKED),
    "NUL behind a coding": post(b"transfer-encoding: chunked\0\r\n", CHUNKED),
    "no coding": post(b"transfer-encoding:\r\n", BODY),
    "coding in HTTP/1.0": post(CODING, CHUNKED, version=b"1.0"),
    "lines that end with LF": post(LENGTH, BODY).replace(b"\r\n", b"\n"),
    "one line that ends with LF": post(b"x: y\n" + LENGTH, BODY),
    "head that ends with LF": post(LENGTH, b"").removesuffix(b"\r\n") + b"\n" + BODY,
    "CR in a field": post(b"x: y\rcontent-length: 3\r\n" + LENGTH, BODY),
    "two CR": post(b"x: y\r\r\n" + LENGTH, BODY),
    "NUL in a field": post(b"x: a\0b\r\n" + LENGTH, BODY),
    "NUL in a name": post(b"x\0: a\r\n" + LENGTH, BODY),
    "NUL in the target": post(LENGTH, BODY, path=b"/v1/\0completions"),
    "space in the target": post(LENGTH, BODY, path=b"/v1/completions /x"),
    "field without a colon": post(b"xyz\r\n" + LENGTH, BODY),
    "field without a name": post(b": x\r\n" + LENGTH, BODY),
    "two hosts": post(b"host: other\r\n" + LENGTH, BODY),
    "version of one part": post(LENGTH, BODY, version=b"1"),
    "version of more digits": post(LENGTH, BODY, version=b"1.10"),
    "version 2.0": post(LENGTH, BODY, version=b"2.0"),
    "chunk that is longer than it says": chunked(b"5\r\nhelloX\r\n0\r\n\r\n"),
    "chunk without an end": chunked(b"5\r\nhello0\r\n\r\n"),
    "chunk of negative size": chunked(b"-5\r\nhello\r\n0\r\n\r\n"),
    "chunk of hexadecimal size": chunked(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk behind a space": chunked(b" 5\r\nhello\r\n0\r\n\r\n"),
    "chunk of many digits": chunked(b"0" * 30 + b"5\r\nhello\r\n0\r\n\r\n"),
    "LF in what extends a chunk": chunked(b"5;\nx\r\nhello\r\n0\r\n\r\n"),
    "no chunk": chunked(b"g\r\n"),
    "trailer that is no field": chunked(b"0\r\nno field\r\n\r\n"),
    "trailer that ends with LF": chunked(b"0\r\nx: y\n\r\n"),
    "trailers that end with LF": chunked(b"0\r\nx: y\r\n\n"),
    "folded trailer": chunked(b"0\r\nx: y\r\n z\r\n\r\n"),
    "endless trailers": chunked(b"0\r\n" + b"x: y\r\n" * 40_000),
    "endless extension of a chunk": chunked(b"5;" + b"x" * 200_000),
}


@pytest.mark.parametrize(
    ("name", "apart"),
    [
        *((name, False) for name in REFUSED),
        *((name, True) for name, sent in REFUSED.items() if len(sent) < 1000),
    ],
)
async def test_what_can_be_read_in_two_ways_is_refused_with_all_behind_it(
    name: str, apart: bool
) -> None:
    served_paths: list[str] = []
    taken: list[int] = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        served_paths.append(scope["path"])
        taken.append((await client.body()).length)

    sent = REFUSED[name] + HIDDEN
    app = answering(relay)
    app.route_of = lambda scope: relay
    async with serving(app) as served, await served.connect() as client:
        for piece in [sent[at : at + 1] for at in range(len(sent))] if apart else [sent]:
            try:
                await client.send_all(piece)
            except trio.BrokenResourceError:
                break
        answer = await rest(client)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 ", b"HTTP/1.1 501 ", b"HTTP/1.1 505 "))
    assert b"connection: close" in head.lower()
    assert json.loads(body)["src"] == "swapd"
    assert answer.count(b"HTTP/1.1 ") == 1 + body.count(b"HTTP/1.1 ")
    assert "/hidden" not in served_paths
    assert taken == []


#: What a client hears that has done the same wrong.
TOLD = {
    b"GET / HTTP/1.1\r\n\r\n": "the request has no Host, which HTTP/1.1 demands",
    "GET /props?model=größe HTTP/1.1\r\nhost: localhost\r\n\r\n".encode(): (
        "the address holds letters that must be percent-encoded: as %C3%BC for ü"
    ),
    REFUSED["two hosts"]: "the request has more than one Host",
    REFUSED["no chunk"]: "the body of the request does not keep to chunked coding",
    chunked(b"0\r\n\r\n") + b"nonsense\r\n\r\n": "the request is not valid HTTP",
    bytes.fromhex("160301020001"): "this address speaks no TLS: its URL begins with http://",
    REFUSED["two lengths"]: "the request has more than one Content-Length",
    REFUSED["two lengths in one"]: "the request has more than one Content-Length",
    REFUSED["twice the same length"]: "the request has more than one Content-Length",
    REFUSED["negative length"]: "the request is not valid HTTP",
}


@pytest.mark.parametrize(("sent", "message"), TOLD.items())
async def test_what_is_no_request_is_told_what_is_wrong(
    sent: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="swapd.requests")
    caplog.set_level(logging.INFO, logger="swapd.access")
    async with floor() as web:
        *_, last = (await web.served.ask(sent)).split(b"\r\n\r\n")
    assert json.loads(last)["error"]["message"] == message
    if b"g\r\n" in sent:  # of a request, which has a line of its own
        assert caplog.messages[-1].endswith(f": {message}")
        assert '" 400 0 "" ' in caplog.messages[-1]
    else:
        assert f"unreadable request: 400, {message}" in caplog.messages


@pytest.mark.parametrize(
    "overflowing", [b"10000000000000000", b"ffffffffffffffff", b"100000000"], ids=str
)
async def test_a_chunk_is_as_long_as_it_says_and_hides_nothing(overflowing: bytes) -> None:
    """Whoever counts in 32 or 64 bits would take it for one of no length."""
    sizes: list[int] = []

    async def relay(scope: HTTPScope, client: Client) -> None:
        assert scope["path"] == "/v1/completions"
        sizes.append((await client.body()).length)

    app = answering(relay)
    app.route_of = lambda scope: relay
    async with serving(app) as served, await served.connect() as client:
        await client.send_all(chunked(overflowing + b"\r\n\r\n" + HIDDEN))
        await client.send_eof()
        assert (await rest(client)).startswith(b"HTTP/1.1 400 ")
    assert sizes == []


_CHUNKED = (
    b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2\r\nde\r\n0\r\na: b\r\n\r\n"
)


def read_in_two(sent: bytes, first: int) -> bytes:
    """Return the body of what comes in two pieces, of which the first is so long."""
    connection = StrictConnection(h11.SERVER)
    body = b""
    for piece in (sent[:first], sent[first:]):
        if piece:
            connection.receive_data(piece)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Data):
                body += event.data
    assert connection.their_state is h11.DONE
    return body


@pytest.mark.parametrize("sent", [_CHUNKED, _CHUNKED.replace(b"a: b\r\n", b"")])
def test_a_chunked_body_may_come_in_any_two_pieces(sent: bytes) -> None:
    bodies = {read_in_two(sent, first) for first in range(1, len(sent))}
    assert bodies == {b"abcde"}


@pytest.mark.parametrize("bare", [b"0\r\n\n", b"0\n\r\n", b"0\r\na: b\n\r\n", b"0\r\na: b\r\n\n"])
def test_a_chunked_body_ends_with_whole_line_ends_in_whatever_pieces(bare: bytes) -> None:
    sent = _CHUNKED.replace(b"0\r\na: b\r\n\r\n", bare)
    for first in range(1, len(sent)):
        with pytest.raises(h11.RemoteProtocolError):
            read_in_two(sent, first)


# --- what is sent on


class Recorder:
    """A model's server that writes down what it is sent, and reads it in the strictest way."""

    def __init__(self) -> None:
        self.requests: list[tuple[bytes, bytes]] = []

    async def script(self, connection: Connection) -> None:
        try:
            while True:
                self.requests.append(strictly_read(await connection.request()))
                await connection.send(OK)
        except EOFError:
            pass


def strictly_read(received: bytes) -> tuple[bytes, bytes]:
    """Return first line and body of a request; fail if it could be read in another way."""
    head, _, body = received.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, target, version = line.split(b" ")
    assert version == b"HTTP/1.1"
    assert target.startswith(b"/")
    assert not set(head.replace(b"\r\n", b"")) & set(b"\r\n\0")
    names = [field.partition(b":")[0].lower() for field in fields]
    assert all(name and name == name.strip() for name in names)
    assert names.count(b"host") == 1
    for gone in (b"transfer-encoding", b"connection", b"trailer", b"te", b"upgrade", b"expect"):
        assert gone not in names
    lengths = [field.partition(b":")[2] for field in fields if field.startswith(b"content-length:")]
    assert names.count(b"content-length") == len(lengths) <= 1
    is_sized = body or method == b"POST"
    assert [int(length) for length in lengths] == ([len(body)] if is_sized else [])
    return line, body


def pieces_of(body: bytes, chance: random.Random) -> Iterator[bytes]:
    """Yield ``body`` in chunks, with all that may stand between them."""
    at = 0
    while at < len(body):
        size = chance.randint(1, len(body) - at)
        written = chance.choice((b"%x", b"%X", b"0%x", b"%x;x=y", b'%x;x="0\r"', b"%x ")) % size
        yield written + b"\r\n" + body[at : at + size] + b"\r\n"
        at += size
    yield chance.choice((b"0\r\n\r\n", b"000;x\r\n\r\n", b"0\r\ncontent-length: 3\r\nx: y\r\n\r\n"))


#: Fields that say something about framing or about this hop, and must not be heeded further on.
MISLEADING = (
    b"connection: content-length\r\n",
    b"connection: transfer-encoding, host\r\n",
    b"connection: keep-alive, x-hop\r\nx-hop: 1\r\n",
    b"te: trailers\r\n",
    b"trailer: content-length\r\n",
    b"keep-alive: timeout=5\r\n",
    b"upgrade: h2c\r\nconnection: upgrade\r\n",
    b"proxy-connection: keep-alive\r\n",
    b"expect: 100-continue\r\n",
    b"x-transfer-encoding: chunked\r\n",
    b"content_length: 3\r\n",
    b"transfer_encoding: chunked\r\n",
    b"x: \x01\x7f\xff\r\n",
    b"x:\r\n",
    b"content-encoding: identity\r\n",
)


def random_request(chance: random.Random) -> tuple[bytes, bytes]:
    """Return a request that is served, and the body that it has."""
    hidden = chance.choice((b"", HIDDEN, b"0\r\n\r\n" + HIDDEN, b"\r\n\r\n", b"\0" * 5))
    body = json.dumps({"model": "m", "x": hidden.decode("latin-1")}).encode()
    fields = b"".join(chance.sample(MISLEADING, chance.randint(0, 4)))
    path = chance.choice((b"%s", b"http://localhost%s", b"%s?a=%%0d%%0ab")) % b"/v1/completions"
    if chance.random() < 0.5:
        length = chance.choice((b"Content-Length: %d\r\n", b"content-length:00%d \t\r\n"))
        return post(length % len(body) + fields, body, path=path), body
    coding = chance.choice((CODING, CODING.upper(), b"transfer-encoding:chunked\t\r\n"))
    return post(fields + coding, b"".join(pieces_of(body, chance)), path=path), body


async def test_what_is_sent_on_has_the_one_framing_that_was_read() -> None:
    chance = random.Random(20261121)
    asked = [random_request(chance) for _ in range(300)]
    recorder = Recorder()
    async with (
        floor(*[recorder.script] * len(asked)) as web,
        await web.served.connect() as client,
    ):
        for sent, _ in asked:
            await client.send_all(sent)
            answer = await receive_until(client, b"\r\n\r\nok")
            assert answer.removeprefix(b"HTTP/1.1 100 \r\n\r\n").startswith(b"HTTP/1.1 200")
    assert [body for _, body in recorder.requests] == [body for _, body in asked]
    assert {line.split(b"?")[0] for line, _ in recorder.requests} == {
        b"POST /v1/completions HTTP/1.1",
        b"POST /v1/completions",
    }


async def test_a_body_where_none_is_expected_is_sent_on_as_a_body() -> None:
    recorder = Recorder()
    fields = b"connection: close\r\ncontent-length: %d\r\n" % len(HIDDEN)
    async with floor(recorder.script) as web:
        for method in (b"GET", b"HEAD"):
            asked = request("/props?model=m", head=fields, method=method) + HIDDEN
            assert (await web.served.ask(asked)).startswith(b"HTTP/1.1 200")
    assert recorder.requests == [
        (b"GET /props?model=m HTTP/1.1", HIDDEN),
        (b"HEAD /props?model=m HTTP/1.1", HIDDEN),
    ]
