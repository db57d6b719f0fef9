"""Which models there are, and which of them run."""

from __future__ import annotations

import time

from quart import Blueprint
from quart.typing import ResponseReturnValue

from swapd.config.models import Model
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.web import listing, listing_others
from swapd.web.services import Services


def models_views(services: Services) -> Blueprint:
    """Return the views that list models."""
    views = Blueprint("models", __name__)

    def is_loaded(model: ModelId) -> bool:
        return services.state(model) is not ModelState.STOPPED

    @views.get("/v1/models")
    @views.get("/models")
    async def list_models() -> ResponseReturnValue:
        config = services.config
        entries = [
            *listing.models(
                [model for model in services.models() if not model.unlisted],
                loaded=is_loaded,
                with_aliases=config.include_aliases_in_list,
            ),
            *listing_others.peers(config.peer_models.values()),
            *listing_others.selectors(config.selectors.values(), services.state),
            *listing_others.pins(services.profiles.pins, services.names),
        ]
        return listing.listing(entries, now=int(time.time()))  # noqa: TID251  shown in JSON

    @views.get("/running")
    async def list_running() -> ResponseReturnValue:
        return {
            "running": [_running(model, services.state(model.id)) for model in services.alive()]
        }

    return views


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
