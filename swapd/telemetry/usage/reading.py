"""Reads one answer while it passes: what it says of tokens, or why it is an error.

Rule 1: what a piece is decoded to is bounded.  A few bytes can become many GB, and nobody shall
    wait for that; an answer that needs more than is allowed is not read on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from swapd.errors import UpstreamFailed
from swapd.telemetry.usage.complaint import Complaint
from swapd.telemetry.usage.document import Document
from swapd.telemetry.usage.events import Events
from swapd.telemetry.usage.said import Account
from swapd.telemetry.usage.usage import UNKNOWN, Usage

#: Undoes what was done to an answer, piece by piece; raises ``UpstreamFailed`` if it was not.
Decode = Callable[[bytes], Iterable[bytes]]

#: How many times as many bytes as have come are read of what they are decoded to, and how many
#: more.  Text becomes 5 to 30 times as large.
_MOST_TIMES = 64
_MOST_MORE = 1024 * 1024

_log = logging.getLogger("swapd.usage")


class _Reader(Protocol):
    def feed(self, data: bytes) -> None: ...

    def finish(self) -> None: ...


class Reading:
    """What was read of one answer so far.  Nothing here raises, whatever comes."""

    def __init__(self, status: int, content_type: str, decode: Decode | None = None) -> None:
        """Await the body of an answer with ``status``; ``decode`` it first, if it is encoded."""
        self._account = Account()
        self._complaint: Complaint | None = None
        self._reader: _Reader | None
        if not 200 <= status < 300:
            self._reader = self._complaint = Complaint(status)
        elif content_type.lstrip().lower().startswith("text/event-stream"):
            self._reader = Events(self._account)
        else:
            self._reader = Document(self._account)
        self._decode = decode
        self._allowed = _MOST_MORE

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        if self._reader is None:
            return
        if self._decode is None:
            self._reader.feed(data)
        else:
            self._feed_decoded(self._reader, self._decode, data)

    def finish(self) -> None:
        """Take note that nothing follows, whether that was the proper end or not."""
        if self._reader is not None:
            self._reader.finish()

    def usage(self) -> Usage:
        """Return what was said of tokens."""
        return UNKNOWN if self._complaint is not None else self._account.usage()

    def error(self) -> str | None:
        """Return what the server said was wrong, if anything was."""
        return self._account.error if self._complaint is None else self._complaint.words()

    def _feed_decoded(self, reader: _Reader, decode: Decode, data: bytes) -> None:
        self._allowed += len(data) * _MOST_TIMES
        try:
            for piece in decode(data):
                self._allowed -= len(piece)
                if self._allowed < 0:
                    self._give_up("it is packed too densely to be unpacked beside its way")
                    return
                reader.feed(piece)
        except UpstreamFailed as error:
            self._give_up(str(error))

    def _give_up(self, why: str) -> None:
        _log.info("an answer is not read for its tokens: %s", why)
        self._reader = None
