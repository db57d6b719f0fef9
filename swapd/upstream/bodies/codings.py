"""Undoes what ``content-encoding`` says was done to a body, or to an answer.

Rule 1: each step puts out some MiB at most, and all of them what the caller allows, for a few
    bytes can become many GB.  So it is between two encodings: what the inner one gets may be
    endless, and come to nothing.
Rule 2: decoding is done in threads, by a decoder of its own for each body.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import brotli
import trio
import zstandard

from swapd.errors import BodyTooLarge, MalformedRequest, UpstreamFailed
from swapd.ids import Header
from swapd.upstream.bodies.body import PIECE_BYTES, Body, Piece
from swapd.upstream.bodies.spool import Spool

#: What a body may become where nothing else is said.
MOST_BYTES = 1024 * 1024 * 1024

#: Encodings on top of each other; more are no use to anybody.
_MOST_CODINGS = 4

#: What is decoded at a time.
_STEP_BYTES = 64 * 1024

_KNOWN = "gzip, deflate, br and zstd"

_BROKEN = (zlib.error, brotli.error, zstandard.ZstdError)


class _TooMuch(Exception):
    """What one decoder gives to the next is more than is allowed; seen by nobody outside."""


class Decoder(Protocol):
    """Decodes one body."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next piece of the body comes to."""

    def is_complete(self) -> bool:
        """Tell whether the body may end here."""


def codings_of(headers: Sequence[Header]) -> list[str]:
    """Return how a body was encoded, in the order in which that was done."""
    named = [value for name, value in headers if name.lower() == b"content-encoding"]
    if not named:
        return []
    codings = [coding.strip().lower() for coding in b",".join(named).decode("latin-1").split(",")]
    return [coding for coding in codings if coding not in ("", "identity")]


async def decoded(body: Body, codings: Sequence[str], *, max_bytes: int) -> Body:
    """Return what ``body`` was before it was encoded.

    Args:
      body: Whose files keep the result too, if it is large.
      codings: In the order in which they were applied.
      max_bytes: What the result may have; 0 is ``MOST_BYTES``.

    Raises:
      MalformedRequest: It is not encoded so, or in a way that we do not know.
      BodyTooLarge: The result would be.
      BodyNotKept: The disk is full, or broken.
    """
    limit = max_bytes or MOST_BYTES
    if len(codings) > _MOST_CODINGS:
        raise MalformedRequest(f"the body is encoded more than {_MOST_CODINGS} times")
    decoders = _decoders(codings, limit)
    spool = Spool(limit, body.files)
    reader = body.reader()
    try:
        while piece := await reader.read():
            outputs = _gathered(_in_steps(decoders, piece))
            while output := await trio.to_thread.run_sync(next, outputs, b""):
                await spool.take(output)
    except (BodyTooLarge, _TooMuch):
        whose = " (server.maxBody)" if max_bytes else ""
        text = f"the body becomes larger than {limit} bytes when it is decoded{whose}"
        raise BodyTooLarge(text) from None
    except _BROKEN as error:
        raise MalformedRequest(f"the body is not valid {', '.join(codings)}: {error}") from error
    if not all(decoder.is_complete() for decoder in decoders):
        raise MalformedRequest(f"the body is not valid {', '.join(codings)}: it ends too early")
    return await spool.finish()


class AnswerDecoding:
    """Decodes an answer as it comes; its pieces are small, so this needs no thread."""

    def __init__(self, codings: Sequence[str]) -> None:
        """Undo ``codings``, which are in the order in which they were applied.

        Raises:
          UpstreamFailed: One of them is unknown.
        """
        self._name = ", ".join(codings)
        if not _DECODERS.keys() >= {*codings} or len(codings) > _MOST_CODINGS:
            raise UpstreamFailed(f"the server's answer is encoded as {self._name}")
        self._decoders = _decoders(codings, MOST_BYTES)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next piece comes to; nothing empty.

        Raises:
          UpstreamFailed: It is not encoded so.
        """
        try:
            for output in _through(self._decoders, data):
                if output:
                    yield output
        except _BROKEN as error:
            raise UpstreamFailed(
                f"the server's answer is not valid {self._name}: {error}"
            ) from error
        except _TooMuch:
            text = f"the server's answer becomes larger than {MOST_BYTES} bytes when it is decoded"
            raise UpstreamFailed(text) from None

    def finish(self) -> None:
        """Check that it may end here.

        Raises:
          UpstreamFailed: It ended too early.
        """
        if not all(decoder.is_complete() for decoder in self._decoders):
            raise UpstreamFailed(
                f"the server's answer is not valid {self._name}: it ends too early"
            )


def _decoders(codings: Sequence[str], most: int) -> list[Decoder]:
    """Return what undoes ``codings``, the last one first; none gives another more than ``most``."""
    decoders = [_decoder(coding) for coding in reversed(codings)]
    return [*(_Bounded(decoder, most) for decoder in decoders[:-1]), *decoders[-1:]]


def _decoder(coding: str) -> Decoder:
    if coding not in _DECODERS:
        raise MalformedRequest(f"the body is encoded as {coding}, and swapd knows {_KNOWN}")
    return _DECODERS[coding]()


def _in_steps(decoders: Sequence[Decoder], piece: Piece) -> Iterator[bytes]:
    """Yield what ``piece`` comes to, however large it is: zlib copies what it has yet to do."""
    for at in range(0, len(piece), _STEP_BYTES):
        yield from _through(decoders, bytes(piece[at : at + _STEP_BYTES]))


def _gathered(outputs: Iterator[bytes]) -> Iterator[bytes]:
    """Yield ``outputs`` in pieces that are worth a change to another thread and back."""
    held = bytearray()
    for output in outputs:
        held += output
        if len(held) >= PIECE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _through(decoders: Sequence[Decoder], data: bytes) -> Iterator[bytes]:
    """Yield what ``data`` comes to behind all of ``decoders``; nothing empty."""
    if decoders:
        for output in decoders[0].decode(data):
            yield from _through(decoders[1:], output)
    elif data:
        yield data


class _Bounded:
    """A decoder that puts out so many bytes and no more."""

    def __init__(self, decoder: Decoder, most: int) -> None:
        self._decoder = decoder
        self._left = most

    def decode(self, data: bytes) -> Iterator[bytes]:
        for output in self._decoder.decode(data):
            self._left -= len(output)
            if self._left < 0:
                raise _TooMuch
            yield output

    def is_complete(self) -> bool:
        return self._decoder.is_complete()


class _Gzip:
    """Takes several members behind each other, and zeros behind the last one."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._is_between = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._is_between:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._member = zlib.decompressobj(wbits=31)
            yield from _inflate(self._member, data)
            self._is_between = self._member.eof
            data = self._member.unused_data

    def is_complete(self) -> bool:
        return self._is_between


class _Deflate:
    """Takes the wrapped form that the standard means, and the bare one that some send."""

    def __init__(self) -> None:
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            data = self._head = self._head + data
            if len(data) < 2:
                return
            is_wrapped = data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
            self._stream = zlib.decompressobj(wbits=15 if is_wrapped else -15)
            self._head = b""
        yield from _inflate(self._stream, data)
        if self._stream.unused_data:
            raise zlib.error("something follows its end")

    def is_complete(self) -> bool:
        return self._stream is not None and self._stream.eof


def _inflate(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    is_full = True
    while (data or is_full) and not stream.eof:
        output = stream.decompress(data, PIECE_BYTES)
        data = stream.unconsumed_tail
        is_full = len(output) == PIECE_BYTES
        yield output


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        is_full = True
        while is_full or not self._stream.can_accept_more_data():
            output = self._stream.process(data, output_buffer_limit=PIECE_BYTES)
            data = b""
            is_full = len(output) >= PIECE_BYTES
            yield output

    def is_complete(self) -> bool:
        return bool(self._stream.is_finished())


class _Zstandard:
    """Takes several frames behind each other."""

    #: 4 bytes can become 128 KiB, and there is no other bound to what comes out.
    _STEP = 256
    #: What RFC 9659 allows to need.
    _WINDOW_BYTES = 8 * 1024 * 1024

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=self._WINDOW_BYTES)
        self._frame = self._context.decompressobj()

    def decode(self, data: bytes) -> Iterator[bytes]:
        for at in range(0, len(data), self._STEP):
            step = data[at : at + self._STEP]
            while step:
                if self._frame.eof:
                    self._frame = self._context.decompressobj()
                yield self._frame.decompress(step)
                step = self._frame.unused_data if self._frame.eof else b""

    def is_complete(self) -> bool:
        return self._frame.eof


_DECODERS: Mapping[str, Callable[[], Decoder]] = {
    "gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstandard,
    "x-gzip": _Gzip,
}
