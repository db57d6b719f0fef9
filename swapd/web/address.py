"""What ``--listen`` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from swapd.errors import CannotStart

_UNIX = "unix:"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of one interface, or of all if the host is empty."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket, by its place in the file system."""

    path: str


Address: TypeAlias = TcpAddress | UnixAddress


def parse(address: str) -> Address:
    """Read ``HOST:PORT``, ``[::1]:PORT``, ``:PORT`` or ``unix:PATH``.

    Raises:
      CannotStart: It is none of them.
    """
    if address.startswith(_UNIX):
        return _parse_unix(address.removeprefix(_UNIX))
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdecimal() and int(port) <= 65535
    if not colon or not is_port or bracketed != (":" in plain):
        raise CannotStart(
            f"cannot listen on {address!r}: an address looks like 127.0.0.1:8080, [::1]:8080,"
            " :8080 for every interface, or unix:/run/swapd.sock"
        )
    return TcpAddress(plain, int(port))


def _parse_unix(path: str) -> UnixAddress:
    if not path or path.endswith("/") or "\0" in path:
        raise CannotStart(
            f"cannot listen on {_UNIX + path!r}: a Unix socket looks like unix:/run/swapd.sock"
        )
    return UnixAddress(path)
