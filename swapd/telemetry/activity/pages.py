"""Finds remembered requests, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from sqlite3 import Connection

from swapd.telemetry.activity.columns import OWN_COLUMNS, PEER_COLUMNS, row_from
from swapd.telemetry.activity.row import Row, Value


class SortBy(StrEnum):
    """What rows may be in the order of, by the names of llama-swap's API."""

    ID = "id"
    TIME = "time"
    MODEL = "model"
    PATH = "req_path"
    STATUS = "resp_status_code"
    CONTENT_TYPE = "resp_content_type"
    CACHED = "cached"
    PROMPT = "prompt"
    GENERATED = "generated"
    DRAFTED = "drafted"
    PROMPT_SPEED = "prompt_speed"
    GENERATION_SPEED = "gen_speed"
    DURATION = "duration"


_COLUMNS = {
    SortBy.ID: "id",
    SortBy.TIME: "ts_created",
    SortBy.MODEL: "model_id",
    SortBy.PATH: "req_path",
    SortBy.STATUS: "resp_status_code",
    SortBy.CONTENT_TYPE: "resp_content_type",
    SortBy.CACHED: "cache_tokens",
    SortBy.PROMPT: "input_tokens",
    SortBy.GENERATED: "output_tokens",
    SortBy.DRAFTED: "draft_tokens",
    SortBy.PROMPT_SPEED: "prompt_per_second",
    SortBy.GENERATION_SPEED: "tokens_per_second",
    SortBy.DURATION: "duration_ms",
}

_SELECTED = ", ".join(
    [*(f"activity.{name}" for name in PEER_COLUMNS), *(f"own.{name}" for name in OWN_COLUMNS)]
)

#: The largest number that SQLite takes.
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are wanted, and in which order; None and () are no limit.

    Attributes:
      models: Of one of these.
      start: Not over before this, in Unix seconds.
      end: Not over after this.
      min_id: The lowest number.
      max_id: The highest number.
      limit: How many are on a page.
      page: Which page; the first is 1.
      sort: What they are in the order of; numbers decide between equals.
      ascending: Whether the smallest is first.
    """

    models: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    min_id: int | None = None
    max_id: int | None = None
    limit: int = 25
    page: int = 1
    sort: SortBy = SortBy.ID
    ascending: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the rows that are wanted, and how many there are in all."""

    rows: Sequence[Row]
    total: int


def find_page(connection: Connection, wanted: Wanted) -> Page:
    """Return the page that is ``wanted``.

    Raises:
      sqlite3.Error: The store cannot be read.
    """
    conditions, values = _conditions(wanted)
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    (total,) = connection.execute(f"SELECT count(*) FROM activity {where}", values).fetchone()
    # First the numbers alone: what is skipped or only sorted is not read.
    numbers = f"SELECT id FROM activity {where} ORDER BY {_order(wanted, '')} LIMIT ? OFFSET ?"
    found = connection.execute(
        f"SELECT {_SELECTED} FROM activity LEFT JOIN swapd_activity own ON own.id = activity.id"
        f" WHERE activity.id IN ({numbers}) ORDER BY {_order(wanted, 'activity.')}",
        (*values, wanted.limit, min((wanted.page - 1) * wanted.limit, _LARGEST)),
    )
    return Page([row_from(values) for values in found], total)


def _conditions(wanted: Wanted) -> tuple[list[str], list[Value]]:
    pairs = list(_limits(wanted))
    conditions, values = [text for text, _ in pairs], [value for _, value in pairs]
    if wanted.models:
        conditions.append(f"model_id IN ({', '.join('?' * len(wanted.models))})")
        values += wanted.models
    return conditions, values


def _limits(wanted: Wanted) -> Iterator[tuple[str, Value]]:
    limits = (
        ("ts_created >= ?", wanted.start),
        ("ts_created <= ?", wanted.end),
        ("id >= ?", wanted.min_id),
        ("id <= ?", wanted.max_id),
    )
    return ((text, value) for text, value in limits if value is not None)


def _order(wanted: Wanted, table: str) -> str:
    direction = "ASC" if wanted.ascending else "DESC"
    columns = dict.fromkeys((_COLUMNS[wanted.sort], "id"))
    return ", ".join(f"{table}{column} {direction}" for column in columns)
