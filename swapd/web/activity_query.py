"""Which remembered requests a client asks for: read from the query, with llama-swap's words."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from swapd.errors import MalformedRequest
from swapd.telemetry.activity.pages import SortBy, Wanted
from swapd.web.moments import moment

#: How many requests a page may have.
MOST_ON_A_PAGE = 999

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


class Args(Protocol):
    """What follows the question mark."""

    def get(self, name: str) -> str | None: ...

    def getlist(self, name: str) -> Sequence[str]: ...


def wanted_by(args: Args) -> Wanted:
    """Return which requests are wanted; what is left empty is as if it were not there.

    Raises:
      MalformedRequest: Something of it cannot be understood.
    """
    wanted = Wanted(
        models=tuple(name for name in args.getlist("model") if name.strip()),
        limit=_limit(args.get("limit")),
        page=_at_least_one(args, "page") or 1,
        min_id=_at_least_one(args, "min_id"),
        max_id=_at_least_one(args, "max_id"),
        sort=_sort(args.get("sort")),
        ascending=_is_ascending(args.get("order")),
    )
    if wanted.min_id and wanted.max_id and wanted.min_id > wanted.max_id:
        raise MalformedRequest("min_id must be <= max_id")
    start, end = _time(args, "start"), _time(args, "end")
    if start and end and start > end:
        raise MalformedRequest("start must be before end")
    return replace(wanted, start=_seconds(start), end=_seconds(end))


def _limit(text: str | None) -> int:
    if not text:
        return Wanted().limit
    if not _WHOLE.fullmatch(text):
        raise MalformedRequest("invalid limit")
    if not 1 <= int(text) <= MOST_ON_A_PAGE:
        raise MalformedRequest(f"limit must be between 1 and {MOST_ON_A_PAGE}")
    return int(text)


def _at_least_one(args: Args, name: str) -> int | None:
    if not (text := args.get(name)):
        return None
    if not _WHOLE.fullmatch(text) or int(text) < 1:
        raise MalformedRequest(f"{name} must be >= 1")
    return int(text)


def _time(args: Args, name: str) -> datetime | None:
    if not (text := args.get(name)):
        return None
    if (time := moment(text)) is None:
        raise MalformedRequest(f"invalid '{name}' timestamp, use RFC3339 format")
    return time


def _seconds(time: datetime | None) -> int | None:
    """Return ``time`` in Unix seconds; rows know no parts of them."""
    return None if time is None else math.floor(time.timestamp())


def _sort(text: str | None) -> SortBy:
    try:
        return SortBy(text or SortBy.ID)
    except ValueError:
        raise MalformedRequest("invalid sort column") from None


def _is_ascending(text: str | None) -> bool:
    match (text or "desc").lower():
        case "asc":
            return True
        case "desc":
            return False
        case _:
            raise MalformedRequest("order must be asc or desc")
