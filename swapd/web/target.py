"""What a request asks for, in the one form that routes are written in."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypercorn.typing import HTTPScope, WebsocketScope

_SCHEME_AND_AUTHORITY = re.compile(rb"\Ahttps?://[^/]*", re.IGNORECASE)


def use_origin_form(scope: HTTPScope | WebsocketScope) -> None:
    """Reduce the target of ``scope`` to its path, which begins with a slash.

    A client may send a whole URL, as to a proxy (RFC 9112, section 3.2.2).
    """
    target = scope["raw_path"]
    if target.startswith(b"/"):
        return
    path = _SCHEME_AND_AUTHORITY.sub(b"", target)
    scope["raw_path"] = path if path.startswith(b"/") else b"/" + path
    scope["path"] = unquote(scope["raw_path"].decode("ascii"))
