"""Seeing what a real swapd does: by its event stream, and by all topics of its websocket."""

from __future__ import annotations

import json
import signal
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketConnection

from swapd.testing.running import configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, reload
from tests.web.event_clients import Listener

pytestmark = pytest.mark.real_process


async def hear_until(websocket: WebSocketConnection, kinds: Collection[str]) -> list[Any]:
    """Return what is told until there was a message of each of ``kinds``."""
    heard: list[Any] = []
    with trio.fail_after(LONG):
        while not {*kinds} <= {message["type"] for message in heard}:
            heard.append(json.loads(await websocket.get_message()))
    return heard


async def test_a_swap_is_told_by_a_line_and_an_event_with_its_grounds(tmp_path: Path) -> None:
    config = configuration({"a": fake("a"), "b": fake("b")})
    async with run_swapd(tmp_path, config) as running:
        topics = "?topics=lifecycle,requests,logs,activity"
        async with running.lifecycle(topics) as websocket:
            await running.chat("a")
            assert (await running.chat("b", stream=True)).status == 200
            heard: list[Any] = []
            while sum(message["type"] == "activity" for message in heard) < 2:
                heard += await hear_until(websocket, {"activity"})
        (swap,) = [
            message
            for message in heard
            if message["type"] == "transition"
            and (message["new"], message["reason"]) == ("stopping", "swap")
        ]
        assert swap["model"] == "a"
        assert swap["detail"].startswith("for b by group ")
        assert ", cost 1, after " in swap["detail"]
        (line,) = [said for said in running.lines if "ready -> stopping" in said]
        assert swap["detail"] in line
        logged = [
            each for message in heard if message["type"] == "log" for each in message["lines"]
        ]
        assert line in logged
        finished = [message for message in heard if message.get("event") == "finished"]
        assert [message["model"] for message in finished] == ["a", "b"]
        assert all(message["usage"]["generated"] for message in finished)
        assert finished[1]["loaded"] > 0
        rows = [message["row"] for message in heard if message["type"] == "activity"]
        assert [(row["id"], row["model"]) for row in rows] == [(1, "a"), (2, "b")]


async def test_the_event_stream_goes_on_over_a_reload_and_ends_when_swapd_does(
    tmp_path: Path,
) -> None:
    config = configuration({"a": fake("a")})
    async with run_swapd(tmp_path, config) as running:
        async with await trio.open_tcp_stream("127.0.0.1", running.port) as stream:
            listener = Listener(stream)
            with trio.fail_after(LONG):
                await listener.ask("")
                burst = [kind for kind, _ in await listener.hear_burst()]
                assert burst == [
                    *["logData"] * 2,
                    "modelStatus",
                    "uiConfig",
                    "profileChanged",
                    "inflight",
                ]
                written = json.loads(config)
                written["models"]["new"] = written["models"]["a"]
                (tmp_path / "config.yaml").write_text(json.dumps(written))
                await reload(running)
                names = [model["id"] for model in await listener.hear_of("modelStatus")]
                assert names == ["a", "new"]
                await running.chat("a")
                assert (await listener.hear_of("activity"))["id"] == 1
                running.process.send_signal(signal.SIGTERM)
                while await listener.block():
                    pass
        with trio.fail_after(LONG):
            await running.process.wait()


async def test_a_stream_is_cancelled_and_its_model_goes_on(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration({"a": fake("a")})) as running:
        endless = {"fake": {"chunks": 10_000, "interval": 0.05}}
        async with running.open_chat("a", **endless) as stream:
            received = b""
            with trio.fail_after(LONG):
                while b'"content"' not in received:
                    received += await stream.receive_some()
                listing = json.loads((await running.ask("GET", "/api/inflight")).body)
                (request,) = listing["requests"]
                assert (request["phase"], request["status"]) == ("served", 200)
                answer = await running.ask("POST", f"/api/inflight/{request['id']}/cancel")
                assert answer.json() == {"msg": "ok"}
                while piece := await stream.receive_some():
                    received += piece
        assert b'"code":"cancelled"' in received
        assert not received.endswith(b"0\r\n\r\n")
        await running.until_upstream("a", "cancelled", 1)
        assert (await running.chat("a")).status == 200
        assert json.loads((await running.ask("GET", "/api/inflight")).body) == {"requests": []}
