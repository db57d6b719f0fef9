"""Encoded bodies: what they were, in any pieces, and how much of that is allowed."""

from __future__ import annotations

import gzip
import os
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

import brotli
import pytest
import trio
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import BodyTooLarge, MalformedRequest, UpstreamFailed
from swapd.upstream.bodies import codings
from swapd.upstream.bodies.body import PIECE_BYTES, Body
from swapd.upstream.bodies.codings import AnswerDecoding, codings_of, decoded
from swapd.upstream.bodies.spool import HELD_BYTES
from tests.upstream.bodies.test_body import all_of

MEBIBYTE = 1024 * 1024


ENCODERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", partial(zlib.compress, wbits=-15)),
    ("br", partial(brotli.compress, quality=1)),
    ("zstd", zstandard.ZstdCompressor().compress),
]
each_coding = pytest.mark.parametrize(("coding", "encode"), ENCODERS)


async def plain(data: bytes, *codings: str, cuts: Sequence[int] = (), max_bytes: int = 0) -> bytes:
    """Decode ``data``, which comes cut at ``cuts``."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(places)]
    body = await decoded(Body(*pieces), codings, max_bytes=max_bytes)
    try:
        return await all_of(body)
    finally:
        body.close()


@given(
    st.binary(max_size=300).flatmap(lambda data: st.sampled_from([data, data * 1000])),
    st.lists(st.sampled_from(ENCODERS), max_size=3),
    st.lists(st.integers(0, 5000), max_size=9),
)
async def test_what_was_encoded_comes_back(
    data: bytes, encoders: list[tuple[str, Callable[[bytes], bytes]]], cuts: list[int]
) -> None:
    encoded = data
    for _, encode in encoders:
        encoded = encode(encoded)
    assert await plain(encoded, *[coding for coding, _ in encoders], cuts=cuts) == data


@each_coding
async def test_large_bodies_come_back(coding: str, encode: Callable[[bytes], bytes]) -> None:
    data = os.urandom(PIECE_BYTES + 7) + b"0" * 9 * PIECE_BYTES
    assert await plain(encode(data), coding) == data


@pytest.mark.parametrize("more", [1, 64, 128, 192])
async def test_what_a_decoder_holds_back_at_the_end_is_not_lost(more: int) -> None:
    data = bytes(PIECE_BYTES + more)
    assert await plain(zlib.compress(data, 9, wbits=-15), "deflate") == data


async def test_a_bare_deflate_that_begins_like_a_wrapped_one_is_told_from_it() -> None:
    texts = (b"%d" % number for number in range(10_000))
    bare = ((text, zlib.compress(text, wbits=-15)) for text in texts)
    text, encoded = next(each for each in bare if int.from_bytes(each[1][:2]) % 31 == 0)
    assert await plain(encoded, "deflate") == text


class Turns(trio.abc.Instrument):
    """Counts how often a task had its turn, as it has after each piece of work in a thread."""

    def __init__(self) -> None:
        self.count = 0

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@each_coding
async def test_what_hardly_shrank_is_decoded_in_large_pieces_too(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    data = os.urandom(4 * PIECE_BYTES)
    trio.lowlevel.add_instrument(turns := Turns())
    assert await plain(encode(data), coding) == data
    trio.lowlevel.remove_instrument(turns)
    assert turns.count < 100


async def test_no_decoder_has_much_to_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has yet to do it may copy after each piece that it puts out."""
    sizes: list[int] = []

    class Copying:
        def decode(self, data: bytes) -> Iterator[bytes]:
            sizes.append(len(data))
            yield data

        def is_complete(self) -> bool:
            return True

    monkeypatch.setitem(codings._DECODERS, "br", Copying)
    data = os.urandom(PIECE_BYTES)
    assert await plain(data, "br") == data
    assert max(sizes) <= PIECE_BYTES // 16


@pytest.mark.parametrize("cuts", [(), range(1000)])
async def test_members_and_frames_may_follow_each_other(cuts: Sequence[int]) -> None:
    gzipped = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    assert await plain(gzipped + b"\0" * 9, "gzip", cuts=cuts) == b"one two"
    compress = zstandard.ZstdCompressor().compress
    skipped = b"\x50\x2a\x4d\x18\x03\x00\x00\x00any"
    assert await plain(compress(b"one ") + skipped + compress(b"two"), "zstd", cuts=cuts) == (
        b"one two"
    )


@each_coding
async def test_a_body_that_breaks_off_is_refused(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    encoded = encode(b"all of it" * 100)
    for size in (1, len(encoded) // 2, len(encoded) - 1):
        with pytest.raises(MalformedRequest, match=f"not valid {coding}: it ends too early"):
            await plain(encoded[:size], coding)


async def test_a_body_that_breaks_off_behind_all_of_what_is_in_it_is_refused_too() -> None:
    encoded = gzip.compress(gzip.compress(b"all of it"))
    with pytest.raises(MalformedRequest, match="not valid gzip, gzip: it ends too early"):
        await plain(encoded[:-1], "gzip", "gzip")


@each_coding
async def test_what_is_not_encoded_is_refused(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    for wrong in (b'{"model": "m"}', encode(b"fine") + b"but not this"):
        with pytest.raises(MalformedRequest, match=f"the body is not valid {coding}: "):
            await plain(wrong, coding)


@pytest.mark.parametrize(
    ("coding", "encode"),
    [*ENCODERS, ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data)))],
)
async def test_a_bomb_is_refused_before_it_does_harm(
    coding: str, encode: Callable[[bytes], bytes]
) -> None:
    bomb = encode(b"\0" * (60 * MEBIBYTE))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge, match=f"larger than {5 * MEBIBYTE} bytes when it is decoded"):
        await plain(bomb, *coding.split(", "), max_bytes=5 * MEBIBYTE)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 30 * MEBIBYTE


@pytest.mark.parametrize("idle", ["zeros behind a member", "members", "frames"])
async def test_a_bomb_that_never_comes_to_anything_is_refused_too(idle: str) -> None:
    """Between two encodings it is as large as it pleases, and behind them there is nothing."""
    inner, coding = {
        "zeros behind a member": (gzip.compress(b"{}") + b"\0" * (60 * MEBIBYTE), "gzip"),
        "members": (gzip.compress(b"") * (3 * MEBIBYTE), "gzip"),
        "frames": (b"\x50\x2a\x4d\x18\x00\x00\x00\x00" * (3 * MEBIBYTE), "zstd"),
    }[idle]
    bomb = gzip.compress(inner)
    assert len(bomb) < MEBIBYTE
    with pytest.raises(BodyTooLarge, match="larger than 1000 bytes when it is decoded"):
        await plain(bomb, coding, "gzip", max_bytes=1000)


async def test_who_is_refused_a_bomb_learns_of_the_key_that_sets_the_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("swapd.upstream.bodies.codings.MOST_BYTES", MEBIBYTE)
    bomb = gzip.compress(b"\0" * 2 * MEBIBYTE)
    with pytest.raises(BodyTooLarge, match=r"larger than 1000 bytes .*\(server\.maxBody\)$"):
        await plain(bomb, "gzip", max_bytes=1000)
    with pytest.raises(BodyTooLarge, match=r"larger than 1048576 bytes when it is decoded$"):
        await plain(bomb, "gzip", max_bytes=0)


def test_an_answer_too_has_bounds_between_its_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swapd.upstream.bodies.codings.MOST_BYTES", MEBIBYTE)
    small, large = (gzip.compress(b"ok") + b"\0" * size for size in (MEBIBYTE // 2, MEBIBYTE))
    assert [*AnswerDecoding(["gzip", "br"]).feed(brotli.compress(small))] == [b"ok"]
    with pytest.raises(UpstreamFailed, match="larger than 1048576 bytes when it is decoded"):
        list(AnswerDecoding(["gzip", "br"]).feed(brotli.compress(large)))


async def test_a_body_that_becomes_large_lies_in_a_file() -> None:
    body = Body(gzip.compress(b"\0" * (HELD_BYTES + 1)))
    large = await decoded(body, ["gzip"], max_bytes=0)
    assert (large.held, large.length) == (None, HELD_BYTES + 1)
    body.close()
    with pytest.raises(ValueError, match="closed"):
        await all_of(large)


async def test_what_would_take_too_much_memory_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=27)
    stream = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    encoded = stream.compress(os.urandom(1000)) + stream.flush()
    with pytest.raises(MalformedRequest, match="not valid zstd"):
        await plain(encoded, "zstd")


@pytest.mark.parametrize(
    ("codings", "why"),
    [
        (
            ["compress"],
            "the body is encoded as compress, and swapd knows gzip, deflate, br and zstd",
        ),
        (["gzip"] * 5, "the body is encoded more than 4 times"),
    ],
)
async def test_what_swapd_cannot_decode_is_said(codings: list[str], why: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        await plain(b"x", *codings)
    assert str(refusal.value) == why


@pytest.mark.parametrize(
    ("values", "codings"),
    [
        ([], []),
        ([b"identity"], []),
        ([b"GZip"], ["gzip"]),
        ([b"gzip, br", b" zstd,"], ["gzip", "br", "zstd"]),
    ],
)
def test_codings_are_named_in_headers(values: list[bytes], codings: list[str]) -> None:
    headers = [(b"x", b"gzip"), *[(b"Content-Encoding", value) for value in values]]
    assert codings_of(headers) == codings
