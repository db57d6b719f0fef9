"""Finds fields in a query, or in a body of the type that HTML forms send by default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote_plus, unquote_plus

from swapd.errors import MalformedRequest
from swapd.upstream.bodies.body import Edit, Whole

#: The most that is read as a form, for nothing else can be done meanwhile.
MAX_FORM_BYTES = 1024 * 1024 * 1024

#: How many fields one may have, how many of those that are asked for, and how much each of these.
_MOST_FIELDS = 10_000
_MOST_NAMED = 100
_HELD_BYTES = 64 * 1024

#: The most that a character of a name comes to.
_ENCODED_BYTES = 3

_PAIR = re.compile(rb"([^&=]+)=([^&]*)|[^&]+")


@dataclass(frozen=True, slots=True)
class Field:
    """A field, and where the text of its value lies."""

    name: str
    value: str
    start: int
    end: int

    def renamed(self, value: str) -> Iterator[Edit]:
        """Yield what makes ``value`` the value."""
        yield Edit(self.start, self.end, quote_plus(value).encode())


def fields_of(form: Whole, *names: str) -> Iterator[Field]:
    """Yield the fields that have one of ``names``, in order.

    Raises:
      MalformedRequest: There are too many fields, or one of those is too long.
    """
    longest = _ENCODED_BYTES * max(map(len, names))
    left = _MOST_NAMED
    for number, pair in enumerate(_PAIR.finditer(form), start=1):
        if number > _MOST_FIELDS:
            raise MalformedRequest(f"the form has more than {_MOST_FIELDS} fields")
        if not 0 < pair.end(1) - pair.start(1) <= longest or _text(pair[1]) not in names:
            continue
        name, start, end = _text(pair[1]), pair.start(2), pair.end(2)
        if end - start > _HELD_BYTES:
            raise MalformedRequest(f"the form's `{name}` is too long")
        if not left:
            raise MalformedRequest(f"the form has more than {_MOST_NAMED} fields like `{name}`")
        left -= 1
        yield Field(name, _text(pair[2]), start, end)


def _text(encoded: bytes) -> str:
    return unquote_plus(encoded.decode("latin-1"))
