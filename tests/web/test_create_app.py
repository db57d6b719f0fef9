"""What every route has in common: keys and errors."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from swapd.web.create_app import create_app
from swapd.web.target import has_false_slash
from tests.web.floor import Reply, floor, get
from tests.web.raw import OPEN_WEBSOCKET, receive_until


@pytest.mark.parametrize(
    ("asked", "status", "code", "message"),
    [
        (get("/nowhere"), 404, "not_found", "GET /nowhere: not found"),
        (
            get("/chat/completions", method=b"POST"),
            404,
            "not_found",
            "POST /chat/completions: not found; did you mean /v1/chat/completions?"
            " The client's base URL may be wrong",
        ),
        (
            get("/models", method=b"POST"),
            405,
            "method_not_allowed",
            "POST /models: method not allowed",
        ),
        (
            get("/unload", method=b"PUT"),
            405,
            "method_not_allowed",
            "PUT /unload: method not allowed",
        ),
        (get("/api/lifecycle"), 400, "bad_request", "GET /api/lifecycle: this is a websocket"),
        (
            OPEN_WEBSOCKET.replace(b"/ws", b"/running"),
            400,
            "bad_request",
            "websocket /running: this is no websocket",
        ),
        (OPEN_WEBSOCKET, 404, "not_found", "websocket /ws: not found"),
        (
            OPEN_WEBSOCKET.replace(b"/ws", b"/props"),
            404,
            "not_found",
            "websocket /props: not found",
        ),
    ],
    ids=[
        "nowhere",
        "base_url",
        "method_of_models",
        "method",
        "no_websocket",
        "a_view",
        "no_such_websocket",
        "model_route",
    ],
)
async def test_what_matches_no_route_gets_an_envelope(
    asked: bytes, status: int, code: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with floor() as web:
        reply = await web.ask(asked)
    assert (reply.status, reply.error["code"], reply.error["message"]) == (status, code, message)
    assert not caplog.records


async def test_a_refused_method_is_told_with_the_allowed_ones() -> None:
    async with floor() as web:
        reply = await web.ask(get("/unload", method=b"PUT"))
    assert reply.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_route_that_takes_a_name_takes_its_slashes_encoded_too() -> None:
    async with floor() as web:
        rules = [rule.rule for rule in create_app(web.services).url_map.iter_rules()]
    named = [rule.partition("<")[0] for rule in rules if "<path:" in rule]
    assert len(named) > 2
    assert not [start for start in named if has_false_slash(f"{start}a%2Fb".encode())]


async def test_a_websocket_needs_a_key_too() -> None:
    handshake = OPEN_WEBSOCKET.replace(b"/ws", b"/api/lifecycle")
    async with floor(apiKeys=["sesame"]) as web:
        reply = Reply(await web.served.ask(handshake))
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="swapd"'
    assert reply.error["code"] == "unauthorized"


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_follows_a_refused_handshake_hurts_nobody(
    at_once: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever it meets the refusal on its way."""
    handshake, more = OPEN_WEBSOCKET.replace(b"/ws", b"/api/lifecycle"), get("/health")
    async with floor(apiKeys=["sesame"]) as web:
        for _ in range(30):
            async with await web.served.connect() as client:
                await client.send_all(handshake + more if at_once else handshake)
                answer = await receive_until(client, b"\r\n")
                if not at_once:
                    with suppress(trio.BrokenResourceError):
                        await client.send_all(more)
            assert answer.startswith(b"HTTP/1.1 401")
        assert (await web.ask(get("/health"))).body == b"OK"
    assert not caplog.records


async def test_those_who_watch_over_the_machine_need_none() -> None:
    async with floor(apiKeys=["sesame"]) as web:
        for path in ("/health", "/wol-health", "/ready", "http://localhost/health"):
            assert (await web.ask(get(path))).body == b"OK"
