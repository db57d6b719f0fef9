"""Which heads of requests are refused although h11 would read them.

A head that two programs may read in two ways is how a request is smuggled past one of them: what
a proxy before us takes for one request must not be two to us.  RFC 9112 leaves these to the
server; no client sends them by itself.
"""

from __future__ import annotations

import re

import h11

from swapd.web import limits
from swapd.web.errors import (
    CUT,
    HEAD_TOO_LARGE,
    NOT_HTTP,
    OTHER_HTTP,
    TARGET_TOO_LONG,
    WANTS_PLAIN,
    Problem,
)

#: How the first message of TLS begins.
_TLS = b"\x16\x03"

#: Fields whose values are lists, which may be written in several of them.
_LISTS = (b"connection", b"upgrade", b"sec-websocket-protocol", b"sec-websocket-extensions")

_WEBSOCKET = b"websocket"

_BARE_LF = re.compile(rb"(?<!\r)\n")
_FOLDED = re.compile(rb"\n[ \t]")
_LENGTH = re.compile(rb"\ncontent-length:([^\n]*)", re.IGNORECASE)

#: How a request begins whose address somebody typed as it is spoken.
_OTHER_LETTERS = re.compile(rb"[A-Z]+ /[!-~]*[\x80-\xff]")

_TOO_LARGE = Problem(
    f"the head of the request is larger than {limits.HEAD_BYTES} bytes", HEAD_TOO_LARGE
)
_TOO_LONG = Problem(
    f"the first line of the request is longer than {limits.REQUEST_LINE_BYTES} bytes",
    TARGET_TOO_LONG,
)
_TOO_MANY = Problem(f"the request has more than {limits.FIELDS} header fields", HEAD_TOO_LARGE)
_UNENDED_LINE = Problem("a line of the request ends with LF alone, not with CR LF", NOT_HTTP)
_FOLDED_LINE = Problem("a header field of the request goes on in a second line", NOT_HTTP)
_TWO_FRAMINGS = Problem("the request has both Content-Length and Transfer-Encoding", NOT_HTTP)
_TWO_LENGTHS = Problem("the request has more than one Content-Length", NOT_HTTP)
_OLD_CHUNKED = Problem("Transfer-Encoding does not exist in HTTP/1.0", NOT_HTTP)
_BARE_LETTERS = Problem(
    "the address holds letters that must be percent-encoded: as %C3%BC for ü", NOT_HTTP
)
_NO_HOST = Problem("the request has no Host, which HTTP/1.1 demands", NOT_HTTP)
_TWO_HOSTS = Problem("the request has more than one Host", NOT_HTTP)
_BROKEN_CHUNK = Problem("the body of the request does not keep to chunked coding", NOT_HTTP)
_OTHER_HTTP = Problem("only HTTP/1.1 and HTTP/1.0 are spoken here", OTHER_HTTP)

#: What the library says of a body that is not all there.
_BROKE_OFF = "peer closed connection without sending complete message body"

#: What is wrong with a head, by the words of the library.
_FAULTS = {
    "Missing mandatory Host: header": _NO_HOST,
    "Found multiple Host: headers": _TWO_HOSTS,
    "conflicting Content-Length headers": _TWO_LENGTHS,
}


class StrictConnection(h11.Connection):
    """Reads requests as h11 does, and refuses those that it should not have read."""

    #: What is wrong with what came, if it was not h11 that found it.
    fault: Problem | None = None
    #: Whether there will be no more answers: what still comes is not read.
    is_over = False
    _is_chunked = False

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return the next event, as h11 does; what comes after the last request is no error.

        Raises:
          h11.RemoteProtocolError: What came is no HTTP, or ``fault`` says why it is refused.
        """
        if self.is_over:
            return h11.NEED_DATA
        is_head = self.their_state is h11.IDLE
        if is_head:
            self._skip_empty_lines()
        received = self.trailing_data[0] if is_head or self._is_chunked else b""
        if self.their_state in {h11.MUST_CLOSE, h11.CLOSED} and self.trailing_data[0]:
            return h11.NEED_DATA
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            self.fault = self._reason_of(error, received if is_head else None)
            raise
        if isinstance(event, h11.Request):
            self._is_chunked = (b"transfer-encoding", b"chunked") in event.headers
            self.fault = _fault_of_head(self._taken_of(received)) or _fault_of(event)
        elif isinstance(event, h11.EndOfMessage):
            self.fault = _fault_of_end(self._taken_of(received))
        elif is_head:
            self.fault = _fault_of_size(received)
        if self.fault is not None:
            self._process_error(self.their_role)
            raise h11.RemoteProtocolError(
                self.fault.message, error_status_hint=self.fault.kind.status
            )
        return event

    def _skip_empty_lines(self) -> None:
        """Drop what some clients send behind a body; it may have come together with that."""
        waiting = self.trailing_data[0]
        if waiting.startswith((b"\r", b"\n")):
            self._receive_buffer.maybe_extract_at_most(len(waiting) - len(waiting.lstrip(b"\r\n")))

    def _reason_of(self, error: h11.RemoteProtocolError, head: bytes | None) -> Problem | None:
        """Tell what is wrong in better words than the library's, if we have any."""
        if error.error_status_hint != NOT_HTTP.status:
            return None
        if head is None and str(error).startswith(_BROKE_OFF):
            return CUT
        if head is None:
            return _BROKEN_CHUNK if self._is_chunked else None
        if head.startswith(_TLS):
            return WANTS_PLAIN
        return _BARE_LETTERS if _OTHER_LETTERS.match(head) else _FAULTS.get(str(error))

    def _taken_of(self, received: bytes) -> bytes:
        return received[: len(received) - len(self.trailing_data[0])]


def _fault_of_size(head: bytes) -> Problem | None:
    """Tell whether so much of a head is too much of it."""
    first_line = head.find(b"\n")
    if (first_line if first_line >= 0 else len(head)) > limits.REQUEST_LINE_BYTES:
        return _TOO_LONG
    return _TOO_LARGE if len(head) > limits.HEAD_BYTES else None


def _fault_of_head(head: bytes) -> Problem | None:
    too_many = _TOO_MANY if head.count(b"\n") - 2 > limits.FIELDS else None
    return _fault_of_size(head) or _fault_of_lines(head) or too_many or _fault_of_length(head)


def _fault_of_length(head: bytes) -> Problem | None:
    """Tell whether ``head`` has several lengths; of equal ones the library makes one."""
    lengths = _LENGTH.findall(head)
    return _TWO_LENGTHS if len(lengths) > 1 or any(b"," in length for length in lengths) else None


def _fault_of_end(taken: bytes) -> Problem | None:
    """Tell what is wrong with the end of a chunked body, of which ``taken`` was read at last."""
    # The line end of the last chunk may have come in two halves, of which the first is read.
    return _fault_of_lines(taken if taken == b"\n" else taken.removeprefix(b"\n"))


def _fault_of_lines(lines: bytes) -> Problem | None:
    if _BARE_LF.search(lines):
        return _UNENDED_LINE
    return _FOLDED_LINE if _FOLDED.search(lines) else None


def _fault_of(request: h11.Request) -> Problem | None:
    names = {name for name, _ in request.headers}
    if not request.http_version.startswith(b"1."):
        return _OTHER_HTTP
    if b"transfer-encoding" not in names:
        return None
    if request.http_version == b"1.0":
        return _OLD_CHUNKED
    return _TWO_FRAMINGS if b"content-length" in names else None


def joined(request: h11.Request) -> h11.Request:
    """Return ``request`` with each list that opens a websocket in one field.

    Of what a client would speak instead of HTTP only the websocket is left, if it is among that.
    """
    lists: dict[bytes, list[bytes]] = {name: [] for name in _LISTS}
    for name, value in request.headers:
        if name in lists:
            lists[name].append(value)
    spoken = [part.strip().lower() for part in b",".join(lists[b"upgrade"]).split(b",")]
    if all(len(values) < 2 for values in lists.values()) and len(spoken) < 2:
        return request
    if _WEBSOCKET in spoken:
        lists[b"upgrade"] = [_WEBSOCKET]
    others = [header for header in request.headers.raw_items() if header[0].lower() not in lists]
    whole = [(name, b", ".join(values)) for name, values in lists.items() if values]
    return h11.Request(
        method=request.method,
        target=request.target,
        headers=[*others, *whole],
        http_version=request.http_version,
    )
