"""A client's websocket, as the server hands it over: opened, refused, served to its end."""

from __future__ import annotations

from collections.abc import Sequence

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable

from swapd.ids import Header
from swapd.upstream.websocket import Farewell
from swapd.web import limits

#: What is said of a client that left without a word, and of a side that gave no code.
VANISHED, NO_CODE = 1006, 1005


class ClientWebsocket:
    """The other side of one websocket to a model."""

    max_message_bytes = limits.WEBSOCKET_MESSAGE_BYTES

    def __init__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._receive = receive
        self._send = send
        self._before_answer = trio.CancelScope()
        self._has_left = False
        #: Whether the client has left before its handshake was answered.
        self.left_early = False
        #: Whether the handshake is answered: with a websocket, or with something else.
        self.answered = False
        #: The status that the handshake was answered with; 0 before that.
        self.status = 0
        #: Whether it is open, so that only a close can be said any more.
        self.opened = False

    async def watch(self, request: trio.CancelScope) -> None:
        """Cancel ``request`` if the client leaves before its handshake is answered."""
        with self._before_answer:
            while (await self._receive())["type"] != "websocket.disconnect":
                pass  # nothing comes of a client that waits but its wish itself
            self._has_left = self.left_early = True
            request.cancel(reason="client left")

    async def accept(self, subprotocol: str | None, headers: Sequence[Header]) -> None:
        """Open the websocket; what the client says is for ``receive`` from now on."""
        self._answer(101)
        self.opened = True
        await self._send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": [*headers]}
        )

    async def refuse(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Answer the handshake with something else than a websocket."""
        self._answer(status)
        # An answer that never has a body has no length either.
        length = [] if status == 204 else [(b"content-length", b"%d" % len(body))]
        sent = [(name.lower(), value) for name, value in headers]
        await self._send(
            {
                "type": "websocket.http.response.start",
                "status": status,
                "headers": [*sent, *length],
            }
        )
        await self._send({"type": "websocket.http.response.body", "body": body, "more_body": False})

    async def receive(self) -> str | bytes | Farewell:
        """Wait for the client's next message, or for its leave."""
        event = await self._receive()
        if event["type"] == "websocket.receive":
            data, text = event.get("bytes"), event.get("text")
            return data if data is not None else text or ""
        self._has_left = True
        code, reason = event.get("code", VANISHED), event.get("reason")
        return Farewell(code if isinstance(code, int) else VANISHED, str(reason or ""))

    async def send(self, message: str | bytes) -> None:
        """Send a message; waits for as long as the client does not read."""
        if isinstance(message, str):
            await self._send({"type": "websocket.send", "bytes": None, "text": message})
        else:
            await self._send({"type": "websocket.send", "bytes": message, "text": None})
        await trio.lowlevel.checkpoint()  # where the client has left, that took no time at all

    async def close(self, farewell: Farewell) -> None:
        """Take leave, and wait a moment for the client to do so too.

        To close on what it may still be sending would cost it our last words.
        """
        if self._has_left:
            return
        reason = farewell.reason if farewell.code != NO_CODE else None
        await self._send({"type": "websocket.close", "code": farewell.code, "reason": reason})
        with trio.move_on_after(limits.FAREWELL):
            while not isinstance(await self.receive(), Farewell):
                pass

    def _answer(self, status: int) -> None:
        self.answered, self.status = True, status
        self._before_answer.cancel(reason="answered")
