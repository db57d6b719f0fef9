"""Keeps copies of requests and of their answers in memory, bodies and all; off by default.

Rule 1: they take no more than the configured bytes, compressed; the oldest go first.
Rule 2: those that are still coming take no more than that either, all of them together; what does
not fit is dropped as a whole, so nobody takes a part for all.
Rule 3: whoever hands in a piece never waits: what takes time is done by the writer of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from swapd.ids import Header

_log = logging.getLogger("swapd.captures")

#: Headers as they came.
Headers: TypeAlias = Sequence[Header]

#: Makes headers fit to be seen: without secrets.
Show: TypeAlias = Callable[[Headers], Mapping[str, str]]

#: What a piece takes beside its bytes.
_PIECE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Capture:
    """A request and its answer; None was not kept, or never came.

    Attributes:
      path: As the client asked.
      request_headers: Without secrets.
      request_body: As it was sent to the model's server.
      response_headers: Without secrets.
      response_body: Encoded as it came.
    """

    path: str
    request_headers: Mapping[str, str]
    request_body: bytes | None
    response_headers: Mapping[str, str] | None
    response_body: bytes | None


class Captures:
    """The copies that are kept, by the numbers of their rows."""

    def __init__(self, limit_bytes: int) -> None:
        """Keep ``limit_bytes``; 0 is nothing."""
        self._limit = limit_bytes
        self._packed: dict[int, bytes] = {}  # oldest first
        self._size = 0
        self._coming = 0

    def resize(self, limit_bytes: int) -> None:
        """Keep ``limit_bytes`` from now on."""
        self._limit = limit_bytes
        self._shrink()

    def clear(self) -> None:
        """Forget all of them."""
        self._packed.clear()
        self._size = 0

    def __contains__(self, number: int) -> bool:
        return number in self._packed

    def get(self, number: int) -> Capture | None:
        """Return the copy of the request that is row ``number``, if it is still kept."""
        packed = self._packed.get(number)
        return None if packed is None else _unpacked(packed)

    def keep(self, number: int, packed: bytes) -> None:
        """Keep what ``Draft.packed`` returned, at the cost of the oldest."""
        if len(packed) > self._limit:
            _log.warning("request %d is too large to be captured: %d bytes", number, len(packed))
            return
        self._packed[number] = packed
        self._size += len(packed)
        self._shrink()

    def has_room(self, path: str, size: int) -> bool:
        """Tell whether a request to ``path`` with a body of ``size`` can be captured now."""
        if self._coming + size <= self._limit:
            return True
        _log.warning("%s: too large to be captured, or too much at once", path)
        return False

    def reserve(self, path: str, size: int) -> bool:
        """Take room for ``size`` bytes of a request to ``path``, if there is any."""
        if not self.has_room(path, size):
            return False
        self._coming += size
        return True

    def release(self, size: int) -> None:
        """Give back room that was reserved."""
        self._coming -= size

    def _shrink(self) -> None:
        while self._size > self._limit:
            oldest = next(iter(self._packed))
            self._size -= len(self._packed.pop(oldest))


class Draft:
    """A copy that is being made of one request and its answer."""

    def __init__(
        self,
        captures: Captures,
        path: str,
        *,
        show: Show,
        headers: Headers,
        body: bytes | None,
        keeps_answer: bool,
    ) -> None:
        """Begin with the request.

        Args:
          captures: Where it will be kept.
          path: As the client asked.
          show: Takes secrets out of headers.
          headers: Of the request.
          body: Of the request; None is not to be kept.
          keeps_answer: Whether the body of the answer is.
        """
        self._captures = captures
        self._path = path
        self._show = show
        self._request_headers = headers
        self._request_body = body
        self._keeps_answer = keeps_answer
        self._response_headers: Headers | None = None
        self._pieces: list[bytes] = []
        self._status = 0
        self._reserved = 0
        self._is_dropped = False
        self._reserve(len(body or b""))

    def begin(self, status: int, headers: Headers) -> None:
        """Take the head of the answer."""
        self._status = status
        self._response_headers = headers

    def write(self, data: bytes) -> None:
        """Take a piece of the answer's body."""
        if self._keeps_answer and self._reserve(len(data) + _PIECE_BYTES):
            self._pieces.append(data)

    def packed(self, *, is_whole: bool) -> bytes | None:
        """Return all that was taken, compressed; None if it is not to be kept.

        Takes time: to be called in a thread, when no more comes.

        Args:
          is_whole: Whether the answer came to its end; a part of its body is not kept.
        """
        if self._is_dropped:
            return None
        body = b"".join(self._pieces)
        is_kept = self._keeps_answer and is_whole and 200 <= self._status < 300
        if is_kept and not body:
            return None  # an answer that says nothing
        answered = self._response_headers
        return _packed(
            Capture(
                path=self._path,
                request_headers=self._show(self._request_headers),
                request_body=self._request_body,
                response_headers=None if answered is None else self._show(answered),
                response_body=body if is_kept else None,
            )
        )

    def release(self) -> None:
        """Let go of everything."""
        self._captures.release(self._reserved)
        self._reserved = 0
        self._request_body = None
        self._pieces.clear()

    def _reserve(self, size: int) -> bool:
        if not self._is_dropped:
            if self._captures.reserve(self._path, size):
                self._reserved += size
                return True
            self._is_dropped = True
            self.release()
        return False


def _packed(capture: Capture) -> bytes:
    from zstandard import ZstdCompressor  # only needed by those who capture

    return ZstdCompressor().compress(msgspec.msgpack.encode(capture))


def _unpacked(packed: bytes) -> Capture:
    from zstandard import ZstdDecompressor

    return msgspec.msgpack.decode(ZstdDecompressor().decompress(packed), type=Capture)
