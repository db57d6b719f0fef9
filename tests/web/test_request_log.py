"""What the log says of requests that end badly."""

from __future__ import annotations

import logging
import re

import pytest
import trio

from swapd.errors import ModelUnavailable
from tests.upstream.scripted import Connection
from tests.web.floor import Floor, chat, floor, get
from tests.web.raw import OPEN_WEBSOCKET, WAYS_TO_LEAVE


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="swapd.requests")
    caplog.set_level(logging.INFO, logger="swapd.access")
    return caplog


def ends(log: pytest.LogCaptureFixture) -> list[str]:
    """Return what each line says of a request and its end; not how long it took, and for whom."""
    found = (LINE.fullmatch(message) for message in log.messages)
    return [f"{line[1]}: {line[2]}, {line[3]}" for line in found if line is not None]


LINE = re.compile(r'Request \S+ "(\S+ .*) HTTP/1.1" (\d+) \d+ "" \S+s \S+?(?:: (.*))?')


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
            r"GET /v1/models/\x1b[31m: 404, there is no model '\x1b[31m'",
        ),
    ],
)
async def test_what_a_client_says_cannot_control_the_terminal_that_shows_the_log(
    log: pytest.LogCaptureFixture, asked: bytes, noted: str
) -> None:
    async with floor() as web:
        await web.ask(asked)
    assert ends(log) == [noted]
