"""Where swapd listens, for all who must know how it can be reached."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """An address that is listened on."""

    #: A URL that reaches it from this machine; ``unix:PATH`` of a Unix socket.
    url: str
    #: Whether it is on the loopback interface, where nobody but programs on this machine reaches
    #: it: its browsers too, with whatever page they show.  They reach no Unix socket.
    is_loopback: bool
    #: Whether other machines may reach it.
    is_exposed: bool


def bound_to(listener: socket.socket, *, is_secure: bool = False) -> Bound:
    """Return where ``listener`` listens, to plain HTTP or, if it ``is_secure``, to TLS."""
    if listener.family == socket.AF_UNIX:
        return Bound(f"unix:{listener.getsockname()}", is_loopback=False, is_exposed=False)
    host, port = listener.getsockname()[:2]
    ip = ipaddress.ip_address(host.partition("%")[0])
    name = "localhost" if ip.is_unspecified else f"[{host}]" if ip.version == 6 else host
    scheme = "https" if is_secure else "http"
    return Bound(f"{scheme}://{name}:{port}", ip.is_loopback, is_exposed=not ip.is_loopback)
