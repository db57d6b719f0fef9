"""Who is turned away before anything is done for them.  No I/O.

Rule 1: a request for a name that is not ours is refused (web/hosts.py), whatever it wants.
Rule 2: without a key only what is open is answered (web/auth.py).
Rule 3: what changes something, starts a model or lasts is not done for web pages of other sites.
    They need not be able to read the answer: an image will do.  Browsers say whom they ask for;
    what says nothing of the kind is no browser.
Rule 4: a page is trusted by its origin, or because it knows a key.  A password that the browser
    sends by itself says nothing about the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from hypercorn.typing import HTTPScope, WebsocketScope

from swapd.ids import Header
from swapd.web import cors
from swapd.web.auth import Keys
from swapd.web.cors import Origins
from swapd.web.errors import UNAUTHORIZED, Problem, forbidden
from swapd.web.hosts import Hosts

#: Values of headers by the name of the header, as often as it came.
Said: TypeAlias = Mapping[bytes, Sequence[bytes]]

#: By these a browser says that it asks ahead of its user.
_PURPOSES = (b"sec-purpose", b"purpose")

_TELLING = frozenset(
    {b"host", b"origin", b"referer", b"sec-fetch-site", b"sec-fetch-dest", *_PURPOSES}
)

#: What those say, too, that are no browsers.
_OF_NO_BROWSER = frozenset({b"host"})

#: Methods that leave everything as it is, but for what follows.
_READING = frozenset({"GET", "HEAD"})

#: What changes something by whatever method.
_ACTING = frozenset({"/unload", "/comfyui"})
_ACTING_BELOW = ("/upstream/", "/comfyui/")

#: What lasts for as long as its client stays, and changes nothing.
_LASTING = frozenset({"/api/events", "/logs/stream"})
_LASTING_BELOW = "/logs/stream/"

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
          is_relayed: Whether a model would serve it, or it is a stream that does not end.
        """
        headers = list(scope["headers"])
        said = _what_is_said(headers)
        for host in said.get(b"host", ()):
            if not self._hosts.answer_to(host):
                return _foreign_host(host)
        if scope["type"] == "http" and cors.is_answered_here(scope):
            return None
        if not self._keys.admit(scope["path"], headers):
            return UNAUTHORIZED
        if said.keys() <= _OF_NO_BROWSER:
            return None  # as below, found out soon
        if is_relayed or _acts(scope):
            return self._refuse_foreign(scope, said, headers)
        return None

    def readers(self, scope: HTTPScope) -> bytes | None:
        """Return the origin whose pages may read the answer, if there is one."""
        for name, value in scope["headers"]:
            if name == b"origin":
                origin = value.strip()
                is_read = cors.may_be_read(scope) or self._trusts(origin, list(scope["headers"]))
                return origin if origin and is_read else None
        return None

    def _refuse_foreign(
        self, scope: HTTPScope | WebsocketScope, said: Said, headers: Sequence[Header]
    ) -> Problem | None:
        purposes = [purpose.lower() for name in _PURPOSES for purpose in said.get(name, ())]
        if any(b"prefetch" in purpose for purpose in purposes):
            return _asked_ahead(scope)
        site = _foreign_site(said, is_tls=scope["scheme"] in {"https", "wss"})
        if site is None or self._trusts(site or _referring_site(said), headers):
            return None
        return _foreign_page(site, scope, is_link=b"document" in said.get(b"sec-fetch-dest", ()))

    def _trusts(self, origin: bytes, headers: Sequence[Header]) -> bool:
        return self._keys.vouch(headers) or self._origins.allow(origin)


def _what_is_said(headers: Sequence[Header]) -> Said:
    """Return what browsers say of a request, by its lower-case names."""
    said: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if name in _TELLING:
            said.setdefault(name, []).append(value.strip())
    return said


def _acts(scope: HTTPScope | WebsocketScope) -> bool:
    """Tell whether a request changes something, whoever serves it.

    Websockets count: no browser keeps their messages from the pages of other sites.
    """
    if scope["type"] == "websocket":
        return True
    path = scope["path"]
    return scope["method"] not in _READING or path in _ACTING or path.startswith(_ACTING_BELOW)


def _foreign_site(said: Said, *, is_tls: bool) -> bytes | None:
    """Return the origin of the page of another site that made the request.

    It is empty if the browser does not say it, and None if the request is of no such page.
    """
    sites = {site.lower() for site in said.get(b"sec-fetch-site", ())}
    if sites == {b"same-origin"}:  # also behind a reverse proxy that changes the Host
        return None
    for origin in filter(None, said.get(b"origin", ())):
        if not any(cors.is_own(origin, host, is_tls=is_tls) for host in said.get(b"host", ())):
            return origin
    # A sister site may link to us, but its page may not ask by itself: for an image, a frame.
    wanted = {*said.get(b"sec-fetch-dest", ())} - {b"document"}
    is_sisters = b"same-site" in sites and bool(wanted)
    return b"" if is_sisters or b"cross-site" in sites else None


def _referring_site(said: Said) -> bytes:
    """Return the origin of the page that led here, as far as its browser tells."""
    referrer = next(iter(said.get(b"referer", ())), b"")
    return b"/".join(referrer.split(b"/")[:3])


def _what_it_does(scope: HTTPScope | WebsocketScope) -> str:
    """Return what it is that is refused, as far as its address tells."""
    if scope["type"] == "websocket":
        return "open a websocket"
    path = scope["path"]
    if path in _LASTING or path.startswith(_LASTING_BELOW):
        return "follow swapd's logs and events"
    return "start a model or change anything"


def _asked_ahead(scope: HTTPScope | WebsocketScope) -> Problem:
    return forbidden(
        f"a browser asks for this ahead of its user, and may not {_what_it_does(scope)} by itself"
    )


def _foreign_host(host: bytes) -> Problem:
    return forbidden(
        f"swapd listens on this machine only, and does not answer to the name {_shown(host)}:"
        " a web page could have made that name point here."
        " If it is yours, as behind a reverse proxy, add it to server.allowedHosts (* is any)"
    )


def _foreign_page(origin: bytes, scope: HTTPScope | WebsocketScope, *, is_link: bool) -> Problem:
    page = f"of {_shown(origin)}" if origin else "of another site"
    refused = f"a web page {page} asks for this, and pages of other sites may not"
    by_hand = "enter the address yourself, " if is_link else ""
    return forbidden(
        f"{refused} {_what_it_does(scope)}: {by_hand}add its origin to cors.origins,"
        " or have it send a key of apiKeys"
    )


def _shown(value: bytes) -> str:
    text = value.decode("latin-1")
    return repr(text[:_SHOWN]) + ("…" if len(text) > _SHOWN else "")
