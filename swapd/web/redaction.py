"""How headers are shown to people: by their usual names, without secrets.  No I/O."""

from __future__ import annotations

from collections.abc import Iterable

from swapd.ids import Header
from swapd.web.auth import Keys

#: Stands in place of a secret.
REDACTED = "[REDACTED]"

#: What these hold is a secret, whoever's it is; by the last two, Azure and Google take keys.
_SECRET = frozenset(
    {
        *(b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"x-api-key"),
        *(b"api-key", b"x-goog-api-key"),
    }
)


def shown_headers(headers: Iterable[Header], keys: Keys) -> dict[str, str]:
    """Return the first value of each header, by the name in the form that people write.

    What is a secret, or holds one of swapd's own ``keys``, is not told.
    """
    shown: dict[str, str] = {}
    for name, value in headers:
        told = _as_written(name)
        if told not in shown:
            shown[told] = REDACTED if is_secret((name, value), keys) else value.decode("latin-1")
    return shown


def is_secret(header: Header, keys: Keys) -> bool:
    """Tell whether ``header`` is a secret, or holds one of swapd's own ``keys``."""
    return header[0].lower() in _SECRET or not keys.without_keys([header])


def _as_written(name: bytes) -> str:
    """Return ``Content-Type`` for ``content-type``."""
    return "-".join(word.capitalize() for word in name.decode("latin-1").split("-"))
