"""A swapd before another one, which is its peer; profiles that change while they are used."""

from __future__ import annotations

import json
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, first_word, rest_of

pytestmark = pytest.mark.real_process

FAST = [True, False]


@asynccontextmanager
async def two(folder: Path, *, fast: bool) -> AsyncIterator[tuple[Running, Running]]:
    """Run a swapd, and one before it that has a model ``near`` and knows the key of the other."""
    server = {"fastTransport": fast}
    (folder / "back").mkdir()
    (folder / "front").mkdir()
    far = {"cmd": fake("far", "--load", "0.5"), "sendLoadingState": True}
    config = configuration({"far": far}, apiKeys=["theirs"], server=server)
    with trio.fail_after(5 * LONG):
        async with run_swapd(folder / "back", config) as back:
            peers = {"back": {"proxy": back.url, "models": ["far", "near"], "apiKey": "theirs"}}
            config = configuration({"near": fake("near")}, peers=peers, server=server)
            async with run_swapd(folder / "front", config) as front:
                yield front, back


KEY = {"authorization": "Bearer theirs"}


async def under_way(swapd: Running, headers: Mapping[str, str] | None = None) -> list[str]:
    answer = await swapd.ask("GET", "/api/inflight", headers=headers)
    return [entry["model"] for entry in json.loads(answer.body)["requests"]]


@pytest.mark.parametrize("fast", FAST)
async def test_a_swapd_is_a_peer_like_any_other(tmp_path: Path, fast: bool) -> None:
    async with two(tmp_path, fast=fast) as (front, back):
        async with front.open_chat("far") as stream:
            told = b""
            while b"data: [DONE]" not in told:
                told += await stream.receive_some()
        assert b"swapd loading model: far" in told
        assert json.loads((await front.chat("back/far")).body)["model"] == "far"
        assert json.loads((await front.chat("near")).body)["model"] == "near"
        unknown = await front.chat("back/near")
        assert (unknown.status, unknown.error) == (404, "model not found: 'near'")
        async with front.open_chat("far", fake={"chunks": 10_000, "interval": 0.05}) as stream:
            await first_word(stream)
            assert await under_way(front) == ["back/far"]
            assert await under_way(back, KEY) == ["far"]
        while await under_way(front) or await under_way(back, KEY):  # noqa: ASYNC110
            await trio.sleep(0.02)


@pytest.mark.parametrize("fast", FAST)
async def test_what_a_peer_that_is_a_swapd_tells_of_its_model_reaches_the_client(
    tmp_path: Path, fast: bool
) -> None:
    endless = {"chunks": 10_000, "interval": 0.05}
    async with (
        two(tmp_path, fast=fast) as (front, back),
        front.open_chat("far", fake=endless) as stream,
    ):
        await first_word(stream)
        await back.ask("POST", "/api/models/unload/far", headers=KEY)
        told = await rest_of(stream)
    errors = [line for line in told.splitlines() if b'"error"' in line]
    assert b"far was unloaded" in errors[0]
    assert b"peer back: the connection broke" in errors[-1]
    assert not told.endswith(b"0\r\n\r\n")


#: For every name of the profiles below, who may answer to it.
ANSWERS = {"day": {"a"}, "night": {"b"}, "spread": {"a", "b"}}
PROFILES = {
    name: {"pins": {"gpt": to}} for name, to in zip(ANSWERS, ("a", "b", "any"), strict=True)
}


@asynccontextmanager
async def pinned(folder: Path, *, fast: bool) -> AsyncIterator[Running]:
    """Run two models beside each other, and profiles that all know ``gpt``."""
    config = configuration(
        {"a": fake("a"), "b": fake("b")},
        groups={"both": {"swap": False, "members": ["a", "b"]}},
        selectors={"any": {"strategy": "spillover", "targets": ["a", "b"]}},
        profiles=PROFILES,
        server={"fastTransport": fast},
    )
    with trio.fail_after(5 * LONG):
        async with run_swapd(folder, config) as swapd:
            await choose(swapd, "day")
            yield swapd


async def choose(swapd: Running, profile: str) -> None:
    answer = await swapd.ask("PUT", "/api/profiles/active", {"name": profile})
    assert (answer.status, answer.json()) == (200, {"active": profile})


@pytest.mark.parametrize("fast", FAST)
async def test_profiles_change_under_load_and_through_reloads_and_no_request_is_lost(
    tmp_path: Path, fast: bool
) -> None:
    answered: Counter[str] = Counter()
    async with pinned(tmp_path, fast=fast) as swapd:

        async def chat() -> None:
            for _ in range(20):
                answer = await swapd.chat("gpt")
                assert answer.status == 200, answer.body
                answered[json.loads(answer.body)["model"]] += 1

        async def watch(done: trio.Event) -> None:
            while not done.is_set():
                listing = json.loads((await swapd.ask("GET", "/v1/models")).body)["data"]
                assert [entry["id"] for entry in listing] == ["a", "any", "b", "gpt"]
                told = json.loads((await swapd.ask("GET", "/api/profiles")).body)
                assert told["active"] in PROFILES

        async def change(done: trio.Event) -> None:
            chance, file = random.Random(7), tmp_path / "config.yaml"
            config = json.loads(file.read_text())
            while not done.is_set():
                await choose(swapd, chance.choice([*PROFILES]))
                assert (await swapd.ask("PUT", "/api/profiles/active", {"name": "?"})).status == 404
                config["profiles"]["day"]["description"] = str(chance.random())
                whole = file.with_suffix(".new")
                whole.write_text(json.dumps(config))
                whole.replace(file)  # or swapd might read half of it
                swapd.process.send_signal(signal.SIGHUP)

        async with trio.open_nursery() as others:
            done = trio.Event()
            others.start_soon(watch, done)
            others.start_soon(change, done)
            async with trio.open_nursery() as clients:
                for _ in range(4):
                    clients.start_soon(chat)
            done.set()
        for profile, models in ANSWERS.items():
            await choose(swapd, profile)
            assert json.loads((await swapd.chat("gpt")).body)["model"] in models
    assert answered.total() == 4 * 20
    assert set(answered) == {"a", "b"}
