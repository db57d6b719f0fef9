"""The event stream: everything that happens, for pages and for clients of llama-swap.

It goes past Quart, as the requests of models do, so that it ends when its client leaves, at
whatever moment, and waits where its client does not read.

Rule 1: no client delays anything: nobody waits for it, and what waits for it is bounded.
Rule 2: a batch is told at once, but after it there is a pause: what happens meanwhile is the next.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import trio
from hypercorn.typing import HTTPScope

from swapd.telemetry.activity.row import Row
from swapd.telemetry.log_stream import LogReader
from swapd.web.answers import refuse_method
from swapd.web.client import Client
from swapd.web.connection import Relay
from swapd.web.event_parts import ActiveProfile, Models, Part, Rows, Settings, UnderWay, message
from swapd.web.remarks import KEEP_ALIVE
from swapd.web.services import Services

PATH = "/api/events"

#: Seconds between two batches for one client.
PACE = 0.05

#: Seconds between two looks at how many bytes were passed on.
LOOK_EVERY = 0.25

#: Seconds of silence until a comment says that the connection lives.
HEARTBEAT = 15.0

#: As many bytes are sent as one piece.
_PIECE_BYTES = 32 * 1024

_HEAD = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
)


class Events:
    """Serves the event stream."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def route_of(self, scope: HTTPScope) -> Relay | None:
        """Return who serves this request, or None if it is for something else."""
        return self.serve if scope["path"] == PATH else None

    async def serve(self, scope: HTTPScope, client: Client) -> None:
        """Tell until the client leaves or swapd ends."""
        if scope["method"] not in {"GET", "HEAD"}:
            await refuse_method(client, ("GET", "HEAD"))
            return
        client.is_endless = True
        await client.begin(200, _HEAD)
        if scope["method"] == "GET":
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_with_swapd, client, nursery.cancel_scope)
                await _Stream(self._services, client).run()
        await client.finish()

    async def _end_with_swapd(self, client: Client, stream: trio.CancelScope) -> None:
        await self._services.closing.wait()
        client.hang_up_soon()  # one that does not read must not hold up the end
        stream.cancel(reason="shutting down")


class _Stream:
    """What one client is told."""

    def __init__(self, services: Services, client: Client) -> None:
        self._services = services
        self._client = client
        self._turn = trio.Lock()
        self._changed = trio.Event()
        self._said_at = 0.0
        self._rows = Rows()
        self._under_way = UnderWay(services)
        self._parts: tuple[Part, ...] = (
            Models(services),
            Settings(services),
            ActiveProfile(services),
            self._under_way,
            self._rows,
        )

    async def run(self) -> None:
        """Tell without end."""
        logs = self._services.logs
        with self._listening(), ExitStack() as stack:
            sources = {"proxy": logs.proxy, "upstream": logs.upstream}
            readers = {
                source: stack.enter_context(log.subscribe(history=False))
                for source, log in sources.items()
            }
            tellers = {source: _LogTeller(source) for source in sources}
            first = [
                self._message("logData", tellers[source].told(log.history()))
                for source, log in sources.items()
            ]
            await self._say([*first, *self._news()])
            async with trio.open_nursery() as nursery:
                for source, reader in readers.items():
                    nursery.start_soon(self._tell_log, tellers[source], reader)
                await self._tell_states()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        services = self._services
        with ExitStack() as stack:
            for feed in (services.lifecycle.news, services.news, services.requests.news):
                stack.enter_context(feed.listen(self._ring))
            stack.enter_context(services.stored.listen(self._note_row))
            yield

    def _note_row(self, row: Row) -> None:
        self._rows.add(row.id)
        self._changed.set()

    def _ring(self, _: object) -> None:
        self._changed.set()

    async def _tell_states(self) -> None:
        while True:
            await trio.sleep(PACE)
            with trio.move_on_at(self._look_at()):
                await self._changed.wait()
            self._changed = trio.Event()
            await self._say(self._news())
            if trio.current_time() >= self._said_at + HEARTBEAT:
                await self._write(KEEP_ALIVE)

    def _look_at(self) -> float:
        """Return when to look, on the clock, if nothing rings before."""
        next_heartbeat = self._said_at + HEARTBEAT
        soon = trio.current_time() + LOOK_EVERY
        return min(soon, next_heartbeat) if self._under_way.is_moving else next_heartbeat

    def _news(self) -> Iterator[bytes]:
        for part in self._parts:
            yield from map(partial(self._message, part.type), part.news())

    def _message(self, kind: str, data: object) -> bytes:
        lifecycle = self._services.lifecycle
        return message(kind, data, f"{lifecycle.instance}-{lifecycle.seq}")

    async def _tell_log(self, teller: _LogTeller, reader: LogReader) -> None:
        async for piece in reader:
            await self._say([self._message("logData", teller.told(piece))])
            await trio.sleep(PACE)

    async def _say(self, messages: Iterable[bytes]) -> None:
        """Send ``messages``, which are asked for one by one as the client takes them."""
        piece = b""
        for each in messages:
            piece += each
            if len(piece) >= _PIECE_BYTES:
                await self._write(piece)
                piece = b""
        if piece:
            await self._write(piece)

    async def _write(self, piece: bytes) -> None:
        async with self._turn:
            await self._client.write(piece)
            self._said_at = trio.current_time()


class _LogTeller:
    """Makes text of the pieces of one log, of which each may end amid a character."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def told(self, piece: bytes) -> dict[str, str]:
        """Return the next piece as it is told."""
        return {"data": self._decoder.decode(piece), "source": self._source}
