"""An answer that does not fit the stream that was begun for it.  No I/O.

Rule 1: what a model's server says of its error reaches the client in the server's own words, in the
    shape that the client's API has for an error amid a stream.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from swapd.errors import UpstreamFailed
from swapd.ids import Header
from swapd.upstream.bodies.codings import AnswerDecoding, codings_of
from swapd.web.errors import Kind, Problem

#: How much of an error is kept.
_MOST_BYTES = 64 * 1024

#: How many characters are shown of one that is no JSON.
_MOST_SHOWN = 500


def decoding_of(headers: Sequence[Header]) -> AnswerDecoding | None:
    """Return what makes plain events of a body with these ``headers``; None if it is plain.

    Raises:
      UpstreamFailed: It is no event stream, or encoded in a way that swapd does not know.
    """
    content_type = dict(headers).get(b"content-type", b"").decode("latin-1").strip()
    if not content_type.lower().startswith("text/event-stream"):
        kind = content_type.partition(";")[0] or "something of no type"
        raise UpstreamFailed(f"the server answered {kind}, where an event stream was asked for")
    codings = codings_of(headers)
    return AnswerDecoding(codings) if codings else None


class Refusal:
    """An error that a model's server answers, as far as it has come."""

    def __init__(self, model: str, status: int, headers: Sequence[Header]) -> None:
        """Await what ``model``'s server has to say."""
        self._model = model
        self._status = status
        self._codings = codings_of(headers)
        self._body = b""

    def take(self, piece: bytes) -> None:
        """Keep a piece of it.

        Raises:
          UpstreamFailed: It is far too long for an error.
        """
        self._body += piece
        if len(self._body) > _MOST_BYTES:
            raise UpstreamFailed(f"the server answered {self._status}, and more than fits an error")

    def problem(self) -> Problem:
        """Return it as its client is told of it."""
        body = self._plain()
        error = _error_in(body)
        words = next(filter(None, map(_text, (error.message, error.detail, error.error))), "")
        if not words and not body.lstrip().startswith((b"{", b"[")):
            words = body[:_MOST_SHOWN].decode(errors="replace").strip()
        message = f"{self._model}: its server answered {self._status}"
        otherwise = "invalid_request_error" if self._status < 500 else "server_error"
        type_ = _text(error.type) or otherwise
        kind = Kind(self._status, type_, _text(error.code) or type_)
        return Problem(f"{message}: {words}" if words else message, kind)

    def _plain(self) -> bytes:
        if not self._codings:
            return self._body
        plain = b""
        try:
            for piece in AnswerDecoding(self._codings).feed(self._body):
                plain += piece
                if len(plain) > _MOST_BYTES:
                    break
        except UpstreamFailed:
            return b""
        return plain


class _Error(msgspec.Struct):
    """The members that the usual servers give to an error, whatever their types."""

    message: object = None
    detail: object = None
    type: object = None
    code: object = None
    error: object = None


def _error_in(body: bytes) -> _Error:
    """Return the error in ``body``: below ``error``, as most have it, or on top."""
    try:
        whole = msgspec.json.decode(body, type=_Error)
        if isinstance(whole.error, dict):
            return msgspec.convert(whole.error, _Error)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Error()
    return whole


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
