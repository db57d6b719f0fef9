"""The profiles: which there are, which is active, and making another one active."""

from __future__ import annotations

import json
from typing import Any

from quart import Blueprint, request
from quart.typing import ResponseReturnValue

from swapd.config.profiles import Profile
from swapd.errors import MalformedRequest
from swapd.web.services import Services


def profiles_views(services: Services) -> Blueprint:
    """Return the views that tell of profiles and choose one."""
    views = Blueprint("profiles", __name__)
    profiles = services.profiles

    @views.get("/api/profiles")
    async def list_profiles() -> ResponseReturnValue:
        return {"active": profiles.active, "profiles": [_entry(profile) for profile in profiles]}

    @views.put("/api/profiles/active")
    async def activate() -> ResponseReturnValue:
        services.activate(_name_in(await request.body))
        return {"active": profiles.active}

    return views


def _entry(profile: Profile) -> dict[str, object]:
    pins = {name: profile.pins[name] or "" for name in sorted(profile.pins)}
    return {"id": profile.name, "description": profile.description, "pins": pins}


def _name_in(body: bytes) -> str | None:
    """Return the name in ``{"name": …}``; what follows the first JSON value is ignored."""
    try:
        value: Any = json.JSONDecoder().raw_decode(body.decode().lstrip())[0]
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise MalformedRequest('invalid profile request: send {"name": "ID"}, or null for none')
    if "name" not in value:
        raise MalformedRequest("profile name is required")
    name = value["name"]
    if not isinstance(name, str | None):
        raise MalformedRequest("profile name must be a string or null")
    return name
