"""What Prometheus scrapes: swapd's own metrics, and those of the models' servers."""

from __future__ import annotations

from collections.abc import Iterator

import trio
from quart import Blueprint
from quart.typing import ResponseReturnValue

from swapd.policy.life import ModelState
from swapd.telemetry.metrics.merging import Shown, merged
from swapd.telemetry.metrics.metrics import CONTENT_TYPE, scrape
from swapd.telemetry.metrics.present import ModelNow
from swapd.web.services import Services
from swapd.web.upstream_metrics import ask
from swapd.web.version import VERSION


def metrics_views(services: Services) -> Blueprint:
    """Return the views for Prometheus."""
    views = Blueprint("metrics", __name__)

    @views.get("/metrics")
    async def metrics() -> ResponseReturnValue:
        models, sample = list(_models(services)), services.monitor.history.latest
        text = await scrape(services.accounts, models, sample, VERSION)
        return text, {"content-type": CONTENT_TYPE}

    @views.get("/metrics/upstream")
    async def metrics_of_models() -> ResponseReturnValue:
        shown = list[Shown]()
        async with trio.open_nursery() as nursery:
            for model in services.alive():
                if services.state(model.id) is ModelState.READY:
                    nursery.start_soon(ask, model, shown.append)
        shown.sort(key=lambda one: one.model)
        text = await trio.to_thread.run_sync(merged, shown)
        return text, {"content-type": CONTENT_TYPE}

    return views


def _models(services: Services) -> Iterator[ModelNow]:
    for model in services.known():
        seen = services.supervisor.view(model)
        state = services.state(model)
        yield ModelNow(model, state, seen.in_flight, seen.waiting, seen.backoff)
    for name in services.peer_names():
        yield ModelNow(name, None, services.requests.count(name))
