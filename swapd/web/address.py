"""What ``--listen`` says."""

from __future__ import annotations

from dataclasses import dataclass

from swapd.errors import CannotStart


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A port of one interface, or of all if the host is empty."""

    host: str
    port: int


def parse(address: str) -> TcpAddress:
    """Read ``HOST:PORT``, ``[::1]:PORT`` or ``:PORT``.

    Raises:
      CannotStart: It is none of them.
    """
    host, colon, port = address.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    plain = host[1:-1] if bracketed else host
    is_port = port.isascii() and port.isdecimal() and int(port) <= 65535
    if not colon or not is_port or bracketed != (":" in plain):
        raise CannotStart(
            f"cannot listen on {address!r}: an address looks like 127.0.0.1:8080, [::1]:8080,"
            " or :8080 for every interface"
        )
    return TcpAddress(plain, int(port))
