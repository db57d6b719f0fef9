"""Says in the log how requests ended that got no whole answer of a model or a view."""

from __future__ import annotations

import logging

from hypercorn.typing import HTTPScope, WebsocketScope

_log = logging.getLogger("swapd.requests")

#: What other servers write for it: no client ever gets this status.
CLIENT_LEFT = 499


def asked(scope: HTTPScope | WebsocketScope) -> str:
    """Return in words what is asked for; not the query, which may hold secrets."""
    method = scope["method"] if scope["type"] == "http" else "websocket"
    return f"{method} {scope['raw_path'].decode('latin-1')}"


def note(what: str, status: int, why: str) -> None:
    """Say that ``what`` ended with ``status``, and in one line why.

    Clients choose the words of some reasons: no character of theirs reaches the terminal that
    shows the log and means something to it.
    """
    line = why.partition("\n")[0].removeprefix(f"{what}: ")
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)
    _log.info("%s: %d, %s", what, status, shown)


def note_departure(scope: HTTPScope | WebsocketScope) -> None:
    """Say that the client has left before it had its answer."""
    note(asked(scope), CLIENT_LEFT, "its client has left")
