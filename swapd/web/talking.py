"""One event stream in which swapd may speak, too: before the model does, and between its events.

Rule 1: whoever comes first has the stream for one whole write.  The other one waits for it, and
    nothing is ever cut in the middle.
Rule 2: what is said never holds up an answer: no typing, no pauses, nothing said any more once it
    begins, but for comments where it is silent.
Rule 3: comments stand between two events only, and never in an answer that is encoded.
Rule 4: once swapd has begun the stream, nothing but events goes into it.  The head of the model's
    answer is dropped then; an answer that is no event stream becomes an error event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import NamedTuple

import trio

from swapd.upstream.bodies.codings import AnswerDecoding
from swapd.upstream.exchange import Downstream
from swapd.web.answers import tell
from swapd.web.connection import Client
from swapd.web.errors import Header
from swapd.web.manner import Manner
from swapd.web.refusal import Refusal, decoding_of
from swapd.web.remarks import KEEP_ALIVE, Remarks
from swapd.web.wait_report import Outlook, Report

#: Seconds for which a wait is none: what fails that soon is told by its status.
AT_ONCE = 0.1

#: Seconds between two looks at how the wait goes on.
LOOK_EVERY = 1.0

_HEAD = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Way(NamedTuple):
    """Where an answer goes, and whom to tell that the wait for its model is over."""

    downstream: Downstream
    admitted: Callable[[], None]


class Account(NamedTuple):
    """What is told of the wait for a model: by whom, in which form, and from which source."""

    report: Report
    remarks: Remarks
    outlook: Callable[[], Outlook]


class TalkingStream:
    """A client of an event stream; to be entered for as long as its request is served."""

    def __init__(
        self,
        client: Client,
        manner: Manner,
        *,
        model: str,
        admitted: Callable[[], None],
        keep_alive: float,
        account: Account | None,
    ) -> None:
        """Say nothing yet.

        Args:
          client: Who gets the stream.
          manner: How it is told of errors.
          model: Whose answer it is, for people.
          admitted: Called when the wait for the model is over.
          keep_alive: Seconds of silence before a comment; 0 is no comments.
          account: What is told of the wait; None if nothing is.
        """
        self._client = client
        self._manner = manner
        self._model = model
        self._pass_on_admitted = admitted
        self._keep_alive = keep_alive
        self._account = account
        self._came_at = self._heard_at = trio.current_time()
        self._scope = trio.CancelScope()
        self._admitted = trio.Event()
        self._told = trio.Event()  # set when nothing will be told of the wait any more
        self._saying: trio.Event | None = None
        self._taken = False  # by the answer, or by nobody any more (rule 1)
        self._decoding: AnswerDecoding | None = None
        self._refusal: Refusal | None = None

    async def __aenter__(self) -> Way:
        """Begin to wait; say where the answer goes."""
        self._client.beside(self._talk)
        return Way(self, self._admit)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Fall silent, so that an error can be told; at once if the client has left."""
        if kind is None or issubclass(kind, Exception):
            await self._take()
        self._scope.cancel(reason="the request is over")

    # -- what swapd says ---------------------------------------------------------------

    def _admit(self) -> None:
        self._admitted.set()
        self._pass_on_admitted()

    async def _talk(self) -> None:
        with self._scope:
            if self._account is not None:
                await self._tell_of_wait(self._account)
            self._told.set()
            if self._keep_alive:
                await self._break_silences()

    async def _tell_of_wait(self, account: Account) -> None:
        await self._wait_on(AT_ONCE)
        while not self._admitted.is_set():
            if news := self._news(account):
                await self._say(news)
            await self._wait_on(LOOK_EVERY)
        if account.report.began:
            await self._say(account.remarks.closing(account.report.closing(self._waited())))

    async def _wait_on(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._admitted.wait()

    def _news(self, account: Account) -> bytes:
        report, remarks, look = account
        if not (outlook := look()).is_wait:
            return b""
        first = b"" if report.began else remarks.opening(report.opening())
        line = report.news(outlook, self._waited())
        return first + (remarks.line(line) if line else b"")

    def _waited(self) -> float:
        return trio.current_time() - self._came_at

    async def _break_silences(self) -> None:
        due = self._heard_at + self._keep_alive
        while True:
            await trio.sleep_until(due)
            now = trio.current_time()
            if self._heard_at + self._keep_alive <= now:
                if self._is_between_events():
                    await self._say(KEEP_ALIVE)
                due = trio.current_time() + self._keep_alive
            else:
                due = self._heard_at + self._keep_alive

    def _is_between_events(self) -> bool:
        client = self._client
        if not client.began:
            return True
        return client.takes_events and (not client.last_piece or client.last_piece.endswith(_ENDS))

    async def _say(self, words: bytes) -> None:
        if self._taken:
            return
        self._saying = trio.Event()
        try:
            if not self._client.began:
                await self._client.begin(200, _HEAD)
            last = self._client.last_piece
            await self._client.write(words)
            self._client.last_piece = last  # the model's, by which an error event goes on counting
        finally:
            self._saying.set()
            self._saying = None
        self._heard_at = trio.current_time()

    # -- what the model answers (upstream.exchange.Downstream) -------------------------

    async def begin(self, status: int, headers: Sequence[Header]) -> None:
        """Pass on the head, or see to it that the body fits the head that is out (rule 4).

        Raises:
          UpstreamFailed: The body fits no event stream.
        """
        if self._account is not None:
            await self._told.wait()
        await self._take()
        if not self._client.began:
            await self._client.begin(status, headers)
        elif 200 <= status < 300:
            self._decoding = decoding_of(headers)
        else:
            self._refusal = Refusal(self._model, status, headers)
            return  # the stream stays taken: nothing is kept alive any more
        self._release()

    async def write(self, data: bytes) -> None:
        """Pass on a piece, or keep it if it is of an error."""
        if self._refusal is not None:
            self._refusal.take(data)
            return
        await self._take()
        if self._decoding is None:
            await self._client.write(data)
        else:
            for piece in self._decoding.feed(data):
                await self._client.write(piece)
        self._release()

    async def finish(self) -> None:
        """End the answer: as a whole one, or with the error that it was."""
        await self._take()
        if self._refusal is not None:
            await tell(self._refusal.problem(), self._client, self._manner)
            return
        if self._decoding is not None:
            self._decoding.finish()
        await self._client.finish()

    async def abort(self) -> None:
        """Cut the answer."""
        await self._take()
        await self._client.abort()

    async def _take(self) -> None:
        """Have the stream for the answer alone."""
        while self._saying is not None:
            await self._saying.wait()
        self._taken = True

    def _release(self) -> None:
        self._taken = False
        self._heard_at = trio.current_time()
