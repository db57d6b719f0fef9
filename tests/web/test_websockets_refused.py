"""Websockets that are not opened, and those that do not count."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from trio_websocket import (
    WebSocketConnection,
)

from swapd.errors import ModelUnavailable, TooManyRequests
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.upstream.scripted import answering
from tests.upstream.websockets import (
    echo,
    websockets,
)
from tests.web.floor import floor
from tests.web.opened import IGNORING, become, farewell, opened, refusal, talking


async def test_a_model_that_cannot_be_had_is_an_answer_to_the_handshake() -> None:
    async with talking() as (web, server):
        for error, status in (
            (ModelUnavailable("m is out", retry_after=3), 503),
            (TooManyRequests("m is full", retry_after=1), 429),
        ):
            web.models.refusal = error
            refused = await refusal(web.served)
            assert refused.status_code == status
            assert refused.body is not None
            assert json.loads(refused.body)["error"]["message"] == str(error)
            assert dict(refused.headers)[b"content-type"] == b"application/json"
            assert b"retry-after" in dict(refused.headers)
        assert not server.asked


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/upstream/nope/ws", 404, "model not found: 'nope'"),
        ("/upstream/", 404, "the path names no model"),
        ("/upstream/m/x.js", 409, "m is not loaded, and /x.js does not load it"),
        ("/comfyui/ws", 404, "/comfyui is the model comfyui_auto"),
        ("/api%2Flifecycle", 404, "websocket /api%2Flifecycle: not found"),
        ("//api/lifecycle", 404, "websocket //api/lifecycle: not found"),
    ],
)
async def test_a_path_without_a_websocket_is_refused(path: str, status: int, message: str) -> None:
    async with talking() as (web, _):
        refused = await refusal(web.served, path)
    assert refused.status_code == status
    assert message in (refused.body or b"").decode()


async def test_a_model_itself_is_a_folder() -> None:
    async with talking() as (web, _):
        refused = await refusal(web.served, "/upstream/m?x=1")
    assert refused.status_code == 301
    assert dict(refused.headers)[b"location"] == b"/upstream/m/?x=1"


@pytest.mark.parametrize(
    "head", [{"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}]
)
async def test_a_web_page_of_another_site_opens_none(head: Mapping[str, str]) -> None:
    async with talking() as (web, server):
        refused = await refusal(web.served, headers=head)
        assert refused.status_code == 403
        assert not server.asked


async def test_what_the_model_answers_instead_is_passed_on() -> None:
    answer = (
        b"HTTP/1.1 426 Wrong\r\ncontent-type: x/y\r\nset-cookie: a\r\ncontent-length: 2\r\n\r\nno"
    )
    async with answering(answer) as server, floor(model={"proxy": server.url}) as web:
        refused = await refusal(web.served)
    assert (refused.status_code, refused.body) == (426, b"no")
    assert dict(refused.headers)[b"content-type"] == b"x/y"
    assert dict(refused.headers)[b"set-cookie"] == b"a"


async def test_an_answer_without_a_body_has_no_length() -> None:
    answer = b"HTTP/1.1 204 Nothing\r\n\r\n"
    async with answering(answer) as server, floor(model={"proxy": server.url}) as web:
        refused = await refusal(web.served)
    assert refused.status_code == 204
    assert b"content-length" not in dict(refused.headers)


async def test_a_model_that_is_no_server_of_websockets_is_told() -> None:
    async with answering(b"SSH-2.0\r\n") as server, floor(model={"proxy": server.url}) as web:
        refused = await refusal(web.served)
    assert refused.status_code == 502
    assert b"m: the server sent an invalid response" in (refused.body or b"")


async def test_a_websocket_that_is_ignored_needs_a_model_that_is_ready() -> None:
    async with talking(model=IGNORING) as (web, server):
        for state in (None, ModelState.STARTING, ModelState.STOPPING):
            if state is not None:
                become(web, state)
            refused = await refusal(web.served)
            assert refused.status_code == 409
            assert b"m is not loaded, and websockets do not load it" in (refused.body or b"")
        become(web, ModelState.READY)
        web.models.refusal = ModelUnavailable("nobody must ask", retry_after=1)
        async with opened(web.served) as websocket:
            await websocket.send_message("x")
            assert await websocket.get_message() == "x"
            assert not [*web.services.requests]
            await websocket.aclose()
        assert len(server.asked) == 1


async def test_a_websocket_that_is_ignored_ends_with_its_model() -> None:
    async def vanish(websocket: WebSocketConnection) -> None:
        await websocket.get_message()
        await websocket._stream.aclose()

    async with talking(vanish, model=IGNORING) as (web, _):
        become(web, ModelState.READY)
        async with opened(web.served) as websocket:
            await websocket.send_message("x")
            how = await farewell(websocket)
        assert (how.code, how.reason) == (1011, "m: the server broke the websocket off")
        async with opened(web.served) as websocket:
            become(web, ModelState.STOPPED)
            await websocket.send_message("x")
            how = await farewell(websocket)
        assert (how.code, how.reason) == (1012, "m was stopped")


async def test_the_websocket_of_comfyui_does_not_count() -> None:
    async with (
        websockets(echo) as server,
        floor(name="comfyui_auto", model={"proxy": server.url}) as web,
    ):
        assert (await refusal(web.served, "/comfyui/ws")).status_code == 409
        web.lifecycle.publish(
            Transition(
                ModelId("comfyui_auto"),
                ModelState.STARTING,
                ModelState.READY,
                Reason.REQUEST,
                Generation(1),
            )
        )
        async with opened(web.served, "/comfyui/ws?clientId=1") as websocket:
            await websocket.aclose()
        assert server.asked[0].path == "/ws?clientId=1"
