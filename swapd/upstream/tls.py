"""TLS over a connection to a server.  The certificate must be one that the system trusts."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from functools import cache

import trio

#: The most that one record holds.  What does not fit as a whole counts as not sent, and its server
#: cannot read a part of a record.
_RECORD_BYTES = 16 * 1024


@cache
def trusted() -> ssl.SSLContext:
    """Return how servers are verified: by the system's store, or by what SSL_CERT_FILE names.

    Reading the store takes some 50 ms, so it is read once.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION  # what is sent would have to wait for what comes
    # Early releases of Python 3.11 have a cut look like an end, if they are not told otherwise.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return context


class TlsSocket:
    """A socket whose bytes are encrypted; otherwise used like any that does not block."""

    def __init__(self, tls: ssl.SSLSocket) -> None:
        """Made by ``secured`` alone."""
        self._tls = tls
        self._peeked = b""
        self._broken: OSError | None = None

    def fileno(self) -> int:
        return self._tls.fileno()

    def send(self, data: memoryview) -> int:
        """Send no more than a record of ``data``; return how much that was.

        What could not be sent must come again: a part of it may be on its way.
        """
        try:
            return self._tls.send(data[:_RECORD_BYTES])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError) as error:
            raise BlockingIOError from error

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what came, ``size`` at most; empty at an end that the server has announced.

        Raises:
          OSError: Also for an end without a word: who has cut the connection is not known.
        """
        if flags & socket.MSG_PEEK:
            self._peeked = self._peeked or self._read(size)
            return self._peeked
        data, self._peeked = self._peeked, b""
        try:
            while len(data) < size and (piece := self._read(size - len(data))):
                data += piece
        except BlockingIOError:
            if not data:
                raise
        except OSError as error:
            self._broken = error  # not every TLS library says it twice
            if not data:
                raise
        return data

    def close(self) -> None:
        """Close at once, with a word of leave if it can be said at once."""
        with suppress(OSError):
            self._tls.unwrap()
        self._tls.close()

    def _read(self, size: int) -> bytes:
        if self._broken is not None:
            raise self._broken
        try:
            return self._tls.recv(size)
        except ssl.SSLWantReadError as error:
            raise BlockingIOError from error


async def secured(connected: socket.socket, host: str) -> TlsSocket:
    """Return ``connected``, which leads to ``host``, under TLS.  It is closed if that fails.

    Raises:
      OSError: The server is not who it should be, or the connection broke.
    """
    tls = trusted().wrap_socket(
        connected,
        server_hostname=host,
        do_handshake_on_connect=False,
        suppress_ragged_eofs=False,
    )
    try:
        await _shake_hands(tls)
    except BaseException:
        tls.close()
        raise
    return TlsSocket(tls)


async def _shake_hands(tls: ssl.SSLSocket) -> None:
    while True:
        try:
            return tls.do_handshake()
        except ssl.SSLWantReadError:
            await trio.lowlevel.wait_readable(tls)
        except ssl.SSLWantWriteError:
            await trio.lowlevel.wait_writable(tls)
