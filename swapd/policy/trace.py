"""Reads a trace of requests: text in, requests out.

Two formats say the same: JSON Lines, an object a line, and CSV with a header.  Each request has
an ``arrival`` and a ``service`` in seconds, and a ``model`` by its ID or an alias; whatever else
stands there is another's business.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from swapd.errors import InvalidTrace, UnknownModel
from swapd.ids import ModelId
from swapd.policy.naming import Names
from swapd.policy.simulator import Request

FIELDS = ("arrival", "model", "service")

#: So many problems are told: who has more has one that repeats.
MOST_PROBLEMS = 20

#: One request as it was written, and in which line.
Row: TypeAlias = tuple[int, Mapping[str, object]]


def read_trace(text: str, name: str, names: Names) -> list[Request]:
    """Return the requests of ``text``, calling it ``name`` where it has problems.

    Raises:
      InvalidTrace: It has problems, or no request.
    """
    return _Reader(name, names).read(text)


@dataclass
class _Reader:
    """Reads one trace and collects what is wrong with it."""

    name: str
    names: Names
    problems: list[str] = field(default_factory=list)

    def read(self, text: str) -> list[Request]:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        requests = [request for row in self._rows(lines) if (request := self._request(*row))]
        if not requests and not self.problems:
            self.problems.append(f"{self.name}: there is no request in it")
        if self.problems:
            raise InvalidTrace(self._shown())
        return requests

    def _rows(self, lines: list[str]) -> Iterator[Row]:
        first = next((line.lstrip() for line in lines if line.strip()), "")
        if first.startswith("["):
            self._tell(1, "is a list; write an object a line, as jq -c '.[]' does")
        elif first.startswith("{"):
            yield from self._json_rows(lines)
        elif first:
            yield from self._csv_rows(lines)

    def _tell(self, line: int, message: str) -> None:
        self.problems.append(f"{self.name}:{line}: {message}")

    def _shown(self) -> list[str]:
        shown = self.problems[:MOST_PROBLEMS]
        more = len(self.problems) - len(shown)
        return [*shown, f"{self.name}: and {more} more problems"] if more else shown

    def _json_rows(self, lines: list[str]) -> Iterator[Row]:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row: object = msgspec.json.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                self._tell(number, f"must be a JSON object: {error}")
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                self._tell(number, f"must be a JSON object, not {_shortly(row)}")

    def _csv_rows(self, lines: list[str]) -> Iterator[Row]:
        table = csv.reader(lines, skipinitialspace=True)
        try:
            yield from self._records(
                (table.line_num, values)
                for cells in table
                if any(values := [cell.strip() for cell in cells])
            )
        except csv.Error as error:
            self._tell(table.line_num, str(error))

    def _records(self, lines: Iterator[tuple[int, list[str]]]) -> Iterator[Row]:
        """Yield each line of a table under the names of its first line."""
        first, header = next(lines, (1, []))
        if lacking := [wanted for wanted in FIELDS if wanted not in header]:
            message = f"must name the columns {', '.join(FIELDS)}; it lacks {', '.join(lacking)}"
            self._tell(first, message)
            return
        for number, values in lines:
            if len(values) == len(header):
                yield number, dict(zip(header, values, strict=True))
            else:
                self._tell(number, f"has {len(values)} columns, the first line {len(header)}")

    def _request(self, line: int, row: Mapping[str, object]) -> Request | None:
        if lacking := [wanted for wanted in FIELDS if wanted not in row]:
            self._tell(line, f"lacks {', '.join(lacking)}")
            return None
        arrival = self._seconds(line, "arrival", row["arrival"])
        model = self._model(line, row["model"])
        service = self._seconds(line, "service", row["service"])
        if arrival is None or model is None or service is None:
            return None
        return Request(arrival, model, service)

    def _seconds(self, line: int, what: str, value: object) -> float | None:
        seconds = seconds_of(value)
        if seconds is None:
            self._tell(line, f"{what}: must be seconds, at least 0, not {_shortly(value)}")
        return seconds

    def _model(self, line: int, value: object) -> ModelId | None:
        if not isinstance(value, str):
            self._tell(line, f"model: must be a name, not {_shortly(value)}")
            return None
        try:
            return self.names.resolve(value)
        except UnknownModel as error:
            self._tell(line, f"model: {error}")
            return None


def seconds_of(value: object) -> float | None:
    """Return the seconds that ``value`` says, as a number or in text; None if it does not."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def _shortly(value: object) -> str:
    text = repr(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else f"{text[:39]}…"
