"""One connection on the fast transport: like any other, but for how bytes come and go.

Rule 1: the socket is tried first and waited for only when it would block: a wait costs more than
    the system call.
Rule 2: who sends without end lets others run: every so many sends, and whenever the client is gone.
Rule 3: what is sent is sent whole, whoever is cancelled meanwhile, or the connection is over.
"""

from __future__ import annotations

import math
import socket
from contextlib import suppress
from functools import partial

import trio
from hypercorn.events import Closed, Event, RawData
from hypercorn.protocol import ProtocolWrapper
from hypercorn.trio.task_group import _handle
from hypercorn.trio.tcp_server import MAX_RECV
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, HTTPScope, LifespanState

from swapd.cuttable import Lasting
from swapd.web.attendant import Attendant
from swapd.web.connections import WatchedConfig
from swapd.web.exchange import Exchange, scope_of
from swapd.web.http1 import Http1Protocol
from swapd.web.live_connection import LiveConnection, Spoken
from swapd.web.plain_head import PlainHead
from swapd.web.plain_http1 import PlainHttp1

#: Sends, and receives, that need not wait before other tasks may run again.
_AT_A_TIME = 16


class FastConnection(LiveConnection):
    """A connection whose plain requests are served without h11."""

    def __init__(
        self,
        app: AppWrapper,
        config: WatchedConfig,
        context: WorkerContext,
        state: LifespanState,
        stream: trio.SocketStream,
    ) -> None:
        """Serve ``stream``, with TLS if ``config`` has a certificate."""
        theirs = stream.socket
        family, kind = theirs.family, theirs.type
        self._raw = socket.socket(family, kind, theirs.proto, fileno=theirs.detach())
        own = trio.SocketStream(trio.socket.from_stdlib_socket(self._raw))
        super().__init__(app, config, context, state, own)
        self._is_secure = config.certificate is not None
        self._chosen: ProtocolWrapper
        self._plain: PlainHttp1
        self._attendant = Attendant(self.spawn)
        self._sends = 0
        self._receives = 0
        self._may_have_more = False

    async def run(self) -> None:
        """Serve the connection until either side ends it."""
        try:
            await super().run()
        finally:
            self._socket.close()  # Trio closes at the end what it accepted, which is empty now

    def let_go(self) -> None:
        """Let go of what knows the connection, and of what that serves."""
        if isinstance(spoken := vars(self).get("_http"), PlainHttp1):
            spoken.let_go()
        super().let_go()
        for name in ("_attendant", "_chosen", "_plain"):
            vars(self).pop(name, None)

    def _spoken(self, chosen: ProtocolWrapper) -> Spoken:
        self._chosen = chosen
        self._plain = PlainHttp1(self, self._by_h11_after_all)
        return self._plain

    def _by_h11_after_all(self) -> Http1Protocol:
        return self._by_h11(self._chosen)

    # -- what is served ----------------------------------------------------------------

    def begins(self, exchange: Exchange, head: PlainHead) -> None:
        """Have ``exchange`` served."""
        self.busy = True
        self.note_owed()  # its reader may go on waiting, or wait for nothing now
        chosen = self._chosen
        exchange.scope = scope_of(
            exchange,
            head,
            is_tls=chosen.ssl,
            client=chosen.client,
            server=chosen.server,
            state=chosen.state,
        )
        self._attendant.take(partial(self._serve, exchange, exchange.scope))

    async def _serve(
        self, exchange: Exchange, scope: HTTPScope, request: trio.CancelScope, blocks: Lasting
    ) -> None:
        exchange.ended_by, exchange.blocks = request, blocks
        to_thread, from_thread = trio.to_thread.run_sync, trio.from_thread.run
        app, config, receive, send = self.app, self.config, exchange.receive, exchange.send
        try:
            await _handle(app, config, scope, receive, send, to_thread, from_thread)
        finally:
            exchange.scope = None  # which knows the exchange

    def is_idle(self) -> bool:
        """Note that nothing is served any more; tell whether another request may come."""
        if self.context.terminated.is_set():
            return False
        self.busy = False
        self.reckon()
        return True

    async def close(self) -> None:
        """Close the connection when the client has read what was sent."""
        with trio.CancelScope(shield=True):
            await self.protocol_send(Closed())

    # -- how bytes come and go ---------------------------------------------------------

    async def _read_data(self) -> None:
        try:
            await super()._read_data()
        finally:
            self._attendant.close()

    async def protocol_send(self, event: Event) -> None:
        """Do what is asked: send, close, or note that a request begins or is over."""
        if isinstance(event, RawData) and not self._is_secure:
            await self.put(event.data)
        else:
            await super().protocol_send(event)

    async def put(self, data: bytes) -> None:
        """Send ``data``, all of it, or find out that the client has left."""
        if self._is_secure:
            with trio.CancelScope(shield=True):
                await super().protocol_send(RawData(data))
            return
        if not self.send_lock.locked():
            try:
                sent = self._raw.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                await self._lose()
                return
            if sent == len(data):
                self._sends += 1
                if self._sends % _AT_A_TIME == 0:
                    await trio.lowlevel.cancel_shielded_checkpoint()
                return
            data = data[sent:]
        await self._put_slowly(data)

    async def _put_slowly(self, data: bytes) -> None:
        unsent = memoryview(data)
        with trio.CancelScope(shield=True):  # who cuts the connection closes its socket
            async with self.send_lock:
                try:
                    while unsent and self.fileno() >= 0:
                        self._unread_since = trio.current_time()
                        await trio.lowlevel.wait_writable(self._raw)
                        with suppress(BlockingIOError):
                            unsent = unsent[self._raw.send(unsent) :]
                except (OSError, trio.ClosedResourceError):
                    pass
                self._unread_since = math.inf
        if unsent:
            await self._lose()

    async def _lose(self) -> None:
        """Tell who is served that the client is gone."""
        await self._http.handle(Closed())
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def _receive(self) -> bytes | None:
        if self._is_secure:
            return await super()._receive()
        self._receives += 1
        if self._receives % _AT_A_TIME == 0:
            await trio.lowlevel.checkpoint()
        while self.fileno() >= 0:
            try:
                if self._may_have_more:
                    return self._take()
                self.note_owed()
                with trio.CancelScope(deadline=self._due()) as self._waiting:
                    return await self._serve_at_once()
            except BlockingIOError:
                self._may_have_more = False
            except (OSError, trio.ClosedResourceError):
                return None
            else:
                if await self._is_over():
                    return None
        return None

    async def _serve_at_once(self) -> bytes:
        """Serve what comes as long as it is whole requests; return what is less, or more.

        One scope is around many waits: it would cost more than each of them.  Whoever is
        cancelled since time was up for what was awaited at first looks what is awaited now.
        """
        while True:
            await trio.lowlevel.wait_readable(self._raw)
            received = self._take()
            if not self._plain.serve(received):
                return received

    def _take(self) -> bytes:
        received = self._raw.recv(MAX_RECV)
        self._may_have_more = len(received) == MAX_RECV
        return received
