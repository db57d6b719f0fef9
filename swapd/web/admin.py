"""What the owner of the box asks: health, loading and unloading."""

from __future__ import annotations

from quart import Blueprint, request
from quart.typing import ResponseReturnValue

from swapd.policy.life import ModelState
from swapd.web.services import Services


def admin_views(services: Services) -> Blueprint:
    """Return the views that tell of swapd itself, and load and unload models."""
    views = Blueprint("admin", __name__)
    supervisor = services.supervisor

    @views.get("/health")
    @views.get("/wol-health")
    async def health() -> ResponseReturnValue:
        return _plain("OK")

    @views.get("/ready")
    async def ready() -> ResponseReturnValue:
        if services.closing.is_set():
            return _plain("shutting down", 503)
        return _plain("OK")

    @views.get("/unload")
    async def unload_all_by_get() -> ResponseReturnValue:
        await supervisor.unload(services.known(), drain=_is_set("drain"))
        return _plain("OK")

    @views.post("/api/models/unload")
    async def unload_all() -> ResponseReturnValue:
        await supervisor.unload(services.known(), drain=_is_set("drain"))
        return {"msg": "ok"}

    @views.post("/api/models/unload/<path:name>")
    async def unload(name: str) -> ResponseReturnValue:
        await supervisor.unload([services.called(name)], drain=_is_set("drain"))
        return _plain("OK")

    @views.post("/api/models/load/<path:name>")
    async def load(name: str) -> ResponseReturnValue:
        model = services.own(name)
        if _is_set("wait"):
            await supervisor.load(model)
            return {"model": model, "state": services.state(model)}
        is_ready = services.state(model) is ModelState.READY and supervisor.view(model).is_open
        supervisor.begin_load(model)
        if is_ready:  # no transition will tell of it
            return {"model": model, "state": ModelState.READY}
        return {"model": model}, 202  # what becomes of it is told by its transitions

    return views


def _is_set(flag: str) -> bool:
    """Tell whether the query has ``flag``, which needs no value; whoever means no says so."""
    return request.args.get(flag, "0").lower() not in {"0", "false", "no"}


def _plain(text: str, status: int = 200) -> ResponseReturnValue:
    return text, status, {"content-type": "text/plain; charset=utf-8"}
