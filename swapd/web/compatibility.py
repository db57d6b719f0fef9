"""Checks that the Hypercorn that is installed is as we know it, before anything is served."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import version

from swapd.errors import CannotStart

#: What we override or call in Hypercorn, with the parameters that we rely on.
_SERVER_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context state stream",
    "run": "self",
    "protocol_send": "self event",
    "_read_data": "self",
}
_PROTOCOL_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context task_group connection_state ssl client server send",
    "handle": "self event",
    "_check_protocol": "self event",
    "_create_stream": "self request",
    "_send_error_response": "self status_code",
    "_send_h11_event": "self event",
}


def check(server: type, protocol: type) -> None:
    """Compare Hypercorn's classes with what we rely on.

    Raises:
      CannotStart: Something is missing or takes other parameters.
    """
    unknown = [
        f"{owner.__name__}.{name}"
        for owner, known in ((server, _SERVER_AS_KNOWN), (protocol, _PROTOCOL_AS_KNOWN))
        for name, parameters in known.items()
        if _parameters(owner, name) != parameters
    ]
    if unknown:
        raise CannotStart(
            f"Hypercorn {version('hypercorn')} is not one that swapd can serve with"
            f" ({', '.join(unknown)} changed); install one with"
            " pip install 'hypercorn>=0.18,<0.19'"
        )


def _parameters(owner: type, name: str) -> str | None:
    method = getattr(owner, name, None)
    return " ".join(inspect.signature(method).parameters) if method is not None else None
