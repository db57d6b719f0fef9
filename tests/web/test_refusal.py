"""Answers that do not fit the stream that was begun for them."""

from __future__ import annotations

import gzip
import json
import tracemalloc

import brotli
import pytest

from swapd.errors import UpstreamFailed
from swapd.ids import Header
from swapd.web.refusal import Refusal, decoding_of

EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
GZIP = (b"content-encoding", b"gzip")


def refused(body: bytes, status: int = 400, *headers: Header) -> tuple[str, str, str]:
    """Return message, type and code."""
    refusal = Refusal("m", status, headers)
    refusal.take(body[:7])
    refusal.take(body[7:])
    problem = refusal.problem()
    assert problem.kind.status == status
    return problem.message, problem.kind.type, problem.kind.code


def test_an_event_stream_that_is_not_encoded_needs_nothing() -> None:
    assert decoding_of([EVENTS]) is None
    assert (
        decoding_of([(b"content-type", b"Text/Event-Stream"), (b"content-encoding", b"identity")])
        is None
    )


def test_an_encoded_event_stream_is_decoded_as_it_comes() -> None:
    decoding = decoding_of([EVENTS, GZIP])
    assert decoding is not None
    data = gzip.compress(b"data: a\n\n") + gzip.compress(b"data: b\n\n")
    pieces = [piece for at in range(len(data)) for piece in decoding.feed(data[at : at + 1])]
    decoding.finish()
    assert b"".join(pieces) == b"data: a\n\ndata: b\n\n"
    assert all(pieces)


def test_what_was_flushed_comes_out_at_once() -> None:
    decoding = decoding_of([EVENTS, (b"content-encoding", b"br")])
    assert decoding is not None
    compressor = brotli.Compressor()
    flushed = compressor.process(b"data: a\n\n") + compressor.flush()
    assert b"".join(decoding.feed(flushed)) == b"data: a\n\n"


def test_an_encoded_answer_that_ends_too_early_or_is_none_has_failed() -> None:
    decoding = decoding_of([EVENTS, GZIP])
    assert decoding is not None
    list(decoding.feed(gzip.compress(b"data: a\n\n")[:-1]))
    with pytest.raises(UpstreamFailed, match="not valid gzip: it ends too early"):
        decoding.finish()
    decoding = decoding_of([EVENTS, GZIP])
    assert decoding is not None
    with pytest.raises(UpstreamFailed, match="not valid gzip"):
        list(decoding.feed(b"data: a\n\n"))


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (
            [(b"content-type", b"application/json; charset=utf-8")],
            "answered application/json, where",
        ),
        ([], "something of no type"),
        ([EVENTS, (b"content-encoding", b"rot13")], "encoded as rot13"),
    ],
)
def test_what_is_no_event_stream_that_can_be_read_has_failed(
    headers: list[Header], told: str
) -> None:
    with pytest.raises(UpstreamFailed, match=told):
        decoding_of(headers)


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (
            {"error": {"message": "too long", "type": "exceed_context_size_error", "code": 400}},
            400,
            ("too long", "exceed_context_size_error", "exceed_context_size_error"),
        ),
        (
            {"error": {"message": "no", "type": "t", "code": "c", "param": None}},
            429,
            ("no", "t", "c"),
        ),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "no"}}, 529,
         ("no", "overloaded_error", "overloaded_error")),
        ({"object": "error", "message": "no", "type": "BadRequestError", "code": 400}, 400,
         ("no", "BadRequestError", "BadRequestError")),
        ({"error": "Loading model"}, 503, ("Loading model", "server_error", "server_error")),
        ({"detail": "Not Found"}, 404,
         ("Not Found", "invalid_request_error", "invalid_request_error")),
    ],
)  # fmt: skip
def test_an_error_keeps_its_own_words_and_type(
    body: object, status: int, told: tuple[str, str, str]
) -> None:
    words, type_, code = told
    expected = (f"m: its server answered {status}: {words}", type_, code)
    assert refused(json.dumps(body, indent=2).encode(), status) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", ""),
        (b"Bad Gateway\n", ": Bad Gateway"),
        (b"x" * 1000, ": " + "x" * 500),
        (b'{"error": {"message": 7}}', ""),
        (b'{"error": {"message": ', ""),
        (b"[1, 2]", ""),
        (b'"text"', ': "text"'),
        (b'{"message": "\xff"}', ""),
    ],
)
def test_an_error_of_any_other_form_is_told_too(body: bytes, words: str) -> None:
    assert refused(body, 502)[0] == f"m: its server answered 502{words}"


def test_an_encoded_error_is_read() -> None:
    assert refused(gzip.compress(b'{"error": "no"}'), 500, GZIP)[0].endswith("answered 500: no")
    assert refused(b"no gzip", 500, GZIP)[0].endswith("answered 500")


def test_an_encoded_error_cannot_become_much_larger() -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    tracemalloc.start()
    assert refused(bomb, 500, GZIP)[0].endswith("answered 500")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


def test_an_error_without_an_end_is_not_kept() -> None:
    refusal = Refusal("m", 500, [])
    refusal.take(b"x" * 64 * 1024)
    with pytest.raises(UpstreamFailed, match="answered 500"):
        refusal.take(b"x")
