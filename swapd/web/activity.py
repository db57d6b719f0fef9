"""Tells which requests there were, by llama-swap's API."""

from __future__ import annotations

from functools import partial
from sqlite3 import Connection

import msgspec
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue

from swapd.telemetry.activity.pages import Wanted, find_page
from swapd.telemetry.activity.statistics import sum_up
from swapd.web.activity_entries import entry, statistics_entry
from swapd.web.activity_query import wanted_by
from swapd.web.services import Services


def activity_views(services: Services) -> Blueprint:
    """Return the views of the requests that are remembered."""
    views = Blueprint("activity", __name__)

    @views.get("/api/metrics/activity")
    async def activity() -> ResponseReturnValue:
        page = partial(_page, wanted=wanted_by(request.args))
        return _json(await services.activity.read(page))

    @views.get("/api/metrics/stats")
    async def stats() -> ResponseReturnValue:
        model = request.args.get("model", "").strip() or None
        return _json(await services.activity.read(partial(_statistics, model=model)))

    return views


def _page(connection: Connection, *, wanted: Wanted) -> bytes:
    """Return one page as JSON; done in a thread, for it may be large."""
    page = find_page(connection, wanted)
    told = {
        "data": [entry(row, has_capture=False) for row in page.rows],
        "page": wanted.page,
        "limit": wanted.limit,
        "total": page.total,
        "total_pages": -(-page.total // wanted.limit),
    }
    return msgspec.json.encode(told)


def _statistics(connection: Connection, *, model: str | None) -> bytes:
    return msgspec.json.encode(statistics_entry(sum_up(connection, model)))


def _json(text: bytes) -> Response:
    return Response(text, content_type="application/json")
