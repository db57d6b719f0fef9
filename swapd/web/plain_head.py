"""Reads the heads of requests that are as plain as nearly all are.  No I/O.

Rule 1: what is read here means what h11 and web/heads.py take it for; everything else is left to
    them: what is no HTTP/1.1, what is too large, chunked, doubtful or wrong, what wants to upgrade
    or to be told to continue.  So there is one answer to each fault, and no second opinion.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from swapd.ids import Header
from swapd.web import limits

_REQUEST_LINE = re.compile(rb"([A-Z]{3,10}) (/[!-~]*) HTTP/1\.1\r\n")

#: A line of the head together with the end of the line before it.
_FIELD = re.compile(rb"\n([-!#$%&'*+.^_`|~0-9a-zA-Z]+):[ \t]*+([ -~\t]*+)\r")

#: What says that a request is not plain.
_ELSEWHERE = frozenset({b"transfer-encoding", b"upgrade", b"expect"})

_TELLING = _ELSEWHERE | {b"host", b"content-length", b"connection"}

#: What a request says of its connection, and whether that lives on.
_KEEPS = {b"keep-alive": True, b"close": False}

#: The most digits of a length; nobody has a body that long.
_DIGITS = 18


class PlainHead(NamedTuple):
    """The head of a request."""

    method: str
    target: bytes
    #: Names in lower case, in the order and as often as they came.
    headers: list[Header]
    #: Of its body, in bytes.
    length: int
    #: Whether another request may follow.
    keeps: bool
    #: Of the head itself, in bytes.
    size: int


def read(received: bytes) -> PlainHead | None:
    """Return the head that ``received`` begins with, if it is whole and plain."""
    end = received.find(b"\r\n\r\n")
    first = _REQUEST_LINE.match(received)
    if first is None or not 0 < end <= limits.HEAD_BYTES - 4:
        return None
    method, target = first.groups()
    lines = received[first.end() - 1 : end + 1]
    fields = _FIELD.findall(lines)
    # As many fields as ends of lines, of either half and whole: each line is a field, and nothing
    # else.  The first end is cut in front, and the last one behind.
    if not len(fields) == lines.count(b"\n") == lines.count(b"\r") <= limits.FIELDS:
        return None
    if lines.count(b"\r\n") != len(fields) - 1:
        return None
    if method == b"CONNECT" or first.end() > limits.REQUEST_LINE_BYTES:
        return None
    headers = [(name.lower(), value.rstrip(b" \t")) for name, value in fields]
    said = dict(headers)
    length, connection = said.get(b"content-length", b"0"), said.get(b"connection", b"keep-alive")
    keeps = _KEEPS.get(connection.lower())
    if keeps is None or (len(said) != len(headers) and _says_twice(headers)):
        return None
    if b"host" not in said or not said.keys().isdisjoint(_ELSEWHERE):
        return None
    if not length.isdigit() or len(length) > _DIGITS:
        return None
    return PlainHead(method.decode(), target, headers, int(length), keeps, end + 4)


def _says_twice(headers: list[Header]) -> bool:
    told = [name for name, _ in headers if name in _TELLING]
    return len(told) != len(set(told))
