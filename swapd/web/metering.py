"""Takes note of each request to a model, and tells of it when it is over.

Rule 1: each is told of once, however it ends: answered, refused, broken off, or left by its client.
Rule 2: the answer passes first, and is looked at then.  Nothing here can hold it up or change it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial

import trio
from hypercorn.typing import HTTPScope

from swapd.config.peers import PeerModel
from swapd.config.selectors import Target
from swapd.errors import RequestError, UpstreamFailed, first_line
from swapd.ids import Header
from swapd.policy.naming import full_name
from swapd.telemetry.finished import Collector, Finished
from swapd.telemetry.inflight import InFlight
from swapd.telemetry.usage.reading import Decode, Reading, UnknownEncoding
from swapd.telemetry.usage.usage import UNKNOWN, Usage
from swapd.upstream.bodies.codings import AnswerDecoding, codings_of
from swapd.upstream.exchange import Downstream, ProxiedRequest
from swapd.web.auth import Keys
from swapd.web.errors import BUG, problem_of
from swapd.web.redaction import is_secret
from swapd.web.request_log import departure, forget_departure
from swapd.web.routes import is_metered
from swapd.web.services import Services

_log = logging.getLogger("swapd.usage")

#: What is kept of a session's name, and of an error's words.
_SESSION_CHARS = 128
_ERROR_CHARS = 500


class Meter:
    """What is known of one request so far."""

    def __init__(self, services: Services, scope: HTTPScope, *, route: str) -> None:
        """Know of a request by ``route`` that has come just now."""
        self._services = services
        self._scope = scope
        self._path = scope["path"]
        self._route = route
        self._is_metered = is_metered(scope["method"], self._path)
        self._came_at = trio.current_time()
        self._waits_since: float | None = None
        self._started_before = 0.0
        self._admitted = False
        self._queued = 0.0
        self._loaded = 0.0
        self._first_byte: float | None = None
        self._in_flight: InFlight | None = None
        self._target: Target | None = None
        self._selector: str | None = None
        self._collector: Collector | None = None
        self._reading: Reading | None = None
        self._content_type = ""
        self._status = 0
        self._error: str | None = None

    def asks_below(self, path: str) -> None:
        """Note that the request is for ``path`` of a model's own server."""
        self._path = path
        self._is_metered = is_metered(self._scope["method"], path)

    def track(self, request: InFlight, target: Target, selector: str | None = None) -> None:
        """Note for whom the request is, and as what it is under way."""
        self._in_flight = request
        self._target = target
        self._selector = selector

    def tap(self, request: ProxiedRequest, downstream: Downstream) -> Downstream:
        """Return where to send the answer to ``request``, which waits for its model from now on."""
        collecting = self._services.collecting
        if collecting is not None and self._is_metered:
            self._collector = collecting.collector(self._path, request)
        self._waits_since = trio.current_time()
        self._started_before = self._starting()
        return Tap(self, downstream)

    def admitted(self) -> None:
        """Note that the wait for the model is over; once more if there was another."""
        self._note_wait()
        self._admitted = True
        if self._in_flight is not None:
            self._in_flight.admitted()

    def waits_again(self) -> None:
        """Note that the request waits for another process of its model."""
        if self._in_flight is not None:
            self._in_flight.waits_again()

    def begin(self, status: int, headers: Sequence[Header]) -> None:
        """Note the head of the answer."""
        self._status = status
        if self._in_flight is not None:
            self._in_flight.answered(status, headers)
        if self._collector is not None:
            self._collector.begin(status, headers)
        is_encoded = False
        for name, value in headers:
            if name == b"content-type":
                self._content_type = value.decode("latin-1")
            elif name == b"content-encoding":
                is_encoded = True
        if self._is_metered or not 200 <= status < 300:
            decode = _decode_of(headers) if is_encoded else None
            self._reading = Reading(status, self._content_type, decode)

    def body_begins(self) -> None:
        """Note that the first byte of the body is here; its client may let us wait."""
        self._first_byte = trio.current_time() - self._came_at

    def write(self, data: bytes) -> None:
        """Note a piece of the answer's body, which was passed on."""
        if self._in_flight is not None:
            self._in_flight.bytes_sent += len(data)
        if self._reading is not None:
            self._reading.feed(data)
        if self._collector is not None:
            self._collector.write(data)

    def fail(self, status: int, why: str) -> None:
        """Note that the request has come to ``status``, and why."""
        self._status = status
        self._error = _line(why)

    def leave(self) -> None:
        """Note that the client has left: before the end, unless a stream had said all."""
        if self._reading is not None and self._reading.is_over():
            forget_departure(self._scope)
        else:
            self.fail(*departure(self._scope))

    def finish(self) -> None:
        """Tell of the request, which is over."""
        if not self._status:
            return  # it was led to another path: it was none to a model
        if not self._admitted:
            self._note_wait()
        target, headers = self._target, list(self._scope["headers"])
        reading = self._reading
        usage, error = self._read()
        self._services.finished(
            Finished(
                id=self._in_flight.id if self._in_flight is not None else 0,
                model=full_name(target) if target is not None else "",
                method=self._scope["method"],
                path=self._path,
                route=self._route,
                is_metered=self._is_metered,
                status=self._status,
                content_type=self._content_type,
                time=time.time(),  # noqa: TID251  shown
                duration=trio.current_time() - self._came_at,
                queued=self._queued,
                loaded=self._loaded,
                first_byte=self._first_byte,
                usage=usage,
                error=error,
                key=self._services.keys.name_of(headers),
                session=self._session(headers),
                selector=self._selector,
                priority=self._priority(),
                collected=self._collector,
                is_garbled=self._error is None and reading is not None and reading.is_garbled,
            )
        )

    def _read(self) -> tuple[Usage, str | None]:
        """Return what the server said of tokens, and what went wrong."""
        if self._reading is None:
            return UNKNOWN, self._error
        self._reading.finish()
        if (why := self._reading.unread) is not None:
            model = full_name(self._target) if self._target is not None else "no model"
            _log.info("%s: an answer to %s is not read for its tokens: %s", model, self._route, why)
        said = self._reading.error()
        return self._reading.usage(), self._error or (said and _line(said))

    def _session(self, headers: Sequence[Header]) -> str | None:
        return session_of(headers, self._services.config.session_headers, self._services.keys)

    def _priority(self) -> int | None:
        if self._target is None or isinstance(self._target, PeerModel):
            return None
        return self._services.config.routing.priority.get(self._target, 0)

    def _note_wait(self) -> None:
        """Part the wait until now in two: the model's start, and waiting for others."""
        if self._waits_since is not None:
            self._loaded = self._starting() - self._started_before
            self._queued = max(0.0, trio.current_time() - self._waits_since - self._loaded)

    def _starting(self) -> float:
        if self._target is None or isinstance(self._target, PeerModel):
            return 0.0
        return self._services.starts.total(self._target)


class Tap:
    """Passes an answer on, and shows it to a meter (rule 2)."""

    def __init__(self, meter: Meter, downstream: Downstream) -> None:
        self._meter = meter
        self._downstream = downstream
        self._has_begun = False

    async def begin(self, status: int, headers: Sequence[Header], *, more: bool = False) -> None:
        """Pass on the head."""
        await self._downstream.begin(status, headers, more=more)
        self._meter.begin(status, headers)

    async def write(self, data: bytes) -> None:
        """Pass on a piece of the body."""
        if not self._has_begun:
            self._has_begun = True
            self._meter.body_begins()
        await self._downstream.write(data)
        self._meter.write(data)

    async def finish(self, last: bytes = b"") -> None:
        """Pass on the end, and the ``last`` piece with it."""
        if last and not self._has_begun:
            self._meter.body_begins()
        try:
            await self._downstream.finish(last)
        except UpstreamFailed:  # it is the end that is faulty; the piece before was passed on
            self._meter.write(last)
            raise
        if last:
            self._meter.write(last)

    async def abort(self) -> None:
        """Cut the answer."""
        await self._downstream.abort()


class metered:  # noqa: N801  reads as what it does
    """Tell of the request that the block serves when it is over, however it ends (rule 1)."""

    __slots__ = ("_meter",)

    def __init__(self, services: Services, scope: HTTPScope, *, route: str) -> None:
        """Meter a request.

        Args:
          services: Whom to tell.
          scope: The request.
          route: As ``Finished.route``.
        """
        self._meter = Meter(services, scope, route=route)

    def __enter__(self) -> Meter:
        return self._meter

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, RequestError):
            problem = problem_of(error)
            self._meter.fail(problem.kind.status, problem.message)
        elif isinstance(error, Exception):
            self._meter.fail(BUG.kind.status, BUG.message)
        elif error is not None:  # a cancellation
            self._meter.leave()
        self._meter.finish()


def session_of(headers: Sequence[Header], names: Sequence[str], keys: Keys) -> str | None:
    """Return the session that a request names by the first of ``names`` that is there.

    What is a secret names none: sessions are stored, and shown.
    """
    if not names:
        return None
    wanted = _fields_of(tuple(names))
    fields = {name: value for name, value in headers if name in wanted}
    if not fields:
        return None
    for name in wanted:
        value = fields.get(name)
        if value and not is_secret((name, value), keys):
            shown = "".join(filter(str.isprintable, value.decode("utf-8", "replace").strip()))
            if shown:
                return shown[:_SESSION_CHARS]
    return None


@lru_cache(maxsize=4)
def _fields_of(names: tuple[str, ...]) -> dict[bytes, None]:
    """Return ``names`` as they are on the wire, in order, to be found fast."""
    return {name.lower().encode(): None for name in names}


def _decode_of(headers: Sequence[Header]) -> Decode | None:
    """Return how to undo the encoding of an answer; None if it has none."""
    codings = codings_of(headers)
    if not codings:
        return None
    try:
        return AnswerDecoding(codings).feed
    except UpstreamFailed as error:
        return partial(_cannot_decode, str(error))


def _cannot_decode(why: str, data: bytes) -> Iterable[bytes]:
    raise UnknownEncoding(why)


def _line(text: str) -> str:
    """Return the first line of ``text``, without what could control a terminal, and not too long.

    A server chooses the words of its errors, and a client those of some of ours.
    """
    line = first_line(text)
    shown = "".join(char if char.isprintable() else " " for char in line[: _ERROR_CHARS + 1])
    return shown if len(shown) <= _ERROR_CHARS else shown[:_ERROR_CHARS] + "..."
