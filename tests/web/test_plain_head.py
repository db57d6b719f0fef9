"""Which heads the fast transport reads by itself, and that it reads them as h11 does."""

from __future__ import annotations

from time import process_time

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.web import limits
from swapd.web.heads import StrictConnection
from swapd.web.plain_head import PlainHead, read

LINE = b"POST /v1/x?y=%20z HTTP/1.1\r\n"
HOST = b"Host: localhost:8080\r\n"

_NAMES = st.sampled_from(
    [
        b"Host",
        b"content-length",
        b"Connection",
        b"Accept",
        b"X-A",
        b"transfer-encoding",
        b"a b",
        b"",
    ]
)
_VALUES = st.one_of(
    st.sampled_from([b"3", b"03", b"+3", b"3, 3", b"chunked", b"close", b"keep-alive, close"]),
    st.binary(max_size=6),
    st.text("ab \t\x00\x7f\xff:,", max_size=6).map(lambda text: text.encode("latin-1")),
)
_FIELDS = st.lists(st.tuples(_NAMES, st.sampled_from([b":", b": ", b" : ", b""]), _VALUES))
_ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\n ", b"\r\n\r\n"])
_LINES = st.sampled_from(
    [LINE] * 6
    + [b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n", b"GET  / HTTP/1.1\r\n", b"get / HTTP/1.1\r\n"]
    + [b"GET http://a/ HTTP/1.1\r\n", b"GET /\x80 HTTP/1.1\r\n", b"GET / HTTP/1.1\n"]
)


@given(_LINES, st.booleans(), _FIELDS, st.data())
def test_what_is_read_is_what_h11_reads(
    line: bytes, has_host: bool, fields: list[tuple[bytes, bytes, bytes]], data: st.DataObject
) -> None:
    ends = [data.draw(_ENDS) for _ in fields]
    lines = [b"".join(field) + end for field, end in zip(fields, ends, strict=True)]
    received = line + HOST * has_host + b"".join(lines) + b"\r\n" + b"abc"
    head = read(received)
    if head is not None:
        assert_as_by_h11(head, received)


#: Fields that nobody minds, with all the space that may stand around a value.
_PLAIN_FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b"Accept", b"x-a", b"X-A", b"!#$%&'*+-.^_`|~9"]),
        st.sampled_from([b":", b": ", b":\t \t"]),
        st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=8).map(str.encode),
        st.sampled_from([b"\r\n", b" \t\r\n"]),
    ).map(b"".join),
    max_size=6,
).map(b"".join)

#: Those of which there are none, or one that counts.
_TELLING = st.sampled_from(
    [b""] * 3
    + [b"Content-Length: 3\r\n", b"content-length:0\r\n", b"CONTENT-LENGTH: 003 \r\n"]
    + [b"Connection: close\r\n", b"connection:Keep-Alive\r\n", b"Connection: CLOSE\t\r\n"]
)

#: What means something in a head, or nothing anywhere.
_BYTES = st.sampled_from([bytes((byte,)) for byte in b"\r\n\t :,;=0ab\x00\x0b\x1f\x7f\x80\xff"])


@given(_PLAIN_FIELDS, _TELLING, _PLAIN_FIELDS)
def test_what_is_plain_is_read(before: bytes, telling: bytes, behind: bytes) -> None:
    received = LINE + before + HOST + telling + behind + b"\r\n" + b"abc"
    head = read(received)
    assert head is not None
    assert_as_by_h11(head, received)


@given(_PLAIN_FIELDS, _TELLING, _PLAIN_FIELDS, st.data())
def test_what_is_nearly_plain_is_read_as_by_h11_or_not_at_all(
    before: bytes, telling: bytes, behind: bytes, data: st.DataObject
) -> None:
    received = LINE + before + HOST + telling + behind + b"\r\n" + b"abc"
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(received) - len(b"abc")))
        taken_out = data.draw(st.integers(0, 2))
        put_in = b"".join(data.draw(st.lists(_BYTES, max_size=2)))
        received = received[:at] + put_in + received[at + taken_out :]
    head = read(received)
    if head is not None:
        assert_as_by_h11(head, received)


def assert_as_by_h11(head: PlainHead, received: bytes) -> None:
    strict = StrictConnection(h11.SERVER)
    strict.receive_data(received)
    request = strict.next_event()
    assert isinstance(request, h11.Request)
    assert head.method.encode() == request.method
    assert head.target == request.target
    assert head.headers == list(request.headers)
    assert request.http_version == b"1.1"
    assert head.size + len(strict.trailing_data[0]) == len(received)
    assert not strict.they_are_waiting_for_100_continue
    body = strict.next_event()
    size = len(body.data) if isinstance(body, h11.Data) else 0
    assert size == min(head.length, len(received) - head.size)
    strict.send(h11.Response(status_code=200, headers=[]))
    strict.send(h11.EndOfMessage())
    assert head.keeps == (strict.our_state is not h11.MUST_CLOSE)


@pytest.mark.parametrize(
    ("fields", "length", "keeps"),
    [
        (HOST, 0, True),
        (HOST + b"content-length: 12\r\naccept:\r\n", 12, True),
        (b"accept: a b\t c \r\n" + HOST + b"CONNECTION: Close\r\n", 0, False),
        (HOST + b"connection: keep-alive\r\n", 0, True),
    ],
)
def test_a_plain_head_is_read(fields: bytes, length: int, keeps: bool) -> None:
    head = read(LINE + fields + b"\r\nbody")
    assert head is not None
    assert (head.method, head.target) == ("POST", b"/v1/x?y=%20z")
    assert (head.length, head.keeps, head.size) == (length, keeps, len(LINE + fields) + 2)
    assert_as_by_h11(head, LINE + fields + b"\r\nbody")


@pytest.mark.parametrize(
    "received",
    [
        LINE + HOST,  # not yet whole
        LINE + b"\r\n",  # no host
        LINE + HOST + HOST + b"\r\n",
        LINE + HOST + b"transfer-encoding: chunked\r\n\r\n",
        LINE + HOST + b"expect: 100-continue\r\n\r\n",
        LINE + HOST + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n",
        LINE + HOST + b"connection: close, keep-alive\r\n\r\n",
        LINE + HOST + b"content-length: -1\r\n\r\n",
        LINE + HOST + b"content-length: 1\r\ncontent-length: 1\r\n\r\n",
        LINE + HOST + b"x: a\n\r\n",
        LINE + HOST + b"x: a\rb\r\n\r\n",
        LINE + HOST + b"x: a\rtransfer-encoding: chunked\ny: b\r\n\r\n",
        LINE + HOST + b"x: a\r\ty: b\n" + HOST + b"\r\n",
        LINE + b"Host: a\r\t\ny: b\r\n\r\n",
        LINE + HOST + b"x: a\r\n b\r\n\r\n",
        LINE + HOST + b"x : a\r\n\r\n",
        LINE + HOST + b"x: \x00\r\n\r\n",
        LINE + HOST + b"x: " + b"y" * limits.HEAD_BYTES + b"\r\n\r\n",
        LINE + HOST + b"x: y\r\n" * limits.FIELDS + b"\r\n",
        b"GET /" + b"y" * limits.REQUEST_LINE_BYTES + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        b"CONNECT / HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET / HTTP/1.0\r\n" + HOST + b"\r\n",
        b"GET http://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
    ],
)
def test_every_other_head_is_left_to_h11(received: bytes) -> None:
    assert read(received) is None


@pytest.mark.parametrize("blank", [b" ", b"\t", b"a "])
def test_a_faulty_field_of_blanks_does_not_hold_up_others(blank: bytes) -> None:
    received = LINE + HOST + b"x:" + blank * (60_000 // len(blank)) + b"\x01\r\n\r\n"
    began = process_time()
    assert read(received) is None
    assert process_time() - began < 1  # tried in every way, it would take seconds
