"""Websockets to models, and servers that are reached in other ways, by a whole swapd."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trustme
from trio_websocket import CloseReason, ConnectionClosed, ConnectionRejected, WebSocketConnection

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, rewrite

pytestmark = pytest.mark.real_process

IGNORING = {"compat": {"ignoreWebsockets": True}}
WS = "/upstream/a/ws"


@asynccontextmanager
async def running(tmp_path: Path, config: str, **environ: str) -> AsyncIterator[Running]:
    with trio.fail_after(2 * LONG):
        async with run_swapd(tmp_path, config, environ=environ) as swapd:
            yield swapd


async def farewell(websocket: WebSocketConnection) -> CloseReason:
    """Return how the other side leaves."""
    with suppress(ConnectionClosed):
        while True:
            await websocket.get_message()
    assert websocket.closed is not None
    return websocket.closed


async def in_flight(swapd: Running, model: str) -> int:
    snapshot = await swapd.snapshot()
    found: int = next(seen["in_flight"] for seen in snapshot["models"] if seen["model"] == model)
    return found


async def until_idle(swapd: Running, model: str) -> None:
    while await in_flight(swapd, model):  # noqa: ASYNC110  in another process
        await trio.sleep(0.05)


def descriptors(swapd: Running) -> int:
    return len(os.listdir(f"/proc/{swapd.process.pid}/fd"))


async def test_a_websocket_loads_its_model_and_holds_it(tmp_path: Path) -> None:
    config = configuration({"a": {"cmd": fake("a"), "ttl": 1}, "b": fake("b")})
    async with running(tmp_path, config) as swapd, trio.open_nursery() as nursery:
        served = trio.Event()

        async def ask_the_rival() -> None:
            answer = await swapd.chat("b")
            assert answer.status == 200, answer.body
            served.set()

        async with swapd.websocket(WS, "graphql-ws", "other") as websocket:
            assert websocket.subprotocol == "graphql-ws"
            for message in ("hello", b"\x00\xff", "", b"", bytes(3_000_000), "✓" * 50_000):
                await websocket.send_message(message)
                assert await websocket.get_message() == message
            nursery.start_soon(ask_the_rival)
            await trio.sleep(1.5)  # longer than its ttl
            assert not served.is_set()
            assert (await swapd.states())["a"] == "ready"
            await websocket.send_message("close 4321 so be it")
            how = await farewell(websocket)
            assert (how.code, how.reason) == (4321, "so be it")
        await served.wait()
        assert await swapd.states() == {"b": "ready"}


async def test_an_unload_closes_it_for_a_restart_and_a_crash_says_why(tmp_path: Path) -> None:
    command = fake("a", "--exit-code", "7", "--last-words", "out of memory")
    async with running(tmp_path, configuration({"a": command})) as swapd:
        async with swapd.websocket(WS) as websocket:
            await swapd.ask("POST", "/api/models/unload/a")
            how = await farewell(websocket)
        assert how.code == 1012
        assert how.reason is not None
        assert "unloaded" in how.reason
        async with swapd.websocket(WS) as websocket:
            await websocket.send_message("die")
            how = await farewell(websocket)
        assert how.code == 1011
        assert how.reason is not None
        assert "its process exited with code 7" in how.reason


async def test_websockets_do_not_hold_up_the_end_of_swapd(tmp_path: Path) -> None:
    config = configuration({"a": fake("a")}, server={"shutdownGrace": 100})
    async with running(tmp_path, config) as swapd, swapd.websocket(WS) as websocket:
        swapd.process.terminate()
        how = await farewell(websocket)
        assert (how.code, how.reason) == (1001, "swapd is shutting down")
        with trio.fail_after(LONG / 2):
            assert await swapd.process.wait() == 0


async def test_a_websocket_that_is_ignored_loads_and_holds_nothing(tmp_path: Path) -> None:
    config = configuration({"a": {"cmd": fake("a"), **IGNORING}, "b": fake("b")})
    async with running(tmp_path, config) as swapd:
        refused = pytest.RaisesExc(ConnectionRejected, check=lambda error: error.status_code == 409)
        with pytest.RaisesGroup(refused, flatten_subgroups=True):
            async with swapd.websocket(WS):
                pass
        assert await swapd.states() == {}
        assert (await swapd.chat("a")).status == 200
        async with swapd.websocket(WS) as websocket:
            await websocket.send_message("x")
            assert await websocket.get_message() == "x"
            assert await in_flight(swapd, "a") == 0
            assert (await swapd.chat("b")).status == 200
            how = await farewell(websocket)
            assert (how.code, how.reason) == (1012, "a was stopped")


async def test_clients_that_leave_whenever_they_like_leave_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)

    async def come_and_go(swapd: Running) -> None:
        with trio.move_on_after(chance.random() * 0.6):
            async with swapd.websocket(WS) as websocket:
                while chance.random() < 0.9:
                    await websocket.send_message(bytes(chance.randrange(300_000)))
                    await websocket.get_message()
                if chance.random() < 0.5:
                    await websocket.aclose(4000, "enough")

    async with running(tmp_path, configuration({"a": fake("a", "--load", "0.2")})) as swapd:
        await swapd.chat("a")
        before = descriptors(swapd)
        for _ in range(5):
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(come_and_go, swapd)
        await until_idle(swapd, "a")
        while descriptors(swapd) > before + 2:  # noqa: ASYNC110  the last are closed soon
            await trio.sleep(0.05)
        assert (await swapd.chat("a")).status == 200
        assert not [line for line in swapd.lines if "Traceback" in line or "bug" in line]


@pytest.mark.parametrize("way", ["tls", "unix"])
async def test_a_server_is_reached_in_other_ways(tmp_path: Path, way: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    certificate = tmp_path / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    if way == "tls":
        command, proxy = fake("a", "--certificate", str(certificate)), "https://localhost:${PORT}"
    else:
        command = fake("a", "--unix", str(tmp_path / "a b.sock"))
        proxy = f"unix:{tmp_path}/a%20b.sock"
    config = configuration({"a": {"cmd": command, "proxy": proxy}})
    async with running(tmp_path, config, SSL_CERT_FILE=str(tmp_path / "authority.pem")) as swapd:
        assert (await swapd.chat("a")).status == 200
        answer = await swapd.ask("POST", "/upstream/a/x//y", bytes(5_000_000))
        assert (answer.status, answer.body.count(rb"\u0000")) == (200, 5_000_000)
        async with swapd.websocket(WS) as websocket:
            await websocket.send_message(bytes(1_000_000))
            assert await websocket.get_message() == bytes(1_000_000)
            await websocket.aclose()


@pytest.mark.slow
async def test_a_server_that_is_not_trusted_does_not_become_ready(tmp_path: Path) -> None:
    certificate = tmp_path / "server.pem"
    trustme.CA().issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        str(certificate)
    )
    model = {
        "cmd": fake("a", "--certificate", str(certificate)),
        "proxy": "https://localhost:${PORT}",
    }
    config = configuration({"a": model}, healthCheckTimeout=15)
    async with running(tmp_path, config) as swapd, trio.open_nursery() as nursery:
        nursery.start_soon(swapd.chat, "a")
        while not (said := [line for line in swapd.lines if "cannot be trusted" in line]):
            await trio.sleep(0.1)
            snapshot = await swapd.snapshot()
            said = [str(seen["error"]) for seen in snapshot["models"] if seen["error"]]
            if any("cannot be trusted" in line for line in said):
                break
        assert "SSL_CERT_FILE can name one to trust" in said[0]
        nursery.cancel_scope.cancel(reason="seen enough")


async def test_new_timeouts_hold_at_once(tmp_path: Path) -> None:
    def config(seconds: int) -> str:
        model = {"cmd": fake("a"), "timeouts": {"responseHeader": seconds}}
        return configuration({"a": model})

    before = config(0)
    async with running(tmp_path, before) as swapd:
        assert (await swapd.chat("a")).status == 200
        rewrite(tmp_path, config(1), ports_of=before)
        swapd.process.send_signal(1)
        await swapd.until_said("configuration reloaded")
        answer = await swapd.chat("a", fake={"hang": True})
        assert answer.status == 504
        assert (
            answer.error
            == "a: the server did not begin to answer within 1 s (timeouts.responseHeader)"
        )
        assert (await swapd.chat("a")).status == 200
