"""One connection: how its socket is read, closed and cut.

The one place that takes Hypercorn 0.18's handling of a socket over; what is spoken on it is in
web/http1.py.  Each rule cures a defect of Hypercorn, and has a test on raw sockets:

Rule 1: a client that does not read cannot hold a shutdown.  Hypercorn shields its sends, so
    what remains is cut at the socket.
Rule 2: a client that leaves is noticed, also when nobody reads from it (it pipelined, sent a
    stray CRLF or wants to upgrade: h11 is paused then).  Busy sockets are looked at each second.
Rule 3: an answer that ends before its request was all sent is not lost.  Closing at once would
    reset the connection under it; the rest of the request is swallowed for a moment first.  One
    that has begun when its request turns out to be none has a moment to end.
Rule 4: a client that has to send has a deadline, which fits what it has to send.  Hypercorn has
    one for idle connections, from which it does not tell heads, and none for bodies.
Rule 5: TLS ends with its own goodbye, without which a client cannot tell an end from a cut; and
    that waits for no reader.
Rule 6: what is sent at the very moment of closing is lost, and nothing else.  Hypercorn would end
    over it, with all that it serves.
"""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeAlias, cast

import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.tcp_server import MAX_RECV, TCPServer
from hypercorn.trio.worker_context import TrioSingleTask, WorkerContext
from hypercorn.typing import AppWrapper, LifespanState

from swapd.web import limits
from swapd.web.connections import WatchedConfig
from swapd.web.handshake import shake_hands
from swapd.web.http1 import Http1Protocol, Owed, Tasks

#: Where a request's ASGI scope keeps its connection: ``scope["state"][STATE_KEY]``.
STATE_KEY = "swapd.connection"

Secure: TypeAlias = "trio.SSLStream[trio.SocketStream]"

#: What a stream raises whose connection is over.
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError)

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Spoken(Protocol):
    """What is spoken on a connection."""

    @property
    def owed(self) -> Owed:
        """What the client has to send next."""

    @property
    def has_unread(self) -> bool:
        """Tell whether the client has sent, or is sending, what nobody will read."""

    @property
    def is_amid_answer(self) -> bool:
        """Tell whether an answer goes on whose request has turned out to be none."""

    async def give_up(self) -> None:
        """Tell the client that its time is over, and end the connection."""

    async def handle(self, event: Event) -> None:
        """Take what the client did."""


class LiveConnection(TCPServer):
    """Hypercorn's handling of one connection, known to ``Connections`` while it lasts."""

    config: WatchedConfig

    def __init__(
        self,
        app: AppWrapper,
        config: WatchedConfig,
        context: WorkerContext,
        state: LifespanState,
        stream: trio.SocketStream,
    ) -> None:
        """Serve ``stream``, with TLS if ``config`` has a certificate."""
        certificate = config.certificate
        secured = certificate and trio.SSLStream(stream, certificate.context, server_side=True)
        state = {**state, STATE_KEY: self}
        super().__init__(app, config, context, state, secured or cast(Secure, stream))
        self.idle_task = _NoTask()
        #: Whether a request is being served, which ends when its client leaves.
        self.busy = False
        self._http: Spoken
        self._transport = stream
        self._socket = stream.socket
        self._scope = trio.CancelScope()
        self._pings = trio.CancelScope()
        self._read_all = trio.Event()
        self._answered = trio.Event()
        self._lingers = False
        self._is_dismissed = False
        self._stops_reading = False
        self._waiting = trio.CancelScope()
        self._speaks_http = False
        self._owed = Owed.HANDSHAKE
        self._owed_since = trio.current_time()
        self._is_local = stream.socket.family == socket.AF_UNIX
        #: Since when a client has not read of what is being sent.
        self._unread_since = math.inf

    def fileno(self) -> int:
        """Return the socket's descriptor, or -1 once it is closed."""
        return self._socket.fileno()

    @property
    def is_stuck(self) -> bool:
        """Tell whether its client has read nothing for too long; of TCP the kernel knows that."""
        if not self._is_local:
            return False
        return trio.current_time() - self._unread_since > self.config.patience.unread

    @property
    def unused_since(self) -> float | None:
        """When it began to wait for a request; None while one is served or its body comes."""
        is_unused = self._owed in {Owed.HANDSHAKE, Owed.REQUEST, Owed.HEAD}
        return self._owed_since if is_unused and not self._is_dismissed else None

    def spawn(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Begin a task, which the connection outlives."""
        self._task_group.spawn(task, *arguments)

    def dismiss(self) -> None:
        """Close the connection unless it is used."""
        self._is_dismissed = True
        self.reckon()

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
        if not self.config.connections.admit():
            if self.config.certificate is None:
                await self.config.connections.turn_away(self._transport)
            return
        with self.config.connections.holding(self), self._scope:
            if await self._shake_hands():
                await super().run()
        self.let_go()

    def let_go(self) -> None:
        """Let go of what knows the connection: so it is gone at once, and no collector's work."""
        self._speaks_http = False
        self.state.clear()
        for name in ("protocol", "_http"):
            vars(self).pop(name, None)

    async def _shake_hands(self) -> bool:
        if not isinstance(self.stream, trio.SSLStream):
            return True
        with trio.CancelScope(deadline=self._due()) as self._waiting:
            return await shake_hands(self.stream)
        return False

    async def protocol_send(self, event: Event) -> None:
        """Do what the protocol asks: send, close, or note that a request begins or is over."""
        if isinstance(event, Updated | Closed):
            self.busy = isinstance(event, Updated) and not event.idle
        if isinstance(event, Closed) and (self._lingers or self._http.has_unread):
            await self._linger_once()
        elif isinstance(event, Updated):
            self.reckon()
        else:
            self._unread_since = trio.current_time()
            with suppress(trio.BusyResourceError):  # rule 6
                await super().protocol_send(event)
            self._unread_since = math.inf

    def reckon(self) -> None:
        """See how long the client may still take for what is awaited of it (rule 4)."""
        self.note_owed()
        # Whose time is up too early looks again; a deadline costs something each time it is set.
        if (due := self._due()) < self._waiting.deadline:
            self._waiting.deadline = due

    def note_owed(self) -> None:
        """Note since when the client owes what it owes now."""
        owed = self._http.owed if self._speaks_http else Owed.HANDSHAKE
        if owed is not self._owed:
            self._owed, self._owed_since = owed, trio.current_time()

    def _due(self) -> float:
        patience = self.config.patience
        if self._is_unwanted():
            return -math.inf
        match self._owed:
            case Owed.HANDSHAKE:
                seconds = patience.handshake
            case Owed.REQUEST:
                seconds = patience.idle
            case Owed.HEAD:
                seconds = patience.head() or math.inf
            case Owed.BODY:
                seconds = patience.body
            case Owed.NOTHING:
                seconds = math.inf
        return self._owed_since + seconds

    def _is_unwanted(self) -> bool:
        is_over = self._is_dismissed or self.config.connections.ending
        is_used = self._owed in {Owed.NOTHING, Owed.BODY}
        return self._stops_reading or (is_over and not is_used)

    async def _read_data(self) -> None:
        self._speak_http1_only()
        while (received := await self._receive()) is not None:
            await self.protocol.handle(RawData(received))
            if not received:
                break
            if self._owed is Owed.BODY:
                self._owed_since = trio.current_time()
        await self.protocol.handle(Closed())
        self._pings.cancel(reason="connection ended")
        self._read_all.set()

    async def _receive(self) -> bytes | None:
        """Return what the client sends, or None when nothing more is to be read from it."""
        while True:
            self.reckon()
            with (
                suppress(*_GONE),
                trio.CancelScope(deadline=self._due()) as self._waiting,
            ):
                return bytes(await self.stream.receive_some(MAX_RECV))
            if not self._waiting.cancelled_caught or await self._is_over():
                return None

    async def _is_over(self) -> bool:
        """Tell whether to close, now that time is up; a client amid a request is told before."""
        self.reckon()
        if self._due() > trio.current_time():
            return False  # something has changed at the last moment
        if self._is_unwanted() or self._owed is Owed.REQUEST:
            return True
        await self._http.give_up()
        return False

    def _speak_http1_only(self) -> None:
        chosen = self.protocol
        self._http = self._spoken(chosen)
        # Hypercorn passes on to it what comes; only its own choice is of the type that it names.
        vars(chosen)["protocol"] = self._http
        self._speaks_http = True

    def _spoken(self, chosen: ProtocolWrapper) -> Spoken:
        """Return what is spoken from now on."""
        return self._by_h11(chosen)

    def _by_h11(self, chosen: ProtocolWrapper) -> Http1Protocol:
        return Http1Protocol(
            chosen.app,
            chosen.config,
            chosen.context,
            Tasks(self._task_group, self._pings),
            chosen.state,
            chosen.ssl,
            chosen.client,
            chosen.server,
            chosen.send,
        )

    async def _linger_once(self) -> None:
        is_amid_answer = not self._lingers and self._http.is_amid_answer
        if not is_amid_answer:
            self._answered.set()
        if not self._lingers:
            self._lingers = True
            self._task_group.spawn(self._linger)
            if not is_amid_answer:
                await self.protocol.handle(Closed())

    async def _linger(self) -> None:
        """Say that nothing more will come, then close when the client has, or soon."""
        moment = trio.current_time() + limits.LINGER
        if not self._answered.is_set():
            with trio.move_on_at(moment):
                await self._answered.wait()
            await self.protocol.handle(Closed())
        with trio.move_on_at(moment):
            await self._end_tls()
            async with self.send_lock:  # what is being sent comes before
                with suppress(*_GONE, trio.BusyResourceError):
                    await self._transport.send_eof()
            await self._read_all.wait()
            with suppress(*_GONE):
                while await self._transport.receive_some():
                    pass
        await super().protocol_send(Closed())

    async def _end_tls(self) -> None:
        """Say goodbye in TLS, whose other end may go on sending; its reader must stop before."""
        if isinstance(self.stream, trio.SSLStream):
            self._stops_reading = True
            self.reckon()
            await self._read_all.wait()
            with suppress(*_GONE, trio.BusyResourceError), trio.move_on_after(limits.GOODBYE):
                with suppress(trio.BrokenResourceError):
                    await self.stream.unwrap()
                # Of our goodbye, what still came of the request may have left the sending to us.
                await self._transport.send_all(self.stream._outgoing.read())

    async def _close(self) -> None:
        with trio.move_on_after(limits.GOODBYE), suppress(trio.ClosedResourceError):
            await super()._close()  # rule 5
        if self.fileno() >= 0:
            await trio.aclose_forcefully(self._transport)


class _NoTask(TrioSingleTask):
    """Takes the place of the task that ends idle connections: the reader does (rule 4)."""

    async def restart(self, task_group: object, action: object) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""
