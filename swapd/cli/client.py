"""Talks to a swapd that runs, as its owner: by HTTP, and by the websocket of the lifecycle."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import quote

import h11
import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)
from wsproto.utilities import ProtocolError

from swapd.cli.address import CONNECT_SECONDS, Address
from swapd.errors import CannotReach, Refused, SwapdError

E = TypeVar("E", bound=Exception)
S = TypeVar("S", bound=msgspec.Struct)

#: The path of the websocket.
LIFECYCLE = "/api/lifecycle"

#: The longest message that is taken: a snapshot of thousands of models and all who wait.
_LONGEST_MESSAGE_BYTES = 64 * 1024 * 1024

#: Seconds between two pings, and those in which one must be answered.
_PING_SECONDS = 20.0

#: Why a swapd ends the stream (RFC 6455, section 7.4, and IANA's registry).
_CLOSE_CODES = {1001: "swapd has ended", 1013: "we did not keep up with what it told"}


class _Problem(msgspec.Struct):
    message: str


class _Envelope(msgspec.Struct):
    """How swapd tells of an error."""

    src: str
    error: _Problem


class Loaded(msgspec.Struct, omit_defaults=True):
    """How swapd answers a load."""

    model: str
    state: str | None = None


class _Entry(msgspec.Struct):
    """A model in a listing; its aliases are where the peer's clients look for them."""

    id: str
    meta: dict[str, dict[str, object]] = {}

    @property
    def aliases(self) -> list[object]:
        ours = self.meta.get("llamaswap", {})
        aliases = ours.get("aliases")
        return aliases if isinstance(aliases, list) else []


class _Listing(msgspec.Struct):
    """All models."""

    data: list[_Entry]


class Client:
    """One swapd, and the key that it asks for."""

    def __init__(self, address: Address, key: str | None) -> None:
        """Connect nowhere yet.

        Raises:
          Refused: No request can bring this key.
        """
        if key and not key.strip().isprintable():
            raise Refused(
                "the key of --api-key or SWAPD_API_KEY has a character that no key can have,"
                " such as the end of a line"
            )
        self.address = address
        self._headers = [(b"user-agent", b"swapd")]  # in the log of who is asked
        if key:
            self._headers.append((b"authorization", b"Bearer " + key.strip().encode()))

    async def ask(self, method: str, path: str) -> bytes:
        """Return the body of the answer.

        Raises:
          CannotReach: No swapd answers, or it broke off.
          Refused: It says no; the text is its own.
        """
        pieces: list[bytes] = []
        await self._ask(method, path, pieces.append)
        return b"".join(pieces)

    async def read(self, path: str, hear: Callable[[bytes], None]) -> None:
        """Have ``hear`` called for each piece of what is at ``path``, as it comes.

        Raises:
          CannotReach: No swapd answers, or it broke off.
          Refused: It says no; the text is its own.
        """
        began = False

        def take(piece: bytes) -> None:
            nonlocal began
            began = True
            hear(piece)

        try:
            await self._ask("GET", path, take)
        except CannotReach:
            if not began:
                raise
            raise CannotReach(f"{self.address.text}: the connection broke") from None

    async def _ask(self, method: str, path: str, hear: Callable[[bytes], None]) -> None:
        request = h11.Request(
            method=method,
            target=self.address.prefix + path,
            headers=[
                (b"host", self.address.host_header.encode()),
                (b"connection", b"close"),
                (b"content-length", b"0"),
                *self._headers,
            ],
        )
        stream = await self.address.open()
        async with stream:
            try:
                status, refusal = await _exchange(stream, request, hear)
            except (h11.RemoteProtocolError, trio.BrokenResourceError):
                raise self._no_swapd("broke off before its answer was complete") from None
        if not _is_success(status):
            raise self._refusal(f"{method} {path}", status, refusal)

    async def load(self, model: str, *, wait: bool) -> Loaded:
        """Have ``model`` loaded; with ``wait`` return when it is ready.  Raises as ``ask`` does."""
        path = f"/api/models/load/{quote(model)}{'?wait=1' if wait else ''}"
        return self._read(await self.ask("POST", path), Loaded)

    async def unload(self, model: str | None, *, drain: bool) -> None:
        """Have ``model`` unloaded, or all, and return when it is.  Raises as ``ask`` does."""
        name = "" if model is None else f"/{quote(model)}"
        await self.ask("POST", f"/api/models/unload{name}{'?drain=1' if drain else ''}")

    async def id_of(self, name: str) -> str:
        """Return the ID of the model that ``name`` means; ``name`` itself where none is listed."""
        listing = self._read(await self.ask("GET", "/v1/models"), _Listing)
        return next((entry.id for entry in listing.data if name in entry.aliases), name)

    async def snapshot(self) -> bytes:
        """Return what the websocket says first: the state of everything.

        Raises:
          CannotReach: No swapd answers, or it broke off.
          Refused: It says no; the text is its own.
        """
        said = b""
        with trio.move_on_after(2 * CONNECT_SECONDS) as scope:

            def keep(message: bytes) -> None:
                nonlocal said
                said = message
                scope.cancel(reason="that is all we wanted")

            await self.listen("", keep)
        if not said:
            raise self._no_swapd("takes the websocket, and says nothing")
        return said

    async def listen(
        self, query: str, hear: Callable[[bytes], None], *, greet: Callable[[], None] | None = None
    ) -> None:
        """Have ``hear`` called for each message of the websocket, for as long as it is there.

        Args:
          query: Of the websocket, with its question mark.
          hear: Must not block.
          greet: Called once it is connected, before any message.

        Raises:
          CannotReach: No swapd answers, or the connection is over: it never just returns.
          Refused: It says no; the text is its own.
        """
        why: SwapdError
        try:
            async with self._websocket(query) as websocket:
                if greet:
                    greet()
                while True:
                    message = await websocket.get_message()
                    hear(message.encode() if isinstance(message, str) else message)
        except* ConnectionRejected as group:
            rejected = _first(group)
            why = self._refusal(f"GET {LIFECYCLE}", rejected.status_code, rejected.body or b"")
        except* ConnectionClosed as group:
            reason = _first(group).reason
            said = _CLOSE_CODES.get(reason.code if reason else 0, "the connection broke")
            why = CannotReach(f"{self.address.text}: {said}")
        except* (HandshakeError, ProtocolError, h11.ProtocolError):
            why = self._no_swapd("does not speak HTTP")
        except* trio.TooSlowError:
            why = CannotReach(f"{self.address.text}: no answer")
        except* SwapdError as group:
            why = _first(group)
        raise why

    @asynccontextmanager
    async def _websocket(self, query: str) -> AsyncIterator[WebSocketConnection]:
        stream = await self.address.open()
        async with stream, trio.open_nursery() as nursery:
            entrance = _Entrance(stream, self._no_swapd("broke off before it answered"))
            with trio.fail_after(CONNECT_SECONDS):
                websocket = await wrap_client_stream(
                    nursery,
                    trio.StapledStream(stream, entrance),  # type: ignore[arg-type]  # it is any stream's
                    self.address.host_header,
                    f"{self.address.prefix}{LIFECYCLE}{query}",
                    extra_headers=self._headers,
                    max_message_size=_LONGEST_MESSAGE_BYTES,
                )
            nursery.start_soon(_keep_alive, websocket)
            yield websocket

    def _read(self, body: bytes, what: type[S]) -> S:
        try:
            return msgspec.json.decode(body, type=what)
        except msgspec.MsgspecError:
            raise self._no_swapd("answered something else") from None

    def _refusal(self, asked: str, status: int, body: bytes) -> SwapdError:
        try:
            envelope = msgspec.json.decode(body, type=_Envelope)
        except msgspec.MsgspecError:
            return self._no_swapd(f"answered {asked} with status {status}")
        if status == 401:
            return Refused(f"{envelope.error.message}: give one by --api-key or SWAPD_API_KEY")
        return Refused(envelope.error.message)

    def _no_swapd(self, what: str) -> CannotReach:
        return CannotReach(f"there is no swapd at {self.address.text}: what is there {what}")


class _Entrance(trio.abc.ReceiveStream):
    """Fails where the server leaves before it accepts us: trio-websocket would wait for ever."""

    def __init__(self, stream: trio.abc.Stream, left: CannotReach) -> None:
        self._stream = stream
        self._left = left
        self._accepted = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self._stream.receive_some(max_bytes)
        self._accepted = self._accepted or data.startswith(b"HTTP/1.1 101")
        if not data and not self._accepted:
            raise self._left
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _keep_alive(websocket: WebSocketConnection) -> None:
    """Fail when the other side is gone without a word."""
    while True:
        await trio.sleep(_PING_SECONDS)
        with trio.fail_after(_PING_SECONDS):
            await websocket.ping()


async def _exchange(
    stream: trio.abc.Stream, request: h11.Request, hear: Callable[[bytes], None]
) -> tuple[int, bytes]:
    """Return the status, and the body if it tells of no success; of any other, ``hear`` hears."""
    http = h11.Connection(h11.CLIENT)
    await stream.send_all((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    status, body = 0, b""
    while True:
        match http.next_event():
            case h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some()))
            case h11.Response(status_code=code):
                status = code
            case h11.Data(data=piece):
                if _is_success(status):
                    hear(bytes(piece))
                else:
                    body += piece
            case h11.EndOfMessage():
                return status, body


def _is_success(status: int) -> bool:
    return 200 <= status < 300


def _first(group: BaseExceptionGroup[E]) -> E:
    """Return the first of the exceptions in ``group``."""
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
