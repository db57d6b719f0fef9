"""What the event stream tells of, each part by itself: what is new since it was told last.

Rule 1: what is a state is told as it is now, and not as it was in between: so a client that does
    not read costs no memory, however much happens.
Rule 2: what a part looks at when there is nothing new costs next to nothing.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol

import msgspec

from swapd.telemetry.inflight import InFlight
from swapd.web.inflight import shown
from swapd.web.model_status import model_status
from swapd.web.services import Services

#: How many numbers of rows wait for a client that does not read.
ROWS = 1024

#: A request that came no longer ago, in seconds, is told of as one that comes now: clients know by
#: that which are new, and behind something else it may be told of a moment late.
JUST_NOW = 0.1

#: What many clients take for the end of a line, though no event stream ends one with it.
_LINE_ENDS = {"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"}


class Part(Protocol):
    """One kind of message, for one client."""

    #: By which name the client knows it.
    type: str

    def news(self) -> Iterator[object]:
        """Yield what is new; the first time all there is."""


class Models:
    """The states of all models."""

    type = "modelStatus"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: object = None

    def news(self) -> Iterator[object]:
        services = self._services
        version = (services.lifecycle.seq, services.config, services.profiles.active)
        if version != self._told:
            self._told = version
            yield model_status(services)


class Settings:
    """What of the configuration a page needs to know."""

    type = "uiConfig"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: object = None

    def news(self) -> Iterator[object]:
        headers = self._services.config.session_headers
        if headers != self._told:
            self._told = headers
            yield {"activity": {"session_id": list(headers)}}


class ActiveProfile:
    """Which profile is active."""

    type = "profileChanged"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: tuple[str | None, ...] = ()

    def news(self) -> Iterator[object]:
        active = self._services.profiles.active
        if (active,) != self._told:
            self._told = (active,)
            yield {"active": active}


class UnderWay:
    """The requests that are under way."""

    type = "inflight"

    def __init__(self, services: Services) -> None:
        self._services = services
        self._told: dict[int, tuple[object, ...]] = {}
        self._began = False

    @property
    def is_moving(self) -> bool:
        """Whether there may be more bytes of what was told of, without a word about it."""
        return bool(self._told)

    def news(self) -> Iterator[object]:
        requests = self._services.requests
        if not self._began:
            self._began = True
            self._told = {request.id: _version(request) for request in requests}
            all_now = [shown(request, self._services.keys) for request in requests]
            yield {"operation": "snapshot", "requests": all_now}
            return
        for number in [number for number in self._told if requests.find(number) is None]:
            del self._told[number]
            yield {"operation": "remove", "id": str(number)}
        for request in [*requests]:
            version = _version(request)
            if version == self._told.get(request.id) or requests.find(request.id) is None:
                continue  # nothing new; or it went while the client did not read
            entry = shown(request, self._services.keys)
            if request.id not in self._told and _has_just_come(request):
                entry["elapsed_ms"] = 0
            self._told[request.id] = version
            yield {"operation": "upsert", "request": entry}


def _has_just_come(request: InFlight) -> bool:
    return not request.status and time.monotonic() - request.began <= JUST_NOW


def _version(request: InFlight) -> tuple[object, ...]:
    return request.phase, request.status, request.bytes_sent


class Rows:
    """The numbers of the rows that were stored."""

    type = "activity"

    def __init__(self) -> None:
        self._waiting: deque[int] = deque(maxlen=ROWS)

    def add(self, number: int) -> None:
        """Tell of a row soon; of too many only the newest."""
        self._waiting.append(number)

    def news(self) -> Iterator[object]:
        while self._waiting:
            yield {"id": self._waiting.popleft()}


def message(kind: str, data: object, place: str) -> bytes:
    """Return one message as clients of llama-swap know it: JSON in a string in JSON.

    Args:
      kind: What it tells of.
      data: What it tells.
      place: Where the stream is now, as its ``id``.
    """
    text = msgspec.json.encode(data).decode()
    if not text.isascii():
        for end, escaped in _LINE_ENDS.items():
            text = text.replace(end, escaped)
    told = msgspec.json.encode({"type": kind, "data": text})
    return b"id:%s\nevent:message\ndata:%s\n\n" % (place.encode(), told)
