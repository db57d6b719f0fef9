"""The requests that are under way: a list of them, and an end to one."""

from __future__ import annotations

import time
from datetime import datetime

from quart import Blueprint
from quart.typing import ResponseReturnValue

from swapd.errors import UnknownRequest
from swapd.ids import Header
from swapd.telemetry.inflight import InFlight
from swapd.web.access_log import who_asks
from swapd.web.auth import Keys
from swapd.web.redaction import shown_headers
from swapd.web.services import Services

#: More digits than any number of a request has.
_LONGEST = 18


def inflight_views(services: Services) -> Blueprint:
    """Return the views of what is under way."""
    views = Blueprint("inflight", __name__)

    @views.get("/api/inflight")
    async def list_requests() -> ResponseReturnValue:
        return {"requests": [shown(request, services.keys) for request in services.requests]}

    @views.post("/api/inflight/<number>/cancel")
    async def cancel(number: str) -> ResponseReturnValue:
        """Cancel a request: it waits no more, or the connection to its model is closed."""
        request = services.requests.find(_whole(number))
        if request is None:
            raise UnknownRequest(f"inflight request not found: {number[:_LONGEST]}")
        request.cancel()
        return {"msg": "ok"}

    return views


def shown(request: InFlight, keys: Keys) -> dict[str, object]:
    """Return ``request`` as llama-swap shows one, without secrets; last what it does not tell."""
    return {
        "id": str(request.id),
        "timestamp": datetime.fromtimestamp(request.since).astimezone().isoformat(),
        "model": request.model,
        "req_path": request.path,
        "method": request.method,
        "req_headers": shown_headers(_without_host(request), keys),
        "remote_ip": address_of(request),
        "resp_headers": shown_headers(request.answer_headers, keys),
        "resp_bytes": request.bytes_sent,
        "elapsed_ms": round((time.monotonic() - request.began) * 1000),
        "phase": request.phase,
        "status": request.status or None,
    }


def address_of(request: InFlight) -> str:
    """Return who asks, as the log has it."""
    return who_asks((request.client, 0) if request.client else None, request.headers)[0]


def _without_host(request: InFlight) -> list[Header]:
    return [header for header in request.headers if header[0].lower() != b"host"]


def _whole(number: str) -> int:
    """Return the number that a client has written; 0, which no request has, if it is none."""
    is_number = number.isascii() and number.isdecimal() and len(number) <= _LONGEST
    return int(number) if is_number else 0
