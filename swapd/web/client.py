"""The other side of a request to a model, as the relay sees it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio
from hypercorn.typing import ASGIReceiveCallable, HTTPScope

from swapd.cuttable import Lasting
from swapd.errors import RequestError
from swapd.ids import Header
from swapd.upstream.bodies.body import Body
from swapd.upstream.bodies.spool import Spool
from swapd.web import limits
from swapd.web.answer import Answer, length_of
from swapd.web.beside import Beside
from swapd.web.request_log import blame, settle_departure

#: Hypercorn frames an answer itself; what the upstream's hop used is not repeated.
_FRAMING = frozenset({b"transfer-encoding", b"connection", b"keep-alive"})

#: An answer with one of these takes nothing more than it has.
_FIXING = frozenset({b"content-length", b"content-encoding"})


class Client:
    """The other side of one request to a model: gives the body, takes the answer.

    Its handler is cancelled as soon as the client leaves, at whatever stage.
    """

    #: Starts a task that runs beside the handler, until the request is over.
    beside: Callable[[Callable[[], Awaitable[None]]], None]

    _request: trio.CancelScope

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
        self._has_left = False
        self._spool = Spool(max_body_bytes)
        try:
            self._spool.expect(length_of(headers) or 0)
        except RequestError as refusal:
            self._refuse(refusal)
        #: Whether an error can be one more event of the answer that began.
        self.takes_events = False
        #: Whether the answer has no end, so that every client leaves before it.
        self.is_endless = False
        #: What was written last of an answer that takes events.
        self.last_piece = b""

    @property
    def scope(self) -> HTTPScope:
        """The request's."""
        return self._answer.scope

    @property
    def ended_by(self) -> trio.CancelScope | None:
        """What ends whoever serves it, if that is there; else they have to make it."""
        exchange = self._answer.exchange
        return None if exchange is None else exchange.ended_by

    @property
    def blocks(self) -> Lasting | None:
        """Whose scope the block takes in which it is served, if that is there."""
        exchange = self._answer.exchange
        return None if exchange is None else exchange.blocks

    @property
    def is_unheard(self) -> bool:
        """Tell whether nobody hears what it still sends, though its answer is not complete."""
        return self._answer.exchange is None and not (self._answer.complete or self._has_left)

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
        if not self._received.is_set():
            await self._received.wait()
        body, self._body = self._body, None
        if isinstance(body, RequestError):
            raise body
        assert body is not None
        return body

    def close(self) -> None:
        """Let go of the body."""
        self._spool.discard()

    async def begin(self, status: int, headers: Sequence[Header], *, more: bool = False) -> None:
        """Send the head of the answer; a ``content-length`` in it must come true.

        If there is ``more`` to be written at once, it may go out with that.
        """
        sent = [(key, value) for name, value in headers if (key := name.lower()) not in _FRAMING]
        self.takes_events = _takes_events(sent)
        await self._answer.begin(status, sent, more=more)

    async def write(self, data: bytes) -> None:
        """Send a piece of the answer; waits for as long as the client does not read."""
        if self.takes_events:
            self.last_piece = data
        await self._answer.write(data, more=True)

    async def finish(self, last: bytes = b"") -> None:
        """End the answer as a whole one, with its ``last`` piece."""
        await self._answer.write(last, more=False)

    async def abort(self) -> None:
        """End the answer so that no client takes it for a whole one; its handler returns then."""
        self._answer.break_off()
        await trio.lowlevel.checkpoint()

    def hang_up_soon(self) -> None:
        """Cut the connection if the request is not over in a moment.  Never blocks.

        A client that does not read would keep what is sent to it for as long as it likes.
        """
        self.beside(self._hang_up)

    async def _hang_up(self) -> None:
        await trio.sleep(limits.LAST_WORDS)
        self._answer.reset()

    async def attend(self, receive: ASGIReceiveCallable, request: Beside | trio.Nursery) -> None:
        """Take what the client sends; cancel ``request`` when it leaves before the end.

        On the fast transport this needs no task: whoever reads the connection calls us.
        """
        self.beside = request.start_soon
        self._request = request.cancel_scope
        if self._answer.exchange is not None:
            await self._answer.exchange.listen(self)
        else:
            request.start_soon(partial(self._watch, receive))

    async def _watch(self, receive: ASGIReceiveCallable) -> None:
        while True:
            message = await receive()
            if message["type"] == "http.request":
                await self.take(message["body"], more=message.get("more_body", False))
            elif message["type"] == "http.disconnect":
                break
        self.left()

    def left(self) -> None:
        """Note that the client has left, which matters before the end of the answer."""
        self._has_left = True
        if not self._answer.complete:
            if not (self.is_endless and self.began):
                note_departure(self._answer)
            self._request.cancel(reason="client left")

    async def take(self, piece: bytes, *, more: bool) -> None:
        """Take the next piece of the request's body, of which there is ``more`` or not."""
        if self._received.is_set():
            return  # what still comes of a body that was refused
        try:
            if more:
                await self._spool.take(piece)
                return
            self._body = await self._spool.finish(piece)
        except RequestError as refusal:
            self._refuse(refusal)
        self._received.set()

    def _refuse(self, refusal: RequestError) -> None:
        self._body = refusal
        self._spool.discard()
        self._received.set()


def note_departure(answer: Answer) -> None:
    """Keep for the log that the client has left, or was sent away, before it had its answer."""
    fault = answer.exchange and answer.exchange.fault
    if fault:  # otherwise it is noted already
        blame(answer.scope, fault.kind.status, fault.message)
    settle_departure(answer.scope)


def _takes_events(headers: Sequence[Header]) -> bool:
    """Tell whether plain text can be added: the length is open, and nothing is encoded."""
    is_stream = False
    for name, value in headers:
        if name in _FIXING:
            return False
        if name == b"content-type":
            is_stream = value.lower().startswith(b"text/event-stream")
    return is_stream
