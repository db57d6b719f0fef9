"""Where a server is, by its URL: how it is reached, and what its requests begin with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import SplitResult, unquote, urlsplit

import trio

from swapd.config.formats import server_url
from swapd.config.timeouts import Timeouts
from swapd.errors import CannotStart, UpstreamUnreachable
from swapd.upstream.dial import PROXY, Dialer, TcpDialer, UnixDialer, reason_of
from swapd.upstream.tls import secured, trusted
from swapd.upstream.wire import Socket

_PORTS = {"http": 80, "https": 443}


class Origin:
    """One server, by the URL that the configuration has for it."""

    def __init__(self, base_url: str, timeouts: Timeouts) -> None:
        """Read ``base_url``: ``http://host:port/path?query``, the same as https, ``unix:/path``.

        Raises:
          CannotStart: It is no such URL.
        """
        try:
            url = urlsplit(server_url(base_url))
        except ValueError as error:
            raise CannotStart(f"{base_url}: {error}") from error
        self.timeouts = timeouts
        authority = url.netloc.rpartition("@")[2]
        self.host_header = (authority or "localhost").encode("ascii")
        #: For people.
        self.name = f"{url.scheme}://{authority}"
        self._path = url.path.rstrip("/").encode("ascii")
        self._query = url.query.encode("ascii")
        if url.scheme == "unix":
            self.name, self._path = f"unix:{url.path}", b""
        #: Whom its certificate must name; empty if it speaks no TLS.
        self._certified = (url.hostname or "") if url.scheme == "https" else ""
        if self._certified:
            trusted()  # now, for it takes a moment
        self._dialer = _dialer_of(url, timeouts.keepalive)

    def target(self, target: bytes) -> bytes:
        """Return ``target`` behind the base path and query.  Its own bytes stay as they are."""
        if self._path or not target.startswith(b"/"):
            target = self._path + b"/" + target.removeprefix(b"/")
        if self._query:
            path, _, query = target.partition(b"?")
            target = path + b"?" + self._query + (b"&" + query if query else b"")
        return target

    async def reach(self) -> Socket:
        """Connect.

        Raises:
          UpstreamUnreachable: The server does not answer, or not as the one that it should be.
        """
        try:
            return await self.dial()
        except OSError as error:
            why = f"could not connect to {self.name}: {reason_of(error, PROXY)}"
            raise UpstreamUnreachable(why) from error

    async def dial(self) -> Socket:
        """Connect.

        Raises:
          OSError: The server does not answer, or not as the one that it should be;
            ``reason_of`` says why.
        """
        with _at_most(self.timeouts.connect, "no answer"):
            connected = await self._dialer.dial()
        if not self._certified:
            return connected
        with _at_most(self.timeouts.tls_handshake, "no TLS"):
            return await secured(connected, self._certified)


@contextmanager
def _at_most(seconds: int, what: str) -> Iterator[None]:
    try:
        with trio.fail_after(seconds or math.inf):
            yield
    except trio.TooSlowError:
        raise TimeoutError(f"{what} within {seconds} s") from None


def _dialer_of(url: SplitResult, keep_alive: int) -> Dialer:
    if url.scheme == "unix":
        return UnixDialer(unquote(url.path))
    port = url.port or _PORTS[url.scheme]
    return TcpDialer(url.hostname or "", port, keep_alive=keep_alive)
