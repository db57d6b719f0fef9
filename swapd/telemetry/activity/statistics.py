"""Sums up remembered requests: how many, how many tokens, how fast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Final

from swapd.telemetry.activity.row import Value

_FEWEST_BINS, _MOST_BINS = 5, 20

#: Which shares of all speeds are at most as high as the values that are told.
_SHARES: Final = (0.50, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Histogram:
    """How speeds are spread.

    Attributes:
      bins: How many are in each of the equal parts from the lowest to the highest.
      low: The lowest.
      high: The highest.
      bin_size: How wide a part is; 0 if all are equal.
      p50: Half of them are at most as high.
      p95: 95 % are at most as high.
      p99: 99 % are at most as high.
    """

    bins: Sequence[int]
    low: float
    high: float
    bin_size: float
    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """All remembered requests, or those of one model; unknown tokens count as none."""

    requests: int
    prompt: int
    generated: int
    cached: int
    prompt_speeds: Histogram | None
    generation_speeds: Histogram | None


def sum_up(connection: Connection, model: str | None) -> Statistics:
    """Return the sums of all rows, or of those of ``model``.

    Raises:
      sqlite3.Error: The store cannot be read.
    """
    where, values = ("model_id = ?", (model,)) if model else ("true", ())
    sums = ", ".join(
        f"coalesce(sum({column}) FILTER (WHERE {column} > 0), 0)"
        for column in ("input_tokens", "output_tokens", "cache_tokens")
    )
    told = connection.execute(f"SELECT count(*), {sums} FROM activity WHERE {where}", values)
    requests, prompt, generated, cached = told.fetchone()
    return Statistics(
        requests=requests,
        prompt=prompt,
        generated=generated,
        cached=cached,
        prompt_speeds=_histogram(connection, "prompt_per_second", where, values),
        generation_speeds=_histogram(connection, "tokens_per_second", where, values),
    )


def _histogram(
    connection: Connection, column: str, where: str, values: tuple[Value, ...]
) -> Histogram | None:
    """Spread what is above zero in ``column``.  SQLite sorts and counts: it lets others run."""
    among = f"FROM activity WHERE {where} AND {column} > 0"
    count, low, high = connection.execute(
        f"SELECT count(*), min({column}), max({column}) {among}", values
    ).fetchone()
    if not count:
        return None
    bins = [0] * _bin_count(count)
    if size := (high - low) / len(bins):
        spread = connection.execute(
            f"SELECT CAST(min(({column} - ?) / ?, ?) AS INTEGER), count(*) {among} GROUP BY 1",
            (low, size, len(bins) - 1, *values),
        )
        for number, members in spread:
            bins[number] = members
    else:
        bins = [count]
    at = _at_places(connection, column, among, values, count)
    return Histogram(bins, low, high, size, *at)


def _bin_count(count: int) -> int:
    return max(_FEWEST_BINS, min(math.ceil(math.log2(count)) + 1, _MOST_BINS))


def _at_places(
    connection: Connection, column: str, among: str, values: tuple[Value, ...], count: int
) -> list[float]:
    """Return the speeds that are higher than each of the shares, between two in proportion."""
    places = [share * (count - 1) for share in _SHARES]
    wanted = sorted({near for place in places for near in (math.floor(place), math.ceil(place))})
    ordered = f"SELECT {column} AS speed, row_number() OVER (ORDER BY {column}) - 1 AS place"
    found = connection.execute(
        f"SELECT place, speed FROM ({ordered} {among})"
        f" WHERE place IN ({', '.join('?' * len(wanted))})",
        (*values, *wanted),
    )
    speeds = dict(found.fetchall())
    return [_between(speeds, place) for place in places]


def _between(speeds: dict[int, float], place: float) -> float:
    lower, upper = speeds[math.floor(place)], speeds[math.ceil(place)]
    return lower + (upper - lower) * (place - math.floor(place))
