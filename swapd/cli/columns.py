"""Text in columns, for a terminal or a pipe."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: str = "", *, numbers: bool = False) -> list[str]:
    """Return ``rows`` as lines whose cells stand below each other.

    With ``numbers`` all but the first cell of each row end below each other.
    """
    widths = [max(map(places, column)) for column in zip(*rows, strict=True)]
    put = _to_the_right if numbers else _to_the_left
    return [
        (
            indent + "  ".join([_to_the_left(row[0], widths[0]), *map(put, row[1:], widths[1:])])
        ).rstrip()
        for row in rows
    ]


def places(text: str) -> int:
    """Return how many places of a terminal's line ``text`` takes: Chinese characters take two."""
    if text.isascii():
        return len(text)
    return sum(map(_places_of, text))


def fitting(line: str, width: int) -> str:
    """Return as much of ``line`` as fits into ``width`` places."""
    while places(line) > width:
        line = line[:-1]
    return line


def _places_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _to_the_left(text: str, width: int) -> str:
    return text + " " * (width - places(text))


def _to_the_right(text: str, width: int) -> str:
    return " " * (width - places(text)) + text
