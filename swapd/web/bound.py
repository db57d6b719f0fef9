"""Where swapd listens, for all who must know how it can be reached."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """An address that is listened on."""

    #: A URL that reaches it from this machine.
    url: str
    #: Whether it is on the loopback interface, where nobody but programs on this machine reaches
    #: it: its browsers too, with whatever page they show.
    is_loopback: bool
    #: Whether other machines may reach it.
    is_exposed: bool


def bound_to(listener: socket.socket) -> Bound:
    """Return where ``listener`` listens."""
    host, port = listener.getsockname()[:2]
    ip = ipaddress.ip_address(host.partition("%")[0])
    name = "localhost" if ip.is_unspecified else f"[{host}]" if ip.version == 6 else host
    return Bound(f"http://{name}:{port}", ip.is_loopback, is_exposed=not ip.is_loopback)
