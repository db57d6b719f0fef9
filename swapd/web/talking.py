"""One event stream in which swapd may speak, too: before the model does, and between its events.

Rule 1: whoever comes first has the stream for one whole write.  The other one waits for it, and
    nothing is ever cut in the middle.
Rule 2: what is said never holds up an answer: no typing, no pauses, nothing said any more once it
    begins, but for comments where it is silent.
Rule 3: comments stand between two events only, and never in an answer that is encoded.
Rule 4: once swapd has begun the stream, nothing but events goes into it.  The head of the model's
    answer is dropped then; an answer that is no event stream becomes an error event.
Rule 5: a stream that never waits costs no task; who speaks gets one for that.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import trio

from swapd.ids import Header
from swapd.upstream.bodies.codings import AnswerDecoding
from swapd.upstream.exchange import Downstream
from swapd.web.answers import tell
from swapd.web.client import Client
from swapd.web.manner import Manner
from swapd.web.prompter import Prompter
from swapd.web.refusal import Refusal, decoding_of
from swapd.web.remarks import KEEP_ALIVE, Remarks
from swapd.web.wait_report import LOOK_EVERY, Report, Situation

#: Seconds for which a wait is none: what fails that soon is told by its status.
AT_ONCE = 0.1

_HEAD = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)

_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Waits(NamedTuple):
    """Whom to tell that the wait for a model is over, and that another begins."""

    admitted: Callable[[], None]
    again: Callable[[], None]


class Way(NamedTuple):
    """Where an answer goes, and whom to tell of the waits for its model."""

    downstream: Downstream
    waits: Waits


class Account(NamedTuple):
    """What is told of the wait for a model: by whom, in which form, and from which source."""

    report: Report
    remarks: Remarks
    situation: Callable[[], Situation]

    def anew(self) -> Account:
        """Return what is told of another wait for the same model."""
        return self._replace(report=self.report.anew())


class TalkingStream:
    """A client of an event stream, in which it may hear of swapd, too."""

    def __init__(
        self,
        client: Client,
        manner: Manner,
        prompter: Prompter,
        *,
        model: str,
        waits: Waits,
        keep_alive: float,
        account: Account | None,
    ) -> None:
        """Say nothing yet.

        Args:
          client: Who gets the stream.
          manner: How it is told of errors.
          prompter: Who says when it is time to speak.
          model: Whose answer it is, for people.
          waits: Who else is told of the waits for the model.
          keep_alive: Seconds of silence before a comment; 0 is no comments.
          account: What is told of the wait; None if nothing is.
        """
        self._client = client
        self._manner = manner
        self._prompter = prompter
        self._model = model
        self._waits = waits
        self._keep_alive = keep_alive or math.inf
        self._account = account
        self._next_account = account and account.anew()
        self._came_at = self._heard_at = trio.current_time()
        #: When to be prompted, on the clock.
        self.due = self._came_at + (self._keep_alive if account is None else AT_ONCE)
        self._agenda: list[Callable[[], bytes]] = []
        self._saying: trio.Event | None = None
        self._taken = False  # by the answer, or by nobody any more (rule 1)
        self._decoding: AnswerDecoding | None = None
        self._refusal: Refusal | None = None

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Way]:
        """Speak within the block; be silent behind it, so that its error can be told."""
        failure: Exception | None = None
        self._prompter.add(self)
        try:
            yield Way(self, Waits(self._admit, self._wait_again))
        except Exception as error:  # noqa: BLE001  raised below
            failure = error
        finally:
            self._prompter.discard(self)
        if failure is not None:
            await self._take()
            raise failure

    # -- what swapd says ---------------------------------------------------------------

    def prompt(self, now: float) -> None:
        """Say what there is to say at clock time ``now``, and when to be prompted again."""
        self.due = now + LOOK_EVERY
        if self._saying is not None or self._taken:
            return  # whoever reads that is slow, and misses nothing
        if self._account is not None:
            self._say(partial(self._news, self._account))
        elif self._heard_at + self._keep_alive > now:
            self.due = self._heard_at + self._keep_alive
        else:
            self.due = now + self._keep_alive
            if self._is_between_events():
                self._say(lambda: KEEP_ALIVE)

    def _wait_again(self) -> None:
        self._waits.again()
        self._account = self._next_account
        if self._account is not None:
            self.due = trio.current_time() + AT_ONCE

    def _admit(self) -> None:
        self._waits.admitted()
        account, self._account = self._account, None
        if account is not None and account.report.began:
            self._say(partial(self._last_line, account))

    def _news(self, account: Account) -> bytes:
        report, remarks, look = account
        if self._account is not account or not (situation := look()).is_wait:
            return b""  # the wait is over, or there is none that anybody knows of
        first = b"" if report.began else remarks.opening(report.opening())
        line = report.news(situation, self._waited())
        return first + (remarks.line(line) if line else b"")

    def _last_line(self, account: Account) -> bytes:
        return account.remarks.closing(account.report.closing(self._waited()))

    def _waited(self) -> float:
        return trio.current_time() - self._came_at

    def _is_between_events(self) -> bool:
        client = self._client
        if not client.began:
            return True
        return client.takes_events and (not client.last_piece or client.last_piece.endswith(_ENDS))

    def _say(self, words: Callable[[], bytes]) -> None:
        """Have said what ``words`` return by then, before anything else is (rule 1)."""
        self._agenda.append(words)
        if self._saying is None:
            self._saying = trio.Event()
            self._client.beside(partial(self._speak, self._saying))

    async def _speak(self, saying: trio.Event) -> None:
        try:
            while self._agenda:
                if words := self._agenda.pop(0)():
                    await self._write(words)
        finally:
            self._saying = None
            saying.set()

    async def _write(self, words: bytes) -> None:
        client = self._client
        if not client.began:
            await client.begin(200, _HEAD)
        last = client.last_piece
        await client.write(words)
        client.last_piece = last  # the model's, from which an error event counts on
        self._heard_at = trio.current_time()

    # -- what the model answers (upstream.exchange.Downstream) -------------------------

    async def begin(self, status: int, headers: Sequence[Header], *, more: bool = False) -> None:
        """Pass on the head, or see to it that the body fits the head that is out (rule 4).

        Raises:
          UpstreamFailed: The body fits no event stream.
        """
        await self._take()
        if not self._client.began:
            await self._client.begin(status, headers, more=more)
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

    async def finish(self, last: bytes = b"") -> None:
        """End the answer behind its ``last`` piece: as a whole one, or with the error it was."""
        if self._refusal is not None or self._decoding is not None:
            await self.write(last)
            last = b""
        await self._take()
        if self._refusal is not None:
            await tell(self._refusal.problem(), self._client, self._manner)
            return
        if self._decoding is not None:
            self._decoding.finish()
        await self._client.finish(last)

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
