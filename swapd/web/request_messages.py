"""The messages of the lifecycle websocket about requests: made when they are sent, not before."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from swapd.telemetry.activity.row import Row
from swapd.telemetry.finished import Finished
from swapd.telemetry.inflight import InFlight, Step
from swapd.web.activity_entries import entry
from swapd.web.inflight import address_of

#: What of a finished request is no message's business.
_INTERNAL = {"id", "is_metered", "collected", "is_garbled"}


@dataclass(frozen=True, slots=True)
class Happened:
    """One step of a request, and when that was, in Unix seconds."""

    step: Step
    request: InFlight
    time: float


def requests_message(requests: Iterable[InFlight], after: int) -> str:
    """Return all that is under way, as the first message about requests."""
    known = [
        {**_named(request), "since": request.since, "phase": request.phase} for request in requests
    ]
    return _encoded({"type": "requests", "after": after, "requests": known})


def step_message(happened: Happened, after: int) -> str:
    """Return one step as a message: the first with all that is known of the request."""
    request = happened.request
    told: dict[str, object] = {"id": request.id, "model": request.model}
    if happened.step is Step.BEGUN:
        told = _named(request)
    event = "finished" if happened.step is Step.OVER else happened.step
    return _encoded(_head(event, happened.time, after) | told)


def finished_message(finished: Finished, after: int) -> str:
    """Return what is known of a request that is over."""
    known = {name: said for name, said in finished._asdict().items() if name not in _INTERNAL}
    told = _head("finished", finished.time, after)
    return _encoded(told | {"id": finished.id or None} | known)


def row_message(row: Row, after: int, *, has_capture: bool) -> str:
    """Return a row that was stored, as the list of them has it."""
    shown = entry(row, has_capture=has_capture)
    return _encoded({"type": "activity", "after": after, "row": shown})


def _named(request: InFlight) -> dict[str, object]:
    return {
        "id": request.id,
        "model": request.model,
        "method": request.method,
        "path": request.path,
        "client": address_of(request),
    }


def _head(event: str, time: float, after: int) -> dict[str, object]:
    return {"type": "request", "after": after, "event": event, "time": time}


def _encoded(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()
