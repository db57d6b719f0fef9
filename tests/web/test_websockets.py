"""Websockets through the whole web floor, from a client's socket to a model's server."""

from __future__ import annotations

import pytest
import trio
from prometheus_client import generate_latest
from trio.testing import wait_all_tasks_blocked
from trio_websocket import (
    WebSocketConnection,
)

from tests.telemetry.metrics.scraped import Scraped
from tests.upstream.scripted import Connection, serving
from tests.upstream.websockets import (
    accept,
    echo,
    leaving,
    listen,
    websockets,
)
from tests.web.floor import Floor, floor
from tests.web.opened import PATH, farewell, opened, refusal, talking
from tests.web.raw import OPEN_WEBSOCKET, leave_with_rst, receive_until, rest


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
            assert (tracked.model, tracked.method, tracked.path) == ("m", "GET", "/ws")
            await websocket.aclose()
        await wait_all_tasks_blocked(0.05)
        assert not [*web.services.requests]


async def test_each_that_was_let_in_is_counted_at_its_end_as_the_log_has_it() -> None:
    async with talking(keys=["the-key"]) as (web, _):
        key = {"x-api-key": "the-key"}
        async with opened(web.served, headers=key) as websocket:
            assert not counted(web)
            await websocket.aclose()
        async with opened(web.served, headers=key) as websocket:
            web.models.unload("m was unloaded")
            await farewell(websocket)
        await refusal(web.served, "/upstream/m/x.js", key)
        await refusal(web.served, "/upstream/nope/ws", key)
        await refusal(web.served, "/upstream/m", key)
        await refusal(web.served)
        await wait_all_tasks_blocked(0.05)
        assert counted(web) == {"m 101": 1, "m 503": 1, "m 409": 1, "unnamed": 1}


def counted(web: Floor) -> dict[str, float]:
    """Return how many requests were counted, by model and status, all below models."""
    found = Scraped(generate_latest(web.services.accounts.registry))
    counts: dict[str, float] = {}
    for labels in found.labels("swapd_requests_total"):
        assert labels["route"] == "/upstream/{model}"
        key = f"{labels['model']} {labels['status']}"
        counts[key] = found.value("swapd_requests_total", **labels) or 0
    if unnamed := found.value("swapd_unnamed_requests_total"):
        counts["unnamed"] = unnamed
    return counts


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


async def test_a_websocket_to_a_model_of_a_peer_brings_the_peers_key_alone() -> None:
    async with websockets(echo) as server:
        peer = {"proxy": server.url + "/base", "models": ["org/far"], "apiKey": "peers-key"}
        async with floor(peers={"p": peer}) as web:
            headers = {"authorization": "Bearer clients", "x-forwarded-for": "192.0.2.1"}
            async with opened(web.served, "/upstream/p/org/far/ws?x", headers=headers) as websocket:
                await websocket.send_message("hello")
                assert await websocket.get_message() == "hello"
                (tracked,) = web.services.requests
                assert tracked.model == "p/org/far"
                await websocket.aclose()
    assert server.asked[0].path == "/base/ws?x"
    assert server.headers[b"authorization"] == b"Bearer peers-key"
    assert b"x-forwarded-for" not in server.headers


async def test_a_peer_that_is_not_there_is_told() -> None:
    async with websockets(echo) as server:
        peer = {"proxy": server.url, "models": ["far"]}
    async with floor(peers={"p": peer}) as web:
        refused = await refusal(web.served, "/upstream/far/ws")
    assert refused.status_code == 502
    assert b"peer p: could not connect to http://127.0.0.1:" in (refused.body or b"")
