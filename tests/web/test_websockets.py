"""Websockets through the whole web floor, from a client's socket to a model's server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import wait_all_tasks_blocked
from trio_websocket import (
    CloseReason,
    ConnectionClosed,
    ConnectionRejected,
    WebSocketConnection,
    wrap_client_stream,
)

from swapd.errors import ModelUnavailable, TooManyRequests
from swapd.ids import Generation, ModelId
from swapd.policy.life import ModelState, Reason, Transition
from tests.upstream.scripted import Connection, answering, serving
from tests.upstream.websockets import (
    Talk,
    WebsocketServer,
    accept,
    echo,
    leaving,
    listen,
    websockets,
)
from tests.web.floor import Floor, floor
from tests.web.raw import OPEN_WEBSOCKET, Served, leave_with_rst, receive_until, rest

PATH = "/upstream/m/ws"
IGNORING = {"compat": {"ignoreWebsockets": True}}


@asynccontextmanager
async def talking(
    talk: Talk = echo, *, model: Mapping[str, object] | None = None, keys: Sequence[str] = ()
) -> AsyncIterator[tuple[Floor, WebsocketServer]]:
    """Serve model ``m``, on whose websockets ``talk`` is spoken."""
    async with (
        websockets(talk) as server,
        floor(model={"proxy": server.url, **(model or {})}, apiKeys=keys) as web,
    ):
        yield web, server


@asynccontextmanager
async def opened(
    served: Served, path: str = PATH, *subprotocols: str, headers: Mapping[str, str] | None = None
) -> AsyncIterator[WebSocketConnection]:
    """Open a websocket; it vanishes at the end of the block, if it was not closed."""
    async with await served.connect() as stream, trio.open_nursery() as nursery:
        extra = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        yield await wrap_client_stream(
            nursery,
            stream,
            "localhost",
            path,
            subprotocols=subprotocols,
            extra_headers=extra,
            max_message_size=2**27,
        )
        nursery.cancel_scope.cancel(reason="done")


async def refusal(
    served: Served, path: str = PATH, headers: Mapping[str, str] | None = None
) -> ConnectionRejected:
    """Return with what a handshake is refused."""
    refused = pytest.RaisesExc(ConnectionRejected)
    with pytest.RaisesGroup(refused, flatten_subgroups=True) as group:
        async with opened(served, path, headers=headers):
            pass
    (error,) = leaves(group.value)
    return error


def leaves(group: BaseException) -> list[ConnectionRejected]:
    if isinstance(group, BaseExceptionGroup):
        return [leaf for part in group.exceptions for leaf in leaves(part)]
    assert isinstance(group, ConnectionRejected)
    return [group]


async def farewell(websocket: WebSocketConnection) -> CloseReason:
    """Return how the other side leaves, behind whatever it still says."""
    with suppress(ConnectionClosed):
        while True:
            await websocket.get_message()
    assert websocket.closed is not None
    return websocket.closed


def become(web: Floor, state: ModelState) -> None:
    web.lifecycle.publish(
        Transition(ModelId("m"), ModelState.STOPPED, state, Reason.REQUEST, Generation(1))
    )


async def test_texts_and_bytes_pass_both_ways() -> None:
    async with talking() as (web, _), opened(web.served) as websocket:
        for message in ("hello", b"\x00\xff", "", b"", "✓" * 30_000, bytes(5_000_000)):
            await websocket.send_message(message)
            assert await websocket.get_message() == message
        await websocket.aclose()


async def test_the_handshake_is_between_the_client_and_the_model() -> None:
    async with talking() as (web, server):
        headers = {"origin": "http://localhost", "x-api-key": "theirs", "cookie": "c"}
        path = "/upstream/m/a%2Fb//x?q=%20"
        async with opened(web.served, path, "one", "two", headers=headers) as websocket:
            assert websocket.subprotocol == "one"
            cookies = [
                value for name, value in websocket.handshake_headers if name == b"set-cookie"
            ]
            assert cookies == [b"a=1", b"b=2"]
            await websocket.aclose()
        assert server.asked[0].path == "/a%2Fb//x?q=%20"
        assert server.asked[0].proposed_subprotocols == ("one", "two")
        assert server.headers[b"origin"] == b"http://localhost"
        assert server.headers[b"x-api-key"] == b"theirs"
        assert server.headers[b"x-forwarded-for"] == b"127.0.0.1"


async def test_keys_of_swapd_go_no_further() -> None:
    async with talking(keys=["our-key"]) as (web, server):
        assert (await refusal(web.served)).status_code == 401
        key = {"authorization": "Bearer our-key"}
        async with opened(web.served, headers=key) as websocket:
            await websocket.aclose()
        assert b"authorization" not in server.headers


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (4321, "so be it"), (1001, None)])
async def test_the_client_hears_how_the_model_leaves(code: int, reason: str | None) -> None:
    async with talking(leaving(code, reason, "last")) as (web, _), opened(web.served) as websocket:
        assert await websocket.get_message() == "last"
        how = await farewell(websocket)
    assert (how.code, how.reason) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (4321, "so be it"), (1001, None)])
async def test_the_model_hears_how_the_client_leaves(code: int, reason: str | None) -> None:
    async with talking(listen) as (web, server):
        async with opened(web.served) as websocket:
            await websocket.send_message("something")
            await websocket.aclose(code, reason)
        await wait_all_tasks_blocked(0.05)
        assert server.farewells == [(code, reason)]


#: A frame that closes without a code, masked by zeros.
CLOSE_WITHOUT_CODE = b"\x88\x80\0\0\0\0"


async def test_leaving_without_a_code_is_passed_on_as_such() -> None:
    async with talking(listen) as (web, server):
        async with await web.served.connect() as client:
            await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", PATH.encode()))
            await receive_until(client, b"\r\n\r\n")
            await client.send_all(CLOSE_WITHOUT_CODE)
            assert (await rest(client)).endswith(b"\x88\x00")
        await wait_all_tasks_blocked(0.05)
        assert server.farewells == [(1005, None)]


async def test_a_model_that_leaves_without_a_code_is_passed_on_as_such() -> None:
    async def leave(connection: Connection) -> None:
        await accept(connection)
        await connection.send(b"\x88\x00")
        await connection.left()

    async with (
        serving(leave) as server,
        floor(model={"proxy": server.url}) as web,
        await web.served.connect() as client,
    ):
        await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", PATH.encode()))
        assert (await receive_until(client, b"\x88\x00")).endswith(b"\r\n\r\n\x88\x00")
        await client.send_all(CLOSE_WITHOUT_CODE)
        assert await rest(client) == b""


async def test_a_client_that_vanishes_does_so_for_the_model_too() -> None:
    async with talking(listen) as (web, server):
        async with opened(web.served) as websocket:
            await websocket.send_message("x")
        await wait_all_tasks_blocked(0.05)
        assert (server.farewells, server.open) == ([(1006, None)], 0)
        assert not [*web.services.requests]


async def test_a_model_that_vanishes_is_told_with_its_reason() -> None:
    async def vanish(websocket: WebSocketConnection) -> None:
        await websocket.get_message()
        await websocket._stream.aclose()

    async with talking(vanish) as (web, _), opened(web.served) as websocket:
        web.models.end.come("exited with code 7")
        await websocket.send_message("x")
        how = await farewell(websocket)
    assert how.code == 1011
    assert how.reason == "m: the server broke the websocket off; its process exited with code 7"


async def test_a_websocket_counts_as_a_request_while_it_lasts() -> None:
    async with talking() as (web, _):
        async with opened(web.served) as websocket:
            (tracked,) = web.services.requests
            assert (tracked.model, tracked.method, tracked.path) == ("m", "GET", PATH)
            await websocket.aclose()
        await wait_all_tasks_blocked(0.05)
        assert not [*web.services.requests]


# -- what is refused before it is open --------------------------------------------------


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
        ("/upstream/nope/ws", 404, "there is no model 'nope'"),
        ("/upstream/", 404, "the path names no model"),
        ("/upstream/m/x.js", 409, "m is not loaded, and /x.js does not load it"),
        ("/comfyui/ws", 404, "/comfyui is the model comfyui_auto"),
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


async def test_a_model_that_is_no_server_of_websockets_is_told() -> None:
    async with answering(b"SSH-2.0\r\n") as server, floor(model={"proxy": server.url}) as web:
        refused = await refusal(web.served)
    assert refused.status_code == 502
    assert b"m: the server sent an invalid response" in (refused.body or b"")


# -- who goes meanwhile -----------------------------------------------------------------


async def test_a_model_that_is_unloaded_closes_its_websockets_for_a_restart() -> None:
    async with talking() as (web, server), opened(web.served) as websocket:
        web.models.unload("m was unloaded")
        how = await farewell(websocket)
        await wait_all_tasks_blocked(0.05)
        assert server.open == 0
    assert (how.code, how.reason) == (1012, "m was unloaded")


async def test_the_end_of_swapd_is_going_away() -> None:
    async with talking() as (web, server), opened(web.served) as websocket:
        web.services.closing.set()
        how = await farewell(websocket)
        await wait_all_tasks_blocked(0.05)
        assert server.open == 0
    assert (how.code, how.reason) == (1001, "swapd is shutting down")


@pytest.mark.parametrize("stage", ["waiting", "handshake", "open", "sending", "receiving"])
async def test_a_client_that_leaves_leaves_nothing(stage: str) -> None:
    asked, left = trio.Event(), trio.Event()

    async def script(connection: Connection) -> None:
        if stage == "handshake":
            await connection.request()
        else:
            await accept(connection)
        if stage == "receiving":
            with trio.move_on_after(0.2):
                await connection.send(b"\x82\x7f" + (2**40).to_bytes(8, "big") + bytes(2**24))
        asked.set()
        if stage != "sending":
            await connection.left()
            left.set()
        else:
            await trio.sleep_forever()

    async with serving(script) as server, floor(model={"proxy": server.url}) as web:
        if stage == "waiting":
            web.models.held = trio.Event()
        async with await web.served.connect() as client:
            await client.send_all(OPEN_WEBSOCKET.replace(b"/ws", PATH.encode()))
            if stage == "waiting":
                await wait_all_tasks_blocked(0.05)
            elif stage == "handshake":
                await asked.wait()
            else:
                await receive_until(client, b"\r\n\r\n")
                await asked.wait()
            if stage == "sending":
                with trio.move_on_after(0.5):
                    frame = b"\x82\xff" + (2**20).to_bytes(8, "big") + bytes(4) + bytes(2**20)
                    while True:
                        await client.send_all(frame)
                await leave_with_rst(client)  # any other leave would be behind what it has sent
        while [*web.services.requests] or web.models.leases:  # noqa: ASYNC110  in another task
            await trio.sleep(0.01)
        if stage not in {"waiting", "sending"}:
            await left.wait()


# -- what does not count ----------------------------------------------------------------


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
