"""Types plain YAML scalars and turns them back into text.  The rules are those of YAML 1.2.

To these come the habits of the configurations in use: legacy octals (``010`` is 8), ``_``
between digits, dates, and ``<<``.  There is no base 60, and ``yes``, ``on``, ``no`` and ``off``
are text.
"""

from __future__ import annotations

import math
import re
from datetime import datetime, timedelta
from decimal import Decimal

from swapd.config.tree import ScalarValue

_WORDS: dict[str, ScalarValue] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **{f"{sign}.{word}": math.inf for sign in ("", "+") for word in ("inf", "Inf", "INF")},
    **{f"-.{word}": -math.inf for word in ("inf", "Inf", "INF")},
}
_BASES = {"x": 16, "b": 2, "o": 8}
_INT = re.compile(
    r"(?P<sign>[-+]?)(?:0(?P<base>[xXbBoO])(?P<digits>[0-9a-fA-F]+)|(?P<octal>0[0-7]+)|(?P<decimal>0|[1-9][0-9]*))"
)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:(?:[Tt]|[ \t]+)(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d+)?[ \t]*(Z|[-+]\d{1,2}(?::\d{2})?)?)?",
    re.ASCII,
)


class Timestamp(str):
    """A date or time, as its RFC 3339 text; it is text wherever text is wanted."""

    __slots__ = ()


class Unquoted(str):
    """What an environment variable filled in without quotes: text, until another type is wanted.

    So a key that happens to look like a number keeps each of its digits.
    """

    __slots__ = ()


def settled(value: ScalarValue) -> ScalarValue:
    """Return ``value`` as YAML types it, where no text is wanted in particular."""
    return typed(value) if isinstance(value, Unquoted) else value


def typed(text: str) -> ScalarValue:
    """Return the value that the plain scalar ``text`` means."""
    if text in _WORDS:
        return _WORDS[text]
    if not text.isascii() or text[0] not in "0123456789+-.":
        return text
    for read in (_timestamp, _integer, _float):
        value = read(text)
        if value is not None:
            return value
    return text


def text_of(value: ScalarValue) -> str:
    """Return ``value`` as a text field receives it: canonical, not as it was written."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return _float_text(value)
        case _:
            return str(value)


def _integer(text: str) -> int | None:
    found = _INT.fullmatch(text.replace("_", ""))
    if not found or len(text) > 80:
        return None
    try:
        value = _magnitude(found)
    except ValueError:  # digits that the base does not have
        return None
    value = -value if found["sign"] == "-" else value
    return value if -(2**63) <= value < 2**64 else None


def _magnitude(found: re.Match[str]) -> int:
    if found["base"]:
        return int(found["digits"], _BASES[found["base"].lower()])
    return int(found["octal"], 8) if found["octal"] else int(found["decimal"])


def _float(text: str) -> float | None:
    plain = text if text.startswith(".") else text.replace("_", "")
    if not _FLOAT.fullmatch(plain):
        return None
    value = float(plain)
    return value if math.isfinite(value) else None


def _timestamp(text: str) -> Timestamp | None:
    found = _DATE.fullmatch(text)
    if not found:
        return None
    *numbers, fraction, zone = found.groups()
    try:
        year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
        when = datetime(year, month, day, hour, minute, second)
        offset = _offset(zone)
    except ValueError:
        return None
    fraction = (fraction or "")[:10].rstrip("0").removesuffix(".")
    return Timestamp(f"{when:%Y-%m-%dT%H:%M:%S}{fraction}{offset}")


def _offset(zone: str | None) -> str:
    if zone is None or zone == "Z":
        return "Z"
    sign = zone[:1]
    hours, _, minutes = zone[1:].partition(":")
    offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if offset >= timedelta(hours=24):
        raise ValueError(zone)
    return f"{sign}{int(hours):02}:{int(minutes or 0):02}" if offset else "Z"


def _float_text(value: float) -> str:
    """Return the shortest digits that give ``value`` again; large and tiny ones scientific."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1, value) < 0 else ""
    if value == 0:
        return f"{sign}0"
    exact = Decimal(repr(abs(value))).normalize()
    exponent = exact.adjusted()
    if -4 <= exponent < 6:
        return f"{sign}{exact:f}"
    digits = "".join(map(str, exact.as_tuple().digits))
    mantissa = f"{digits[0]}.{digits[1:]}".removesuffix(".")
    return f"{sign}{mantissa}e{exponent:+03d}"
