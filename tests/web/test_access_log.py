"""One line for each request, whoever answered it."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import cast

import pytest
from hypercorn.typing import HTTPScope

from swapd.errors import ModelUnavailable
from swapd.web import access_log
from swapd.web.access_log import Access, in_go
from swapd.web.request_log import Outcome, concerns, request_id, settle
from tests.web.floor import chat, floor, get
from tests.web.raw import OPEN_WEBSOCKET, receive_until


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="swapd.access")
    return caplog


def scope_of(
    path: str = "/",
    headers: Sequence[tuple[bytes, bytes]] = (),
    *,
    client: tuple[str, int] | None = ("127.0.0.1", 5),
    method: str = "GET",
) -> HTTPScope:
    scope: Mapping[str, object] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "http_version": "1.1",
        "headers": headers,
        "client": client,
    }
    return cast(HTTPScope, dict(scope))


def line(scope: HTTPScope, ended: Outcome | None = None) -> str:
    return str(Access(scope, 0.0025, 200, 319, ended))


async def test_a_request_is_one_line_as_llama_swap_has_it_with_an_id(
    log: pytest.LogCaptureFixture,
) -> None:
    async with floor() as web:
        web.upstream.then(web.upstream.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"))
        agent = b"user-agent: curl/7.88.1\r\nx-request-id: mine-1\r\n"
        await web.ask(chat(path="/v1/chat/completions?key=secret", head=agent))
    (said,) = log.messages
    assert re.fullmatch(
        r'Request 127.0.0.1 "POST /v1/chat/completions HTTP/1.1" 200 2 "curl/7.88.1"'
        r" [0-9.]+(µs|ms|s) mine-1 m",
        said,
    )


PEERS = {"far": {"proxy": "http://127.0.0.1:1", "models": ["big"]}}


@pytest.mark.parametrize(
    ("asked", "model"),
    [
        (chat(b'{"model": "alias"}'), "m"),
        (chat(b'{"model": "big"}'), "far/big"),
        (chat(b"{}", path="/upstream/alias/x"), "m"),
        (get("/upstream/m/x.js"), "m"),
        (OPEN_WEBSOCKET.replace(b"/ws", b"/upstream/alias/x.js"), "m"),
        (chat(b'{"model": "x"}'), None),
        (get("/running"), None),
    ],
)
async def test_a_request_to_a_model_is_found_by_it_however_it_asked_and_ended(
    log: pytest.LogCaptureFixture, asked: bytes, model: str | None
) -> None:
    async with floor(peers=PEERS) as web:
        web.models.refusal = ModelUnavailable("not now", retry_after=1)
        await web.ask(asked)
    (record,) = log.records
    (told,) = cast(tuple[Access], record.args)
    assert told.fields().get("model") == model
    found = re.search(r"s [0-9a-f]{8}-\d+( \S+)?(: .*)?$", str(told))
    assert found is not None
    assert found[1] == (model and f" {model}")


def test_a_model_is_not_named_twice_in_a_row() -> None:
    scope = scope_of(headers=[(b"x-request-id", b"mine")])
    ended = Outcome(502, "m: the connection broke")
    assert line(scope, ended).endswith(" mine: m: the connection broke")
    concerns(scope, "m")
    assert line(scope, ended).endswith(" mine m: the connection broke")


def test_the_name_of_a_model_stays_one_line() -> None:
    scope = scope_of()
    concerns(scope, "a\x1b[31m\nb")
    assert line(scope).isprintable()
    assert Access(scope, 0.0025, 200, 1, None).fields()["model"] == r"a\x1b[31m\nb"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (get("/health"), '"GET /health HTTP/1.1" 200 2 '),
        (get("/health", method=b"HEAD"), '"HEAD /health HTTP/1.1" 200 2 '),
        (get("/health", method=b"OPTIONS"), '"OPTIONS /health HTTP/1.1" 204 0 '),
        (get("/v1//models"), '"GET /v1//models HTTP/1.1" 307 0 '),
        (get("/a%20b"), '"GET /a b HTTP/1.1" 404 '),
    ],
)
async def test_everything_that_is_answered_has_its_line(
    log: pytest.LogCaptureFixture, asked: bytes, said: str
) -> None:
    async with floor() as web:
        await web.ask(asked)
    (message,) = log.messages
    assert said in message


async def test_what_watches_again_and_again_is_told_of_only_if_it_is_refused(
    log: pytest.LogCaptureFixture,
) -> None:
    async with floor(apiKeys=["key"]) as web:
        await web.ask(get("/wol-health"))
        await web.ask(get("/metrics"))
    (message,) = log.messages
    assert '"GET /metrics HTTP/1.1" 401 ' in message


async def test_a_websocket_is_one_line_at_its_end(log: pytest.LogCaptureFixture) -> None:
    async with floor() as web:
        client = await web.served.connect()
        async with client:
            await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", b"/api/lifecycle"))
            await receive_until(client, b"snapshot")
        await web.ask(get("/health"))
    assert any('"GET /api/lifecycle HTTP/1.1" 101 0 ' in message for message in log.messages)


@pytest.mark.parametrize("path", ["/upstream/nothing/ws", "/nowhere"])
async def test_the_line_of_a_websocket_that_is_refused_has_the_size_of_the_answer(
    path: str, log: pytest.LogCaptureFixture
) -> None:
    async with floor() as web:
        answer = await web.served.ask(OPEN_WEBSOCKET.replace(b"/ws", path.encode()))
    size = len(answer.partition(b"\r\n\r\n")[2])
    assert size > 0
    assert f'"GET {path} HTTP/1.1" 404 {size} ' in log.messages[-1]


async def test_an_error_of_swapds_own_names_the_request_to_its_client(
    log: pytest.LogCaptureFixture,
) -> None:
    async with floor() as web:
        replies = [await web.ask(asked) for asked in (get("/nowhere"), chat(b"{"))]
        named = await web.ask(get("/nowhere", head=b"x-request-id: mine\r\n"))
    assert named.headers["x-request-id"] == "mine"
    for reply, said in zip([*replies, named], log.messages, strict=True):
        assert reply.headers["x-request-id"] in said


async def test_an_answer_of_a_model_stays_as_it_is() -> None:
    async with floor() as web:
        web.upstream.then(
            web.upstream.answer(
                b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-request-id: theirs\r\n\r\nok"
            )
        )
        reply = await web.ask(chat(head=b"x-request-id: mine\r\n"))
    assert reply.headers["x-request-id"] == "theirs"


@pytest.mark.parametrize(
    "given", [b"", b"a b", b'x"', b"\x1b[31m", b"x" * 129, b"caf\xc3\xa9", b"a\\"]
)
def test_an_id_that_is_not_sane_is_replaced_and_each_is_another(given: bytes) -> None:
    ids = {request_id(scope_of(headers=[(b"x-request-id", given)])) for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"[0-9a-f]{8}-\d+", known) for known in ids)


def test_the_id_of_a_request_stays() -> None:
    scope = scope_of()
    assert request_id(scope) == request_id(scope)


FORWARDED = (b"x-forwarded-for", b"203.0.113.9, 10.0.0.1")


@pytest.mark.parametrize(
    ("client", "headers", "shown"),
    [
        (("10.0.0.5", 1), [], "10.0.0.5"),
        (("10.0.0.5", 1), [FORWARDED], "10.0.0.5"),
        (("127.0.0.1", 1), [FORWARDED], "203.0.113.9"),
        (("::1", 1), [(b"x-forwarded-for", b"2001:db8::1")], "2001:db8::1"),
        (("127.0.0.1", 1), [(b"x-real-ip", b"9.9.9.9")], "9.9.9.9"),
        (("127.0.0.1", 1), [(b"x-real-ip", b"9.9.9.9"), FORWARDED], "203.0.113.9"),
        (("127.0.0.1", 1), [(b"x-forwarded-for", b'evil" 200 \x1b[31m')], "127.0.0.1"),
        (None, [], "unix"),
        (None, [FORWARDED], "203.0.113.9"),
    ],
)
def test_only_a_proxy_on_this_machine_is_believed_for_whom_it_asks(
    client: tuple[str, int] | None, headers: list[tuple[bytes, bytes]], shown: str
) -> None:
    assert line(scope_of(headers=headers, client=client)).startswith(f'Request {shown} "GET')


@pytest.mark.parametrize("text", ['a" 200 5 "b', "a\nRequest", "\x1b[31m", "\u202egnp", "\x9b"])
def test_what_a_client_says_stays_in_its_place(text: str) -> None:
    headers = [(b"user-agent", text.encode("latin-1", "replace"))]
    scope = scope_of("/" + text, headers)
    said = line(scope)
    assert said.isprintable()
    assert re.fullmatch(
        r'Request 127.0.0.1 "GET /(\\.|[^"\\])* HTTP/1.1" 200 319 "(\\.|[^"\\])*" 2.5ms \S+', said
    )
    told = Access(scope, 0.0025, 200, 319, None).fields()
    assert all(str(value).isprintable() for value in told.values())


def test_a_flood_of_words_is_cut() -> None:
    assert len(line(scope_of("/" + "a" * 10_000, [(b"user-agent", b"b" * 10_000)]))) < 1200


def test_programs_get_fields() -> None:
    scope = scope_of("/x", [(b"user-agent", b"u"), (b"x-request-id", b"mine")], method="POST")
    assert Access(scope, 0.0025, 200, 9, Outcome(503, "m is gone")).fields() == {
        "event": "request",
        "logger": "swapd.access",
        "request_id": "mine",
        "client": "127.0.0.1",
        "method": "POST",
        "path": "/x",
        "protocol": "HTTP/1.1",
        "status": 503,
        "size": 9,
        "user_agent": "u",
        "duration_ms": 2.5,
        "error": "m is gone",
    }


def test_one_that_was_cut_before_its_answer_is_told_as_such(log: pytest.LogCaptureFixture) -> None:
    access_log.end(scope_of(), began=0, status=0, size=0, complete=False, say=access_log.say)
    assert " 499 0 " in log.messages[0]
    assert log.messages[0].endswith(": cut before it was answered")


def test_nothing_is_said_below_the_level(log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.WARNING, logger="swapd.access")
    scope = scope_of()
    settle(scope, 503, "why")
    access_log.end(scope, began=0, status=503, size=0, complete=True, say=access_log.say)
    assert log.messages == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0000005, "0.5µs"),
        (0.0008125, "812.5µs"),
        (0.002041962, "2.041962ms"),
        (0.5, "500ms"),
        (1.5, "1.5s"),
        (120.5, "2m0.5s"),
        (7384.0, "2h3m4s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, said: str) -> None:
    assert in_go(seconds) == said


def test_programs_get_the_very_words_without_the_quoting_of_a_line() -> None:
    told = Access(scope_of('/a"b\\c', [(b"user-agent", b'x "y" \\')]), 0.1, 200, 1, None).fields()
    assert (told["path"], told["user_agent"]) == ('/a"b\\c', 'x "y" \\')
