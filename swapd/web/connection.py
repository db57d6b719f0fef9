"""One HTTP request as the server hands it over: to Quart, or past it to the relay.

Rule 1: a request is over when its answer is, or when its client leaves.  Hypercorn announces
    the client's leaving from inside the last send of an answer as well; taken at its word there,
    Quart-Trio cancels that very send, and the connection is neither closed nor kept alive.
Rule 2: someone always waits in ``receive``, or nobody learns that the client has left.
Rule 3: an answer that broke off must not look complete.  Where only the end of the connection
    ends an answer (HTTP/1.0), it is reset.
Rule 4: a message is sent or not, never half: a request may be cancelled at any moment, and what
    Hypercorn believes to have said, its client must have heard.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, TypeAlias

import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPScope,
    Scope,
    WebsocketScope,
)
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection

from swapd.errors import RequestError
from swapd.upstream.bodies.body import Body
from swapd.upstream.bodies.spool import Spool
from swapd.web.live_connection import STATE_KEY, LiveConnection
from swapd.web.request_log import note_departure
from swapd.web.target import use_origin_form

Header: TypeAlias = tuple[bytes, bytes]

#: The largest body that Quart takes, which holds it in memory: its views want small ones.
_VIEW_BODY_BYTES = 64 * 1024 * 1024

#: Hypercorn frames an answer itself; what the upstream's hop used is not repeated.
_FRAMING = frozenset({b"transfer-encoding", b"connection", b"keep-alive"})


#: Gives the headers of an answer what every answer to such a request has.
Mark: TypeAlias = Callable[[HTTPScope, Sequence[Header]], Sequence[Header]]


def _unmarked(scope: HTTPScope, headers: Sequence[Header]) -> Sequence[Header]:
    return headers


class Answer:
    """What was sent of one answer so far."""

    def __init__(self, scope: HTTPScope, send: ASGISendCallable, mark: Mark = _unmarked) -> None:
        """Send by ``send``, with the headers that ``mark`` makes of each."""
        self.scope = scope
        self._send = send
        self._mark = mark
        connection = scope.get("state", {}).get(STATE_KEY)
        self._connection = connection if isinstance(connection, LiveConnection) else None
        self._owed: int | None = None
        self._ends_by_closing = False
        self.began = False
        #: Whether its last message was sent, or is being sent: no disconnect matters any more.
        self.complete = False

    async def send(self, message: ASGISendEvent) -> None:
        """Send ``message``; note what it says about the answer's end."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if message["type"] == "http.response.start":
            message["headers"] = self._mark(self.scope, list(message["headers"]))
            self._note_head(message["status"], list(message["headers"]))
        elif message["type"] == "http.response.body":
            self._note_body(len(message.get("body", b"")), message.get("more_body", False))
        if self.complete and self._connection is not None:
            # Its client may leave; its handler may still finish.  After this send the next
            # request may have begun already.
            self._connection.busy = False
        with trio.CancelScope(shield=True):  # rule 4; whoever cuts the connection ends the wait
            await self._send(message)

    def _note_head(self, status: int, headers: Sequence[Header]) -> None:
        self.began = True
        has_body = self.scope["method"] != "HEAD" and status not in (204, 304)
        length = _length_of(headers)
        self._owed = length if has_body else None
        is_framed = length is not None or self.scope["http_version"] >= "1.1"
        self._ends_by_closing = has_body and not is_framed

    def _note_body(self, size: int, more: bool) -> None:
        # Its client may leave as soon as it has the length that was promised.
        if self._owed is not None:
            self._owed -= size
        if not more or self._owed == 0:
            self.complete = True

    def break_off(self) -> None:
        """Let nobody take what was sent for a whole answer; a complete one stays whole.

        The server closes the connection of an answer that its handler left unfinished.  That
        shows where the answer is framed; elsewhere it would look like the end.
        """
        is_seen = self.began and not self._ends_by_closing
        if self._connection is not None and not self.complete and not is_seen:
            self._connection.reset()


class Client:
    """The other side of one request to a model: gives the body, takes the answer.

    Its handler is cancelled as soon as the client leaves, at whatever stage.
    """

    #: Starts a task that runs beside the handler, until the request is over.
    beside: Callable[[Callable[[], Awaitable[None]]], None]

    def __init__(self, answer: Answer, headers: Sequence[Header], max_body_bytes: int) -> None:
        """Await the body that ``headers`` announce.

        Args:
          answer: What the client will get.
          headers: Of the request.
          max_body_bytes: How large the body may be; 0 is no limit.
        """
        self._answer = answer
        self._body: Body | RequestError | None = None
        self._received = trio.Event()
        self._spool = Spool(max_body_bytes)
        try:
            self._spool.expect(_length_of(headers) or 0)
        except RequestError as refusal:
            self._refuse(refusal)
        #: Whether an error can be one more event of the answer that began.
        self.takes_events = False
        #: What was written last of an answer that takes events.
        self.last_piece = b""

    @property
    def began(self) -> bool:
        """Tell whether the answer's status is out, so that it cannot be another any more."""
        return self._answer.began

    async def body(self) -> Body:
        """Wait for the whole body of the request, which may be asked for once.

        It can be used for as long as this client is open.

        Raises:
          BodyTooLarge: It is larger than swapd takes, or is announced to be.
          BodyNotKept: It is too large for memory, and the disk does not take it.
        """
        await self._received.wait()
        body, self._body = self._body, None
        if isinstance(body, RequestError):
            raise body
        assert body is not None
        return body

    def close(self) -> None:
        """Let go of the body."""
        self._spool.discard()

    async def begin(self, status: int, headers: Sequence[Header]) -> None:
        """Send the head of the answer; a ``content-length`` in it must come true."""
        sent = [(name.lower(), value) for name, value in headers if name.lower() not in _FRAMING]
        self.takes_events = _takes_events(sent)
        await self._answer.send({"type": "http.response.start", "status": status, "headers": sent})

    async def write(self, data: bytes) -> None:
        """Send a piece of the answer; waits for as long as the client does not read."""
        if self.takes_events:
            self.last_piece = data
        await self._answer.send({"type": "http.response.body", "body": data, "more_body": True})

    async def finish(self) -> None:
        """End the answer as a whole one."""
        await self._answer.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def abort(self) -> None:
        """End the answer so that no client takes it for a whole one; its handler returns then."""
        self._answer.break_off()
        await trio.lowlevel.checkpoint()

    async def watch(self, receive: ASGIReceiveCallable, request: trio.CancelScope) -> None:
        """Take what the client sends; cancel ``request`` when it leaves before the end."""
        while True:
            message = await receive()
            if message["type"] == "http.request":
                await self._take(message["body"], message.get("more_body", False))
            elif message["type"] == "http.disconnect":
                break
        if not self._answer.complete:
            note_departure(self._answer.scope)
            request.cancel(reason="client left")

    async def _take(self, piece: bytes, more: bool) -> None:
        if self._received.is_set():
            return  # what still comes of a body that was refused
        try:
            await self._spool.take(piece)
            if more:
                return
            self._body = await self._spool.finish()
        except RequestError as refusal:
            self._refuse(refusal)
        self._received.set()

    def _refuse(self, refusal: RequestError) -> None:
        self._body = refusal
        self._spool.discard()
        self._received.set()


def _length_of(headers: Iterable[Header]) -> int | None:
    return next((int(value) for name, value in headers if name == b"content-length"), None)


def _takes_events(headers: Sequence[Header]) -> bool:
    """Tell whether plain text can be added: the length is open, and nothing is encoded."""
    fields = dict(headers)
    is_event_stream = fields.get(b"content-type", b"").lower().startswith(b"text/event-stream")
    return is_event_stream and not fields.keys() & {b"content-length", b"content-encoding"}


#: Serves one request to a model.
Relay: TypeAlias = Callable[[HTTPScope, Client], Awaitable[None]]

#: Says who relays a request; None leaves it to Quart's own routes.
RouteOf: TypeAlias = Callable[[HTTPScope], Relay | None]


class Connection(TrioASGIHTTPConnection):
    """Serves a request by its relay or by Quart, and gets its end right (rules 1 to 3)."""

    app: Web

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the request."""
        answer = Answer(self.scope, send, self.app.mark)
        relay = self.app.route_of(self.scope)
        try:
            if relay is None:
                await self._serve_by_quart(receive, answer)
            else:
                await self._serve_by_relay(relay, receive, answer)
        finally:
            if answer.began:
                answer.break_off()

    async def _serve_by_relay(
        self, relay: Relay, receive: ASGIReceiveCallable, answer: Answer
    ) -> None:
        headers = list(self.scope["headers"])
        client = Client(answer, headers, self.app.max_body_bytes())
        try:
            async with trio.open_nursery() as nursery:
                client.beside = nursery.start_soon
                nursery.start_soon(client.watch, receive, nursery.cancel_scope)
                await relay(self.scope, client)
                nursery.cancel_scope.cancel(reason="answered")
        finally:
            client.close()

    async def _serve_by_quart(self, receive: ASGIReceiveCallable, answer: Answer) -> None:
        with trio.CancelScope() as request:

            async def receive_for_quart() -> ASGIReceiveEvent:
                message = await receive()
                if message["type"] == "http.disconnect":
                    if not answer.complete:
                        if not answer.began:  # the streams of views end in no other way
                            note_departure(answer.scope)
                        request.cancel(reason="client left")
                    await trio.sleep_forever()  # rule 1: whoever sends the answer ends this
                return message

            await super().__call__(receive_for_quart, answer.send)


class Websockets(Protocol):
    """Serves websockets past Quart."""

    def claims(self, scope: WebsocketScope) -> bool:
        """Tell whether this one is served here."""

    async def serve(
        self, scope: WebsocketScope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve it to its end."""


class WebsocketConnection(TrioASGIWebsocketConnection):
    """Serves a websocket; a view is cancelled when the client leaves, whatever it does.

    Hypercorn's send returns at once then: a view that does nothing but send would let no other
    task run any more.  Quart 0.23 has ``receive`` fail, and logs that as an error.
    """

    app: Web

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the websocket."""
        if self.app.websockets is not None and self.app.websockets.claims(self.scope):
            await self.app.websockets.serve(self.scope, receive, send)
        else:
            await self._serve_by_quart(receive, send)

    async def _serve_by_quart(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        with trio.CancelScope() as view:

            async def receive_or_end() -> ASGIReceiveEvent:
                message = await receive()
                if message["type"] == "websocket.disconnect":
                    view.cancel(reason="client left")
                    await trio.sleep_forever()
                return message

            async def send_and_yield(message: ASGISendEvent) -> None:
                await send(message)
                await trio.lowlevel.checkpoint()

            await super().__call__(receive_or_end, send_and_yield)


class Web(QuartTrio):
    """A Quart app whose answers may take their time, with relayed requests beside its routes."""

    asgi_http_class = Connection
    asgi_websocket_class = WebsocketConnection

    def __init__(
        self,
        import_name: str,
        *,
        route_of: RouteOf,
        mark: Mark = _unmarked,
        max_body_bytes: Callable[[], int] = lambda: 0,
        websockets: Websockets | None = None,
    ) -> None:
        """Leave to Quart what ``route_of`` and ``websockets`` do not claim.

        Args:
          import_name: For Quart.
          route_of: Says who relays a request.
          mark: Makes the headers of each answer what they shall be.
          max_body_bytes: Says how large the body of a relayed request may be; 0 is no limit.
          websockets: Serves websockets.
        """
        super().__init__(import_name)
        self.route_of = route_of
        self.mark = mark
        self.max_body_bytes = max_body_bytes
        self.websockets = websockets
        self.config["RESPONSE_TIMEOUT"] = None  # Quart would cut every answer at 60 s, silently
        self.config["BODY_TIMEOUT"] = None  # slow uplinks send large images too
        self.config["MAX_CONTENT_LENGTH"] = _VIEW_BODY_BYTES

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request or websocket, or the app's own lifespan."""
        if scope["type"] != "lifespan":
            use_origin_form(scope)
        await super().__call__(scope, receive, send)
