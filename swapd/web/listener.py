"""Takes the address that swapd listens on, or says why it cannot be had."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Mapping
from types import TracebackType

from swapd.errors import CannotStart
from swapd.web.address import UnixAddress, parse
from swapd.web.bound import Bound, bound_to
from swapd.web.certificate import Certificate
from swapd.web.limits import VANISHED
from swapd.web.unix_socket import UnixSocket

#: Connects that may wait to be accepted: a busy second must not cost a client its SYN.
BACKLOG = 4096

#: Socket options that tell a silent client from a vanished one; not every system has each.
_TCP_OPTIONS: Mapping[str, int] = {
    "TCP_NODELAY": 1,
    "TCP_USER_TIMEOUT": VANISHED * 1000,  # milliseconds; Linux
    "TCP_KEEPIDLE": 60,  # a client that waits for its model says nothing either
    "TCP_KEEPALIVE": 60,  # the same on macOS
    "TCP_KEEPINTVL": 30,
    "TCP_KEEPCNT": 8,
}


class Listener:
    """An address that is ours, for as long as the block runs or until it is served."""

    def __init__(
        self,
        taken: socket.socket,
        *,
        certificate: Certificate | None = None,
        unix: UnixSocket | None = None,
    ) -> None:
        """Made by ``bind`` alone."""
        self.socket = taken
        self.certificate = certificate
        self._unix = unix
        self.bound: Bound = bound_to(taken, is_secure=certificate is not None)

    @property
    def port(self) -> int:
        """Return its port, if it has one."""
        port: int = self.socket.getsockname()[1]
        return port

    def retire(self) -> None:
        """Leave no trace of the address; call it before it is listened on no more."""
        if self._unix is not None:
            self._unix.remove()

    def __enter__(self) -> Listener:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.retire()
        self.socket.close()


def bind(address: str, certificate: Certificate | None = None) -> Listener:
    """Listen on ``address``, with TLS if there is a ``certificate``.

    Args:
      address: ``HOST:PORT``, ``[::1]:PORT`` or ``:PORT`` (every interface), where port 0 is any;
        or ``unix:PATH``.
      certificate: What to show to clients.

    Raises:
      CannotStart: The address makes no sense, is taken, or is not ours to listen on.
    """
    where = parse(address)
    if isinstance(where, UnixAddress):
        unix = UnixSocket(where.path, backlog=BACKLOG)
        return Listener(unix.socket, certificate=certificate, unix=unix)
    try:
        taken = _open(where.host, where.port)
    except OSError as error:
        raise CannotStart(_why_not(address, error)) from error
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _TCP_OPTIONS.items():
        if hasattr(socket, name):
            taken.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return Listener(taken, certificate=certificate)


def _open(host: str, port: int) -> socket.socket:
    if host in ("", "::") and socket.has_dualstack_ipv6():
        everywhere = ("::", port)
        return socket.create_server(
            everywhere, family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG
        )
    found = socket.getaddrinfo(
        host or "0.0.0.0", port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    # Of ::1 and 127.0.0.1, which are both ``localhost``, the one that more clients try.
    family, _, _, _, where = min(found, key=lambda address: address[0] != socket.AF_INET)
    return socket.create_server(where, family=family, backlog=BACKLOG)


def _why_not(address: str, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"{address} is already in use; choose another with --listen HOST:PORT"
        case errno.EACCES:
            return (
                f"not allowed to listen on {address}: ports below 1024 are for the superuser;"
                " choose another with --listen HOST:PORT"
            )
        case errno.EADDRNOTAVAIL:
            return f"cannot listen on {address}: this machine has no such address"
        case _:
            reason = error.strerror or os.strerror(error.errno or 0)
            return f"cannot listen on {address}: {reason}"
