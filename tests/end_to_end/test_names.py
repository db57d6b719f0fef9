"""What names lead to over a real swapd: profiles, selectors, models of peers, and every route."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, free_ports, run_swapd
from tests.end_to_end.steps import LONG, first_word, reload, rest_of

pytestmark = pytest.mark.real_process

MODELS = ("a", "b", "c")
SELECTORS = {
    "first": {"strategy": "pin", "targets": ["nick", "b"]},
    "warm": {"strategy": "warm", "targets": ["a", "b"]},
    "spread": {"strategy": "spillover", "targets": ["a", "b"]},
}
PROFILES = {
    "coding": {"pins": {"public": "nick", "off": None, "b": "first", "gpt": "there/far"}},
}


@asynccontextmanager
async def running(folder: Path, **others: object) -> AsyncIterator[Running]:
    """Run a swapd with models that fit beside each other, and a peer, which is the model c."""
    port = free_ports(1 + len(MODELS))
    models: dict[str, str | dict[str, object]] = {name: fake(name) for name in MODELS}
    models["a"] = {"cmd": fake("a"), "aliases": ["nick"]}
    models["c"] = {
        "cmd": fake("c").replace("${PORT}", str(port)),
        "proxy": f"http://127.0.0.1:{port}",
    }
    there = {"proxy": f"http://127.0.0.1:{port}", "models": ["far", "b"], "apiKey": "there's"}
    slow = {**there, "models": ["slow"], "timeouts": {"responseHeader": 1}}
    config = configuration(
        models,
        groups={"all": {"swap": False, "members": [*MODELS]}},
        peers={"there": there, "slow": slow},
        selectors=SELECTORS,
        profiles=PROFILES,
        startPort=port + 1,
        **others,
    )
    with trio.fail_after(5 * LONG):
        async with run_swapd(folder, config) as swapd:
            yield swapd


async def who_is(swapd: Running, model: str, **members: object) -> str:
    """Ask ``model``; return who answered."""
    answer = await swapd.chat(model, **members)
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["model"])


async def ask(swapd: Running, model: str) -> tuple[str, str]:
    """Ask ``model``; return who answered, and which model it was asked for."""
    sent = await sent_to(swapd, model)
    return await who_is(swapd, model), json.loads(sent["body"])["model"]


async def sent_to(swapd: Running, model: str, **members: object) -> dict[str, Any]:
    """Ask ``model`` and return the request as it came there."""
    answer = await swapd.chat(model, fake={"echo": True}, **members)
    assert answer.status == 200, answer.body
    sent: dict[str, Any] = json.loads(answer.body)
    return sent


async def activate(swapd: Running, profile: str | None) -> None:
    answer = await swapd.ask("PUT", "/api/profiles/active", {"name": profile})
    assert (answer.status, answer.json()) == (200, {"active": profile})


async def test_a_name_leads_to_a_model_a_selectors_choice_or_a_peer(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        await swapd.chat("c")  # the peer
        for asked, found in (
            ("a", ("a", "a")),
            ("nick", ("a", "nick")),
            ("first", ("a", "nick")),
            ("there/far", ("c", "far")),
            ("far", ("c", "far")),
            ("there/b", ("c", "b")),
            ("b", ("b", "b")),
        ):
            assert await ask(swapd, asked) == found, asked
        unknown = await swapd.chat("frist")
    assert unknown.status == 404
    assert unknown.error == "model not found: 'frist'; did you mean 'first'?"


async def test_a_profile_gives_names_another_meaning_while_it_is_active(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        await swapd.chat("c")
        assert (await swapd.chat("public")).status == 404
        await activate(swapd, "coding")
        for asked, found in (
            ("public", ("a", "nick")),
            ("b", ("a", "nick")),
            ("gpt", ("c", "far")),
            ("a", ("a", "a")),
        ):
            assert await ask(swapd, asked) == found, asked
        off = await swapd.chat("off")
        assert (off.status, off.error) == (404, "'off' is disabled by the active profile 'coding'")
        await activate(swapd, None)
        assert await ask(swapd, "b") == ("b", "b")


async def test_a_reload_keeps_the_active_profile_for_as_long_as_it_is_there(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as swapd:
        await swapd.chat("c")
        await activate(swapd, "coding")
        assert await who_is(swapd, "gpt") == "c"
        file = tmp_path / "config.yaml"
        config = json.loads(file.read_text())
        config["profiles"]["coding"]["pins"] = {"gpt": "b"}
        del config["peers"]
        file.write_text(json.dumps(config))
        await reload(swapd)
        assert await who_is(swapd, "gpt") == "b"
        assert (await swapd.chat("far")).status == 404
        del config["profiles"]
        file.write_text(json.dumps(config))
        swapd.lines.clear()
        await reload(swapd)
        await swapd.until_said('no profile is active any more: "coding" was taken out')
        assert (await swapd.ask("GET", "/api/profiles")).json() == {"active": None, "profiles": []}


async def test_a_get_is_sent_on_under_the_name_that_it_means(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        for path, target in (
            ("/props?x=%2F&model=first", "/props?x=%2F&model=nick"),
            ("/props?model=a", "/props?model=a"),
        ):
            answer = json.loads((await swapd.ask("GET", path)).body)
            assert (answer["model"], answer["target"]) == ("a", target)
        head = await swapd.ask("HEAD", "/props?model=nick")
    assert (head.status, head.body) == (200, b"")


async def test_warm_takes_what_is_loaded(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        assert (await swapd.ask("POST", "/api/models/load/b?wait=1")).status == 200
        assert await who_is(swapd, "warm") == "b"
        assert await swapd.states() == {"b": "ready"}


async def test_spillover_loads_the_next_when_all_are_busy(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        async with swapd.open_chat("spread", fake={"silent": True}) as first:
            assert b" 200 " in await first.receive_some()
            assert await who_is(swapd, "spread") == "b"
            assert await swapd.states() == {"a": "ready", "b": "ready"}
        await swapd.until_upstream("a", "in_flight", 0)
        turns = [await who_is(swapd, "spread") for _ in range(4)]
    assert sorted(turns) == ["a", "a", "b", "b"]


@pytest.mark.parametrize("selector", ["warm", "spread"])
async def test_nobody_is_sent_to_who_is_drained_while_another_is_ready(
    tmp_path: Path, selector: str
) -> None:
    async with running(tmp_path) as swapd, trio.open_nursery() as orders:
        busy = {"fake": {"silent": True}}
        async with (
            swapd.open_chat("a", **busy) as one,
            swapd.open_chat("b", **busy) as two,
            swapd.open_chat("b", **busy) as three,
        ):
            for stream in (one, two, three):
                assert b" 200 " in await stream.receive_some()
            orders.start_soon(swapd.ask, "POST", "/api/models/unload/a?drain=1")
            while await outcome(swapd, "a") == "served":  # noqa: ASYNC110  in another process
                await trio.sleep(0.02)
            assert await who_is(swapd, selector) == "b"


async def outcome(swapd: Running, model: str) -> str:
    """Return what would become of a request for ``model``."""
    told: dict[str, str] = json.loads((await swapd.ask("GET", f"/api/explain?model={model}")).body)
    return told["outcome"]


async def test_spillover_counts_requests_that_did_not_come_by_it(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd, swapd.open_chat("a", fake={"silent": True}) as first:
        assert b" 200 " in await first.receive_some()
        assert await who_is(swapd, "spread") == "b"


async def test_requests_at_one_instant_are_spread(tmp_path: Path) -> None:
    answered: list[str] = []

    async def chat(swapd: Running) -> None:
        answered.append(await who_is(swapd, "spread", fake={"delay": 0.5}))

    async with running(tmp_path) as swapd, trio.open_nursery() as clients:
        for _ in range(2):
            clients.start_soon(chat, swapd)
    assert sorted(answered) == ["a", "b"]


async def test_a_peer_gets_its_key_and_not_who_asked(tmp_path: Path) -> None:
    async with running(tmp_path, apiKeys=["ours"]) as swapd:
        own = {"authorization": "Bearer ours"}
        body = {"model": "c", "fake": {"echo": True}}
        await swapd.ask("POST", "/v1/chat/completions", body, own)
        answer = await swapd.ask("POST", "/v1/chat/completions", {**body, "model": "far"}, own)
    headers = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    assert (headers["authorization"], headers["x-api-key"]) == ("Bearer there's", "there's")
    assert "x-forwarded-for" not in headers


async def test_a_peer_that_is_not_there_is_a_502(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        answer = await swapd.chat("far")
        assert answer.status == 502
        assert answer.error.startswith("peer there: could not connect to http://127.0.0.1:")


async def test_a_peer_that_does_not_begin_to_answer_in_time_is_a_504(tmp_path: Path) -> None:
    async with running(tmp_path) as swapd:
        await swapd.chat("c")
        answer = await swapd.chat("slow", fake={"hang": True})
        await swapd.until_upstream("c", "in_flight", 0)
    assert answer.status == 504
    assert (
        answer.error
        == "peer slow: the server did not begin to answer within 1 s (timeouts.responseHeader)"
    )


async def test_a_peer_that_breaks_off_amid_a_stream_is_told_in_one_more_event(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as swapd:
        await swapd.chat("c")
        async with swapd.open_chat("far", fake={"chunks": 9, "cut_after_chunks": 1}) as stream:
            data = await rest_of(stream)
    event = json.loads(data.rpartition(b"data: ")[2].partition(b"\n\n")[0])
    assert event["error"]["message"].startswith("peer there: the connection broke after ")
    assert b"[DONE]" not in data


async def test_what_a_peer_streams_when_the_grace_is_over_is_told_and_cut(tmp_path: Path) -> None:
    async with running(tmp_path, server={"shutdownGrace": 0.3}) as swapd:
        await swapd.chat("c")
        endless = {"chunks": 100_000, "interval": 0.05}
        async with swapd.open_chat("far", fake=endless) as stream:
            await first_word(stream)
            swapd.process.send_signal(signal.SIGTERM)
            data = await rest_of(stream)
        assert await swapd.process.wait() == 0
    event = json.loads(data.rpartition(b"data: ")[2].partition(b"\n\n")[0])
    assert event["error"]["message"] == "swapd is shutting down"


ROUTES = (
    *("/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/messages"),
    *("/v1/messages/count_tokens", "/v1/embeddings", "/reranking", "/rerank", "/v1/rerank"),
    *("/v1/reranking", "/infill", "/completion", "/v1/audio/speech", "/v1/audio/voices"),
    *("/v1/images/generations", "/sdapi/v1/txt2img", "/sdapi/v1/img2img"),
    *("/v1/audio/transcriptions", "/v1/audio/translations"),
    *("/v1/images/edits", "/v1/images/variations"),
)
VERSIONLESS = (
    *("/chat/completions", "/responses", "/completions", "/messages", "/messages/count_tokens"),
    *("/embeddings", "/rerank", "/reranking"),
)


async def test_every_route_reaches_its_model_under_the_path_that_the_model_knows(
    tmp_path: Path,
) -> None:
    paths = {
        **{path: path for path in ROUTES},
        **{f"/v{path}": path for path in VERSIONLESS},
        "/audioapi/v1/tasks/run": "/v1/tasks/run",
    }
    body = {"model": "nick", "fake": {"echo": True}}
    async with running(tmp_path) as swapd:
        for path, upstream in paths.items():
            answer = await swapd.ask("POST", f"{path}?q=%20", body)
            assert answer.status == 200, path
            assert json.loads(answer.body)["target"] == f"{upstream}?q=%20"
        for path in ("/v1/audio/voices", "/sdapi/v1/loras", "/props"):
            # The stand-in knows only the last of them.
            answer = await swapd.ask("GET", f"{path}?model=nick")
            assert b'"src"' not in answer.body, path
            missing = await swapd.ask("GET", path)
            assert (missing.status, b'"not_found"' in missing.body) == (404, True)


async def test_an_upload_reaches_its_model_under_the_name_that_it_means(tmp_path: Path) -> None:
    form = (
        '--X\r\nContent-Disposition: form-data; name="model"\r\n\r\n{}\r\n'
        '--X\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n'
        "Content-Type: audio/wav\r\n\r\nRIFF\r\n--X--\r\n"
    )
    typed = {"content-type": "multipart/form-data; boundary=X"}
    async with running(tmp_path) as swapd:
        answer = await swapd.ask(
            "POST", "/v1/audio/transcriptions", form.format("first").encode(), typed
        )
    assert json.loads(answer.body)["body"] == form.format("nick")
