"""Finds fields in a ``multipart/form-data`` body while it passes, in pieces of any size.

Rule 1: what a part holds is looked at only for its end, unless it is a field that is asked for;
    so a file of any size passes without being held.
Rule 2: a boundary is one only as a whole line, for it may begin like another text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import collapse_rfc2231_value
from functools import partial

from swapd.errors import MalformedRequest
from swapd.upstream.bodies.body import Edit

#: The most that the headers of a part, or a field that is asked for, may have.
_HELD_BYTES = 64 * 1024
_MOST_PARTS = 10_000

#: What the headers of a part may say: to read many parameters takes the square of their number.
_MOST_PARAMETERS = 1000

#: How often fields that are asked for may come; their values are held together.
_MOST_NAMED = 100

#: What may follow a boundary in its line: two dashes at the last one, spaces, and nothing else.
_TO_END_OF_LINE = re.compile(rb"(--)?[ \t]*\r?\n")
_TO_END_OF_BODY = re.compile(rb"(--)?[ \t]*\r?\Z")
_SO_FAR = re.compile(rb"-{0,2}[ \t]*\r?\Z")

#: The end of a part's headers, which may have none.
_NO_HEADERS = re.compile(rb"\r?\n")
_BLANK_LINE = re.compile(rb"\n\r?\n")
_SIZE = re.compile(rb"^content-length:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def boundary_of(content_type: bytes) -> bytes:
    """Return the boundary between the parts.

    Raises:
      MalformedRequest: There is none.
    """
    message = Message()
    message["content-type"] = content_type.decode("latin-1")
    boundary = message.get_boundary()
    if not boundary:
        raise MalformedRequest("the body is multipart, but its content type says no boundary")
    return boundary.encode("latin-1", "replace")


@dataclass(frozen=True, slots=True)
class Field:
    """A field, and where its value lies; also where its headers say how long that is, if so."""

    name: str
    value: str
    start: int
    end: int
    size: tuple[int, int] | None

    def renamed(self, value: str) -> Iterator[Edit]:
        """Yield what makes ``value`` the value, in order."""
        new = value.encode()
        if self.size is not None:
            yield Edit(*self.size, b"%d" % len(new))
        yield Edit(self.start, self.end, new)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with a boundary: it is preceded by content, and may be the last one."""

    content_end: int
    end: int
    is_last: bool


class Scanner:
    """Reads a body once, from front to back."""

    def __init__(self, boundary: bytes, *names: str) -> None:
        """Look for the fields that have one of ``names``."""
        self._boundary = b"--" + boundary
        self._names = names
        self._parts = 0
        self._buffer = b""
        self._offset = 0  # of the buffer in the body
        # In the buffer: where what is being read begins, and where to search for its end.
        self._start = 0
        self._searched = 0
        self._begins_line = True  # does what is being read
        self._is_all = False
        self._step = self._skip_content
        self._name = ""
        self._size: tuple[int, int] | None = None
        #: What was found so far, in order.
        self.fields: list[Field] = []

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
          MalformedRequest: This is no such body.
        """
        self._offset += self._start
        self._searched -= self._start
        self._buffer = self._buffer[self._start :] + piece
        self._start = 0
        while self._step():
            pass

    def finish(self) -> None:
        """Take the end of the body.

        Raises:
          MalformedRequest: It comes too early.
        """
        self._is_all = True
        self.feed(b"")
        if self._step != self._ignore:
            raise _malformed("it ends without its last boundary")

    # Each of these steps tells whether another one can follow it at once.

    def _skip_content(self) -> bool:
        line = self._find_boundary()
        if line is None:
            # What may be the beginning of a boundary stays, with the end of the line before it.
            if self._searched - 2 > self._start:
                self._start, self._begins_line = self._searched - 2, False
            return False
        return self._pass(line)

    def _read_value(self) -> bool:
        line = self._find_boundary()
        known_end = line.content_end if line else self._searched - 2
        self._limit(known_end - self._start, f"`{self._name}` is too long")
        if line is None:
            return False
        try:
            value = self._buffer[self._start : line.content_end].decode()
        except UnicodeDecodeError:
            raise MalformedRequest(f"`{self._name}` is not valid UTF-8") from None
        if len(self.fields) == _MOST_NAMED:
            raise _malformed(f"it has more than {_MOST_NAMED} fields like `{self._name}`")
        start, end = self._offset + self._start, self._offset + line.content_end
        self.fields.append(Field(self._name, value, start, end, self._size))
        return self._pass(line)

    def _read_headers(self) -> bool:
        blank = _NO_HEADERS.match(self._buffer, self._start) or _BLANK_LINE.search(
            self._buffer, self._start
        )
        known_end = blank.end() if blank else len(self._buffer)
        self._limit(known_end - self._start, "the headers of a part are too long")
        if blank is None:
            return False
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _malformed(f"it has more than {_MOST_PARTS} parts")
        is_wanted = self._understand(self._buffer[self._start : blank.start() + 1])
        self._begin(self._read_value if is_wanted else self._skip_content, blank.end())
        return True

    def _ignore(self) -> bool:
        self._start = len(self._buffer)
        return False

    def _pass(self, line: _Line) -> bool:
        self._begin(self._ignore if line.is_last else self._read_headers, line.end)
        return True

    def _begin(self, step: Callable[[], bool], at: int) -> None:
        self._step, self._start, self._searched, self._begins_line = step, at, at, True

    def _limit(self, size: int, refusal: str) -> None:
        """Refuse what is too long, however much of it came at once."""
        if size > _HELD_BYTES:
            raise _malformed(refusal)

    def _find_boundary(self) -> _Line | None:
        while (at := self._buffer.find(self._boundary, self._searched)) >= 0:
            self._searched = at
            if self._is_line_start(at):
                behind = at + len(self._boundary)
                rest = self._rest_of_line(behind)
                is_open = not rest and not self._is_all and _SO_FAR.match(self._buffer, behind)
                known_end = rest.end() if rest else len(self._buffer) if is_open else at
                self._limit(known_end - at, "the line of a boundary is too long")
                if rest:
                    return _Line(self._content_end(at), rest.end(), rest[1] is not None)
                if is_open:
                    return None
            self._searched = at + 1
        self._searched = max(self._searched, len(self._buffer) - len(self._boundary) + 1)
        return None

    def _rest_of_line(self, at: int) -> re.Match[bytes] | None:
        rest = _TO_END_OF_LINE.match(self._buffer, at)
        return _TO_END_OF_BODY.match(self._buffer, at) if not rest and self._is_all else rest

    def _is_line_start(self, at: int) -> bool:
        return self._begins_line if at == self._start else self._buffer[at - 1] == ord("\n")

    def _content_end(self, at: int) -> int:
        break_ = 2 if self._buffer[at - 2 : at] == b"\r\n" else 1
        return max(at - break_, self._start)

    def _understand(self, headers: bytes) -> bool:
        """Note what ``headers`` say of their part; tell whether it is a field to be read."""
        if not any(name.encode() in headers for name in self._names):
            return False
        if headers.count(b";") > _MOST_PARAMETERS:
            raise _malformed(f"a part's headers have more than {_MOST_PARAMETERS} parameters")
        message = BytesHeaderParser().parsebytes(headers)
        of_disposition = partial(message.get_param, header="content-disposition")
        self._name = collapse_rfc2231_value(of_disposition("name") or "")
        size, start = _SIZE.search(headers), self._offset + self._start
        self._size = (start + size.start(1), start + size.end(1)) if size else None
        is_file = of_disposition("filename") is not None
        return self._name in self._names and not is_file


def _malformed(why: str) -> MalformedRequest:
    return MalformedRequest(f"the body is not valid multipart/form-data: {why}")
