"""Tells what a request would cause now, and why."""

from __future__ import annotations

from quart import Blueprint, request
from quart.typing import ResponseReturnValue

from swapd.errors import NoModelNamed
from swapd.policy.explaining import plain
from swapd.policy.outlook import told
from swapd.web.services import Services


def explain_views(services: Services) -> Blueprint:
    """Return the view that explains."""
    views = Blueprint("explain", __name__)

    @views.get("/api/explain")
    async def explain() -> ResponseReturnValue:
        name = request.args.get("model")
        if not name:
            raise NoModelNamed("name a model: /api/explain?model=NAME")
        expected = services.supervisor.outlook(services.own(name))
        return {
            "model": expected.model,
            "state": expected.state,
            "outcome": expected.outcome,
            "told": told(expected),
            "refusal": expected.refusal,
            "stops": expected.stops,
            "waits_for": expected.waits_for,
            "ahead": expected.ahead,
            **plain(expected.explanation),
        }

    return views
