"""Every connection that is open: known, watched, and cut when it must be.

The one place that takes Hypercorn 0.18's handling of a socket over; what is spoken on it is in
web/http1.py.  Each rule cures a defect of Hypercorn, and has a test on raw sockets:

Rule 1: a client that does not read cannot hold a shutdown.  Hypercorn shields its sends, so
    what remains is cut at the socket.
Rule 2: a client that leaves is noticed, also when nobody reads from it (it pipelined, sent a
    stray CRLF or wants to upgrade: h11 is paused then).  Busy sockets are looked at each second.
Rule 3: an answer that ends before its request was all sent is not lost.  Closing at once would
    reset the connection under it; the rest of the request is swallowed for a moment first.
Rule 4: a connection whose client has left does not idle: its socket would stay open until then.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

import h11
import hypercorn.trio.run
import trio
from hypercorn.config import Config, Sockets
from hypercorn.events import Closed, Event, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, LifespanState

from swapd.web.compatibility import check
from swapd.web.departures import departed
from swapd.web.http1 import Http1Protocol, Tasks

Stream: TypeAlias = "trio.SSLStream[trio.SocketStream]"

#: Seconds between two looks at the busy connections.
LOOK_EVERY = 1.0

#: Seconds for which the rest of an answered request is swallowed.
LINGER = 2.0

#: Where a request's ASGI scope keeps its connection: ``scope["state"][STATE_KEY]``.
STATE_KEY = "swapd.connection"

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connections:
    """The connections of one listener that are open now."""

    def __init__(self) -> None:
        self._open: set[LiveConnection] = set()
        self._over = False

    @contextmanager
    def holding(self, connection: LiveConnection) -> Iterator[None]:
        """Know ``connection`` for as long as the block runs."""
        self._open.add(connection)
        if self._over:
            connection.cut()
        try:
            yield
        finally:
            self._open.discard(connection)

    def cut_all(self) -> None:
        """Cut every connection, and each that may still come."""
        self._over = True
        for connection in self._open:
            connection.cut()

    async def watch(self) -> None:
        """Cut each busy connection whose client has left, within ``LOOK_EVERY`` seconds."""
        while True:
            await trio.sleep(LOOK_EVERY)
            busy = {connection.fileno(): connection for connection in self._open if connection.busy}
            busy.pop(-1, None)
            for fd in departed(busy):
                busy[fd].cut()


class WatchedConfig(Config):
    """Hypercorn's settings, the socket that it serves, and where its connections are known."""

    connections: Connections
    taken: socket.socket

    def create_sockets(self) -> Sockets:
        """Return the socket that is taken already, as it is."""
        self.taken.setblocking(False)
        return Sockets([], [self.taken], [])


class LiveConnection(TCPServer):
    """Hypercorn's handling of one connection, known to ``Connections`` while it lasts."""

    config: WatchedConfig

    def __init__(
        self,
        app: AppWrapper,
        config: WatchedConfig,
        context: WorkerContext,
        state: LifespanState,
        stream: Stream,
    ) -> None:
        super().__init__(app, config, context, {**state, STATE_KEY: self}, stream)
        #: Whether a request is being served, which ends when its client leaves.
        self.busy = False
        self._http: Http1Protocol
        self._transport = _transport_of(stream)
        self._socket = self._transport.socket
        self._scope = trio.CancelScope()
        self._pings = trio.CancelScope()
        self._read_all = trio.Event()
        self._lingers = False

    def fileno(self) -> int:
        """Return the socket's descriptor, or -1 once it is closed."""
        return self._socket.fileno()

    def reset(self) -> None:
        """Close with an RST, which no client takes for the end of an answer.

        Who waits in a send or a receive wakes up, whatever shields it.
        """
        with suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._socket.close()

    def cut(self) -> None:
        """Reset the connection and cancel what it is served by, wherever that waits."""
        self.reset()
        self._scope.cancel(reason="connection cut")

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        with self.config.connections.holding(self), self._scope:
            await super().run()

    async def protocol_send(self, event: Event) -> None:
        """Do what the protocol asks: send, close, or note that a request begins or is over."""
        if isinstance(event, Updated | Closed):
            self.busy = isinstance(event, Updated) and not event.idle
        if isinstance(event, Updated) and event.idle and self._read_all.is_set():
            return  # rule 4
        if isinstance(event, Closed) and self._is_being_sent_to() and not self._lingers:
            self._lingers = True
            self._task_group.spawn(self._linger)
            await self.protocol.handle(event)
        else:
            await super().protocol_send(event)

    async def _read_data(self) -> None:
        self._speak_http1_only()
        await super()._read_data()
        self._pings.cancel(reason="connection ended")
        self._read_all.set()
        await self.idle_task.stop()  # rule 4

    def _speak_http1_only(self) -> None:
        chosen = self.protocol
        tasks = Tasks(self._task_group, self._pings)
        self._http = Http1Protocol(
            chosen.app,
            chosen.config,
            chosen.context,
            tasks,
            chosen.state,
            chosen.ssl,
            chosen.client,
            chosen.server,
            chosen.send,
        )
        chosen.protocol = self._http

    def _is_being_sent_to(self) -> bool:
        return self._http.connection.their_state in {h11.SEND_BODY, h11.ERROR}

    async def _linger(self) -> None:
        """Say that nothing more will come, then close when the client has, or soon."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._transport.send_eof()
        with trio.move_on_after(LINGER):
            await self._read_all.wait()
        await super().protocol_send(Closed())


def _transport_of(stream: Stream | trio.SocketStream) -> trio.SocketStream:
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream


def install() -> None:
    """Have Hypercorn handle the connections of every ``WatchedConfig`` as ``LiveConnection``.

    ``serve()`` offers no way to choose, so its name for the class is bound anew, once for all.

    Raises:
      CannotStart: This Hypercorn is not one that we know.
    """
    check(TCPServer, H11Protocol)
    vars(hypercorn.trio.run)["TCPServer"] = _connection_of


def _connection_of(
    app: AppWrapper, config: Config, context: WorkerContext, state: LifespanState, stream: Stream
) -> TCPServer:
    if isinstance(config, WatchedConfig):
        return LiveConnection(app, config, context, state, stream)
    return TCPServer(app, config, context, state, stream)
