"""What a request asks for, in the one form that routes are written in."""

from __future__ import annotations

import re
from urllib.parse import unquote

from hypercorn.typing import HTTPScope, WebsocketScope

#: Below these a path is a model's own, and stays as it is written.
BELOW_UPSTREAM = b"/upstream/"
BELOW_COMFYUI = b"/comfyui/"

#: Behind these a path names something, and a slash that belongs to the name may be encoded.
_NAMING = (
    BELOW_UPSTREAM,
    BELOW_COMFYUI,
    b"/v1/models/",
    b"/api/models/load/",
    b"/api/models/unload/",
    b"/logs/stream/",
    b"/ui/",
)

_ENCODED_SLASH = re.compile(rb"%2f", re.IGNORECASE)
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


def has_false_slash(path: bytes) -> bool:
    """Tell whether ``path`` has ``%2F`` where it could only be taken for a slash, which it is not.

    Decoded it would look like another path than the one that was checked: ``/%2Funload`` is no
    ``/unload``, and Quart would take it for that.
    """
    if b"%" not in path or path.startswith(_NAMING):
        return False
    return _ENCODED_SLASH.search(path) is not None


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
