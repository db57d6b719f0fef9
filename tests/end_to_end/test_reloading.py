"""Reloading while everything runs: streams on unchanged models go on."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, first_word, pid_of, reload, rest_of, rewrite

pytestmark = pytest.mark.real_process

TOGETHER = {"g": {"swap": False, "members": ["alpha", "beta"]}}
STREAM = {"chunks": 60, "interval": 0.05}


async def test_a_stream_on_an_unchanged_model_goes_on_while_another_is_changed(
    tmp_path: Path,
) -> None:
    old = configuration({"alpha": fake("alpha"), "beta": fake("beta")}, groups=TOGETHER)
    new = configuration(
        {"alpha": fake("alpha"), "beta": fake("beta", "--say", "I am new.")}, groups=TOGETHER
    )
    async with run_swapd(tmp_path, old) as running:
        await running.chat("beta")
        async with running.open_chat("alpha", fake=STREAM) as stream:
            await first_word(stream)
            before = await pid_of(running, "alpha")
            rewrite(tmp_path, new, ports_of=old)
            await reload(running)
            assert b"I am new." in (await running.chat("beta")).body
            assert await pid_of(running, "alpha") == before
            running.process.send_signal(signal.SIGTERM)
            assert (await rest_of(stream)).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert any("beta: ready -> stopping (reload)" in line for line in running.lines)


async def test_a_changed_model_finishes_its_stream_and_is_then_started_anew(
    tmp_path: Path,
) -> None:
    old = configuration({"alpha": fake("alpha")})
    new = configuration({"alpha": fake("alpha", "--say", "I am new.")})
    async with (
        run_swapd(tmp_path, old) as running,
        running.open_chat("alpha", fake=STREAM) as stream,
    ):
        await first_word(stream)
        rewrite(tmp_path, new, ports_of=old)
        await reload(running)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(expect_new, running)
            data = b""
            with trio.fail_after(LONG):
                while b"data: [DONE]" not in data:
                    data += await stream.receive_some()


async def expect_new(running: Running) -> None:
    assert b"I am new." in (await running.chat("alpha")).body


async def test_the_old_process_is_stopped_in_the_way_it_was_started_with(tmp_path: Path) -> None:
    def stopped_by(word: str) -> str:
        stop = f"sh -c 'echo stopped the {word} way >> {tmp_path}/stops; kill ${{PID}}'"
        return configuration({"alpha": {"cmd": fake("alpha", "--say", word), "cmdStop": stop}})

    old = stopped_by("old")
    async with run_swapd(tmp_path, old) as running:
        await running.chat("alpha")
        rewrite(tmp_path, stopped_by("new"), ports_of=old)
        await reload(running)
        assert b"new" in (await running.chat("alpha")).body
        assert (await running.ask("GET", "/unload")).status == 200
    assert (tmp_path / "stops").read_text() == "stopped the old way\nstopped the new way\n"


async def test_a_model_that_is_taken_out_is_shown_until_it_is_gone(tmp_path: Path) -> None:
    old = configuration({"alpha": fake("alpha")})
    async with (
        run_swapd(tmp_path, old) as running,
        running.open_chat("alpha", fake={"chunks": 100_000, "interval": 0.05}) as stream,
    ):
        await first_word(stream)
        rewrite(tmp_path, configuration({"beta": fake("beta")}), ports_of=old)
        await reload(running)
        seen = {entry["model"]: entry for entry in (await running.snapshot())["models"]}
        assert (seen["alpha"]["state"], seen["alpha"]["in_flight"]) == ("ready", 1)
        assert seen["beta"]["state"] == "stopped"
        await stream.aclose()
        with trio.fail_after(LONG):
            await running.until_said("alpha: stopping -> stopped (reload)")
        assert [entry["model"] for entry in (await running.snapshot())["models"]] == ["beta"]


async def test_models_come_and_go(tmp_path: Path) -> None:
    old = configuration({"alpha": fake("alpha")})
    async with run_swapd(tmp_path, old) as running:
        await running.chat("alpha")
        rewrite(tmp_path, configuration({"beta": fake("beta")}), ports_of=old)
        await reload(running)
        assert (await running.chat("alpha")).status == 404
        assert (await running.chat("beta")).status == 200
        listing = json.loads((await running.ask("GET", "/v1/models")).body)
        assert [entry["id"] for entry in listing["data"]] == ["beta"]
        assert await running.states() == {"beta": "ready"}


async def test_a_new_alias_and_ttl_hold_for_the_process_that_runs(tmp_path: Path) -> None:
    old = configuration({"alpha": fake("alpha")})
    async with run_swapd(tmp_path, old) as running:
        await running.chat("alpha")
        new = configuration({"alpha": {"cmd": fake("alpha"), "aliases": ["al"], "ttl": 1}})
        rewrite(tmp_path, new, ports_of=old)
        await reload(running)
        assert (await running.chat("al")).status == 200
        with trio.fail_after(LONG):
            await running.until_said("alpha: stopping -> stopped (ttl)")
        assert len([line for line in running.lines if "stopped -> starting" in line]) == 1


async def test_a_bad_configuration_is_told_and_changes_nothing(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration({"alpha": fake("alpha")})) as running:
        (tmp_path / "config.yaml").write_text("models:\n  alpha:\n    cmdd: x\n")
        running.process.send_signal(signal.SIGHUP)
        with trio.fail_after(LONG):
            await running.until_said("the old one stays")
            await running.until_said("config.yaml:3:5: ")
        assert (await running.chat("alpha")).status == 200


async def test_a_watched_configuration_reloads_by_itself(tmp_path: Path) -> None:
    old = configuration({"alpha": fake("alpha")})
    async with run_swapd(tmp_path, old, "--watch-config") as running:
        rewrite(tmp_path, configuration({"beta": fake("beta")}), ports_of=old)
        with trio.fail_after(LONG):
            await running.until_said("configuration reloaded: new: beta; removed: alpha")
        assert not any("change detected" in line for line in running.lines)
        assert (await running.chat("beta")).status == 200
