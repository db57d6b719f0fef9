"""How swapd's own log is written: for people, or as JSON for programs.  No I/O.

Rule 1: whatever a line says, it is one line, or goes on indented: nobody whose words are shown in
    the log can have it say what swapd has not said.
Rule 2: no control character reaches the terminal that shows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

import msgspec

from swapd.telemetry.time_formats import time_format


class LogFormat(StrEnum):
    """How the log is written."""

    CONSOLE = "console"
    JSON = "json"


class Happened(Protocol):
    """Something that happens often, so that its line is made without a detour.

    It is written as ``str`` says, in JSON by its ``fields``.
    """

    def fields(self) -> Mapping[str, object]:
        """Return what is known of it, by names; one of them is ``event``."""


class Lines(Protocol):
    """Makes lines of what is said."""

    def line(self, level: str, time: float, event: str, fields: Mapping[str, object]) -> str:
        """Return the line, with its end."""

    def happened(self, level: str, time: float, what: Happened) -> str:
        """Return the line of ``what``, with its end."""


class ConsoleLines:
    """Lines for people: ``[TIME ][LEVEL] message``."""

    def __init__(self, times: str) -> None:
        """Say the time in the format called ``times``; not at all if that is empty."""
        self._time = time_format(times)
        self._space = " " if times else ""

    def line(self, level: str, time: float, event: str, fields: Mapping[str, object]) -> str:
        """Return the line, with its end."""
        exception = fields.get("exception")
        said = visible(f"{event}\n{exception}" if exception else event)
        return f"{self._time(time)}{self._space}[{level}] {_indented(said)}\n"

    def happened(self, level: str, time: float, what: Happened) -> str:
        """Return the line of ``what``, with its end."""
        return f"{self._time(time)}{self._space}[{level}] {what}\n"


class JsonLines:
    """Lines for programs: one JSON object each."""

    def __init__(self, times: str) -> None:
        """Say the time in the format called ``times``; in UTC to the microsecond if it is empty."""
        self._time = time_format(times) if times else _utc

    def line(self, level: str, time: float, event: str, fields: Mapping[str, object]) -> str:
        """Return the line, with its end."""
        said = {name: _plain(value) for name, value in fields.items()}
        return self._written(level, time, {"event": visible(event), **said})

    def happened(self, level: str, time: float, what: Happened) -> str:
        """Return the line of ``what``, with its end."""
        return self._written(level, time, what.fields())

    def _written(self, level: str, time: float, fields: Mapping[str, object]) -> str:
        line = {"time": self._time(time), "level": level.lower(), **fields}
        return msgspec.json.encode(line).decode() + "\n"


def lines_of(form: LogFormat, times: str) -> Lines:
    """Return what writes lines in ``form``, with times as ``times`` has them."""
    return JsonLines(times) if form is LogFormat.JSON else ConsoleLines(times)


def visible(text: str) -> str:
    """Return ``text`` with nothing in it that a terminal obeys but ends of lines and tabs.

    What steers the direction of writing goes too: it can make a line read as another.
    """
    return text if text.isprintable() else _STEERING.sub(_escaped, text)


#: Control characters, and what Unicode has to separate lines and to steer their direction.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


def _plain(value: object) -> object:
    """Return ``value`` as JSON has it: a number stays one, what JSON does not know is text."""
    return value if value is None or isinstance(value, int | float) else visible(str(value))


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ") if "\n" in text else text


def _utc(unix: float) -> str:
    moment = datetime.fromtimestamp(unix, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
