"""Finds fields in a query, or in a body of the type that HTML forms send by default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote_plus, unquote_plus

from swapd.upstream.bodies.body import Edit, Whole

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
    """Yield the fields that have one of ``names``, in order."""
    for pair in _PAIR.finditer(form):
        if pair[1] is not None and (name := _text(pair[1])) in names:
            yield Field(name, _text(pair[2]), pair.start(2), pair.end(2))


def _text(encoded: bytes) -> str:
    return unquote_plus(encoded.decode("latin-1"))
