"""Checks that Hypercorn is as we know it, and its h11, before anything is served."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import version

from hypercorn.trio import task_group

from swapd.errors import CannotStart

#: What we override or call in them, with the parameters that we rely on.
_SERVER_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context state stream",
    "run": "self",
    "protocol_send": "self event",
    "_read_data": "self",
    "_close": "self",
}
_PROTOCOL_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context task_group connection_state ssl client server send",
    "handle": "self event",
    "_check_protocol": "self event",
    "_create_stream": "self request",
    "_send_error_response": "self status_code",
    "_send_h11_event": "self event",
}

_READER_AS_KNOWN: Mapping[str, str] = {
    "next_event": "self",
    "_process_error": "self role",
}
_WEBSOCKET_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context task_group ssl client server send stream_id",
    "handle": "self event",
    "app_send": "self message",
    "_send_wsproto_event": "self event",
    "_send_pings": "self",
}


def check(server: type, protocol: type, reader: type, websocket: type) -> None:
    """Compare the classes of Hypercorn and h11 with what we rely on.

    Raises:
      CannotStart: Something is missing or takes other parameters.
    """
    unknown = [
        f"{owner.__name__}.{name}"
        for owner, known in (
            (server, _SERVER_AS_KNOWN),
            (protocol, _PROTOCOL_AS_KNOWN),
            (reader, _READER_AS_KNOWN),
            (websocket, _WEBSOCKET_AS_KNOWN),
        )
        for name, parameters in known.items()
        if _parameters(owner, name) != parameters
    ]
    if unknown:
        raise CannotStart(
            f"Hypercorn {version('hypercorn')} with h11 {version('h11')} is not one that swapd"
            f" can serve with ({', '.join(unknown)} changed); install one with"
            " pip install 'hypercorn>=0.18,<0.19' 'h11>=0.16,<0.17'"
        )


def _parameters(owner: type, name: str) -> str | None:
    method = getattr(owner, name, None)
    return " ".join(inspect.signature(method).parameters) if method is not None else None


#: What the fast transport calls besides.
_TASKS_AS_KNOWN = "app config scope receive send sync_spawn call_soon"


def why_not_fast() -> str | None:
    """Return why the fast transport cannot serve with this Hypercorn; None if it can."""
    handle = getattr(task_group, "_handle", None)
    if handle is None or " ".join(inspect.signature(handle).parameters) != _TASKS_AS_KNOWN:
        return f"Hypercorn {version('hypercorn')} runs an app in another way than 0.18"
    return None
