"""What is told of requests that are over, from raw socket to raw socket."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import pytest
import trio
from hypercorn.typing import HTTPScope
from trio.testing import wait_all_tasks_blocked

from swapd.errors import ModelUnavailable, TooManyRequests
from swapd.ids import Header
from swapd.telemetry.finished import Finished
from swapd.telemetry.usage.usage import UNKNOWN, Usage
from swapd.upstream.exchange import ProxiedRequest
from swapd.web.metering import metered
from tests.upstream.scripted import Connection, staying
from tests.web.floor import Floor, chat, floor, get
from tests.web.raw import receive_until

CHAT_PATH = "/v1/chat/completions"
SAID = b'{"usage": {"prompt_tokens": 12, "completion_tokens": 7}}'
USED = Usage(prompt=12, generated=7)
EVENTS = b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: %s\n\ndata: [DONE]\n\n' % SAID
STREAM = b'{"model": "m", "stream": true}'


def answering(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "\r\n"]).encode() + body


def only(web: Floor) -> Finished:
    """Return what was told of the one request; its client may have the answer before that."""
    (finished,) = web.finished
    return finished


@contextmanager
def ending(web: Floor) -> Iterator[trio.Event]:
    """Return what is set when something is told."""
    event = trio.Event()
    with web.services.over.listen(lambda finished: event.set()):
        yield event


async def told(asked: bytes, answer: bytes, **others: object) -> Finished:
    """Return what is told of a request that the model's server gives ``answer``."""
    async with floor(**others) as web:  # type: ignore[arg-type]  # settings of any kind
        web.upstream.then(web.upstream.answer(answer))
        await web.ask(asked)
        await wait_all_tasks_blocked()
    return only(web)


async def test_a_whole_answer_is_told_with_its_tokens() -> None:
    finished = await told(chat(), answering(SAID, "content-type: application/json"))
    assert (finished.id, finished.model, finished.method) == (1, "m", "POST")
    assert (finished.path, finished.route, finished.is_metered) == (CHAT_PATH, CHAT_PATH, True)
    assert (finished.status, finished.content_type) == (200, "application/json")
    assert (finished.usage, finished.error) == (USED, None)
    assert finished.first_byte is not None
    assert 0 < finished.first_byte <= finished.duration
    assert (finished.loaded, finished.priority, finished.selector) == (0, 0, None)
    assert (finished.key, finished.session, finished.collected) == (None, None, None)
    assert 0 <= finished.queued < finished.duration
    assert finished.time > 1.7e9


@pytest.mark.parametrize(
    "path",
    [
        CHAT_PATH,
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/v1/rerank",
        "/completion",
        "/v/chat/completions",
    ],
)
async def test_every_route_that_answers_in_json_is_read(path: str) -> None:
    finished = await told(chat(path=path), answering(SAID))
    assert (finished.path, finished.route, finished.is_metered) == (path, path, True)
    assert finished.usage == USED


async def test_infill_is_read() -> None:
    said = b'[{"timings": {"prompt_n": 1}}, {"timings": {"prompt_n": 5, "predicted_n": 9}}]'
    finished = await told(chat(path="/infill"), answering(said))
    assert finished.usage == Usage(prompt=5, generated=9)


@pytest.mark.parametrize("body", [STREAM, b'{"model": "m"}'])
@pytest.mark.parametrize("status", ["200 OK", "201 Created"])
async def test_a_stream_is_read(body: bytes, status: str) -> None:
    answer = answering(EVENTS, "content-type: text/event-stream", status=status)
    finished = await told(chat(body), answer)
    assert finished.status == int(status[:3])
    assert finished.usage == USED


@pytest.mark.parametrize("body", [STREAM, b'{"model": "m"}'])
async def test_an_encoded_answer_is_read(body: bytes) -> None:
    headers = ("content-type: text/event-stream", "content-encoding: gzip")
    finished = await told(chat(body), answering(gzip.compress(EVENTS), *headers))
    assert finished.usage == USED


async def test_an_answer_in_an_unknown_encoding_is_not_read_and_passes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("INFO", "swapd.usage"):
        finished = await told(chat(), answering(SAID, "content-encoding: compress"))
    assert (finished.status, finished.usage, finished.error) == (200, UNKNOWN, None)
    assert (
        f"m: an answer to {CHAT_PATH} is not read for its tokens:"
        " the server's answer is encoded as compress" in caplog.messages
    )


async def test_an_error_of_the_server_is_told_in_its_words() -> None:
    said = b'{"error": {"message": "the prompt\\u001b is too long\\nby far"}}'
    finished = await told(chat(), answering(said, status="400 Bad Request"))
    assert (finished.status, finished.error) == (400, "the prompt  is too long")
    assert finished.usage == UNKNOWN


async def test_the_words_of_an_error_are_bounded() -> None:
    said = json.dumps({"message": "x" * 2000}).encode()
    finished = await told(chat(), answering(said, status="500 Oops"))
    assert finished.error == "x" * 500 + "..."


async def test_an_error_within_a_stream_that_swapd_began_has_its_own_status() -> None:
    model = {"sendLoadingState": True}
    async with floor(model=model) as web:
        answer = answering(b'{"error": "no"}', status="422 Unprocessable Entity")
        web.upstream.then(web.upstream.answer(answer))
        await web.ask(chat(STREAM))
        await wait_all_tasks_blocked()
    assert (only(web).status, only(web).error) == (422, "no")


async def test_what_is_below_a_model_is_told_with_its_own_path() -> None:
    finished = await told(chat(path="/upstream/m/v1/chat/completions?a=b"), answering(SAID))
    assert (finished.model, finished.path) == ("m", CHAT_PATH)
    assert (finished.route, finished.is_metered) == ("/upstream/{model}", True)
    assert finished.usage == USED


@pytest.mark.parametrize("path", ["/props", "/upstream/m/slots", "/upstream/m/v1/chat/completions"])
async def test_what_is_only_looked_at_is_told_but_not_to_be_remembered(path: str) -> None:
    asked = get(path + ("?model=m" if path == "/props" else ""))
    finished = await told(asked, answering(SAID))
    assert (finished.method, finished.status, finished.is_metered) == ("GET", 200, False)
    assert finished.usage == UNKNOWN
    assert finished.path == path.removeprefix("/upstream/m")


async def test_what_is_only_looked_at_is_told_with_its_error() -> None:
    finished = await told(get("/upstream/m/slots"), answering(b'{"error": "no"}', status="501 No"))
    assert (finished.status, finished.error) == (501, "no")


async def test_a_folder_that_is_only_named_is_no_request_to_a_model() -> None:
    async with floor() as web:
        assert (await web.ask(get("/upstream/m"))).status == 301
    assert web.finished == []


@pytest.mark.parametrize("path", [CHAT_PATH, "/upstream/other/v1/chat/completions"])
async def test_a_model_that_there_is_not_is_told_without_its_name(path: str) -> None:
    async with floor() as web:
        reply = await web.ask(chat(b'{"model": "other"}', path=path))
        assert reply.status == 404
    assert (only(web).id, only(web).model, only(web).status) == (0, "", 404)
    assert only(web).error == reply.error["message"]


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (TooManyRequests("the queue is full", retry_after=1), 429),
        (ModelUnavailable("it does not start", retry_after=1), 503),
        (RuntimeError("a bug"), 500),
    ],
)
async def test_what_is_refused_is_told_with_the_reason(refusal: Exception, status: int) -> None:
    async with floor() as web:
        web.models.refusal = refusal
        reply = await web.ask(chat())
        assert reply.status == status
    assert (only(web).model, only(web).status) == ("m", status)
    assert only(web).error == reply.error["message"]
    assert (only(web).content_type, only(web).first_byte) == ("", None)


async def test_an_answer_that_breaks_off_is_told_as_the_failure_that_it_is() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 5000\r\n\r\n"
    finished = await told(chat(), head + EVENTS)
    assert (finished.status, finished.usage) == (502, USED)
    assert "broke after" in (finished.error or "")


async def test_what_was_passed_on_is_read_also_if_its_end_is_faulty() -> None:
    cut_short = gzip.compress(EVENTS)[:-8]  # of what it is checked by
    headers = ("content-type: text/event-stream", "content-encoding: gzip")
    async with floor(server={"keepAlive": 0.01}) as web:
        web.models.held = trio.Event()
        web.upstream.then(web.upstream.answer(answering(cut_short, *headers)))
        async with await web.served.connect() as stream:
            await stream.send_all(chat(STREAM))
            await receive_until(stream, b": keep-alive")  # so what follows is decoded
            web.models.held.set()
            with ending(web) as ended:
                await receive_until(stream, b"[DONE]")
                await ended.wait()
    assert (only(web).status, only(web).usage) == (502, USED)


async def test_a_request_that_is_cut_by_an_unload_is_told_so() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    async with floor() as web:
        web.upstream.then(staying(head + EVENTS))
        stream = await web.served.connect()
        await stream.send_all(chat())
        await receive_until(stream, b"[DONE]")
        with ending(web) as ended:
            web.models.unload("m was unloaded")
            await ended.wait()
        await stream.aclose()
    assert (only(web).status, only(web).error) == (503, "m was unloaded")
    assert only(web).usage == USED


async def test_a_request_that_its_owner_cancels_is_told_so() -> None:
    async with floor() as web:
        web.models.held = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(web.ask, chat())
            await wait_all_tasks_blocked(0.01)
            (under_way,) = web.services.requests
            under_way.cancel()
    assert only(web).status == 499
    assert "cancelled by hand" in (only(web).error or "")


@pytest.mark.parametrize("waiting", [True, False])
async def test_a_client_that_leaves_is_told_as_499(waiting: bool) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    async with floor() as web:
        web.upstream.then(staying(head + EVENTS.partition(b"data: [DONE]")[0]))
        if waiting:
            web.models.held = trio.Event()
        stream = await web.served.connect()
        await stream.send_all(chat())
        if waiting:
            await wait_all_tasks_blocked(0.01)
        else:
            await receive_until(stream, b"usage")
        with ending(web) as ended:
            await stream.aclose()
            await ended.wait()
    assert (only(web).status, only(web).error) == (499, "its client has left")
    assert only(web).usage == (UNKNOWN if waiting else USED)
    assert (only(web).first_byte is None) == waiting


async def test_a_client_that_leaves_after_the_last_words_has_had_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    with caplog.at_level("INFO", "swapd.requests"):
        async with floor() as web:
            web.upstream.then(staying(head + EVENTS))
            stream = await web.served.connect()
            await stream.send_all(chat())
            await receive_until(stream, b"[DONE]\n\n")
            with ending(web) as ended:
                await stream.aclose()
                await ended.wait()
            await wait_all_tasks_blocked()
    assert (only(web).status, only(web).error, only(web).usage) == (200, None, USED)
    assert " 499 " not in caplog.text


async def test_a_request_under_way_shows_how_far_its_answer_is() -> None:
    async with floor() as web:
        answered, may_end = trio.Event(), trio.Event()

        async def script(connection: Connection) -> None:
            await connection.request()
            await connection.send(b"HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\nab")
            answered.set()
            await may_end.wait()
            await connection.send(b"cd")

        web.upstream.then(script)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(web.ask, chat())
            await answered.wait()
            await wait_all_tasks_blocked(0.01)
            (under_way,) = web.services.requests
            assert (under_way.status, under_way.bytes_sent) == (202, 2)
            may_end.set()


async def test_selector_session_priority_and_key_are_told() -> None:
    finished = await told(
        chat(
            b'{"model": "pick"}', head=b"x-other: 1\r\nX-SESSION-ID: s 1\r\nx-api-key: secret\r\n"
        ),
        answering(SAID),
        selectors={"pick": {"strategy": "pin", "targets": ["m"]}},
        apiKeys=["other", "secret"],
        routing={"scheduler": {"settings": {"fifo": {"priority": {"m": 7}}}}},
    )
    assert (finished.selector, finished.session, finished.priority) == ("pick", "s 1", 7)
    assert finished.key is not None
    assert finished.key.startswith("key-")
    assert "secret" not in finished.key


class Copy:
    """A copy of one request and of its answer."""

    def __init__(self, path: str, request: ProxiedRequest) -> None:
        self.path = path
        self.asked = request.body.held
        self.head: tuple[int, dict[bytes, bytes]] | None = None
        self.body = b""

    def begin(self, status: int, headers: Sequence[Header]) -> None:
        self.head = (status, dict(headers))

    def write(self, data: bytes) -> None:
        self.body += data


class Copies:
    def collector(self, path: str, request: ProxiedRequest) -> Copy:
        return Copy(path, request)


async def test_who_wants_a_copy_gets_it_back_with_what_is_told() -> None:
    async with floor(model={"useModelName": "other"}) as web:
        web.services.collecting = Copies()
        web.upstream.then(web.upstream.answer(answering(SAID, "x-own: 1")))
        await web.ask(chat())
        await wait_all_tasks_blocked()
    copy = only(web).collected
    assert isinstance(copy, Copy)
    assert (copy.path, copy.asked) == (CHAT_PATH, b'{"model": "other"}')
    assert copy.head is not None
    assert (copy.head[0], copy.head[1][b"x-own"], copy.body) == (200, b"1", SAID)


async def test_what_is_not_to_be_remembered_is_not_copied() -> None:
    async with floor() as web:
        web.services.collecting = Copies()
        web.upstream.then(web.upstream.answer(answering(SAID)))
        await web.ask(get("/upstream/m/slots"))
        await wait_all_tasks_blocked()
    assert only(web).collected is None


async def test_a_cancelled_request_is_told_once() -> None:
    async with floor() as web:
        scope = cast(HTTPScope, {"method": "POST", "path": "/completion", "headers": []})
        with trio.CancelScope() as cut:
            cut.cancel()
            with metered(web.services, scope, route="/completion"):
                await trio.sleep_forever()
    assert only(web).status == 499
