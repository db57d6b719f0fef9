"""`swapd serve` as its users run it: a process, real model processes, real clients."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
from trio_websocket import WebSocketConnection

from swapd.testing.running import Answer, Running, configuration, fake, run_swapd

pytestmark = pytest.mark.real_process

TWO = {"alpha": fake("alpha", "--say", "I am alpha."), "beta": fake("beta", "--say", "I am beta.")}

UPGRADE = {
    "connection": "upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}

TOO_LONG = "?since=" + "9" * 5000

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60


@pytest.fixture
async def swapd(tmp_path: Path) -> AsyncIterator[Running]:
    async with run_swapd(tmp_path, configuration(TWO)) as running:
        yield running


def said(answer: Answer) -> str:
    text = json.loads(answer.body)["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


async def read_until(stream: trio.SocketStream, found: Callable[[bytes], bool]) -> bytes:
    data = b""
    with trio.fail_after(LONG):
        while not found(data):
            chunk = await stream.receive_some()
            assert chunk, f"the stream ended: {data!r}"
            data += chunk
    return data


async def read_to_the_end(stream: trio.SocketStream) -> bytes:
    with trio.fail_after(LONG):
        return b"".join([bytes(chunk) async for chunk in stream])


async def next_message(websocket: WebSocketConnection) -> dict[str, object]:
    with trio.fail_after(LONG):
        message = json.loads(await websocket.get_message())
    assert isinstance(message, dict)
    return message


async def test_two_models_swap_behind_one_address(swapd: Running) -> None:
    assert said(await swapd.chat("alpha")) == "I am alpha."
    assert await swapd.states() == {"alpha": "ready"}
    assert said(await swapd.chat("beta")) == "I am beta."
    assert await swapd.states() == {"beta": "ready"}
    assert said(await swapd.chat("alpha")) == "I am alpha."


async def test_one_load_and_one_unload_are_five_states_of_one_generation(swapd: Running) -> None:
    async with swapd.lifecycle() as websocket:
        snapshot = await next_message(websocket)
        assert (snapshot["type"], snapshot["seq"], snapshot["queue"]) == ("snapshot", 0, [])
        models = snapshot["models"]
        assert isinstance(models, list)
        told = {"model", "state", "since", "generation", "pid", "in_flight", "waiting"}
        told |= {"doomed_for", "backoff", "stuck", "error"}
        assert [set(model) for model in models] == [told] * 2
        assert [(model["model"], model["state"]) for model in models] == [
            ("alpha", "stopped"),
            ("beta", "stopped"),
        ]
        await swapd.chat("alpha")
        assert (await swapd.ask("POST", "/api/models/unload/alpha")).status == 200
        changes = [await next_message(websocket) for _ in range(4)]
    members = ("seq", "old", "new", "reason")
    assert [tuple(change[key] for key in members) for change in changes] == [
        (1, "stopped", "starting", "request"),
        (2, "starting", "ready", "request"),
        (3, "ready", "stopping", "unload"),
        (4, "stopping", "stopped", "unload"),
    ]  # fmt: skip
    assert {(change["model"], change["generation"]) for change in changes} == {("alpha", 1)}
    assert changes[0]["pid"] is None
    assert len({change["pid"] for change in changes[1:]}) == 1
    assert changes[3]["exit_code"] == 0


async def test_a_client_that_comes_back_misses_nothing(swapd: Running) -> None:
    async with swapd.lifecycle() as websocket:
        instance = (await next_message(websocket))["instance"]
        await swapd.chat("alpha")
        assert (await next_message(websocket))["seq"] == 1
    await swapd.chat("beta")
    async with swapd.lifecycle(f"?since=1&instance={instance}") as websocket:
        seqs = [(await next_message(websocket))["seq"] for _ in range(5)]
    assert seqs == [2, 3, 4, 5, 6]
    for query in (
        f"?since=99&instance={instance}",
        "?since=1&instance=other",
        "?since=abc",
        TOO_LONG,
    ):
        async with swapd.lifecycle(query) as websocket:
            snapshot = await next_message(websocket)
            assert (snapshot["type"], snapshot["gap"], snapshot["seq"]) == ("snapshot", True, 6)


async def test_six_requests_for_three_models_cost_three_starts(tmp_path: Path) -> None:
    models = {name: fake(name, "--load", "0.5") for name in "abc"}
    async with run_swapd(tmp_path, configuration(models)) as running:
        async with running.lifecycle() as websocket:
            await next_message(websocket)
            async with trio.open_nursery() as clients:
                for model in "abcabc":
                    clients.start_soon(running.chat, model)
            changes = [await next_message(websocket) for _ in range(2 + 4 + 4)]
        starts = [change["model"] for change in changes if change["new"] == "starting"]
        assert sorted(map(str, starts)) == ["a", "b", "c"]


async def test_a_stream_passes_chunk_by_chunk(swapd: Running) -> None:
    # The second word comes after an hour: the first can only come through unbuffered.
    async with swapd.open_chat("alpha", fake={"chunks": 2, "interval": 3600}) as stream:
        data = await read_until(stream, lambda data: b'"content"' in data)
    head = data.partition(b"\r\n\r\n")[0].lower()
    assert b"text/event-stream" in head
    assert b"x-accel-buffering: no" in head


async def test_leaving_mid_stream_cancels_upstream(swapd: Running) -> None:
    async with swapd.open_chat("alpha", fake={"chunks": 100_000, "interval": 0.01}) as stream:
        await read_until(stream, lambda data: b'"content"' in data)
    with trio.fail_after(LONG):
        await swapd.until_upstream("alpha", "cancelled", 1)
    assert said(await swapd.chat("alpha")) == "I am alpha."


async def test_leaving_before_the_answer_cancels_upstream(swapd: Running) -> None:
    await swapd.chat("alpha")
    with trio.fail_after(LONG):
        async with swapd.open_chat("alpha", fake={"hang": True}):
            await swapd.until_upstream("alpha", "requests", 2)
        await swapd.until_upstream("alpha", "cancelled", 1)


async def test_leaving_while_the_model_loads_makes_way_for_others(tmp_path: Path) -> None:
    models = {"slow": fake("slow", "--load", "3600"), "quick": fake("quick")}
    async with run_swapd(tmp_path, configuration(models)) as running:
        async with running.open_chat("slow"):
            await running.until_said("slow: stopped -> starting")
        with trio.fail_after(LONG):
            assert said(await running.chat("quick")) == "I am quick."
        await running.until_said("slow: starting -> stopping (aborted)")


async def test_an_upstream_that_dies_mid_stream_is_told_and_never_a_clean_end(
    tmp_path: Path,
) -> None:
    dying = fake("alpha", "--last-words", "out of memory", "--exit-code", "7")
    async with run_swapd(tmp_path, configuration({"alpha": dying})) as running:
        async with running.open_chat("alpha", fake={"chunks": 9, "die_after_chunks": 3}) as stream:
            answer = await read_to_the_end(stream)
        assert not answer.endswith(b"0\r\n\r\n"), "that is a clean end"
        assert b"[DONE]" not in answer
        event = answer[answer.rindex(b"data: {") + 6 :].partition(b"\n")[0]
        error = json.loads(event)["error"]
        assert "exited with code 7" in error["message"]
        assert "out of memory" in error["message"]
        assert said(await running.chat("alpha")) == "I am alpha."


async def test_an_unload_ends_a_stream_with_a_word_of_it(swapd: Running) -> None:
    async with swapd.open_chat("alpha", fake={"chunks": 100_000, "interval": 0.01}) as stream:
        await read_until(stream, lambda data: b'"content"' in data)
        assert (await swapd.ask("GET", "/unload")).body == b"OK"
        answer = await read_to_the_end(stream)
    assert b"alpha was unloaded" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    assert await swapd.states() == {}


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{not json", 400, "not valid JSON"),
        (b"[1]", 400, "not a JSON object"),
        (b'{"model": 5}', 400, "must be a string"),
        (b"{}", 404, "names no model"),
        (b'{"model": "alpa"}', 404, "did you mean 'alpha'"),
    ],
)
async def test_bad_bodies_get_a_clear_envelope(
    swapd: Running, body: bytes, status: int, message: str
) -> None:
    answer = await swapd.ask("POST", "/v1/chat/completions", body)
    assert answer.status == status
    assert message in answer.error
    assert json.loads(answer.body)["src"] == "swapd"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/props", 404),
        ("GET", "/props?model=nope", 404),
        ("GET", "/nowhere", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/api/models/unload/nope", 404),
        ("POST", "/api/models/load/nope", 404),
    ],
)
async def test_bad_routes_get_an_envelope_too(
    swapd: Running, method: str, path: str, status: int
) -> None:
    answer = await swapd.ask(method, path)
    assert answer.status == status
    assert answer.error


async def test_the_listings(tmp_path: Path) -> None:
    models: dict[str, str | dict[str, object]] = {
        "beta": TWO["beta"],
        "alpha": {"cmd": TWO["alpha"], "name": " Al ", "aliases": ["gpt-4o"]},
        "hidden": {"cmd": fake("hidden"), "unlisted": True},
    }
    async with run_swapd(tmp_path, configuration(models)) as running:
        listing = json.loads((await running.ask("GET", "/v1/models")).body)
        assert [entry["id"] for entry in listing["data"]] == ["alpha", "beta"]
        assert listing["data"][0]["name"] == "Al"
        assert listing["data"][0]["meta"] == {"llamaswap": {"type": "model", "aliases": ["gpt-4o"]}}
        assert [entry["status"]["value"] for entry in listing["data"]] == ["unloaded"] * 2
        assert said(await running.chat("gpt-4o")) == "I am alpha."
        assert said(await running.chat("hidden")) == "I am hidden."
        assert [(await running.ask("GET", path)).body for path in ("/health", "/ready")] == [
            b"OK"
        ] * 2


async def test_the_name_that_the_upstream_wants_is_sent(tmp_path: Path) -> None:
    models = {"alpha": {"cmd": fake("alpha"), "useModelName": "org/alpha-v2"}}
    async with run_swapd(tmp_path, configuration(models)) as running:
        answer = await running.chat("alpha", fake={"echo": True}, temperature=0.10)
        assert "org/alpha-v2" in answer.body.decode()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("no-such-server --port ${PORT}", "no-such-server"),
        ("sh -c 'echo cannot open model; exit 3' ${PORT}", "exited with code 3"),
        ("sh -c 'kill -9 $$' ${PORT}", "signal 9"),
    ],
)
async def test_a_command_that_fails_is_told_at_once_and_hurts_nobody_else(
    tmp_path: Path, command: str, message: str
) -> None:
    async with run_swapd(tmp_path, configuration({"bad": command, **TWO})) as running:
        with trio.fail_after(LONG):
            answer = await running.chat("bad")
        assert answer.status == 503
        assert answer.headers["retry-after"] in {"1", "2"}  # one second and a bit, or a bit less
        assert message in answer.error
        assert said(await running.chat("alpha")) == "I am alpha."


async def test_the_last_words_of_a_failed_start_are_shown(tmp_path: Path) -> None:
    bad = "sh -c 'echo; echo loading; echo \"cannot open model\" >&2; exit 3' ${PORT}"
    async with run_swapd(tmp_path, configuration({"bad": bad})) as running:
        answer = await running.chat("bad")
        assert answer.error.endswith("its last words:\nloading\ncannot open model")


@pytest.mark.slow
async def test_a_model_that_never_gets_healthy_is_told_when_its_time_is_over(
    tmp_path: Path,
) -> None:
    models = {"sick": fake("sick", "--never-healthy"), **TWO}
    config = configuration(models, healthCheckTimeout=15)  # the least there is
    async with run_swapd(tmp_path, config) as running:
        began = trio.current_time()
        with trio.fail_after(15 + LONG):
            answer = await running.chat("sick")
        assert trio.current_time() - began >= 15
        assert answer.status == 504
        assert "not ready within 15 s (healthCheckTimeout): last answer of" in answer.error
        assert said(await running.chat("alpha")) == "I am alpha."


async def test_a_taken_port_fails_the_start_by_name(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration(TWO)) as running:
        listing = json.loads((tmp_path / "config.yaml").read_text())
        port = listing["startPort"]
        await running.chat("beta")  # alpha's port is the first, and still free
        listener = await trio.open_tcp_listeners(port, host="127.0.0.1")
        answer = await running.chat("alpha")
        assert answer.status == 503
        assert f"port {port} is already in use" in answer.error
        await listener[0].aclose()
        await running.ask("POST", "/api/models/load/alpha?wait=1")  # else it backs off for 1 s
        assert said(await running.chat("alpha")) == "I am alpha."


async def test_a_load_without_a_request(swapd: Running) -> None:
    loaded = await swapd.ask("POST", "/api/models/load/alpha?wait=1")
    assert (loaded.status, loaded.json()) == (200, {"model": "alpha", "state": "ready"})
    assert (await swapd.ask("POST", "/api/models/load/beta")).status == 202
    await swapd.until_said("beta: starting -> ready (load)")


async def test_preloads_come_up_by_themselves(tmp_path: Path) -> None:
    hooks = {"on_startup": {"preload": ["beta"]}}
    async with run_swapd(tmp_path, configuration(TWO, hooks=hooks)) as running:
        with trio.fail_after(LONG):
            assert "beta" in await running.until_said("starting -> ready (preload)")


async def test_an_idle_model_goes_after_its_ttl(tmp_path: Path) -> None:
    models = {"alpha": {"cmd": TWO["alpha"], "ttl": 1}}
    async with run_swapd(tmp_path, configuration(models)) as running:
        await running.chat("alpha")
        with trio.fail_after(LONG):
            await running.until_said("alpha: stopping -> stopped (ttl)")


async def test_a_key_is_asked_for_everywhere_and_passed_on_nowhere(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration(TWO, apiKeys=["sesame"])) as running:
        assert (await running.ask("GET", "/v1/models")).status == 401
        assert (await running.chat("alpha")).status == 401
        assert (await running.ask("GET", "/health")).status == 200
        assert (await running.ask("GET", "/api/lifecycle", headers=UPGRADE)).status == 401
        body = {"model": "alpha", "fake": {"echo": True}}
        for key in ({"authorization": "Bearer sesame"}, {"x-api-key": "sesame"}):
            answer = await running.ask("POST", "/v1/chat/completions", body, key)
            assert answer.status == 200
            assert b"sesame" not in answer.body
        assert not any("sesame" in line for line in running.lines)
