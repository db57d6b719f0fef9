"""The connections that are open: watched, and closed or cut when it is time."""

from __future__ import annotations

import logging
import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio
from hypercorn.config import Config, Sockets

from swapd.web import limits
from swapd.web.certificate import Certificate
from swapd.web.departures import departed
from swapd.web.errors import FULL
from swapd.web.limits import Patience
from swapd.web.unasked import answer_unasked

_log = logging.getLogger("swapd")


class Known(Protocol):
    """One connection, as all of them together need it."""

    #: Whether a request is being served, which ends when its client leaves.
    busy: bool

    @property
    def is_stuck(self) -> bool:
        """Tell whether its client has read nothing for too long."""

    @property
    def unused_since(self) -> float | None:
        """When it began to wait for a request; None while one is served or its body comes."""

    def dismiss(self) -> None:
        """Close it unless it is used."""

    def fileno(self) -> int:
        """Return the socket's descriptor, or -1 once it is closed."""

    def reckon(self) -> None:
        """See how long the client may still take for what is awaited of it."""

    def cut(self) -> None:
        """End it at once."""


def _age(connection: Known) -> float:
    since = connection.unused_since
    return math.inf if since is None else since


class Connections:
    """The connections of one listener that are open now."""

    def __init__(self, most: int) -> None:
        """Have ``most`` of them at once."""
        self._most = most
        self._open: set[Known] = set()
        self._was_full = False
        self._turned_away = 0
        self._over = False
        #: Whether connections on which nothing is served are closed.
        self.ending = False

    def admit(self) -> bool:
        """Tell whether one more may come; the one unused for longest makes room for it."""
        if len(self._open) < self._most:
            self._was_full = False
            return True
        unused = [one for one in self._open if one.unused_since is not None]
        if unused:
            min(unused, key=_age).dismiss()
        elif not self._was_full:
            self._was_full = True
            _log.warning(
                "all %d connections are in use, more are turned away; more descriptors"
                " (ulimit -n) are more connections",
                self._most,
            )
        return bool(unused)

    async def turn_away(self, client: trio.SocketStream) -> None:
        """Tell ``client`` that there is no room, unless too many are being told."""
        if self._turned_away < limits.TURNED_AWAY:
            self._turned_away += 1
            try:
                await answer_unasked(client, FULL)
            finally:
                self._turned_away -= 1

    @contextmanager
    def holding(self, connection: Known) -> Iterator[None]:
        """Know ``connection`` for as long as the block runs."""
        self._open.add(connection)
        if self._over:
            connection.cut()
        try:
            yield
        finally:
            self._open.discard(connection)

    def close_idle(self) -> None:
        """Close every connection on which no request is served, and each as soon as that is so."""
        self.ending = True
        for connection in self._open:
            connection.reckon()

    def cut_all(self) -> None:
        """Cut every connection, and each that may still come."""
        self._over = True
        for connection in self._open:
            connection.cut()

    async def watch(self) -> None:
        """Cut each connection that is stuck, or busy with a client that has left.

        That takes ``LOOK_EVERY`` seconds at most.
        """
        while True:
            await trio.sleep(limits.LOOK_EVERY)
            for connection in [one for one in self._open if one.is_stuck]:
                connection.cut()
            busy = {connection.fileno(): connection for connection in self._open if connection.busy}
            busy.pop(-1, None)
            for fd in departed(busy):
                busy[fd].cut()


class WatchedConfig(Config):
    """Hypercorn's settings, and what our own handling of its connections needs."""

    connections: Connections
    #: The socket to serve, which listens already.
    taken: socket.socket
    #: What to show to clients, if TLS is spoken.
    certificate: Certificate | None
    patience: Patience
    #: Whether plain requests are served without h11.
    is_fast: bool = True

    def create_sockets(self) -> Sockets:
        """Return the one socket as it is.

        It counts as plain: TLS is put on each connection as it comes, with the certificate of
        that moment.
        """
        self.taken.setblocking(False)
        return Sockets([], [self.taken], [])
