"""Text in columns, for a terminal or a pipe."""

from __future__ import annotations

from collections.abc import Sequence


def columns(rows: Sequence[Sequence[str]], indent: str = "", *, numbers: bool = False) -> list[str]:
    """Return ``rows`` as lines whose cells stand below each other.

    With ``numbers`` all but the first cell of each row end below each other.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    put = str.rjust if numbers else str.ljust
    return [
        (indent + "  ".join([row[0].ljust(widths[0]), *map(put, row[1:], widths[1:])])).rstrip()
        for row in rows
    ]
