"""One HTTP request as the server hands it over: to Quart, or past it to the relay.

Rule 1: a request is over when its answer is, or when its client leaves.  Hypercorn announces
    the client's leaving from inside the last send of an answer as well; taken at its word there,
    Quart-Trio cancels that very send, and the connection is neither closed nor kept alive.
Rule 2: someone always waits in ``receive``, or nobody learns that the client has left.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
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

from swapd.web import access_log, limits
from swapd.web.answer import Answer, Mark, connection_of, unmarked
from swapd.web.answers import show_bug
from swapd.web.beside import Beside
from swapd.web.client import Client, note_departure
from swapd.web.errors import BUG
from swapd.web.manner import Manner
from swapd.web.request_log import outcome, settle
from swapd.web.target import use_origin_form

#: Serves one request to a model.
Relay: TypeAlias = Callable[[HTTPScope, Client], Awaitable[None]]

#: Says who relays a request; None leaves it to Quart's own routes.
RouteOf: TypeAlias = Callable[[HTTPScope], Relay | None]


class Connection(TrioASGIHTTPConnection):
    """Serves a request by its relay or by Quart, and gets its end right (rules 1 and 2)."""

    app: Web

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve the request."""
        began = access_log.begin()
        answer = Answer(self.scope, send, self.app.mark)
        relay = self.app.route_of(self.scope)
        try:
            if relay is None:
                await self._serve_by_quart(receive, answer)
            else:
                await self._serve_by_relay(relay, receive, answer)
        except Exception:
            if not answer.complete and outcome(self.scope) is None:
                settle(self.scope, BUG.kind.status, BUG.message)
            raise
        finally:
            if answer.began:
                answer.break_off()
            access_log.end(
                self.scope,
                began=began,
                status=answer.status,
                size=answer.size,
                complete=answer.complete,
                say=self.app.say,
            )

    async def _serve_by_relay(
        self, relay: Relay, receive: ASGIReceiveCallable, answer: Answer
    ) -> None:
        headers = list(self.scope["headers"])
        client = Client(answer, headers, self.app.max_body_bytes())
        try:
            if answer.connection is not None:
                await _attend(client, receive, relay, answer.connection.spawn)
            else:
                async with trio.open_nursery() as nursery:
                    await _attend(client, receive, relay, nursery.start_soon)
        except Exception:
            if not answer.complete:
                self._hear_out(client, receive)
                await _own_up(client)  # noqa: ASYNC120  it is shielded
            raise
        finally:
            client.close()
            self._hear_out(client, receive)

    def _hear_out(self, client: Client, receive: ASGIReceiveCallable) -> None:
        connection = connection_of(self.scope)
        if connection is not None and client.is_unheard:
            connection.spawn(_swallow, receive)

    async def _serve_by_quart(self, receive: ASGIReceiveCallable, answer: Answer) -> None:
        with trio.CancelScope() as request:

            async def receive_for_quart() -> ASGIReceiveEvent:
                message = await receive()
                if message["type"] == "http.disconnect":
                    if not answer.complete:
                        if not answer.began:  # the streams of views end in no other way
                            note_departure(answer)
                        request.cancel(reason="client left")
                    await trio.sleep_forever()  # rule 1: whoever sends the answer ends this
                return message

            await super().__call__(receive_for_quart, answer.send)


async def _swallow(receive: ASGIReceiveCallable) -> None:
    """Read what nobody will, until the end: Hypercorn waits until it may tell of that."""
    with trio.move_on_after(limits.LINGER):
        while (await receive())["type"] != "http.disconnect":
            pass


async def _own_up(client: Client) -> None:
    """Tell ``client`` of a bug, though its request may be cancelled for that."""
    with trio.move_on_after(limits.LAST_WORDS, shield=True):
        await show_bug(client, Manner.of(client.scope))


async def _attend(
    client: Client, receive: ASGIReceiveCallable, relay: Relay, spawn: Callable[..., None]
) -> None:
    async with Beside(spawn, client.ended_by, client.scope) as request:
        await client.attend(receive, request)
        await relay(client.scope, client)


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
        began, status, size = access_log.begin(), 0, 0

        async def send_and_note(message: ASGISendEvent) -> None:
            nonlocal status, size
            status = status or _status_of(message)
            if message["type"] == "websocket.http.response.body":
                size += len(message["body"])
            await send(message)

        try:
            if self.app.websockets is not None and self.app.websockets.claims(self.scope):
                await self.app.websockets.serve(self.scope, receive, send_and_note)
            else:
                await self._serve_by_quart(receive, send_and_note)
        finally:
            access_log.end(
                self.scope,
                began=began,
                status=status,
                size=size,
                complete=status > 0,
                say=self.app.say,
            )

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


def _status_of(message: ASGISendEvent) -> int:
    """Return the status with which ``message`` answers a handshake; 0 if it does not."""
    match message["type"]:
        case "websocket.accept":
            return 101
        case "websocket.http.response.start":
            return message["status"]
        case "websocket.close":
            return 403
        case _:
            return 0


class Web(QuartTrio):
    """A Quart app whose answers may take their time, with relayed requests beside its routes."""

    asgi_http_class = Connection
    asgi_websocket_class = WebsocketConnection

    def __init__(
        self,
        import_name: str,
        *,
        route_of: RouteOf,
        mark: Mark = unmarked,
        max_body_bytes: Callable[[], int] = lambda: 0,
        max_view_bytes: int | None = None,
        websockets: Websockets | None = None,
        say: access_log.Say = access_log.say,
    ) -> None:
        """Leave to Quart what ``route_of`` and ``websockets`` do not claim.

        Args:
          import_name: For Quart.
          route_of: Says who relays a request.
          mark: Makes the headers of each answer what they shall be.
          max_body_bytes: Says how large the body of a relayed request may be; 0 is no limit.
          max_view_bytes: How large that of any other request may be; None is no limit.  Quart
            holds it in memory, even for a view that wants none.
          websockets: Serves websockets.
          say: Is called with each request that is over.
        """
        super().__init__(import_name, static_folder=None)
        self.route_of = route_of
        self.mark = mark
        self.max_body_bytes = max_body_bytes
        self.websockets = websockets
        self.say = say
        self.config["RESPONSE_TIMEOUT"] = None  # Quart would cut every answer at 60 s, silently
        self.config["BODY_TIMEOUT"] = None  # slow uplinks send large images too
        self.config["MAX_CONTENT_LENGTH"] = max_view_bytes

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Serve one request or websocket, or the app's own lifespan."""
        if scope["type"] != "lifespan":
            use_origin_form(scope)
        if scope["type"] == "http":
            await self.asgi_http_class(self, scope)(receive, send)  # as Quart does, two steps on
        else:
            await super().__call__(scope, receive, send)
