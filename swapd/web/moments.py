"""Reads the moments that clients name."""

from __future__ import annotations

import re
from datetime import datetime

#: A date, a time and an offset, as RFC 3339 writes them.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ]"
    r"[0-9]{2}:[0-9]{2}:[0-9]{2}([.,][0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def moment(text: str) -> datetime | None:
    """Return the moment that RFC 3339 calls ``text``, in a query; None if it is none."""
    text = re.sub(r" ([0-9]{2}:[0-9]{2})$", r"+\1", text)  # a plus that was not escaped
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:  # the 31st of February
        return None
