"""What an answer says of tokens, of whatever shape it is, and however it comes."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

import brotli
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from swapd.telemetry.usage.document import SHORT_BYTES
from swapd.telemetry.usage.reading import Decode, Reading
from swapd.telemetry.usage.usage import UNKNOWN, Usage
from swapd.upstream.bodies.codings import AnswerDecoding
from tests.telemetry.usage.answers import ANSWERS, JSON, SSE, Answer


def read(
    pieces: Iterable[bytes],
    content_type: str = JSON,
    *,
    status: int = 200,
    decode: Decode | None = None,
) -> Reading:
    reading = Reading(status, content_type, decode)
    for piece in pieces:
        reading.feed(piece)
    reading.finish()
    return reading


def cut(body: bytes, places: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for place in sorted({place % (len(body) + 1) for place in places}):
        yield body[start:place]
        start = place
    yield body[start:]


def bare_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", bare_deflate),
    ("br", brotli.compress),
    ("zstd", zstandard.ZstdCompressor().compress),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
def test_each_shape_is_read(answer: Answer) -> None:
    reading = read([answer.body], answer.content_type)
    assert reading.usage() == answer.usage
    assert reading.error() is None


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.name)
@pytest.mark.parametrize("size", [1, 2, 7])
def test_pieces_of_any_size_say_the_same(answer: Answer, size: int) -> None:
    pieces = [answer.body[at : at + size] for at in range(0, len(answer.body), size)]
    assert read(pieces, answer.content_type).usage() == answer.usage


@given(st.sampled_from(ANSWERS), st.lists(st.integers(0, 10_000), max_size=8))
def test_any_cutting_says_the_same(answer: Answer, places: list[int]) -> None:
    assert read(cut(answer.body, places), answer.content_type).usage() == answer.usage


@given(
    st.sampled_from(ANSWERS),
    st.sampled_from(PACKERS),
    st.lists(st.integers(0, 10_000), max_size=8),
)
def test_an_encoded_answer_says_the_same(
    answer: Answer, packer: tuple[str, Callable[[bytes], bytes]], places: list[int]
) -> None:
    coding, pack = packer
    decode = AnswerDecoding([coding]).feed
    reading = read(cut(pack(answer.body), places), answer.content_type, decode=decode)
    assert reading.usage() == answer.usage


@pytest.mark.parametrize("status", [200, 201, 202, 206])
def test_every_success_is_read(status: int) -> None:
    assert read([b'{"usage": {"prompt_tokens": 3}}'], status=status).usage() == Usage(prompt=3)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (429, b'{"error": {"message": "rate limited"}, "message": "other"}', "rate limited"),
        (400, b'{"error": " bad request "}', "bad request"),
        (400, b'{"message": "nope", "detail": "other"}', "nope"),
        (404, b'{"detail": "oops"}', "oops"),
        (422, b'{"detail": [{"msg": "a"}]}', f"422 {HTTPStatus(422).phrase}"),
        (500, b'{"error": {"code": 42}}', "500 Internal Server Error"),
        (500, b'{"error": {"message": " "}, "detail": "why"}', "why"),
        (502, b"<h1>Bad Gateway</h1>", "502 Bad Gateway"),
        (302, b"", "302 Found"),
        (599, b"[1, 2]", "HTTP 599"),
        (500, b'{"message": "%s"}' % (b"x" * SHORT_BYTES), "500 Internal Server Error"),
    ],
)
def test_an_error_says_why_and_nothing_of_tokens(status: int, body: bytes, error: str) -> None:
    for pieces in ([body], [body[:5], body[5:]]):
        reading = read(pieces, status=status)
        assert reading.error() == error
        assert reading.usage() == UNKNOWN


def test_what_a_failed_answer_says_of_tokens_does_not_count() -> None:
    assert read([b'{"usage": {"prompt_tokens": 3}}'], status=500).usage() == UNKNOWN


def test_an_error_within_a_stream_is_told_beside_its_tokens() -> None:
    body = b'data: {"usage": {"prompt_tokens": 3}}\n\ndata: {"error": {"message": "no memory"}}\n\n'
    reading = read([body], SSE)
    assert (reading.usage(), reading.error()) == (Usage(prompt=3), "no memory")


def test_of_many_words_of_a_stream_the_latest_counts_by_whatever_it_was_found() -> None:
    counted = [b'{"usage": {"completion_tokens": %d}}' % count for count in range(1, 20)]
    beside = b'{"metrics": {}, "usage": {"completion_tokens": 20}}'
    last = b'{"usage": {"completion_tokens": 21}}'
    stream = b"".join(b"data: %s\n\n" % event for event in [*counted, beside, last])
    assert read([stream], SSE).usage().generated == 21


@pytest.mark.parametrize("where", ["response", "message", None])
def test_a_long_line_of_a_stream_is_read_too(where: str | None) -> None:
    said = {"output": 'a"\\' * SHORT_BYTES, "usage": {"output_tokens": 5}}
    event = said if where is None else {"type": "completed", where: said}
    body = b'data: {"usage": {"input_tokens": 4}}\n\ndata: %s\n\n' % json.dumps(event).encode()
    body += b'data: {"usage": {"cache_read_input_tokens": 3}}\n\n'
    expected = Usage(prompt=4, generated=5, cached=3)
    for size in (1000, 4096, 65_536, len(body)):
        pieces = [body[at : at + size] for at in range(0, len(body), size)]
        assert read(pieces, SSE).usage() == expected


def test_a_long_line_is_newer_than_what_was_left_for_later() -> None:
    counts = (b'data: {"usage": {"output_tokens": %d}}\n\n' % count for count in range(1, 30))
    said = json.dumps({"output": "a" * 2 * SHORT_BYTES, "usage": {"output_tokens": 50}}).encode()
    body = b"".join(counts) + b"data: " + said + b"\n\n"
    pieces = [body[at : at + 1000] for at in range(0, len(body), 1000)]
    assert read(pieces, SSE).usage() == Usage(generated=50)


def test_a_long_line_that_is_no_data_is_passed_over() -> None:
    comment = b'note:{"a": "%s", "usage": {"prompt_tokens": 99}}\n' % (b"x" * 2 * SHORT_BYTES)
    pieces = [comment[:-50], comment[-50:], b'data: {"usage": {"completion_tokens": 2}}\n\n']
    assert read(pieces, SSE).usage() == Usage(generated=2)


@given(st.binary(max_size=200), st.sampled_from([JSON, SSE]), st.sampled_from([200, 500]))
@example(b'{"message": {"usage": {"a": "\xff"}}}', JSON, 200)
@example(b'data: {"message": {"usage": {"a": "\xff"}}}\n', SSE, 200)
@example(b'{"usage": {"prompt_tokens": 1%s}}' % (b"0" * 400), JSON, 200)
@example(b'{"error": "\xff"}', JSON, 500)
@example(b"[" * 5000, JSON, 500)
@example(b'{"usage":' * 5000, JSON, 200)
def test_nothing_that_comes_does_harm(body: bytes, content_type: str, status: int) -> None:
    assert read([body], content_type, status=status).usage() == UNKNOWN


@pytest.mark.parametrize(("coding", "pack"), PACKERS)
def test_what_is_packed_too_densely_is_not_read(
    coding: str, pack: Callable[[bytes], bytes]
) -> None:
    unpacked = 0

    def decode(data: bytes) -> Iterator[bytes]:
        nonlocal unpacked
        for piece in decoding.feed(data):
            unpacked += len(piece)
            yield piece

    decoding = AnswerDecoding([coding])
    packed = pack(b" " * 24_000_000 + b'{"usage": {"prompt_tokens": 3}}')
    assert read([packed], decode=decode).usage() == UNKNOWN
    assert unpacked < 10_000_000 + 64 * len(packed)  # zstandard puts out MB at once


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (JSON, b'{"a": ' + b"[{}]" * 300_000),
        (JSON, b'{"a": ' + b"[" * 1_000_000),
        (JSON, b"{" + b'"a": 1, ' * 150_000),
        (SSE, b'data: {"a": {"b": ' + b"[{}]" * 300_000),
        (SSE, b'"usage": {\n' * 100_000),
    ],
)
def test_what_takes_long_to_read_is_not_read_to_its_end(content_type: str, text: bytes) -> None:
    """Each of these would take a second where others take a millisecond."""
    reads = 0

    def decode(data: bytes) -> Iterator[bytes]:
        nonlocal reads
        for at in range(0, len(text), 65_536):
            reads += 1
            yield text[at : at + 65_536]

    reading = read([b"few"], content_type, decode=decode)
    assert reading.usage() == UNKNOWN
    assert reads < len(text) // 65_536


def test_an_answer_of_brackets_is_read_if_it_came_as_such() -> None:
    text = b'{"a": [%s], "usage": {"prompt_tokens": 3}}' % b",".join([b"[[1],[2]]"] * 50_000)
    pieces = [text[at : at + 65_536] for at in range(0, len(text), 65_536)]
    assert read(pieces).usage() == Usage(prompt=3)


def test_an_answer_in_many_small_pieces_earns_its_reading() -> None:
    text = b'{"a": "%s", "usage": {"prompt_tokens": 3}}' % (b"x" * 2 * SHORT_BYTES)
    assert read(text[at : at + 1] for at in range(len(text))).usage() == Usage(prompt=3)


def test_what_is_not_encoded_as_it_says_is_not_read_and_that_is_said() -> None:
    def read_it(status: int) -> Reading:
        decode = AnswerDecoding(["gzip"]).feed
        return read([b'{"usage": {"prompt_tokens": 3}}', b"more"], status=status, decode=decode)

    reading = read_it(200)
    assert reading.usage() == UNKNOWN
    why = "response decompression failed: the server's answer is not valid gzip"
    assert (reading.error() or "").startswith(why)
    assert reading.is_garbled
    failed = read_it(502)
    assert (failed.error(), failed.is_garbled) == ("502 Bad Gateway", False)


def embeddings(size: int) -> Iterator[bytes]:
    """Yield an answer of about ``size`` bytes, in pieces as they are received."""
    yield b'{"object": "list", "data": ['
    one = b'{"embedding": [' + b"-0.0123456789, " * 4000 + b'0], "text": "\\"}]"}, '
    for _ in range(size // len(one)):
        yield one
    yield b'{}], "usage": {"prompt_tokens": 8}}'


def image(size: int) -> Iterator[bytes]:
    yield b'{"data": [{"b64_json": "'
    for _ in range(size // 65_536):
        yield b"A" * 65_536
    yield b'"}], "usage": {"input_tokens": 8}}'


@pytest.mark.parametrize("answer", [embeddings, image])
@pytest.mark.parametrize("content_type", [JSON, SSE])
def test_an_answer_of_100_mb_costs_kilobytes(
    answer: Callable[[int], Iterator[bytes]], content_type: str
) -> None:
    reading = Reading(200, content_type)
    if content_type == SSE:
        reading.feed(b"data: ")
    tracemalloc.start()
    try:
        for piece in answer(100_000_000):
            reading.feed(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    reading.finish()
    assert reading.usage() == Usage(prompt=8)
    assert peak < 600_000


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize(
    "end",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\r\n\r\n",
        b"data: [DONE]",
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        b'data: {"type": "message_stop"}\n\n',
        b'event: response.completed\ndata: {"type":"response.completed"}\n\n',
        b"event: response.completed\ndata: %s\n\n" % (b"x" * 2 * SHORT_BYTES),
    ],
)
def test_a_stream_is_over_when_it_has_said_its_last_words(end: bytes, size: int) -> None:
    reading = Reading(200, SSE)
    said = b'data: {"choices": [{"delta": {"content": "[DONE] message_stop"}}]}\n\n' + end
    size = max(size, len(said) // 200)
    for at in range(0, len(said), size):
        reading.feed(said[at : at + size])
    assert reading.is_over()


@pytest.mark.parametrize(
    "end",
    [
        b'data: {"choices": [{"delta": {"content": "data: [DONE]"}}]}\n\n',
        b'event: response.completed\ndata: {"type": "response.comp',
        b"event: response.completed\ndata: " + b"x" * 2 * SHORT_BYTES,
        b"data: [DO",
    ],
)
def test_a_stream_is_not_over_before(end: bytes) -> None:
    reading = Reading(200, SSE)
    reading.feed(b"data: {}\n\n" + end)
    assert not reading.is_over()


def test_only_a_stream_says_when_it_is_over() -> None:
    reading = Reading(200, JSON)
    reading.feed(b'"data: [DONE]"')
    assert not reading.is_over()
