"""Unloading by hand over a real swapd, on both transports: by which names, and what it cuts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, first_word

pytestmark = pytest.mark.real_process

SELECTORS = {"chosen": {"strategy": "pin", "targets": ["a"]}}
PEERS = {"far": {"proxy": "http://127.0.0.1:1", "models": ["fm"]}}
TOGETHER = {"all": {"swap": False, "members": ["a", "org/b"]}}


@asynccontextmanager
async def running(folder: Path, *, fast: bool = True) -> AsyncIterator[Running]:
    config = configuration(
        {
            "a": {"cmd": fake("a"), "aliases": ["nick"], "unlisted": True},
            "org/b": {"cmd": fake("b"), "aliases": ["org/n ick"]},
        },
        groups=TOGETHER,
        peers=PEERS,
        selectors=SELECTORS,
        server={"fastTransport": fast},
    )
    with trio.fail_after(5 * LONG):
        async with run_swapd(folder, config) as swapd:
            yield swapd


async def load_all(swapd: Running) -> None:
    for name in ("a", "org/b"):
        assert (await swapd.ask("POST", f"/api/models/load/{name}?wait=1")).status == 200
    assert await swapd.states() == {"a": "ready", "org/b": "ready"}


@pytest.mark.parametrize("fast", [True, False])
async def test_a_model_is_unloaded_by_any_of_its_names_and_no_other_is(
    tmp_path: Path, fast: bool
) -> None:
    async with running(tmp_path, fast=fast) as swapd:
        for name, left in [
            ("a", "org/b"),
            ("nick", "org/b"),
            ("%6eick", "org/b"),
            ("org/b", "a"),
            ("org%2Fb", "a"),
            ("org/n%20ick", "a"),
        ]:
            await load_all(swapd)
            for _ in range(2):  # what is gone already is gone
                answer = await swapd.ask("POST", f"/api/models/unload/{name}")
                assert (answer.status, answer.body) == (200, b"OK"), name
                assert await swapd.states() == {left: "ready"}


@pytest.mark.parametrize("fast", [True, False])
async def test_what_is_no_model_of_swapds_own_is_not_unloaded(tmp_path: Path, fast: bool) -> None:
    async with running(tmp_path, fast=fast) as swapd:
        await load_all(swapd)
        for name in (
            "nope",
            "A",
            "org",
            "org%252Fb",
            "far/fm",
            "fm",
            "chosen",
            "nick%20",
            "",
            "a/",
        ):
            answer = await swapd.ask("POST", f"/api/models/unload/{name}")
            assert (answer.status, bool(answer.error)) == (404, True), name
        for method, path in [
            ("GET", "/api/models/unload"),
            ("GET", "/api/models/unload/a"),
            ("POST", "/unload"),
        ]:
            assert (await swapd.ask(method, path)).status == 405
        assert await swapd.states() == {"a": "ready", "org/b": "ready"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/models/unload", b'{"msg":"ok"}\n'),
        ("GET", "/unload", b"OK"),
        ("HEAD", "/unload", b""),
    ],
)
async def test_all_models_are_unloaded_at_once(
    tmp_path: Path, method: str, path: str, body: bytes
) -> None:
    async with running(tmp_path) as swapd:
        await load_all(swapd)
        for _ in range(2):
            answer = await swapd.ask(method, path)
            assert (answer.status, answer.body) == (200, body)
            assert await swapd.states() == {}


@pytest.mark.parametrize(
    ("query", "is_whole"),
    [("?drain", True), ("?x&drain=Yes", True), ("", False), ("?drain=False", False)],
)
async def test_a_running_answer_is_cut_unless_it_is_to_be_drained(
    tmp_path: Path, query: str, is_whole: bool
) -> None:
    slow = {"chunks": 100 if is_whole else 100_000, "interval": 0.01}
    async with running(tmp_path) as swapd, swapd.open_chat("a", fake=slow) as stream:
        told = await first_word(stream)
        answer = await swapd.ask("POST", f"/api/models/unload/a{query}")
        assert (answer.status, await swapd.states()) == (200, {})
        while b"[DONE]" not in told and (piece := await stream.receive_some()):
            told += piece
    assert (b"[DONE]" in told, b"a was unloaded" in told) == (is_whole, not is_whole)
