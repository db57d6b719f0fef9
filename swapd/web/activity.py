"""Tells which requests there were, by llama-swap's API."""

from __future__ import annotations

from functools import partial
from sqlite3 import Connection

import msgspec
from quart import Blueprint, Response, request
from quart.typing import ResponseReturnValue

from swapd.errors import MalformedRequest, UnknownCapture
from swapd.telemetry.activity.pages import Wanted, find_page
from swapd.telemetry.activity.summaries import Summaries
from swapd.telemetry.captures import Captures
from swapd.web.activity_entries import entry, statistics_entry
from swapd.web.activity_query import wanted_by
from swapd.web.capture_entries import capture_entry
from swapd.web.services import Services

#: Digits of the longest number of a request that is looked for.
LONGEST_ID = 18


def activity_views(services: Services) -> Blueprint:
    """Return the views of the requests that are remembered."""
    views = Blueprint("activity", __name__)
    summaries = Summaries(services.activity)

    @views.get("/api/metrics/activity")
    async def activity() -> ResponseReturnValue:
        captured = services.activity.captures
        page = partial(_page, wanted=wanted_by(request.args), captured=captured)
        return _json(await services.activity.read(page))

    @views.get("/api/metrics/stats")
    async def stats() -> ResponseReturnValue:
        model = request.args.get("model", "").strip() or None
        return _json(msgspec.json.encode(statistics_entry(await summaries.of(model))))

    @views.get("/api/captures/<number>")
    async def capture(number: str) -> ResponseReturnValue:
        if not number.isascii() or not number.isdecimal() or len(number) > LONGEST_ID:
            raise MalformedRequest(f"a capture has the id of a request, a number: not {number!r}")
        if (found := services.activity.captures.get(int(number))) is None:
            raise UnknownCapture(f"there is no capture of request {int(number)}, or no more")
        return _json(msgspec.json.encode(await capture_entry(int(number), found)))

    return views


def _page(connection: Connection, *, wanted: Wanted, captured: Captures) -> bytes:
    """Return one page as JSON; done in a thread, for it may be large."""
    page = find_page(connection, wanted)
    told = {
        "data": [entry(row, has_capture=row.id in captured) for row in page.rows],
        "page": wanted.page,
        "limit": wanted.limit,
        "total": page.total,
        "total_pages": -(-page.total // wanted.limit),
    }
    return msgspec.json.encode(told)


def _json(text: bytes) -> Response:
    return Response(text, content_type="application/json")
