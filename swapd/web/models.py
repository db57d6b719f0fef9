"""Which models there are, and which of them run."""

from __future__ import annotations

import time

from quart import Blueprint
from quart.typing import ResponseReturnValue

from swapd.config.models import Model
from swapd.policy.life import ModelState
from swapd.web.services import Services


def models_views(services: Services) -> Blueprint:
    """Return the views that list models."""
    views = Blueprint("models", __name__)

    @views.get("/v1/models")
    @views.get("/models")
    async def list_models() -> ResponseReturnValue:
        listed = [model for model in services.models() if not model.unlisted]
        return {"object": "list", "data": [_entry(model, services) for model in listed]}

    @views.get("/running")
    async def list_running() -> ResponseReturnValue:
        states = ((model, services.state(model.id)) for model in services.models())
        return {
            "running": [
                _running(model, state) for model, state in states if state != ModelState.STOPPED
            ]
        }

    return views


def _entry(model: Model, services: Services) -> dict[str, object]:
    """Return one entry as OpenAI's API lists models, with the peer's additions."""
    loaded = services.state(model.id) is not ModelState.STOPPED
    meta: dict[str, object] = {"type": "model"}
    if model.aliases:
        meta["aliases"] = list(model.aliases)
    words = {"name": model.name.strip(), "description": model.description.strip()}
    return {
        "id": model.id,
        "object": "model",
        "created": int(time.time()),  # noqa: TID251  shown in JSON
        "owned_by": "swapd",
        **{key: text for key, text in words.items() if text},
        "meta": {"llamaswap": meta},
        "status": {"value": "loaded" if loaded else "unloaded"},
    }


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
