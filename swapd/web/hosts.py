"""Under which names swapd answers.  No I/O.

Who listens on the loopback is reached by the programs of this machine, its browsers among them.
A web page can have its own name point here (DNS rebinding); to a browser swapd is then a part of
that page's site.  Only the name that it asks for tells.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache

#: Allows every name.
ANY = "*"

#: Values of Host headers of which is remembered whether they are answered to.
_REMEMBERED = 16

_HOST = re.compile(
    rb"""
    (?: \[ (?P<address> [0-9a-f:.]+ ) \] | (?P<name> [a-z0-9_-] [a-z0-9._-]*? ) \.? )
    (?: : [0-9]* )?
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Hosts:
    """The names under which swapd answers."""

    def __init__(self, allowed: Collection[str], *, on_loopback: bool) -> None:
        """Answer to ``allowed`` names beside the loopback's; to all unless ``on_loopback``."""
        self._allowed = {name_of(host.encode()) for host in allowed}
        self._allows_any = not on_loopback or ANY in allowed
        self._is_ours = lru_cache(_REMEMBERED)(self._find_out)

    def answer_to(self, host: bytes) -> bool:
        """Tell whether a request may ask for ``host``, the value of a Host header.

        No browser leaves it empty.
        """
        return self._allows_any or not host or self._is_ours(host)

    def _find_out(self, host: bytes) -> bool:
        name = name_of(host)
        return name is not None and (name in self._allowed or is_of_loopback(name))


def name_of(host: bytes) -> str | None:
    """Return the name or address in ``host`` as it is compared, or None if there is none."""
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return None
    if found["address"] is None:
        return found["name"].decode().lower()
    try:
        return str(ipaddress.IPv6Address(found["address"].decode()))
    except ValueError:
        return None


def is_of_loopback(name: str) -> bool:
    """Tell whether ``name`` means this machine wherever it is looked up."""
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, section 6.3
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback
