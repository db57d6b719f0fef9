"""Which streams tell that they wait, and what of: over the whole web floor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
import trio
from hypercorn.typing import HTTPScope
from trio.testing import MockClock

from swapd.config.load import parse
from swapd.config.peers import PeerModel
from swapd.config.selectors import Target
from swapd.errors import ModelUnavailable, TooManyRequests
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from swapd.upstream.bodies.body import Body
from swapd.upstream.bodies.request import ModelRequest, read_request
from swapd.views import Waiting
from swapd.web.answer import Answer
from swapd.web.client import Client
from swapd.web.loading import Loading, Situations
from swapd.web.prompter import Prompter
from swapd.web.services import Services
from swapd.web.talking import TalkingStream, Waits
from swapd.web.wait_report import Situation
from tests.upstream.scripted import Connection, staying
from tests.web.floor import Floor, chat, floor
from tests.web.raw import receive_until, rest

M = ModelId("m")
WAITS = Waits(lambda: None, lambda: None)
STREAM = b'{"model": "alias", "stream": true}'
ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-own: 1\r\nconnection: close\r\n\r\n"
    b"data: a\n\n"
)
REFUSAL = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 28\r\n\r\n"
    b'{"error": {"message": "no"}}'
)
OFTEN: Mapping[str, object] = {"keepAlive": 0.05}
TELLING: Mapping[str, object] = {"sendLoadingState": True, "aliases": ["alias"]}

#: One peer with one model.
PEERS = {"p": {"proxy": "http://127.0.0.1:9", "models": ["far"]}}

FOUR = [
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages",
]  # fmt: skip
EVENT_STREAMS = [*FOUR, *(path.replace("/v1/", "/v/") for path in FOUR), "/completion", "/infill"]


async def ignore(message: object) -> None: ...


async def request_of(path: str, body: bytes = STREAM) -> tuple[HTTPScope, ModelRequest]:
    headers = [(b"content-type", b"application/json")]
    scope: dict[str, object] = {"type": "http", "method": "POST", "http_version": "1.1"}
    scope |= {"path": path, "raw_path": path.encode(), "headers": headers, "query_string": b""}
    asked = await read_request("POST", b"", headers, Body(body), max_bytes=0)
    return cast(HTTPScope, scope), asked


async def speaks(services: Services, path: str, body: bytes = STREAM, target: Target = M) -> bool:
    """Tell whether swapd may speak in the answer to a request."""
    scope, asked = await request_of(path, body)
    client = Client(Answer(scope, ignore), [], 0)
    way = Loading(services).way(scope, client, asked, target, WAITS)
    async with way as (downstream, _):
        assert downstream is client or isinstance(downstream, TalkingStream)
        return downstream is not client


@pytest.mark.parametrize("path", EVENT_STREAMS)
async def test_event_streams_are_kept_alive(path: str) -> None:
    async with floor() as web:
        assert await speaks(web.services, path)
        assert not await speaks(web.services, path, b'{"model": "m"}')
        assert not await speaks(web.services, path, b'{"model": "m", "stream": false}')


@pytest.mark.parametrize(
    "path",
    ["/v1/audio/speech", "/v1/audio/transcriptions", "/v1/images/generations", "/v1/embeddings",
     "/v1/messages/count_tokens", "/sdapi/v1/txt2img"],
)  # fmt: skip
async def test_where_a_stream_may_be_anything_it_is_left_alone(path: str) -> None:
    async with floor(model=TELLING) as web:
        assert not await speaks(web.services, path)


async def test_a_peers_streams_are_kept_alive_too_but_nothing_is_known_of_their_wait() -> None:
    far = PeerModel("p", "far")
    async with floor(peers=PEERS, sendLoadingState=True) as web:
        assert await speaks(web.services, "/v1/chat/completions", target=far)
    async with floor(peers=PEERS, sendLoadingState=True, server={"keepAlive": 0}) as web:
        assert not await speaks(web.services, "/v1/chat/completions", target=far)


async def test_without_an_interval_only_those_speak_who_tell_of_a_load() -> None:
    off = {"keepAlive": 0}
    async with floor(server=off) as web:
        assert not await speaks(web.services, "/v1/chat/completions")
    async with floor(server=off, model=TELLING) as web:
        assert await speaks(web.services, "/v1/chat/completions")
        assert await speaks(web.services, "/v1/responses")
        assert await speaks(web.services, "/v/messages")
        assert not await speaks(web.services, "/v1/completions")


# -- on the wire -------------------------------------------------------------------------


async def answering(connection: Connection) -> None:
    await connection.request()
    await connection.send(ANSWER)


async def heard(web: Floor, until: bytes, body: bytes = STREAM, path: str = "") -> bytes:
    """Ask while the model is held; let it go once ``until`` was heard; return all that came."""
    client = await web.served.connect()
    async with client:
        await client.send_all(chat(body, path=path))
        begun = await receive_until(client, until)
        web.models.held.set()
        return begun + await rest(client)


def texts(answer: bytes) -> str:
    """Return all reasoning of a chat."""
    frames = [line for line in answer.split(b"\n") if line.startswith(b"data: {")]
    deltas = [json.loads(frame[6:])["choices"][0]["delta"] for frame in frames]
    return "".join(delta.get("reasoning_content", "") for delta in deltas)


def waiting(model: ModelId, position: int, *waits_for: str) -> Waiting:
    others = tuple(map(ModelId, waits_for))
    return Waiting(model, Reason.REQUEST, 0.0, position, overdue=False, waits_for=others)


def publish(services: Services, model: ModelId, new: ModelState) -> None:
    change = Transition(model, ModelState.STOPPED, new, Reason.REQUEST, Generation(1))
    services.lifecycle.publish(change)


async def test_a_stream_that_waits_hears_comments_and_then_its_answer() -> None:
    async with floor(answering, server=OFTEN) as web:
        web.models.held = trio.Event()
        answer = await heard(web, b": keep-alive\n\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"x-accel-buffering: no" in head
    assert b"x-own" not in head
    assert b"data: a\n\n" in body
    assert b"swapd" not in body
    assert answer.endswith(b"0\r\n\r\n")


async def test_a_chat_is_told_of_the_load_and_of_its_place() -> None:
    async with floor(answering, model=TELLING) as web:
        web.models.held = trio.Event()
        publish(web.services, ModelId("b"), ModelState.READY)
        web.models.change(waiting(M, 2, "b"))
        answer = await heard(web, b"Queue position")
    assert texts(answer).startswith(
        "━━━━━\nswapd loading model: m\nQueue position: #2: waiting for b to finish\nDone! ("
    )
    assert b'"model":"alias"' in answer
    assert answer.index(b"Done!") < answer.index(b"data: a\n\n")
    assert answer.endswith(b"0\r\n\r\n")


async def test_progress_is_shown_while_the_model_starts_and_not_what_it_says_later() -> None:
    async with floor(model=TELLING) as web:
        web.services.logs.of(M).write(b"loaded 50%\n")
        web.models.change(waiting(M, 1))
        situations = Situations(web.services)
        publish(web.services, M, ModelState.STARTING)
        assert situations.of(M) == Situation(ModelState.STARTING, 1, progress="loaded 50%")
        publish(web.services, M, ModelState.READY)
        assert situations.of(M) == Situation(ModelState.READY, 1)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
async def test_elsewhere_it_is_told_in_comments(path: str) -> None:
    async with floor(answering, model=TELLING) as web:
        web.models.held = trio.Event()
        answer = await heard(web, b": swapd loading model: m\n\n", path=path)
    body = answer.partition(b"\r\n\r\n")[2]
    assert (b'event: ping\ndata: {"type": "ping"}\n\n' in body) == (path == "/v1/messages")
    assert b": Done! (" in body
    assert b"reasoning" not in body


async def test_a_refusal_at_once_has_its_status_and_no_word_of_a_load() -> None:
    async with floor(model=TELLING, server=OFTEN) as web:
        web.models.refusal = TooManyRequests("too many", retry_after=1)
        reply = await web.ask(chat(STREAM))
    assert (reply.status, reply.headers["content-type"]) == (429, "application/json")
    assert reply.error["message"] == "too many"


async def test_a_refusal_after_the_wait_is_an_event_without_a_clean_end() -> None:
    async with floor(model=TELLING) as web:
        web.models.held = trio.Event()
        web.models.refusal = ModelUnavailable("it died", retry_after=1)
        answer = await heard(web, b"swapd loading model")
    assert b"Done!" not in answer
    assert b'"message":"it died"' in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_an_error_of_the_model_is_an_event_in_a_stream_that_has_begun() -> None:
    async with floor(staying(REFUSAL), server=OFTEN) as web:
        web.models.held = trio.Event()
        answer = await heard(web, b": keep-alive\n\n")
    assert answer.count(b'{"error":') == 1  # and none as the model wrote it
    assert b'data: {"error":{"message":"m: its server answered 400: no"' in answer
    assert not answer.endswith(b"0\r\n\r\n")


async def test_an_error_of_the_model_keeps_its_status_where_nothing_was_said() -> None:
    async with floor(staying(REFUSAL), model=TELLING) as web:
        web.services.lifecycle.publish(
            Transition(M, ModelState.STARTING, ModelState.READY, Reason.REQUEST, Generation(1))
        )
        reply = await web.ask(chat(STREAM))
    assert (reply.status, reply.body) == (400, b'{"error": {"message": "no"}}')


# -- what is known -----------------------------------------------------------------------


class Known:
    """Takes the place of the services: counts how often anything is found out."""

    def __init__(self, *waiting: Waiting) -> None:
        self.waiting = waiting
        self.queued = 0
        self.searched = 0
        self.supervisor = self.logs = self
        self.prompter = Prompter()
        self.config = parse("models: {}\n", "c.yaml", environ={})

    def queue(self) -> list[Waiting]:
        self.queued += 1
        return [*self.waiting]

    def doomed(self) -> Mapping[ModelId, ModelId]:
        return {M: ModelId("b")}

    def state(self, model: ModelId) -> ModelState:
        return ModelState.STARTING if model == M else ModelState.STOPPED

    def of(self, model: ModelId) -> Known:
        return self

    def progress(self) -> str | None:
        self.searched += 1
        return None


async def test_a_line_comes_as_often_as_a_comment_would(autojump_clock: MockClock) -> None:
    text = json.dumps(
        {"models": {"m": {"cmd": "x ${PORT}", **TELLING}}, "server": {"keepAlive": 2}}
    )
    known = Known(waiting(M, 1))
    known.config = parse(text, "c.yaml", environ={})
    heard: list[tuple[float, bytes]] = []

    async def hear(message: Any) -> None:
        heard.append((trio.current_time() - began, message.get("body", b"")))

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(known.prompter.run)
        scope, asked = await request_of("/v1/responses")
        client = Client(Answer(scope, hear), [], 0)
        client.beside = nursery.start_soon
        async with Loading(cast(Services, known)).way(scope, client, asked, M, WAITS):
            await trio.sleep(5)
        nursery.cancel_scope.cancel()
    lines = [body for _, body in heard]
    assert lines == [
        b"",
        b": swapd loading model: m\n\n",
        b": Loading (2 s)\n\n",
        b": Loading (4 s)\n\n",
    ]


async def test_what_is_known_is_found_out_once_for_all_who_ask(autojump_clock: MockClock) -> None:
    known = Known(waiting(M, 2), waiting(M, 5, "b"), waiting(ModelId("b"), 7, "m"))
    situations = Situations(cast(Services, known))
    seen = [situations.of(ModelId(name)) for name in ("m", "b", "m", "c") for _ in range(50)]
    assert (known.queued, known.searched) == (1, 1)
    assert seen[0] == Situation(ModelState.STARTING, position=2, yields_to=ModelId("b"))
    assert seen[50] == Situation(ModelState.STOPPED, 7, ((M, ModelState.STARTING),))
    assert seen[150] == Situation(ModelState.STOPPED)
    await trio.sleep(0.2)
    situations.of(M)
    assert (known.queued, known.searched) == (2, 2)
