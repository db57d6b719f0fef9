"""One response of a server, from its bytes.  No I/O: what came is fed in."""

from __future__ import annotations

import httptools

from swapd.errors import UpstreamFailed
from swapd.ids import Header
from swapd.upstream.dial import PROXY

#: How the word begins by which TLS refuses what is none: an alert.
_TLS_ALERT = b"\x15\x03"

_WANTS_TLS = f"it speaks TLS there: {PROXY} must begin with https://"

#: The most that a response's head may take.
_HEAD_BYTES = 256 * 1024

_WITHOUT_BODY = (204, 304)

#: The most digits of a length that any client reads, leading zeros among them.
_LENGTH_DIGITS = 20


class Message:
    """The response to one request, as far as it came.

    Attributes:
      status: The final response's status, or 0 before its head is complete.
      headers: Its headers with names in lower case, in the order and as often as they came.
      ended: Whether the message is complete.
      untouched: Whether not one byte came.
      was_reset: Whether the connection was reset: what was sent was not all read.
      until_close: Whether only the end of the connection ends the message, whatever ended that.
      wants_tls: What is to be said to people if the server speaks TLS; else empty.
      reusable: Whether the connection can carry another message after this one.
    """

    def __init__(self, method: bytes) -> None:
        """Await the response to a ``method`` request."""
        self.status = 0
        self.headers: list[Header] = []
        self.ended = False
        self.untouched = True
        self.was_reset = False
        self.until_close = False
        self.wants_tls = ""
        self._method = method
        self._pieces: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        self._keep_alive = False
        self._surplus = False
        self._failure: str | None = None
        self._parser = httptools.HttpResponseParser(self)

    @property
    def reusable(self) -> bool:
        return self.ended and self._keep_alive and not self._surplus and self._failure is None

    @property
    def has_piece(self) -> bool:
        """Tell whether there is something to take."""
        return bool(self._pieces)

    def feed(self, data: bytes) -> None:
        """Take what one receive brought; empty is the end of the connection."""
        if not data:
            self._end_of_connection()
            return
        self.untouched = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._head_bytes and data.startswith(_TLS_ALERT):
                self.wants_tls = _WANTS_TLS
            self._fail(f"the server sent an invalid response: {self.wants_tls or error}")
        if not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > _HEAD_BYTES:
                self._fail("the server sent an invalid response: its head is too large")

    def take(self) -> bytes:
        """Take the part of the body that came since the last time, in one piece.

        Raises:
          UpstreamFailed: There is none, and the message broke.
        """
        if self._pieces:
            piece = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            return piece
        self.check()
        return b""

    def check(self) -> None:
        """Raise ``UpstreamFailed`` if the message broke before its end."""
        if self._failure is not None and not self.ended:
            raise UpstreamFailed(self._failure)

    def broke(self, how: str = "closed") -> None:
        """Note that the connection was ``how`` before the message's end."""
        self.was_reset = how == "reset"
        if self.untouched:
            self._fail(f"the server {how} the connection before it answered")
        else:
            self._fail(f"the connection broke after {self._body_bytes} bytes of the answer")

    def forget(self) -> None:
        """Let go of what parses it, which knows it too: nothing is fed any more."""
        del self._parser

    # What httptools calls, in the order of a message.

    def on_message_begin(self) -> None:
        self._surplus = self.ended

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # later ones are trailers
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self.status:  # a second message, which nobody asked for
            return
        status = self._parser.get_status_code()
        if status == 101:
            self._fail("the server switched protocols, which nobody asked it to do")
        elif status < 100:
            self._fail(f"the server sent an invalid response: its status is {status:03}")
        elif status < 200:  # interim: the answer is still to come
            self.headers.clear()
            self._head_bytes = 0
        else:
            self.status = status
            self._keep_alive = self._parser.should_keep_alive()
            self._find_framing()

    def on_body(self, data: bytes) -> None:
        if self.ended:
            self._surplus = True
        else:
            self._pieces.append(data)
            self._body_bytes += len(data)

    def on_message_complete(self) -> None:
        self.ended = self.ended or (self.status != 0 and self._failure is None)

    def _find_framing(self) -> None:
        if self._method == b"HEAD":
            self.ended = True  # the parser waits for a body: it knows only answers
            return
        fields = dict(self.headers)
        if len(fields.get(b"content-length", b"")) > _LENGTH_DIGITS:
            self._fail("the server sent an invalid response: its Content-Length is too long")
        if b"content-length" in fields and b"transfer-encoding" not in fields:
            return
        codings = [value.lower() for name, value in self.headers if name == b"transfer-encoding"]
        if codings and codings != [b"chunked"]:
            # The coding is this hop's matter: nobody behind us would know how to undo it.
            self._fail("the server used a transfer coding that swapd does not know")
        self.until_close = not codings and self.status not in _WITHOUT_BODY

    def _end_of_connection(self) -> None:
        if self.until_close:
            self.ended = True
        elif not self.ended:
            self.broke()

    def _fail(self, text: str) -> None:
        if self._failure is None:
            self._failure = text
