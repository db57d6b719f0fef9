"""Reads one answer while it passes: what it says of tokens, or why it is an error.

Rule 1: what that costs is bounded (``effort``): a few bytes can become many GB, and nobody shall
    wait for them.  An answer that needs more than it has earned is not read on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from swapd.errors import UpstreamFailed
from swapd.telemetry.usage.complaint import Complaint
from swapd.telemetry.usage.document import Document
from swapd.telemetry.usage.effort import Effort, TooDense
from swapd.telemetry.usage.events import Events
from swapd.telemetry.usage.said import Account
from swapd.telemetry.usage.usage import Usage

#: Undoes what was done to an answer, piece by piece; raises ``UpstreamFailed`` if it was not, and
#: ``UnknownEncoding`` if that is nothing that we know.
Decode = Callable[[bytes], Iterable[bytes]]

#: The steps that a piece earns beside those of its bytes: to pass it on costs more than that.
_PER_PIECE = 16

#: How many bytes are decoded in a step: so an answer may become that many times as large.
_DECODED_BYTES = 32

#: What is read at a time of what was decoded.
_PIECE_BYTES = 64 * 1024


class UnknownEncoding(Exception):
    """An answer is encoded in a way that we cannot undo, which is no fault of it."""


class _Reader(Protocol):
    def feed(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


class Reading:
    """What was read of one answer so far.  Nothing here raises, whatever comes."""

    def __init__(self, status: int, content_type: str, decode: Decode | None = None) -> None:
        """Await the body of an answer with ``status``; ``decode`` it first, if it is encoded."""
        #: Why it was not read to its end, if it was not.
        self.unread: str | None = None
        self._garbled: str | None = None
        self._account = Account()
        self._effort = Effort()
        self._complaint: Complaint | None = None
        self._reader: _Reader | None
        if not 200 <= status < 300:
            self._reader = self._complaint = Complaint(status)
        elif content_type.lstrip().lower().startswith("text/event-stream"):
            self._reader = Events(self._account, self._effort)
        else:
            self._reader = Document(self._account, self._effort)
        self._decode = decode

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        reader = self._reader
        if reader is None:
            return
        self._effort.left += len(data) + _PER_PIECE
        try:
            if self._decode is None:
                reader.feed(data)
            else:
                self._feed_decoded(reader, self._decode(data))
        except TooDense:
            self._give_up("it would take too long")
        except UnknownEncoding as error:
            self._give_up(str(error))
        except UpstreamFailed as error:
            self._give_up(str(error))
            self._garbled = f"response decompression failed: {error}"  # llama-swap's words

    def finish(self) -> None:
        """Take note that nothing follows, whether that was the proper end or not."""
        if self._reader is None:
            return
        try:
            self._reader.finish()
        except TooDense:
            self._give_up("it would take too long")

    def is_over(self) -> bool:
        """Tell whether all has come that the server had to say, though not yet the end itself."""
        return isinstance(self._reader, Events) and self._reader.is_over()

    def usage(self) -> Usage:
        """Return what was said of tokens; nothing is known of an answer that is an error."""
        return self._account.usage()

    def error(self) -> str | None:
        """Return what the server said was wrong, or what is wrong with what it sent, if any."""
        if self._complaint is not None:
            return self._complaint.words()
        return self._account.error or self._garbled

    @property
    def is_garbled(self) -> bool:
        """Whether ``error`` is no more than that the answer is not encoded as it says."""
        return self._garbled is not None and self.error() == self._garbled

    def _feed_decoded(self, reader: _Reader, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self._effort.spend(len(piece) // _DECODED_BYTES)
            for at in range(0, len(piece), _PIECE_BYTES):
                reader.feed(piece[at : at + _PIECE_BYTES])

    def _give_up(self, why: str) -> None:
        self.unread = why
        self._reader = None
