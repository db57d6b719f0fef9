"""Requests to models, from raw socket to raw socket through the whole web floor."""

from __future__ import annotations

import json
import logging

import pytest
import trio

from swapd.errors import ModelUnavailable, TooManyRequests
from swapd.ids import ModelId
from swapd.views import ModelView
from tests.upstream.asking import OK
from tests.upstream.scripted import Connection, Script, staying
from tests.web.floor import chat, floor, get
from tests.web.raw import Flood

EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"


def breaking_off(answer: bytes) -> Script:
    """Return a script: send ``answer``, then hang up."""

    async def script(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer)

    return script


def sent_on(requests: list[bytes]) -> tuple[bytes, dict[bytes, bytes], bytes]:
    """Return request line, headers and body of the one request that came."""
    (request,) = requests
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, dict(field.split(b": ", 1) for field in fields), body


async def test_a_request_reaches_its_model_as_it_came() -> None:
    body = b'{ "model" : "alias", "temperature": 0.10 }'
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        path = "/v1/chat/completions?b=%2F&a=%zz"
        reply = await web.ask(chat(body, path=path, head=b"authorization: Bearer own\r\n"))
    line, headers, sent = sent_on(web.upstream.requests)
    assert (reply.status, reply.body) == (200, b"ok")
    assert line == b"POST /v1/chat/completions?b=%2F&a=%zz HTTP/1.1"
    assert headers[b"x-forwarded-for"] == b"127.0.0.1"
    assert headers[b"authorization"] == b"Bearer own"
    assert headers[b"host"] == b"localhost"
    assert sent == body


async def test_a_model_may_be_named_in_the_query() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        reply = await web.ask(get("/props?x=1&model=alias"))
    assert reply.body == b"ok"
    assert sent_on(web.upstream.requests)[0] == b"GET /props?x=1&model=alias HTTP/1.1"


async def test_a_target_with_its_origin_is_the_same_route() -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(OK))
        reply = await web.ask(get("http://localhost:1/props?model=m"))
        assert (await web.ask(get("http://localhost:1/v1/models"))).status == 200
    assert reply.body == b"ok"
    assert sent_on(web.upstream.requests)[0] == b"GET /props?model=m HTTP/1.1"


async def test_a_selector_leaves_out_a_model_that_backs_off() -> None:
    peers = {"far": {"proxy": "http://127.0.0.1:9", "models": ["x"]}}
    selectors = {"any": {"strategy": "spillover", "targets": ["m", "far/x"]}}
    async with floor(peers=peers, selectors=selectors) as web:
        web.upstream.then(web.upstream.answer(OK))
        assert (await web.ask(chat(b'{"model":"any"}'))).status == 200
        web.models.seen = ModelView(ModelId("m"), backoff=5.0)
        reply = await web.ask(chat(b'{"model":"any"}'))
    assert reply.status == 502
    assert reply.error["message"].startswith("peer far: could not connect to http://127.0.0.1:9")


async def test_the_upstreams_name_is_put_only_where_the_body_names_the_model() -> None:
    async with floor(model={"useModelName": "org/m"}) as web:
        web.upstream.then(web.upstream.answer(OK), web.upstream.answer(OK))
        await web.ask(chat(b'{"model":"m"}'))
        assert sent_on(web.upstream.requests)[2] == b'{"model":"org/m"}'
        web.upstream.requests.clear()
        assert (await web.ask(get("/props?model=m", head=b"content-length: 2\r\n") + b"{}")).status
    assert sent_on(web.upstream.requests)[2] == b"{}"


async def test_one_of_our_keys_lets_in_and_goes_no_further() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        web.upstream.then(web.upstream.answer(OK))
        own = b"x-api-key: sesame\r\nauthorization: Bearer upstream\r\n"
        assert (await web.ask(chat(head=own))).status == 200
    headers = sent_on(web.upstream.requests)[1]
    assert headers[b"authorization"] == b"Bearer upstream"
    assert b"x-api-key" not in headers


@pytest.mark.parametrize("asked", [chat(), get("/v1/chat/completions"), get("/v1/models")])
async def test_without_a_key_nothing_is_told_but_that(asked: bytes) -> None:
    async with floor(apiKeys=["sesame"]) as web:
        reply = await web.ask(asked)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="swapd"'
    assert reply.error["code"] == "unauthorized"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        (b"GET", "/v1/chat/completions", "POST"),
        (b"DELETE", "/v1/audio/voices", "GET, HEAD, POST"),
        (b"POST", "/props", "GET, HEAD"),
    ],
)
async def test_another_method_is_refused_with_those_that_are_allowed(
    method: bytes, path: str, allowed: str
) -> None:
    async with floor() as web:
        reply = await web.ask(get(path, method=method))
    assert (reply.status, reply.headers["allow"]) == (405, allowed)
    assert reply.error["code"] == "method_not_allowed"


async def test_a_refusal_says_when_to_try_again() -> None:
    async with floor() as web:
        web.models.refusal = ModelUnavailable("not now", retry_after=1.5)
        later = await web.ask(chat())
        web.models.refusal = TooManyRequests("too many", retry_after=1)
        full = await web.ask(chat())
    assert (later.status, later.headers["retry-after"], later.error["message"]) == (
        503, "2", "not now"
    )  # fmt: skip
    assert (full.status, full.headers["retry-after"]) == (429, "1")


async def test_a_server_that_breaks_off_before_its_answer_is_told_with_its_cause() -> None:
    async with floor(breaking_off(b"HTTP/1.1 200 OK\r\n")) as web:
        web.models.end.come("exited with code 7")
        reply = await web.ask(chat())
    assert reply.status == 502
    assert reply.error["message"].startswith("m: the connection broke")
    assert reply.error["message"].endswith("; its process exited with code 7")


async def test_an_event_stream_that_breaks_off_says_so_in_one_more_event() -> None:
    async with floor(breaking_off(EVENTS + CHUNKED + b"7\r\ndata: a\r\n")) as web:
        web.models.end.come("exited with code 7")
        answer = await web.served.ask(chat())
    body = answer.partition(b"\r\n\r\n")[2]
    assert b"data: a" in body
    event = body.partition(b"\n\ndata: {")[2].partition(b"\n\n")[0]
    assert json.loads(b"{" + event)["error"]["code"] == "bad_gateway"
    assert not answer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + CHUNKED + b"7\r\ndata: a\r\n",
        EVENTS + b"content-encoding: gzip\r\n" + CHUNKED + b"7\r\ndata: a\r\n",
        EVENTS + b"content-length: 2000\r\n\r\ndata: a",
    ],
    ids=["no_events", "encoded", "of_a_length"],
)
async def test_what_can_take_no_event_is_just_cut(answer: bytes) -> None:
    async with floor(breaking_off(answer)) as web:
        web.models.end.come("exited with code 7")
        got = await web.served.ask(chat())
    assert b"data: a" in got
    assert b"swapd" not in got.partition(b"\r\n\r\n")[2]
    assert not got.endswith(b"0\r\n\r\n")


async def test_a_bug_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    async with floor() as web:
        web.models.refusal = ValueError("a bug")
        reply = await web.ask(chat())
    assert reply.status == 500
    assert reply.error["code"] == "internal_error"
    assert "a bug" not in reply.error["message"]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("swapd.http", logging.ERROR)
    assert record.exc_info is not None


async def test_a_body_that_is_announced_to_be_too_large_is_refused_before_it_comes() -> None:
    head = b"content-length: 1001\r\n"
    async with floor(server={"maxBody": 1000}) as web:
        reply = await web.ask(get("/v1/embeddings", head=head, method=b"POST"))
    assert reply.status == 413
    assert reply.error["code"] == "request_too_large"


async def test_a_head_request_is_answered_by_a_head() -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    async with floor(staying(answer)) as web:
        reply = await web.ask(get("/props?model=m", method=b"HEAD"))
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "1000", b"")


@pytest.mark.parametrize("head", [CHUNKED, b"content-length: 1073741824\r\n\r\n"])
async def test_of_a_large_answer_that_is_not_read_little_is_held(head: bytes) -> None:
    """Its model waits; when the client goes on reading, the answer goes on."""
    flood = Flood()

    async def pour(connection: Connection) -> None:
        async def write(piece: bytes) -> None:
            framed = b"%x\r\n%s\r\n" % (len(piece), piece)
            await connection.send(framed if head is CHUNKED else piece)

        await connection.request()
        await connection.send(b"HTTP/1.1 200 OK\r\n" + head)
        try:
            await flood.pour(write)
        except* trio.BrokenResourceError:
            pass

    async with floor(pour) as web, await web.served.connect(receive_buffer=4096) as client:
        await client.send_all(chat())
        await flood.stuck.wait()
        held = flood.sent
        assert held < 16 * 1024 * 1024
        while flood.sent < held + 4 * 1024 * 1024:
            assert await client.receive_some()
    await flood.ended.wait()
