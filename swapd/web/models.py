"""Which models there are, and which of them run."""

from __future__ import annotations

import time
from collections.abc import Iterable

from quart import Blueprint
from quart.typing import ResponseReturnValue

from swapd.config.models import Model
from swapd.config.selectors import Selector
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.naming import full_name
from swapd.web import listing, listing_others
from swapd.web.listing import Entry
from swapd.web.services import Services


def models_views(services: Services) -> Blueprint:
    """Return the views that list models."""
    views = Blueprint("models", __name__)

    def is_loaded(model: ModelId) -> bool:
        return services.state(model) is not ModelState.STOPPED

    def entries(
        models: Iterable[Model], selectors: Iterable[Selector], *, with_aliases: bool
    ) -> list[Entry]:
        config = services.config
        return [
            *listing.models(models, loaded=is_loaded, with_aliases=with_aliases),
            *listing_others.peers(config.peer_models.values()),
            *listing_others.selectors(selectors, services.state),
            *listing_others.pins(services.profiles.pins, services.names),
        ]

    @views.get("/v1/models")
    @views.get("/models")
    async def list_models() -> ResponseReturnValue:
        listed = [model for model in services.models() if not model.unlisted]
        config = services.config
        selectors = [each for each in config.selectors.values() if not each.unlisted]
        shown = entries(listed, selectors, with_aliases=config.include_aliases_in_list)
        return listing.listing(shown, now=_now())

    @views.get("/v1/models/<path:name>")
    async def show_model(name: str) -> ResponseReturnValue:
        """Show one entry, also of what is not listed."""
        selectors = services.config.selectors.values()
        every = entries(services.models(), selectors, with_aliases=True)
        known = {entry.id: entry for entry in every}
        if name not in known:
            name = full_name(services.names.target(name, services.profiles.pins))
        return listing.shown(known[name], now=_now())

    @views.get("/running")
    async def list_running() -> ResponseReturnValue:
        return {
            "running": [_running(model, services.state(model.id)) for model in services.alive()]
        }

    return views


def _now() -> int:
    return int(time.time())  # noqa: TID251  shown in JSON


def _running(model: Model, state: ModelState) -> dict[str, object]:
    return {
        "model": model.id,
        "state": state,
        "cmd": model.cmd,
        "proxy": model.proxy,
        "ttl": model.ttl,
        "name": model.name,
        "description": model.description,
    }
