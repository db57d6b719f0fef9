"""Who may come in: whoever brings one of the configured keys, or anyone if there is none."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from swapd.ids import Header

#: What needs no key: those who watch over the machine ask here, and browsers by themselves.
OPEN_PATHS = frozenset(
    {"/health", "/wol-health", "/ready", "/", "/ui", "/upstream", "/favicon.ico", "/robots.txt"}
)

#: What stands between the words of a header.
_BETWEEN = re.compile(rb'[\s,;"]+')

#: Shorter keys are parts of what is no key.
_LONG = 8

#: A key that stands within other text: of a longer word it is no part.
_WITHIN = rb"(?<![\w-])(?:%s)(?![\w-])"


class Keys:
    """The keys that swapd was configured with.  They are compared in constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = [key.encode() for key in keys]
        self._shortest = min(map(len, self._keys), default=0)
        long = [re.escape(key) for key in self._keys if len(key) >= _LONG]
        self._within = re.compile(_WITHIN % b"|".join(long)) if long else None

    def admit(self, path: str, headers: Sequence[Header]) -> bool:
        """Tell whether a request may come in: it brings a key, or it needs none."""
        if not self._keys or path in OPEN_PATHS or self.vouch(headers):
            return True
        return any(self._is_key(password) for _, password in map(_basic, headers))

    def vouch(self, headers: Sequence[Header]) -> bool:
        """Tell whether whoever made the request knows a key, and not only its browser.

        A browser that was told a password sends it with the requests of any web page.
        """
        return any(self._is_key(token) for header in headers for token in _tokens(header))

    def without_keys(self, headers: Sequence[Header]) -> list[Header]:
        """Return ``headers`` less those that hold one of swapd's own keys, in whatever way.

        Any other passes untouched: upstreams have keys of their own.
        """
        if not self._keys:
            return [*headers]
        return [header for header in headers if not self._is_in(header)]

    def name_of(self, headers: Sequence[Header]) -> str | None:
        """Return a name for the key that a request brings; None if it brings none.

        The name stays the same wherever the key stands among others, and tells nothing of it: it
        is a short digest, so that many keys have the same one, and a slow one to make.
        """
        if not self._keys:
            return None
        for header in headers:
            for token in (*_tokens(header), _basic(header)[1]):
                if self._is_key(token):
                    return _name_of(token)
        return None

    def _is_in(self, header: Header) -> bool:
        """Tell whether ``header`` holds a key; most are too short for one."""
        if len(header[1]) < self._shortest:
            return False
        if any(map(self._is_key, _words(header))):
            return True
        return self._within is not None and self._within.search(header[1]) is not None

    def _is_key(self, candidate: bytes) -> bool:
        return any(hmac.compare_digest(candidate, key) for key in self._keys)


@lru_cache(maxsize=256)
def _name_of(key: bytes) -> str:
    return "key-" + hashlib.pbkdf2_hmac("sha256", key, b"swapd: name of a key", 20_000, 3).hex()


def _tokens(header: Header) -> Iterator[bytes]:
    """Yield what may be a key in ``header``: of ``x-api-key``, and of Bearer."""
    name, value = header
    match name.lower():
        case b"x-api-key":
            yield value.strip()
        case b"authorization":
            scheme, _, credentials = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield credentials.strip()


def _basic(header: Header) -> tuple[bytes, bytes]:
    """Return the user and the password that ``header`` brings; empty if it brings none."""
    name, value = header
    scheme, _, credentials = value.strip().partition(b" ")
    if name.lower() != b"authorization" or scheme.lower() != b"basic":
        return b"", b""
    try:
        user, _, password = base64.b64decode(credentials.strip(), validate=True).partition(b":")
    except binascii.Error:
        return b"", b""
    return user, password


def _words(header: Header) -> Iterator[bytes]:
    """Yield all that could be a key in ``header``, wherever a client may have put it."""
    yield header[1].strip()
    yield from _tokens(header)
    yield from _basic(header)
    for word in _BETWEEN.split(header[1]):
        yield word
        yield word.partition(b"=")[2]
