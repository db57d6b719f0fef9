"""What web pages of other sites are told, and which of them are trusted.  No I/O.

A preflight is answered with yes to everybody: it protects nothing here, for web pages can send
plain requests without one.  What protects is the check on the request itself (web/guard.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from hypercorn.typing import HTTPScope

from swapd.ids import Header

#: Allows every origin.
ANY = "*"

_TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+?)(?::([0-9]+))?")
_PORTS = {"http": "80", "https": "443"}

_USUAL_HEADERS = b"Content-Type, Authorization, Accept, X-Requested-With"

_READ_BY_ALL = frozenset({"/v1/models", "/models"})


class Origins:
    """The origins of web pages that may use swapd as its own pages do."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = {normal(origin) for origin in allowed}

    def allow(self, origin: bytes) -> bool:
        """Tell whether the pages of ``origin`` are trusted."""
        return ANY in self._allowed or normal(origin.decode("latin-1")) in self._allowed


def normal(origin: str) -> str:
    """Return ``origin`` as it is compared: in small letters, with its port, without a slash."""
    origin = origin.strip().lower().removesuffix("/")
    parts = _ORIGIN.fullmatch(origin)
    if parts is None:
        return origin
    scheme, host, port = parts.groups()
    port = port or _PORTS.get(scheme)
    return f"{scheme}://{host}:{port}" if port else origin


def is_own(origin: bytes, host: bytes, *, is_tls: bool) -> bool:
    """Tell whether ``origin`` is where a request for ``host`` was sent to.

    Without TLS of our own a reverse proxy may have it, so the origin's scheme counts then.
    """
    scheme, _, _ = origin.lower().partition(b"://")
    if scheme != b"https" and (is_tls or scheme != b"http"):
        return False
    own = scheme + b"://" + host
    return bool(host) and normal(origin.decode("latin-1")) == normal(own.decode("latin-1"))


def is_answered_here(scope: HTTPScope) -> bool:
    """Tell whether a request only asks what it may ask: nobody but swapd answers that."""
    if scope["method"] != "OPTIONS":
        return False
    is_preflight = any(name == b"access-control-request-method" for name, _ in scope["headers"])
    return is_preflight or not scope["path"].startswith("/upstream/")


def preflight(headers: Iterable[Header]) -> list[Header]:
    """Return the headers that answer a preflight, of which ``headers`` came."""
    asked = [value for name, value in headers if name == b"access-control-request-headers"]
    allowed = b", ".join(_names(b",".join(asked))) if asked else _USUAL_HEADERS
    return [
        (b"access-control-allow-origin", b"*"),
        (b"access-control-allow-methods", b"GET, POST, PUT, PATCH, DELETE, OPTIONS"),
        (b"access-control-allow-headers", allowed),
        (b"access-control-max-age", b"86400"),
    ]


def _names(listed: bytes) -> Iterator[bytes]:
    names = (name.strip() for name in listed.split(b","))
    return (name for name in names if _TOKEN.fullmatch(name))


def may_be_read(scope: HTTPScope) -> bool:
    """Tell whether every web page may read the answer: it lists models."""
    return scope["path"] in _READ_BY_ALL


def readable(origin: bytes, headers: Sequence[Header]) -> list[Header]:
    """Return the ``headers`` of an answer that pages of ``origin`` may read.

    A model's server that says itself who may read it has the last word.
    """
    if any(name.lower() == b"access-control-allow-origin" for name, _ in headers):
        return [*headers]
    return [*headers, (b"access-control-allow-origin", origin), (b"vary", b"Origin")]
