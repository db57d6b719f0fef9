"""The response parser on bytes alone: any split of the same bytes is the same message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import UpstreamFailed
from swapd.upstream.message import Message

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(parts: list[bytes]) -> bytes:
    return CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def fed(*pieces: bytes, method: bytes = b"GET") -> tuple[Message, bytes]:
    """Feed ``pieces`` as receives do, taking the body in between."""
    message = Message(method)
    body = b""
    for piece in pieces:
        message.feed(piece)
        while taken := message.take():
            body += taken
    return message, body


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.data())
def test_any_split_of_a_chunked_response_gives_the_same_body(
    parts: list[bytes], data: st.DataObject
) -> None:
    wire = chunked(parts)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(wire) - 1), max_size=8)))
    pieces = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]

    message, body = fed(*pieces)

    assert body == b"".join(parts)
    assert message.ended
    assert message.reusable


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.data())
def test_no_truncation_of_a_chunked_response_is_an_end(
    parts: list[bytes], data: st.DataObject
) -> None:
    wire = chunked(parts)
    cut = data.draw(st.integers(0, len(wire) - 1))
    message, _ = fed(*[part for part in [wire[:cut]] if part])

    message.feed(b"")

    assert not message.ended
    with pytest.raises(UpstreamFailed):
        message.take()


def test_what_one_receive_brought_is_one_piece() -> None:
    message = Message(b"GET")

    message.feed(chunked([b"one", b"two", b"three"]))

    assert message.take() == b"onetwothree"
    assert message.take() == b""


def test_repeated_headers_stay_in_order_and_trailers_are_dropped() -> None:
    message, body = fed(
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nX-Empty:\r\nset-cookie: b\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Late: 1\r\n\r\n"
    )

    assert body == b"x"
    assert message.headers == [
        (b"set-cookie", b"a"),
        (b"x-empty", b""),
        (b"set-cookie", b"b"),
        (b"transfer-encoding", b"chunked"),
    ]


def test_blanks_around_a_header_are_no_part_of_it() -> None:
    message, body = fed(
        b"HTTP/1.1 200 OK\r\nx: \ta b \t\r\ntransfer-encoding: Chunked \r\n\r\n1\r\nx\r\n0\r\n\r\n"
    )

    assert (message.headers[0], body) == ((b"x", b"a b"), b"x")
    assert message.ended


def test_interim_responses_are_skipped() -> None:
    message, _ = fed(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
    )

    assert message.status == 200
    assert message.headers == [(b"content-length", b"0")]
    assert message.reusable


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n"),
    ],
)
def test_some_responses_have_no_body_whatever_they_announce(method: bytes, head: bytes) -> None:
    message, body = fed(head, method=method)

    assert message.ended
    assert message.reusable
    assert body == b""


@pytest.mark.parametrize(
    ("method", "response"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"),
        (b"HEAD", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nhello"),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\nhello"),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n"),
        (b"GET", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxgarbage"),
        (b"GET", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\nx"),
        (b"GET", b"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\nx"),
    ],
)
def test_a_connection_with_more_to_come_or_no_will_is_not_reusable(
    method: bytes, response: bytes
) -> None:
    message, body = fed(response, method=method)

    assert message.ended
    assert not message.reusable
    assert body in (b"", b"x")


def test_a_body_without_framing_ends_with_the_connection() -> None:
    message, body = fed(b"HTTP/1.1 200 OK\r\n\r\n", b"one", b"two")
    assert not message.ended

    message.feed(b"")

    assert body == b"onetwo"
    assert message.ended
    assert not message.reusable


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the server sent an invalid response: "),
        (CHUNKED + b"zz\r\n", "the server sent an invalid response: "),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
            "the server sent an invalid response: ",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "the server used a transfer coding that swapd does not know",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 000000000000000000005\r\n\r\nhello",
            "the server sent an invalid response: its Content-Length is too long",
        ),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
            "the server used a transfer coding that swapd does not know",
        ),
        (
            b"HTTP/1.1 042 No\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "the server sent an invalid response: its status is 042",
        ),
        (b"HTTP/1.1 1000 No\r\n\r\n", "the server sent an invalid response: "),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
            "the server switched protocols, which nobody asked it to do",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "the server switched protocols, which nobody asked it to do",
        ),
    ],
)
@pytest.mark.parametrize("size", [1, 1000], ids=["byte_by_byte", "whole"])
def test_what_is_no_valid_response_is_a_failure(response: bytes, text: str, size: int) -> None:
    message = Message(b"GET")
    for start in range(0, len(response), size):
        message.feed(response[start : start + size])

    with pytest.raises(UpstreamFailed) as failure:
        message.check()

    assert str(failure.value).startswith(text)
    assert not message.ended


def test_what_came_before_a_break_is_still_passed_on() -> None:
    message = Message(b"GET")

    message.feed(CHUNKED + b"3\r\nabc\r\nzz\r\n")

    assert message.take() == b"abc"
    with pytest.raises(UpstreamFailed):
        message.take()


def test_a_head_may_be_large_but_not_endless() -> None:
    message = Message(b"GET")
    message.feed(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000)
    message.check()

    message.feed(b"a" * 65_536)

    with pytest.raises(UpstreamFailed, match="its head is too large"):
        message.check()


def test_a_large_head_and_its_body_may_come_together() -> None:
    filler = b"".join(b"x-%d: %s\r\n" % (n, b"a" * 1000) for n in range(200))
    message, body = fed(
        b"HTTP/1.1 200 OK\r\n" + filler + b"content-length: 100000\r\n\r\n" + b"b" * 100_000
    )

    assert message.ended
    assert len(body) == 100_000
    assert len(message.headers) == 201


def test_a_break_says_how_much_of_the_answer_came() -> None:
    message, _ = fed(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n", b"x" * 312)

    message.feed(b"")

    with pytest.raises(UpstreamFailed, match="the connection broke after 312 bytes of the answer"):
        message.take()


def test_a_server_that_wants_tls_is_known_by_the_alert_that_it_answers() -> None:
    message = Message(b"GET")
    message.feed(b"\x15\x03\x01\x00\x02\x02\x46")
    with pytest.raises(UpstreamFailed, match="its proxy in the configuration must begin with http"):
        message.check()
