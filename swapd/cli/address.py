"""Where the client commands find a swapd: ``http://``, ``https://`` or ``unix:``."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

import trio

from swapd.errors import CannotReach
from swapd.upstream.dial import reason_of

_PORTS = {"http": 80, "https": 443}

#: Seconds in which a connection must be there.
CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Address:
    """A swapd's place."""

    #: As a person writes it, without a password.
    text: str
    host: str
    port: int
    tls: bool = False
    #: Before every path, where swapd is below a path of another server.
    prefix: str = ""
    #: A Unix socket, in place of host and port.
    socket: str | None = None

    @property
    def host_header(self) -> str:
        """What the server is called in a request."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (
            host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"
        )

    async def open(self) -> trio.abc.Stream:
        """Connect.

        Raises:
          CannotReach: Nobody answers there, or nobody who can be trusted.
        """
        try:
            with trio.fail_after(CONNECT_SECONDS):
                return await self._open()
        except trio.TooSlowError:
            why = f"no answer within {CONNECT_SECONDS:g} s"
        except OSError as error:
            why = reason_of(error)
        except trio.BrokenResourceError as error:  # whatever the handshake fails of
            cause = error.__cause__
            why = reason_of(cause) if isinstance(cause, OSError) else "it speaks no TLS there"
        raise CannotReach(f"cannot reach swapd at {self.text}: {why}")

    async def _open(self) -> trio.abc.Stream:
        if self.socket is not None:
            return await trio.open_unix_socket(self.socket)
        trusted = _trusted() if self.tls else None
        stream = await trio.open_tcp_stream(self.host, self.port)
        if trusted is None:
            return stream
        wrapped = trio.SSLStream(stream, trusted, server_hostname=self.host, https_compatible=True)
        try:
            await wrapped.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return wrapped


def _trusted() -> ssl.SSLContext:
    """Return whom the machine trusts, and SSL_CERT_FILE names; a wrong one is not passed over.

    Raises:
      CannotReach: What it names cannot be used.
    """
    context = ssl.create_default_context()
    if named := os.environ.get("SSL_CERT_FILE"):
        try:
            context.load_verify_locations(named)
        except ssl.SSLError:
            raise CannotReach(f"{named}, which SSL_CERT_FILE names, holds no certificate") from None
        except OSError as error:
            why = reason_of(error)
            raise CannotReach(f"cannot read {named}, which SSL_CERT_FILE names: {why}") from None
    return context


def parse(url: str) -> Address:
    """Read ``http://HOST:PORT``, ``https://HOST``, ``unix:/PATH`` or ``HOST:PORT``.

    Raises:
      CannotReach: It is none of them.
    """
    if url.startswith("unix:"):
        path = "/" + url.removeprefix("unix:").lstrip("/")
        return Address(f"unix:{path}", "localhost", 80, socket=path)
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        host, port = "", None
    if not host or port is None or not url.isascii() or not url.isprintable() or " " in url:
        raise CannotReach(
            f"{url!r} is no address of a swapd: one looks like http://127.0.0.1:8080,"
            " https://box.example or unix:/run/swapd.sock"
        )
    prefix = parts.path.rstrip("/")
    text = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{prefix}"
    return Address(text, host, port, tls=parts.scheme == "https", prefix=prefix)
