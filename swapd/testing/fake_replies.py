"""Which request gets which answer from the stand-in, and how that answer is spoilt."""

from __future__ import annotations

import itertools
import json
import socket
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from time import monotonic
from typing import NamedTuple

from swapd.testing import fake_answers, fake_websocket
from swapd.testing.fake_answers import SHAPES, Json, Shape, Speech
from swapd.testing.fake_http import ClientLeftError, Connection, Request

EVENT_STREAM = "text/event-stream"
#: How many lines /log remembers.
KEPT_LINES = 10_000


class Knobs(NamedTuple):
    """How one answer is spoilt: the key ``"fake"`` of its request.  All durations are in seconds.

    ``chunks`` is how many words are said, the sentence over and over; ``interval`` passes between
    two of them.  ``hang`` never answers, ``silent`` answers with a head and then nothing.  ``cut``
    breaks the connection off after so many chunks, ``die`` ends the whole process.  ``echo``
    answers with the request instead.
    """

    delay: float = 0.0
    chunks: int | None = None
    interval: float = 0.0
    status: int = 200
    hang: bool = False
    silent: bool = False
    echo: bool = False
    cut_after_chunks: int | None = None
    die_after_chunks: int | None = None
    headers: Mapping[str, str] = {}

    @classmethod
    def parse(cls, value: object, base: Knobs | None = None) -> Knobs:
        """Return ``base`` with what ``value`` changes.

        Raises:
          ValueError: It holds a knob that does not exist; a test would believe in it.
        """
        start = base or cls()
        if not isinstance(value, dict):
            return start
        if unknown := value.keys() - set(cls._fields):
            raise ValueError(f"no such knobs: {', '.join(sorted(unknown))}")
        return start._replace(**value)


class Journal:
    """What happened, for people on stdout and for tests at /log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._counts: Counter[str] = Counter(
            dict.fromkeys(("requests", "probes", "cancelled", "sigterms", "in_flight", "most"), 0)
        )

    @contextmanager
    def request(self, line: str) -> Iterator[None]:
        """Note a request, and its client's leaving if that is how it ends."""
        self._note(line, requests=1, in_flight=1)
        try:
            yield
        except ClientLeftError:
            self._note("cancelled: client left", cancelled=1)
            raise
        finally:
            self._count(in_flight=-1)

    def note_sigterm(self) -> None:
        """Note that somebody asked the process to end."""
        self._note("SIGTERM", sigterms=1)

    def note_probe(self) -> None:
        """Count a health check; a line for each would bury the rest."""
        self._count(probes=1)

    def as_json(self) -> Json:
        """Return the lines and the counts."""
        with self._lock:
            return {"lines": list(self._lines), **self._counts}

    def _note(self, line: str, **counts: int) -> None:
        self._count(**counts)
        with self._lock:
            self._lines.append(line)
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counts.update(counts)
            self._counts["most"] = max(self._counts["most"], self._counts["in_flight"])


class StandIn:
    """The model server's HTTP side."""

    def __init__(
        self,
        *,
        model: str,
        sentence: str,
        knobs: Knobs,
        health_path: str,
        ready_at: float,
        pids: Mapping[str, int | None],
        journal: Journal,
        die: Callable[[], None],
    ) -> None:
        self._model = model
        first, *rest = sentence.split()
        self._words = [first, *(f" {word}" for word in rest)]
        self._knobs = knobs
        self._health_path = health_path
        self._ready_at = ready_at
        self._pids = pids
        self._journal = journal
        self._die = die

    def serve(self, client: socket.socket) -> None:
        """Answer one client's requests until it leaves."""
        # What is left of a connection after a cut is closed already, which is no harm.
        with closing(client), suppress(ClientLeftError, OSError):
            connection = Connection(client)
            while True:
                request = connection.read_request()
                self._answer(connection, request)
                if request.header("connection").lower() == "close":
                    return

    def _answer(self, connection: Connection, request: Request) -> None:
        if request.path == self._health_path:
            self._journal.note_probe()
            self._answer_health(connection)
        elif request.path == "/log":
            connection.answer(200, self._journal.as_json())
        else:
            with self._journal.request(f"{request.method} {request.target}"):
                if fake_websocket.is_wanted(request):
                    fake_websocket.serve(connection, request, self._die)
                elif request.method == "POST":
                    self._answer_post(connection, request)
                else:
                    self._answer_get(connection, request)

    def _answer_health(self, connection: Connection) -> None:
        if monotonic() < self._ready_at:
            connection.answer(503, fake_answers.error(503, "Loading model"))
        else:
            connection.answer(200, {"status": "ok"})

    def _answer_get(self, connection: Connection, request: Request) -> None:
        match request.path:
            case "/v1/models":
                entry = {"id": self._model, "object": "model", "created": 0, "owned_by": "fake"}
                connection.answer(200, {"object": "list", "data": [entry]})
            case "/props":
                connection.answer(200, {"model": self._model, **self._pids, **echo(request)})
            case _:
                connection.answer(404, fake_answers.error(404, f"no {request.path} here"))

    def _answer_post(self, connection: Connection, request: Request) -> None:
        if monotonic() < self._ready_at:
            connection.answer(503, fake_answers.error(503, "Loading model"))
            return
        try:
            body = parse_object(request.body)
            knobs = Knobs.parse(body.get("fake"), self._knobs)
        except ValueError as error:
            connection.answer(400, fake_answers.error(400, str(error)))
            return
        connection.wait(None if knobs.hang else knobs.delay)
        shape = SHAPES.get(request.path)
        if knobs.status != 200:
            problem = fake_answers.error(knobs.status, f"asked to answer {knobs.status}")
            connection.answer(knobs.status, problem, knobs.headers)
        elif shape is None or knobs.echo:
            connection.answer(200, self._answer_other(request, body, knobs), knobs.headers)
        elif body.get("stream"):
            self._stream(connection, shape, self._speech(body, knobs), knobs)
        else:
            self._tell(connection, shape, self._speech(body, knobs), knobs)

    def _answer_other(self, request: Request, body: Json, knobs: Knobs) -> Json:
        match request.path:
            case _ if knobs.echo:
                return echo(request)
            case "/v1/embeddings":
                return fake_answers.embeddings(self._model, body)
            case "/v1/rerank" | "/rerank" | "/v1/reranking" | "/reranking":
                return fake_answers.rerank(self._model, body)
            case "/v1/messages/count_tokens":
                return {"input_tokens": fake_answers.prompt_words(body)}
            case _:
                return echo(request)

    def _speech(self, body: Json, knobs: Knobs) -> Speech:
        count = len(self._words) if knobs.chunks is None else knobs.chunks
        words = list(itertools.islice(itertools.cycle(self._words), count))
        return Speech(self._model, words, fake_answers.prompt_words(body))

    def _tell(self, connection: Connection, shape: Shape, speech: Speech, knobs: Knobs) -> None:
        """Answer at once, after the time that saying it takes."""
        connection.wait(knobs.interval * len(speech.words))
        if not self._breaks_off(connection, len(speech.words), knobs):
            connection.answer(200, shape.whole(speech), knobs.headers)

    def _stream(self, connection: Connection, shape: Shape, speech: Speech, knobs: Knobs) -> None:
        """Answer word by word."""
        connection.begin(200, EVENT_STREAM, knobs.headers)
        if knobs.silent:
            connection.wait(None)
        for frame in shape.opening(speech):
            connection.write(frame)
        for count, word in enumerate(speech.words):
            if self._breaks_off(connection, count, knobs):
                return
            connection.wait(knobs.interval if count else 0)
            connection.write(shape.chunk(speech, word))
        if not self._breaks_off(connection, len(speech.words), knobs):
            connection.write(b"".join(shape.closing(speech)))
            connection.finish()

    def _breaks_off(self, connection: Connection, said: int, knobs: Knobs) -> bool:
        """End abnormally if ``said`` chunks are as many as were asked for."""
        if knobs.die_after_chunks is not None and said >= knobs.die_after_chunks:
            self._die()
        if knobs.cut_after_chunks is not None and said >= knobs.cut_after_chunks:
            connection.cut()
            return True
        return False


def parse_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in ``body``; whatever is no JSON has no knobs either."""
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def echo(request: Request) -> Json:
    """Return the request, so that a test sees what arrived."""
    return {
        "method": request.method,
        "target": request.target,
        "headers": request.headers,
        "body": request.body.decode("utf-8", "backslashreplace"),
    }
