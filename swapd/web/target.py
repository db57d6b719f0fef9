"""What a request asks for, in the one form that routes are written in."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypercorn.typing import HTTPScope, WebsocketScope

#: Below these a path is a model's own, and stays as it is written.
BELOW_UPSTREAM = b"/upstream/"
BELOW_COMFYUI = b"/comfyui/"

_SCHEME_AND_AUTHORITY = re.compile(rb"\Ahttps?://([^/?#]*)", re.IGNORECASE)


def use_origin_form(scope: HTTPScope | WebsocketScope) -> None:
    """Reduce the target of ``scope`` to its path, which begins with a slash.

    A client may send a whole URL, as to a proxy (RFC 9112, section 3.2.2).  Whom that names is
    asked then, whatever the Host header says.
    """
    target = scope["raw_path"]
    if target.startswith(b"/"):
        return
    whole = _SCHEME_AND_AUTHORITY.match(target)
    if whole is not None:
        target = target[whole.end() :]
        others = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [(b"host", whole[1]), *others]
    scope["raw_path"] = target if target.startswith(b"/") else b"/" + target
    scope["path"] = unquote(scope["raw_path"].decode("ascii"))


def with_query(path: bytes, scope: HTTPScope | WebsocketScope) -> bytes:
    """Return ``path`` with the query of ``scope``."""
    query = scope["query_string"]
    return path + b"?" + query if query else path


def cleaned(path: bytes) -> bytes | None:
    """Return ``path`` without empty and dotted segments, or None if it has none or may keep them.

    Only what is written as such counts: ``%2e`` is no dot, ``%2F`` no slash.
    """
    if b"//" not in path and b"/." not in path:
        return None
    if path.startswith((BELOW_UPSTREAM, BELOW_COMFYUI)):
        return None
    kept: list[bytes] = []
    for segment in path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    clean = b"/" + b"/".join(kept)
    if path.endswith(b"/") and kept:
        clean += b"/"
    return clean if clean != path else None
