"""Who is turned away before anything is done for them.  No I/O.

Rule 1: a request for a name that is not ours is refused (web/hosts.py), whatever it wants.
Rule 2: without a key only what is open is answered (web/auth.py).
Rule 3: what changes something, or starts a model, is not done for web pages of other sites.  They
    need not be able to read the answer: an image will do.  Browsers say whom they ask for; what
    says nothing of the kind is no browser.
Rule 4: a page is trusted by its origin, or because it knows a key.  A password that the browser
    sends by itself says nothing about the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.web import cors
from swapd.web.auth import Keys
from swapd.web.cors import Origins
from swapd.web.errors import UNAUTHORIZED, Problem, forbidden
from swapd.web.hosts import Hosts

Header = tuple[bytes, bytes]

#: Methods that leave everything as it is, but for what follows.
_READING = frozenset({"GET", "HEAD"})

#: Views that change something by GET, as they do elsewhere.
_ACTING = frozenset({"/unload"})

#: As much of a name is shown to who is refused.
_SHOWN = 200


class Guard:
    """Refuses what must not be answered."""

    def __init__(self, *, keys: Keys, hosts: Hosts, origins: Origins) -> None:
        self._keys = keys
        self._hosts = hosts
        self._origins = origins

    def refusal(self, scope: HTTPScope | WebsocketScope, *, is_relayed: bool) -> Problem | None:
        """Return why the request of ``scope`` is refused, or None if it is not.

        Args:
          scope: Of a request or of a websocket's handshake.
          is_relayed: Whether a model would serve it.
        """
        headers = list(scope["headers"])
        for host in _values(headers, b"host"):
            if not self._hosts.answer_to(host):
                return _foreign_host(host)
        if scope["type"] == "http" and cors.is_answered_here(scope):
            return None
        if not self._keys.admit(scope["path"], headers):
            return UNAUTHORIZED
        if is_relayed or _acts(scope):
            return self._refuse_foreign(scope, headers)
        return None

    def readers(self, scope: HTTPScope) -> bytes | None:
        """Return the origin whose pages may read the answer, if there is one."""
        headers = list(scope["headers"])
        origin = next(iter(_values(headers, b"origin")), None)
        if origin and (cors.may_be_read(scope) or self._trusts(origin, headers)):
            return origin
        return None

    def _refuse_foreign(
        self, scope: HTTPScope | WebsocketScope, headers: Sequence[Header]
    ) -> Problem | None:
        if _is_ahead(headers):
            return _ASKED_AHEAD
        site = _foreign_site(scope, headers)
        if site is None or self._trusts(site or _referring_site(headers), headers):
            return None
        return _foreign_page(site)

    def _trusts(self, origin: bytes, headers: Sequence[Header]) -> bool:
        return self._keys.vouch(headers) or self._origins.allow(origin)


def _acts(scope: HTTPScope | WebsocketScope) -> bool:
    """Tell whether a request to a view changes something.

    Websockets count: no browser keeps their messages from the pages of other sites.
    """
    if scope["type"] == "websocket":
        return True
    return scope["method"] not in _READING or scope["path"] in _ACTING


def _foreign_site(scope: HTTPScope | WebsocketScope, headers: Sequence[Header]) -> bytes | None:
    """Return the origin of the page of another site that made the request.

    It is empty if the browser does not say it, and None if the request is of no such page.
    """
    sites = {site.lower() for site in _values(headers, b"sec-fetch-site")}
    if sites == {b"same-origin"}:  # also behind a reverse proxy that changes the Host
        return None
    is_tls = scope["scheme"] in {"https", "wss"}
    hosts = _values(headers, b"host")
    for origin in filter(None, _values(headers, b"origin")):
        if not any(cors.is_own(origin, host, is_tls=is_tls) for host in hosts):
            return origin
    # A sister site may link to us, but its page may not ask by itself: for an image, a frame.
    wanted = {*_values(headers, b"sec-fetch-dest")} - {b"document"}
    is_sisters = b"same-site" in sites and bool(wanted)
    return b"" if is_sisters or b"cross-site" in sites else None


def _referring_site(headers: Sequence[Header]) -> bytes:
    """Return the origin of the page that led here, as far as its browser tells."""
    referrer = next(iter(_values(headers, b"referer")), b"")
    return b"/".join(referrer.split(b"/")[:3])


def _is_ahead(headers: Sequence[Header]) -> bool:
    """Tell whether a browser asks for what its user may want to see next."""
    purposes = [*_values(headers, b"sec-purpose"), *_values(headers, b"purpose")]
    return any(b"prefetch" in purpose.lower() for purpose in purposes)


def _values(headers: Sequence[Header], wanted: bytes) -> list[bytes]:
    return [value.strip() for name, value in headers if name.lower() == wanted]


_ASKED_AHEAD = forbidden("a browser asks ahead of its user; this changes something")


def _foreign_host(host: bytes) -> Problem:
    return forbidden(
        f"swapd listens on this machine only, and does not answer to the name {_shown(host)}:"
        " a web page could have made that name point here."
        " If it is yours, as behind a reverse proxy, add it to server.allowedHosts (* is any)"
    )


def _foreign_page(origin: bytes) -> Problem:
    page = f"of {_shown(origin)}" if origin else "of another site"
    return forbidden(
        f"a web page {page} asks for this, and pages of other sites may not start a model or"
        " change anything: add its origin to cors.origins, or have it send a key of apiKeys"
    )


def _shown(value: bytes) -> str:
    text = value.decode("latin-1")
    return repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
