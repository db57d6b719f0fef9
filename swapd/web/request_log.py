"""What is known of how a request ended, and under which ID; and the log of what is no request.

The line about a request is written at its very end, by web/access_log.py.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
from collections.abc import Iterable, MutableMapping
from typing import NamedTuple, cast

from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.errors import first_line
from swapd.ids import Header

_log = logging.getLogger("swapd.requests")

#: What other servers write for it: no client ever gets this status.
CLIENT_LEFT = 499

#: By this header a client names its request, and swapd's own errors name it to the client.
ID_HEADER = b"x-request-id"

#: Where the scope of a request keeps what is told here.
_OUTCOME = "swapd.outcome"
_ID = "swapd.request_id"
_MODEL = "swapd.model"
_FAULT = "swapd.fault"

#: The IDs that are taken from clients.
_SANE = re.compile(rb"[A-Za-z0-9._~:+/=@,-]{1,128}")

_HERE = secrets.token_hex(4)
_numbers = itertools.count(1)


class Outcome(NamedTuple):
    """How a request ended that got no whole answer of a model or a view."""

    status: int
    why: str


_LEFT = Outcome(CLIENT_LEFT, "its client has left")


def asked(scope: HTTPScope | WebsocketScope) -> str:
    """Return in words what is asked for; not the query, which may hold secrets."""
    method = scope["method"] if scope["type"] == "http" else "websocket"
    return f"{method} {scope['raw_path'].decode('latin-1')}"


def request_id(scope: HTTPScope | WebsocketScope) -> str:
    """Return the ID of a request: the one that its client gives it, or one of our own."""
    kept = _kept(scope)
    known = kept.get(_ID)
    if known is None:
        known = kept[_ID] = _given(scope["headers"]) or f"{_HERE}-{next(_numbers)}"
    return cast(str, known)


def _given(headers: Iterable[Header]) -> str | None:
    for name, value in headers:
        if name == ID_HEADER:
            return value.decode() if _SANE.fullmatch(value) else None
    return None


def concerns(scope: HTTPScope | WebsocketScope, model: str) -> None:
    """Keep for the log that the request is for ``model``, by whatever name it asks for it."""
    _kept(scope)[_MODEL] = model


def model_of(scope: HTTPScope | WebsocketScope) -> str | None:
    """Return for which model the request is, as ``concerns`` was told."""
    return cast("str | None", _kept(scope).get(_MODEL))


def settle(scope: HTTPScope | WebsocketScope, status: int, why: str) -> None:
    """Keep for the log that the request comes to ``status``, and in one line why."""
    line = first_line(why).removeprefix(f"{asked(scope)}: ")
    _kept(scope)[_OUTCOME] = Outcome(status, _shown(line))


def blame(scope: HTTPScope | WebsocketScope, status: int, why: str) -> None:
    """Keep that the request breaks off for ``why``, which its client is told by ``status``."""
    _kept(scope)[_FAULT] = Outcome(status, why)


def departure(scope: HTTPScope | WebsocketScope) -> Outcome:
    """Return what it comes to that nothing more is to be had of the client."""
    return cast(Outcome, _kept(scope).get(_FAULT, _LEFT))


def settle_departure(scope: HTTPScope | WebsocketScope) -> None:
    """Keep for the log that the client has left before it had its answer, or was sent away."""
    settle(scope, *departure(scope))


def forget_departure(scope: HTTPScope | WebsocketScope) -> None:
    """Keep no more that the client has left: it had all that there was to say."""
    told = outcome(scope)
    if told is not None and told.status == CLIENT_LEFT:
        del _kept(scope)[_OUTCOME]


def outcome(scope: HTTPScope | WebsocketScope) -> Outcome | None:
    """Return what was kept of how the request ended, if it ended badly."""
    return cast("Outcome | None", _kept(scope).get(_OUTCOME))


def note(what: str, status: int, why: str) -> None:
    """Say that ``what``, which became no request, ended with ``status``, and in one line why.

    Clients choose the words of some reasons: no character of theirs reaches the terminal that
    shows the log and means something to it.
    """
    line = first_line(why).removeprefix(f"{what}: ")
    _log.info("%s: %d, %s", what, status, _shown(line))


def _shown(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _kept(scope: HTTPScope | WebsocketScope) -> MutableMapping[str, object]:
    """Return ``scope`` as what it is, too: a place to keep things for as long as a request is."""
    return cast("MutableMapping[str, object]", scope)
