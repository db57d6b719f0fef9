"""What trays, bars, terminals and home automation send to llama-swap, and which fields they decode.

Many are written in languages whose decoders refuse a whole answer for one member that is missing,
null, or of another type.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG

pytestmark = pytest.mark.real_process

SLASHED = "org/model:q8"
CAPABLE = {"in": ["text", "image"], "out": ["text"], "tools": True, "context": 4096}

MODEL = {"id": str, "object": str, "created": int, "owned_by": str, "status": dict, "meta": dict}
RUNNING = {
    **dict.fromkeys(("model", "state", "cmd", "proxy", "name", "description"), str),
    "ttl": int,
}
STATUS = {
    **dict.fromkeys(("id", "name", "description", "state", "peerID"), str),
    "unlisted": bool,
}
REQUEST = {
    **dict.fromkeys(("id", "timestamp", "model", "req_path", "method", "remote_ip"), str),
    **dict.fromkeys(("req_headers", "resp_headers"), dict),
    **dict.fromkeys(("resp_bytes", "elapsed_ms"), int),
}
ROW = {
    **dict.fromkeys(("timestamp", "model", "req_path", "resp_content_type"), str),
    **dict.fromkeys(("id", "resp_status_code", "duration_ms"), int),
    "has_capture": bool,
    "tokens": dict,
}
TOKENS = dict.fromkeys(
    ("cache_tokens", "draft_tokens", "draft_acc_tokens", "input_tokens", "output_tokens"), int
)


@pytest.fixture
async def swapd(tmp_path: Path) -> AsyncIterator[Running]:
    config = configuration(
        {
            "a": {"cmd": fake("a"), "capabilities": CAPABLE, "aliases": ["first"]},
            SLASHED: fake("slashed"),
        },
        peers={"far": {"proxy": "http://127.0.0.1:9", "models": ["m"]}},
        groups={"both": {"swap": False, "members": ["a", SLASHED]}},
        selectors={
            "any": {
                "strategy": "spillover",
                "targets": ["a", SLASHED],
                "settings": {"spillover": 2},
            }
        },
        profiles={"work": {"pins": {"coder": "a"}}},
    )
    with trio.fail_after(LONG):
        async with run_swapd(tmp_path, config) as running:
            yield running


def assert_typed(entry: object, fields: Mapping[str, type]) -> None:
    assert isinstance(entry, dict)
    assert {name: type(entry[name]) for name in fields} == fields
    for name in {"timestamp"} & fields.keys():
        assert datetime.fromisoformat(entry[name]).tzinfo is not None


async def get(running: Running, path: str) -> Any:
    answer = await running.ask("GET", path)
    assert answer.status == 200
    return answer.json()


async def burst(running: Running) -> dict[str, Any]:
    """Return what the event stream begins with, by type."""
    told: dict[str, Any] = {}
    async with await trio.open_tcp_stream("127.0.0.1", running.port) as stream:
        await stream.send_all(
            b"GET /api/events HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n"
            b"cache-control: no-cache\r\nconnection: keep-alive\r\n\r\n"
        )
        rest = b""
        async for chunk in stream:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    event = json.loads(line.removeprefix(b"data:"))
                    told[event["type"]] = json.loads(event["data"])
            if "inflight" in told:
                break
    return told


async def test_what_is_listed_and_told_is_of_the_types_that_clients_decode(swapd: Running) -> None:
    assert (await swapd.chat("a")).status == 200
    body = {"name": "work"}
    assert (await swapd.ask("PUT", "/api/profiles/active", body)).json() == {"active": "work"}
    listed = {model["id"]: model for model in (await get(swapd, "/v1/models"))["data"]}
    assert listed.keys() == {"a", SLASHED, "any", "far/m", "coder"}
    for model in listed.values():
        assert_typed(model, MODEL)
        assert_typed(model["meta"]["llamaswap"], {"type": str})
    assert_typed(listed["a"], {"context_length": int, "supported_parameters": list})
    assert {*listed["a"]["capabilities"].values()} == {True}
    assert_typed(listed["any"]["meta"]["llamaswap"], {"spillover": int, "targets": list})
    for entry in (await get(swapd, "/running"))["running"]:
        assert_typed(entry, RUNNING)
    # Some ask by members that later versions of the other know.
    page = await get(swapd, "/api/metrics/activity?limit=10&start_id=1&src_prefix=x")
    assert_typed(page, dict.fromkeys(("page", "limit", "total", "total_pages"), int))
    for row in page["data"]:
        assert_typed(row, ROW)
        assert_typed(row["tokens"], TOKENS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(swapd.chat, SLASHED)
        async with swapd.open_chat("a", fake={"hang": True}):
            while not (told := await burst(swapd))["inflight"]["requests"]:
                pass
            assert [status["id"] for status in told["modelStatus"]][-1] == "far/m"
            for status in told["modelStatus"]:
                assert_typed(status, STATUS)
            for request in told["inflight"]["requests"]:
                assert_typed(request, REQUEST)
        nursery.cancel_scope.cancel(reason="seen enough")


async def test_each_way_to_load_a_model_whose_name_has_a_slash_loads_it(swapd: Running) -> None:
    for path in (
        "/upstream/org%2Fmodel%3Aq8/health",
        "/upstream/org%2Fmodel:q8/health",
        "/upstream/org/model%3Aq8/health",
        "/upstream/org/model:q8/?_=1795363553000",
        "/props?model=org%2Fmodel%3Aq8",
        "/v1/audio/voices?model=org/model:q8",
    ):
        await swapd.ask("GET", path)
        assert (path, await swapd.states()) == (path, {SLASHED: "ready"})
        await swapd.ask("POST", "/api/models/unload")


async def test_each_way_to_unload_is_answered_when_the_models_are_gone(swapd: Running) -> None:
    for method, path, sent, said in (
        ("POST", "/api/models/unload/org%2Fmodel:q8", None, b"OK"),
        ("POST", "/api/models/unload/org/model:q8", b"", b"OK"),
        ("POST", "/api/models/unload", {}, b'{"msg":"ok"}\n'),
        ("POST", "/api/models/unload", None, b'{"msg":"ok"}\n'),
        ("GET", "/unload", None, b"OK"),
    ):
        assert (await swapd.chat(SLASHED)).status == 200
        answer = await swapd.ask(method, path, sent)
        assert (answer.status, answer.body) == (200, said)
        assert await swapd.states() == {}


async def test_whether_swapd_is_there_can_be_asked_by_head(swapd: Running) -> None:
    for path in ("/health", "/running", "/v1/models", "/api/performance"):
        answer = await swapd.ask("HEAD", path)
        assert (path, answer.status, answer.body) == (path, 200, b"")
