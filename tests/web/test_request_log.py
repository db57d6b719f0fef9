"""What the log says of requests that end badly."""

from __future__ import annotations

import json
import logging
import re

import pytest
import trio
from hypercorn.typing import HTTPScope

from swapd.errors import ModelUnavailable
from swapd.web.client import Client
from swapd.web.limits import Patience
from swapd.web.metering import metered
from tests.upstream.scripted import Connection
from tests.web.floor import Floor, Reply, chat, floor, get
from tests.web.raw import OPEN_WEBSOCKET, WAYS_TO_LEAVE, answering, request, rest, serving


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="swapd.requests")
    caplog.set_level(logging.INFO, logger="swapd.access")
    return caplog


def ends(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what each line says of a request and its end; not how long it took, and for whom."""
    found = (LINE.fullmatch(message) for message in log.messages)
    return [f"{line[1]}: {line[2]}, {line[3]}" for line in found if line is not None]


LINE = re.compile(r'Request \S+ "(\S+ .*) HTTP/1.1" (\d+) \d+ "" \S+s \S+?(?: \S+?)?(?:: (.*))?')


async def stay_and_leave(web: Floor, asked: bytes, leave: str, *answer: bytes) -> None:
    """Send ``asked``, leave when its model has sent ``answer``, and wait until that is noticed."""
    noticed = trio.Event()

    async def script(connection: Connection) -> None:
        await connection.request()
        for piece in answer:
            await connection.send(piece)
        here.set()
        await connection.left()
        noticed.set()

    here = trio.Event()
    web.upstream.then(script)
    client = await web.served.connect()
    await client.send_all(asked)
    await here.wait()
    if answer:
        await client.receive_some()
    await dict(zip(("fin", "rst", "half"), WAYS_TO_LEAVE, strict=True))[leave](client)
    await noticed.wait()
    await client.aclose()


@pytest.mark.parametrize("leave", ["fin", "rst", "half"])
@pytest.mark.parametrize(
    "answer", [[], [b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n", b"data: x\n\n"]]
)
async def test_a_client_that_left_is_noted_as_one(
    log: pytest.LogCaptureFixture, leave: str, answer: list[bytes]
) -> None:
    async with floor() as web:
        asked = chat(path="/v1/chat/completions?key=secret")
        await stay_and_leave(web, asked, leave, *answer)
    assert ends(log) == ["POST /v1/chat/completions: 499, its client has left"]
    assert len(log.messages) == 1
    assert "secret" not in log.text


async def test_one_who_stays_to_the_end_is_not(log: pytest.LogCaptureFixture) -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
        assert (await web.ask(chat())).body == b"ok"
        assert (await web.ask(get("/health"))).body == b"OK"
    assert ends(log) == ["POST /v1/chat/completions: 200, None", "GET /health: 200, None"]


@pytest.mark.parametrize(
    ("asked", "noted"),
    [
        (get("/nowhere?key=secret"), "GET /nowhere: 404, not found"),
        (get("/unload", method=b"PUT"), "PUT /unload: 405, method not allowed"),
        (get("/props", method=b"PUT"), "PUT /props: 405, method not allowed"),
        (chat(b"{"), "POST /v1/chat/completions: 400, "),
        (
            chat(head=b"sec-fetch-site: cross-site\r\n"),
            "POST /v1/chat/completions: 403, a web page",
        ),
        (OPEN_WEBSOCKET, "GET /ws: 404, not found"),
        (chat(), "POST /v1/chat/completions: 503, m could not be started"),
    ],
)
async def test_a_problem_is_noted_in_one_line(
    log: pytest.LogCaptureFixture, asked: bytes, noted: str
) -> None:
    async with floor() as web:
        web.models.refusal = ModelUnavailable("m could not be started\nlast words", retry_after=1)
        await web.ask(asked)
    (message,) = ends(log)
    assert message.startswith(noted)
    assert len(log.messages) == 1
    assert "secret" not in log.text


@pytest.mark.parametrize(
    ("asked", "noted"),
    [
        (
            get("/a%1b%5b31m%0d%00%c2%9b"),
            r"GET /a\x1b[31m\r\x00\x9b: 404, not found",
        ),
        (
            get("/v1/models/%1b%5b31m"),
            r"GET /v1/models/\x1b[31m: 404, model not found: '\x1b[31m'",
        ),
    ],
)
async def test_what_a_client_says_cannot_control_the_terminal_that_shows_the_log(
    log: pytest.LogCaptureFixture, asked: bytes, noted: str
) -> None:
    async with floor() as web:
        await web.ask(asked)
    assert ends(log) == [noted]


CHUNKED = b"transfer-encoding: chunked\r\ncontent-type: application/json\r\n"

#: Uploads that break, and what their clients are told.
BROKEN = {
    "bad chunk": (CHUNKED, b"5\r\nhello\r\nnonsense\r\n", "does not keep to chunked coding"),
    "cut amid chunks": (CHUNKED, b"5\r\nhel", "the body of the request broke off"),
    "cut amid a length": (b"content-length: 9\r\n", b"hel", "the body of the request broke off"),
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/upstream/m/v1/chat/completions"])
@pytest.mark.parametrize("kind", BROKEN)
async def test_all_agree_on_what_came_of_an_upload_that_broke(
    log: pytest.LogCaptureFixture, path: str, kind: str
) -> None:
    head, sent, why = BROKEN[kind]
    async with floor() as web, await web.served.connect() as client:
        await client.send_all(request(path, head=head + b"x-request-id: r-7\r\n", method=b"POST"))
        await client.send_all(sent)
        if kind != "bad chunk":
            await client.send_eof()
        reply = Reply(await rest(client))
        while not web.finished:  # noqa: ASYNC110  nobody tells of that
            await trio.sleep(0.001)
        (finished,) = web.finished
    assert (reply.status, reply.error["code"]) == (400, "bad_request")
    assert why in reply.error["message"]
    assert ends(log) == [f"POST {path}: 400, {reply.error['message']}"]
    assert (finished.status, finished.error) == (400, reply.error["message"])
    assert log.messages[0].endswith(f": {reply.error['message']}")
    assert re.search(" r-7( m)?: ", log.messages[0])
    assert len(log.messages) == 1, "and it is told once"


async def test_an_upload_that_breaks_on_its_way_to_a_view_is_told_as_what_it_is(
    log: pytest.LogCaptureFixture,
) -> None:
    async with floor() as web, await web.served.connect() as client:
        head = b"content-length: 9\r\n"
        await client.send_all(request("/api/profiles/active", head=head, method=b"PUT") + b"hel")
        await client.send_eof()
        reply = Reply(await rest(client))
    assert reply.status == 400
    assert ends(log) == ["PUT /api/profiles/active: 400, the body of the request broke off"]


@pytest.mark.parametrize("framing", [b"content-length: 9", b"transfer-encoding: chunked"])
async def test_who_breaks_off_its_request_is_told_so_in_its_own_shape_and_under_its_id(
    framing: bytes,
) -> None:
    head = framing + b"\r\nx-request-id: r-7\r\n"
    async with floor() as web, await web.served.connect() as client:
        await client.send_all(request("/v1/messages", head=head, method=b"POST") + b"x\r\n")
        await client.send_eof()
        reply = Reply(await rest(client))
    assert (reply.status, reply.headers["x-request-id"]) == (400, "r-7")
    assert reply.headers["connection"] == "close"
    assert json.loads(reply.body)["type"] == "error"


async def test_a_body_that_does_not_come_is_told_as_too_late(
    log: pytest.LogCaptureFixture,
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.body()

    patience = Patience(body=0.05)
    async with (
        serving(answering(relay), patience=patience) as served,
        await served.connect() as client,
    ):
        await client.send_all(request("/", head=b"content-length: 9\r\n", method=b"POST") + b"hel")
        assert Reply(await rest(client)).status == 408
    assert ends(log) == ["POST /: 408, the rest of the request did not come in time"]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_bug_beside_a_request_is_told_as_one_everywhere(
    log: pytest.LogCaptureFixture, begun: bool
) -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    async def relay(scope: HTTPScope, client: Client) -> None:
        with metered(web.services, scope, route="/"):
            if begun:
                await client.begin(200, [])
                await client.write(b"so far")
            client.beside(fail)
            await trio.sleep_forever()

    async with floor() as web, serving(answering(relay)) as served:
        answer = await served.ask(get("/"))
    assert answer.startswith(b"HTTP/1.1 200" if begun else b"HTTP/1.1 500")
    assert begun or Reply(answer).error["code"] == "internal_error"
    why = "something went wrong inside swapd; its log says what"
    assert ends(log) == [f"GET /: 500, {why}"]
    assert [(each.status, each.error) for each in web.finished] == [(500, why)]
    assert "RuntimeError: a bug" in log.text


async def test_a_bug_of_who_serves_a_request_is_told_as_one(log: pytest.LogCaptureFixture) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        raise RuntimeError("a bug")

    async with serving(answering(relay)) as served:
        assert Reply(await served.ask(get("/"))).error["code"] == "internal_error"
    assert ends(log) == ["GET /: 500, something went wrong inside swapd; its log says what"]


async def test_a_bug_behind_a_whole_answer_is_none_to_its_client(
    log: pytest.LogCaptureFixture,
) -> None:
    async def relay(scope: HTTPScope, client: Client) -> None:
        await client.begin(200, [(b"content-length", b"2")])
        await client.write(b"ok")
        raise RuntimeError("a bug")

    async with serving(answering(relay)) as served:
        assert (await served.ask(get("/"))).endswith(b"ok")
    assert ends(log) == ["GET /: 200, None"]
    assert "RuntimeError: a bug" in log.text
