"""Connects to a server, by TCP or by a socket in the file system.  Sends and receives nothing."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from typing import Protocol

import trio


class Dialer(Protocol):
    """Connects to one place."""

    async def dial(self) -> socket.socket:
        """Return a connected socket that does not block.

        Raises:
          OSError: Nobody answers there; ``reason_of`` says why.
        """


class TcpDialer:
    """Connects to one host and port."""

    def __init__(self, host: str, port: int, *, keep_alive: int = 0) -> None:
        """Connect nowhere yet.

        Args:
          host: Its name or address.
          port: There.
          keep_alive: Seconds between the probes by which a silent server that vanished is noticed;
            0 or less is none.
        """
        self._host = host
        self._port = port
        self._keep_alive = keep_alive
        # ``localhost`` is ::1 and 127.0.0.1, and many a server listens on one of them only.
        self._answered: str | None = None

    async def dial(self) -> socket.socket:
        """Connect to the first of the host's addresses that answers."""
        connected = await self._open_remembered() or _detached(await self._open())
        if self._keep_alive > 0:
            _probe_every(connected, self._keep_alive)
        return connected

    async def _open_remembered(self) -> socket.socket | None:
        if self._answered is not None:
            with suppress(OSError):
                return await _connected(self._answered, self._port)
            self._answered = None
        return None

    async def _open(self) -> trio.SocketStream:
        try:
            stream = await trio.open_tcp_stream(self._host, self._port)
        except OSError as error:
            _untie(error)
            raise
        address = stream.socket.getpeername()[0]
        # Only on this host: elsewhere the resolver may have a new answer every time.
        if ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            self._answered = address
        return stream


async def _connected(address: str, port: int) -> socket.socket:
    """Connect to an address of this host, without the search for the best of several."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = made.connect_ex((address, port))
        if error == errno.EINPROGRESS:
            await trio.lowlevel.wait_writable(made)
            error = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
    except BaseException:
        made.close()
        raise
    return made


class UnixDialer:
    """Connects to a socket in the file system."""

    def __init__(self, path: str) -> None:
        """Connect nowhere yet."""
        self._path = path

    async def dial(self) -> socket.socket:
        """Connect to whoever listens there."""
        return _detached(await trio.open_unix_socket(self._path))


def _detached(stream: trio.SocketStream) -> socket.socket:
    connected = socket.socket(fileno=stream.socket.detach())
    connected.setblocking(False)
    return connected


#: The options that set how long a connection is silent before the first probe; macOS has another.
_IDLE_OPTIONS = ("TCP_KEEPIDLE", "TCP_KEEPALIVE")


def _probe_every(connected: socket.socket, seconds: int) -> None:
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in (*_IDLE_OPTIONS, "TCP_KEEPINTVL"):
        if hasattr(socket, name):
            # What the kernel finds too long it refuses; its own default is as good then.
            with suppress(OSError):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), seconds)


def _untie(failure: OSError) -> None:
    """Make ``failure`` no work for the collector, which comes seldom.

    Each attempt's failure knows where it was raised, and that place knows all failures.
    """
    attempts = failure.__cause__
    if isinstance(attempts, ExceptionGroup):
        for attempt in attempts.exceptions:
            attempt.__traceback__ = None


#: What the configuration calls the URL of a server, of a model's as of a peer's.
PROXY = "its proxy in the configuration"


def reason_of(error: OSError, url: str = "its URL") -> str:
    """Say for people why a connection failed, with every reason once.

    Args:
      error: What failed.
      url: What they call where it should lead to.
    """
    return ", ".join(dict.fromkeys(_reasons(error, url)))


def _reasons(error: BaseException, url: str) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _reasons(part, url)
    elif isinstance(error, ssl.SSLError):
        yield _of_tls(error, url)
    elif isinstance(error, OSError) and error.errno is not None:
        # Resolver errors have numbers of their own, and bring their text.  Trio's text names
        # the address; ours comes behind the URL.
        resolving = isinstance(error, socket.gaierror)
        text = str(error.strerror) if resolving else os.strerror(error.errno)
        yield text[:1].lower() + text[1:]
    elif error.__cause__ is not None:
        yield from _reasons(error.__cause__, url)
    else:
        yield str(error)


#: What OpenSSL says of a certificate whose signer nobody knows: X509_V_ERR_…
_UNKNOWN_SIGNER = frozenset({18, 19, 20, 21})


def _of_tls(error: ssl.SSLError, url: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "; SSL_CERT_FILE can name one to trust"
        why = error.verify_message.rstrip(".").lower()
        is_unknown = error.verify_code in _UNKNOWN_SIGNER
        return f"its certificate cannot be trusted: {why}{hint if is_unknown else ''}"
    if error.reason == "WRONG_VERSION_NUMBER":
        return f"it speaks no TLS there: {url} must begin with http://"
    return f"no TLS: {(error.reason or 'the handshake broke off').replace('_', ' ').lower()}"
