"""Finds where the members of a JSON object, or the elements of an array, lie in its text.

The text must be well formed: that was found out when it was read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from swapd.errors import MalformedRequest
from swapd.upstream.bodies.body import Whole
from swapd.upstream.bodies.json_names import BYTE_ORDER_MARK, text_of

_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_SPACES = re.compile(rb"\s*")
_KEY = re.compile(rb"\s*(" + _STRING + rb")\s*:\s*", re.DOTALL)
_SCALAR = re.compile(_STRING + rb"|[^\s,}\]]+", re.DOTALL)

#: All that lies before the next bracket outside of strings, and that bracket.
_PLAIN = rb'[^"\[\]{}]*+'
_BRACKET = re.compile(_PLAIN + rb"(?:" + _STRING + _PLAIN + rb")*+[\[\]{}]", re.DOTALL)

#: Reads what the members of an object are much faster than we find their ends.
_VALUES = msgspec.json.Decoder(dict[str, msgspec.Raw])
_WORTH_READING = 1024

#: The most that is looked at in one object or array, for each costs a hundred times what a client
#: needs to write it.
_MOST_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Item:
    """One member of an object, or one element of an array.

    Attributes:
      key: As it is written, with its quotes; empty in an array.
      start: Right behind the bracket or comma before it.
      value: Where its value begins.
      end: Where its value ends.
      stop: Where the comma or bracket behind it is.
    """

    key: bytes
    start: int
    value: int
    end: int
    stop: int

    def is_called(self, key: str) -> bool:
        """Tell whether this is the member ``key``, however that is written."""
        if b"\\" not in self.key:
            return self.key[1:-1] == key.encode()
        try:
            return text_of(self.key) == key
        except UnicodeDecodeError:
            return False


def beginning_of(text: Whole) -> int:
    """Return where the value that is all of ``text`` begins."""
    return _spaces(text, len(BYTE_ORDER_MARK) if text[:3] == BYTE_ORDER_MARK else 0)


def items_of(text: Whole, start: int) -> list[Item]:
    """Return what is in the object or array that begins at ``start``.

    Raises:
      MalformedRequest: That is too much.
    """
    items: list[Item] = []
    at = start + 1
    if text[_spaces(text, at)] in b"}]":
        return items
    is_object = text[start] == ord("{")
    values = _values(text) if is_object else {}
    while True:
        key, value = _key(text, at) if is_object else (b"", _spaces(text, at))
        end = _end_by(values, key, text, value) or _end_of_value(text, value)
        stop = _spaces(text, end)
        items.append(Item(key, at, value, end, stop))
        if text[stop] != ord(","):
            return items
        if len(items) == _MOST_ITEMS:
            raise MalformedRequest(
                f"the body has an object or array of more than {_MOST_ITEMS} members, too many "
                "for swapd to change one of them"
            )
        at = stop + 1


def _values(text: Whole) -> dict[str, msgspec.Raw]:
    """Return the values of the object that ``text`` is, by their keys; maybe none."""
    if not isinstance(text, bytes) or len(text) < _WORTH_READING or text.count(b":") > _MOST_ITEMS:
        return {}
    try:
        return _VALUES.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}  # half an emoji, say, or as deep as can be read where fewer calls are open


def _end_by(values: dict[str, msgspec.Raw], key: bytes, text: Whole, start: int) -> int | None:
    """Return where the value that begins at ``start`` ends, if it is the one of ``values``.

    Where a key comes twice it may be the other one.  It is compared once and then taken out, for
    to look at a large one as often as its key comes would take for ever.
    """
    if not values or not isinstance(text, bytes):
        return None
    known = bytes(values.pop(key[1:-1].decode(), b""))
    end = start + len(known)
    return end if text.startswith(known, start) and text[end] in b" \t\r\n,}" else None


def _key(text: Whole, at: int) -> tuple[bytes, int]:
    key = _KEY.match(text, at)
    assert key is not None  # the text is well formed
    return key[1], key.end()


def _spaces(text: Whole, at: int) -> int:
    spaces = _SPACES.match(text, at)
    assert spaces is not None  # it matches nothing as well
    return spaces.end()


def _end_of_value(text: Whole, start: int) -> int:
    if text[start] not in b"[{":
        scalar = _SCALAR.match(text, start)
        assert scalar is not None  # the text is well formed
        return scalar.end()
    depth = 0
    for bracket in _BRACKET.finditer(text, start):
        depth += 1 if text[bracket.end() - 1] in b"[{" else -1
        if depth == 0:
            return bracket.end()
    raise AssertionError("the text is well formed")
