"""Who may come in: whoever brings one of the configured keys, or anyone if there is none."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator, Sequence

Header = tuple[bytes, bytes]

#: What needs no key: those who watch over the machine ask here.
OPEN_PATHS = frozenset({"/health", "/ready"})


class Keys:
    """The keys that swapd was configured with.  They are compared in constant time."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def admit(self, path: str, headers: Sequence[Header]) -> bool:
        """Tell whether a request may come in: it brings a key, or it needs none."""
        if not self._keys or path in OPEN_PATHS:
            return True
        return any(self._is_key(key) for header in headers for key in _candidates(header))

    def without_keys(self, headers: Sequence[Header]) -> list[Header]:
        """Return ``headers`` less those that bring one of swapd's own keys, in whatever way.

        Any other passes untouched: upstreams have keys of their own.
        """
        return [header for header in headers if not self._holds_key(header)]

    def _holds_key(self, header: Header) -> bool:
        name, value = header
        words = value.split() if name.lower() == b"authorization" else []
        return any(map(self._is_key, [*_candidates(header), *words]))

    def _is_key(self, candidate: bytes) -> bool:
        return any(hmac.compare_digest(candidate, key) for key in self._keys)


def _candidates(header: Header) -> Iterator[bytes]:
    """Yield what may be a key in ``header``: of ``x-api-key``, Bearer and Basic."""
    name, value = header
    match name.lower():
        case b"x-api-key":
            yield value.strip()
        case b"authorization":
            scheme, _, credentials = value.strip().partition(b" ")
            if scheme.lower() == b"bearer":
                yield credentials.strip()
            elif scheme.lower() == b"basic":
                yield _password(credentials.strip())


def _password(credentials: bytes) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
