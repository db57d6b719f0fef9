"""Every connection that is open: known, watched, and cut when it must be.

The one place that reaches into Hypercorn 0.18; ``install`` checks that it is as we know it.
Each rule cures a defect of it, and has a test on raw sockets:

Rule 1: no HTTP/2.  Its streams have no backpressure and do not end when the answer fails.
Rule 2: a client that does not read cannot hold a shutdown.  Hypercorn shields its sends, so
    what remains is cut at the socket.
Rule 3: a client that leaves is noticed, also when nobody reads from it (it pipelined, sent a
    stray CRLF or wants to upgrade: h11 is paused then).  Busy sockets are looked at each second.
Rule 4: an answer that ends before its request was all sent is not lost.  Closing at once would
    reset the connection under it; the rest of the request is swallowed for a moment first.
Rule 5: websocket pings end with their websocket, not at the next ping.
Rule 6: a connection whose client has left does not idle: its socket would stay open until then.
Rule 7: what is no request is told so, in an envelope that is not lost either (see rule 4).  An
    empty line before a request is no error: some clients send one behind each body.
Rule 8: a websocket handshake that was refused ends its connection, and what comes before its
    answer is dropped.  Hypercorn would answer it once more, an error that ends the server.
"""

from __future__ import annotations

import inspect
import select
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import TypeAlias

import h11
import hypercorn.trio.run
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol, H11WSConnection
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, LifespanState

from swapd.errors import CannotStart
from swapd.web.errors import unreadable

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
            for fd in _left(busy):
                busy[fd].cut()


if sys.platform == "linux":

    def _left(fds: Collection[int]) -> list[int]:
        """Return those of ``fds`` whose other end has closed, whatever is still unread."""
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLRDHUP)
        return [fd for fd, _ in poll.poll(0)]

else:

    def _left(fds: Collection[int]) -> list[int]:
        """Return those of ``fds`` whose other end has closed, whatever is still unread."""
        reads = [select.kevent(fd, select.KQ_FILTER_READ, select.KQ_EV_ADD) for fd in fds]
        queue = select.kqueue()
        try:
            events = queue.control(reads, len(reads), 0) if reads else []
        finally:
            queue.close()
        return [event.ident for event in events if event.flags & select.KQ_EV_EOF]


class WatchedConfig(Config):
    """Hypercorn's settings, and where its connections are known."""

    connections: Connections


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
            return  # rule 6
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
        await self.idle_task.stop()  # rule 6

    def _speak_http1_only(self) -> None:
        chosen = self.protocol
        tasks = _Tasks(self._task_group, self._pings)
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


class Http1Protocol(H11Protocol):
    """HTTP/1 and websockets, and nothing else (rules 1, 7 and 8)."""

    async def handle(self, event: Event) -> None:
        """Take what came, but for empty lines between requests and what follows an error."""
        if isinstance(event, RawData):
            if self.connection.their_state is h11.ERROR or self._is_shaking_hands():
                return  # it would be one more error
            if event.data.startswith((b"\r", b"\n")) and self._is_between_requests():
                event = RawData(event.data.lstrip(b"\r\n"))
                if not event.data:
                    return  # to pass on nothing would be to tell of the end
        await super().handle(event)

    def _is_shaking_hands(self) -> bool:
        return isinstance(self.stream, WSStream) and not self.stream.handshake.accepted

    def _is_between_requests(self) -> bool:
        http = self.connection
        return http.their_state in {h11.IDLE, h11.DONE} and not http.trailing_data[0]

    async def _check_protocol(self, event: h11.Request) -> None:
        """Answer in HTTP/1.1, whatever else the client offers to speak."""

    async def _create_stream(self, request: h11.Request) -> None:
        await super()._create_stream(request)
        if isinstance(self.connection, H11WSConnection):
            self.connection.buffer.clear()  # rule 8
        if isinstance(self.stream, WSStream) and self.stream.closed:
            await self.send(Closed())  # rule 8

    async def _send_error_response(self, status_code: int) -> None:
        body = unreadable(status_code)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        head = h11.Response(status_code=status_code, headers=headers)
        for event in (head, h11.Data(data=body), h11.EndOfMessage()):
            await self._send_h11_event(event)


class _Tasks(TaskGroup):
    """A connection's tasks, of which the pings end when it does (rule 5)."""

    def __init__(self, tasks: TaskGroup, pings: trio.CancelScope) -> None:
        super().__init__()
        self._nursery = tasks._nursery
        self._pings = pings

    def spawn(self, func: Callable[..., Awaitable[None]], *args: object) -> None:
        super().spawn(self._until_the_end, func, *args)

    async def _until_the_end(self, func: Callable[..., Awaitable[None]], *args: object) -> None:
        with self._pings:
            await func(*args)


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


#: What we override or call in Hypercorn, with the parameters that we rely on.
_SERVER_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context state stream",
    "run": "self",
    "protocol_send": "self event",
    "_read_data": "self",
}
_PROTOCOL_AS_KNOWN: Mapping[str, str] = {
    "__init__": "self app config context task_group connection_state ssl client server send",
    "handle": "self event",
    "_check_protocol": "self event",
    "_create_stream": "self request",
    "_send_error_response": "self status_code",
    "_send_h11_event": "self event",
}


def check(server: type, protocol: type) -> None:
    """Compare Hypercorn's classes with what we rely on.

    Raises:
      CannotStart: Something is missing or takes other parameters.
    """
    unknown = [
        f"{owner.__name__}.{name}"
        for owner, known in ((server, _SERVER_AS_KNOWN), (protocol, _PROTOCOL_AS_KNOWN))
        for name, parameters in known.items()
        if _parameters(owner, name) != parameters
    ]
    if unknown:
        raise CannotStart(
            f"Hypercorn {version('hypercorn')} is not one that swapd can serve with"
            f" ({', '.join(unknown)} changed); install one with"
            " pip install 'hypercorn>=0.18,<0.19'"
        )


def _parameters(owner: type, name: str) -> str | None:
    method = getattr(owner, name, None)
    return " ".join(inspect.signature(method).parameters) if method is not None else None
