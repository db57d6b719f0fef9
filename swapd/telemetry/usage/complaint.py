"""Finds out why a server refused a request, from what it answered.  No I/O."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import msgspec

from swapd.telemetry.usage.document import SHORT_BYTES
from swapd.telemetry.usage.said import words_of


class _Complaint(msgspec.Struct, gc=False):
    error: Any = None
    message: Any = None
    detail: Any = None


_decode = msgspec.json.Decoder(_Complaint).decode


class Complaint:
    """One answer that is an error."""

    def __init__(self, status: int) -> None:
        """Await the body of an answer with ``status``."""
        self._status = status
        self._body = b""

    def feed(self, data: bytes) -> None:
        """Take the next piece; of more than is read of an error, nothing is kept."""
        self._body += data[: SHORT_BYTES + 1 - len(self._body)]

    def finish(self) -> None:
        """Do nothing: what has come is all."""

    def words(self) -> str:
        """Return what the body says, or what the status means."""
        return self._said() or _meaning(self._status)

    def _said(self) -> str | None:
        try:
            said = _decode(self._body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        found = (words_of(said.error), words_of(said.message), words_of(said.detail))
        return next(filter(None, found), None)


def _meaning(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"
