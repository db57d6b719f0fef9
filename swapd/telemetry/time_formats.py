"""How a line of the log says its time: Go's layouts, by the names that they have there.

The time is that of the machine's own time zone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, TypeAlias

#: Says a time, which is given in Unix seconds.
TimeFormat: TypeAlias = Callable[[float], str]


class _Layout(NamedTuple):
    """What ``strftime`` makes of the seconds, and how the fraction of a second goes on from there.

    ``places`` is how many digits it has; negative where the zeros at its end are left out.
    """

    text: str
    places: int = 0
    has_offset: bool = False


_LAYOUTS = {
    "ansic": _Layout("%a %b %e %H:%M:%S %Y"),
    "unixdate": _Layout("%a %b %e %H:%M:%S %Z %Y"),
    "rubydate": _Layout("%a %b %d %H:%M:%S %z %Y"),
    "rfc822": _Layout("%d %b %y %H:%M %Z"),
    "rfc822z": _Layout("%d %b %y %H:%M %z"),
    "rfc850": _Layout("%A, %d-%b-%y %H:%M:%S %Z"),
    "rfc1123": _Layout("%a, %d %b %Y %H:%M:%S %Z"),
    "rfc1123z": _Layout("%a, %d %b %Y %H:%M:%S %z"),
    "rfc3339": _Layout("%Y-%m-%dT%H:%M:%S", has_offset=True),
    "rfc3339nano": _Layout("%Y-%m-%dT%H:%M:%S", places=-9, has_offset=True),
    "kitchen": _Layout("%-I:%M%p"),
    "stamp": _Layout("%b %e %H:%M:%S"),
    "stampmilli": _Layout("%b %e %H:%M:%S", places=3),
    "stampmicro": _Layout("%b %e %H:%M:%S", places=6),
    "stampnano": _Layout("%b %e %H:%M:%S", places=9),
}


def time_format(name: str) -> TimeFormat:
    """Return the format called ``name``; that called by the empty name says nothing."""
    return _Clock(_LAYOUTS[name]) if name else lambda _: ""


class _Clock:
    """Says times of one layout.  Most lines come in the same second as the one before."""

    def __init__(self, layout: _Layout) -> None:
        self._layout = layout
        self._second: int | None = None
        self._said = ("", "")

    def __call__(self, unix: float) -> str:
        second, fraction = divmod(unix, 1)
        if second != self._second:
            self._second = int(second)
            self._said = self._say(self._second)
        said, offset = self._said
        return f"{said}{self._fraction(fraction)}{offset}" if self._layout.places else said + offset

    def _say(self, second: int) -> tuple[str, str]:
        moment = datetime.fromtimestamp(second).astimezone()
        said = moment.strftime(self._layout.text)
        return said, _offset(moment) if self._layout.has_offset else ""

    def _fraction(self, fraction: float) -> str:
        # That is all a float of our days can tell; its last step before a second is no second.
        digits = f"{min(int(fraction * 1e6 + 0.5), 999_999):06}000"
        if self._layout.places > 0:
            return f".{digits[: self._layout.places]}"
        digits = digits.rstrip("0")
        return f".{digits}" if digits else ""


def _offset(moment: datetime) -> str:
    offset = moment.strftime("%z")
    return "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
