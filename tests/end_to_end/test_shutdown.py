"""How swapd ends: in order when asked, and without leaving anything when killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio_websocket import ConnectionClosed

from swapd.testing.running import COMMAND, Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, alive, first_word, pids_of, rest_of, until_dead

pytestmark = pytest.mark.real_process

#: Longer than any of these tests: what waits for its end would fail.
PATIENT = {"shutdownGrace": 600}

STREAM = {"chunks": 40, "interval": 0.05}
ENDLESS = {"chunks": 100_000, "interval": 0.05}


async def ended(running: Running) -> int:
    with trio.fail_after(LONG):
        return await running.process.wait()


async def until_refused(running: Running) -> None:
    with trio.fail_after(LONG), suppress(OSError):
        while True:
            await (await trio.open_tcp_stream("127.0.0.1", running.port)).aclose()


async def until_waiting(running: Running, model: str) -> None:
    with trio.fail_after(LONG):
        while model not in {place["model"] for place in (await running.snapshot())["queue"]}:  # noqa: ASYNC110  told only when asked
            await trio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_requests_finish_and_stops_the_models(
    tmp_path: Path, number: signal.Signals
) -> None:
    config = configuration({"alpha": fake("alpha")}, server=PATIENT)
    async with run_swapd(tmp_path, config) as running:
        async with running.open_chat("alpha", fake=STREAM) as stream:
            await first_word(stream)
            pids = await pids_of(running, "alpha")
            running.process.send_signal(number)
            await until_refused(running)
            assert (await rest_of(stream)).endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert await ended(running) == 0
        assert not alive(pids)
        await running.until_said("alpha: stopping -> stopped (shutdown)")


async def test_what_still_streams_after_the_grace_is_cut(tmp_path: Path) -> None:
    config = configuration({"alpha": fake("alpha")}, server={"shutdownGrace": 0.3})
    async with run_swapd(tmp_path, config) as running:
        async with running.open_chat("alpha", fake=ENDLESS) as stream:
            await first_word(stream)
            running.process.send_signal(signal.SIGTERM)
            answer = await rest_of(stream)
            assert b"swapd is shutting down" in answer
            assert not answer.endswith(b"0\r\n\r\n")
        assert await ended(running) == 0


async def test_a_second_signal_cuts_the_requests_and_a_third_kills_the_models(
    tmp_path: Path,
) -> None:
    config = configuration(
        {"deaf": {"cmd": fake("deaf", "--ignore-sigterm"), "unloadTimeout": 600}}, server=PATIENT
    )
    async with run_swapd(tmp_path, config) as running:
        async with running.open_chat("deaf", fake=ENDLESS) as stream:
            await first_word(stream)
            pids = await pids_of(running, "deaf")
            running.process.send_signal(signal.SIGTERM)
            await running.until_said("shutting down")
            running.process.send_signal(signal.SIGTERM)
            await running.until_said("deaf: ready -> stopping (shutdown)")
            assert alive(pids) == pids
            running.process.send_signal(signal.SIGTERM)
        assert await ended(running) == 0
        assert not alive(pids)


async def test_event_streams_end_first(tmp_path: Path) -> None:
    config = configuration({"alpha": fake("alpha")}, server=PATIENT)
    async with run_swapd(tmp_path, config) as running:
        async with running.lifecycle() as websocket:
            await websocket.get_message()
            running.process.send_signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed, trio.fail_after(LONG):
                await websocket.get_message()
        assert closed.value.reason is not None
        assert closed.value.reason.code == 1001
        assert await ended(running) == 0


async def test_nothing_starts_once_it_ends(tmp_path: Path) -> None:
    models = {"alpha": fake("alpha"), "beta": fake("beta")}
    async with run_swapd(tmp_path, configuration(models, server=PATIENT)) as running:
        async with running.open_chat("alpha", fake=STREAM) as stream:
            await first_word(stream)
            async with running.open_chat("beta") as queued:
                await until_waiting(running, "beta")
                running.process.send_signal(signal.SIGTERM)
                answer = await rest_of(queued)
            assert b"503" in answer.partition(b"\r\n")[0]
            assert b"swapd is shutting down" in answer
        assert await ended(running) == 0
        assert not any("beta: stopped ->" in line for line in running.lines)


async def test_a_client_that_does_not_read_cannot_hold_the_end(tmp_path: Path) -> None:
    config = configuration({"alpha": fake("alpha")}, server={"shutdownGrace": 0.5})
    flood = {"chunks": 10_000_000, "interval": 0}
    async with (
        run_swapd(tmp_path, config) as running,
        running.open_chat("alpha", fake=flood) as stream,
    ):
        await first_word(stream)
        running.process.send_signal(signal.SIGTERM)
        assert await ended(running) == 0


async def test_kill_9_leaves_nothing_behind(tmp_path: Path) -> None:
    models = {
        "alpha": fake("alpha", "--fork-child", "--ignore-sigterm"),
        "beta": fake("beta", "--fork-child"),
    }
    together = {"g": {"swap": False, "members": ["alpha", "beta"]}}
    async with run_swapd(tmp_path, configuration(models, groups=together)) as running:
        await running.chat("alpha")
        await running.chat("beta")
        pids = await pids_of(running, "alpha", "beta")
        assert len(pids) == 4
        running.process.send_signal(signal.SIGKILL)
        await until_dead(pids)


async def run_to_its_end(*arguments: str) -> tuple[int, str]:
    with trio.fail_after(LONG):
        done = await trio.run_process(
            [*COMMAND, *arguments], capture_stdout=True, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode, done.stdout.decode()


async def test_a_bad_configuration_is_told_whole_and_nothing_starts(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("models:\n  alpha:\n    cmd: x\n    ttl: -5\n    cmdd: y\n    proxy: ftp://x\n")
    code, said = await run_to_its_end("serve", "--config", str(path))
    assert code == 1
    assert [line.split(": ")[0] for line in said.splitlines()] == [
        f"{path}:4:10",
        f"{path}:5:5",
        f"{path}:6:12",
    ]


async def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    code, said = await run_to_its_end("serve", "--config", str(tmp_path / "none.yaml"))
    assert (code, "none.yaml: No such file" in said) == (1, True)


async def test_a_taken_address_is_told(tmp_path: Path) -> None:
    async with run_swapd(tmp_path, configuration({"alpha": fake("alpha")})) as running:
        address = f"127.0.0.1:{running.port}"
        config = str(tmp_path / "config.yaml")
        code, said = await run_to_its_end("serve", "--config", config, "--listen", address)
    assert code == 1
    assert f"{address} is already in use" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("arguments", [("serve",), ("serve", "--config"), ("nonsense",)])
async def test_wrong_usage_is_exit_2(arguments: tuple[str, ...]) -> None:
    code, said = await run_to_its_end(*arguments)
    assert (code, "Error:" in said) == (2, True)


async def test_who_listens_to_everybody_without_a_key_is_warned(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    for keys, warned in (([], True), (["sesame"], False)):
        path.write_text(configuration({"alpha": fake("alpha")}, apiKeys=keys))
        async with trio.open_nursery() as nursery:
            process = await trio.lowlevel.open_process(
                [*COMMAND, "serve", "--config", str(path), "--listen", "0.0.0.0:0"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            running = Running(process)
            assert process.stdout is not None
            nursery.start_soon(running.listen, process.stdout)
            await running.until_said("swapd listens on http://localhost:")
            process.send_signal(signal.SIGTERM)
            assert await ended(running) == 0
        assert any("every host" in line for line in running.lines) is warned


def test_help_is_instant_and_shows_defaults() -> None:
    said = subprocess.run(
        [*COMMAND, "serve", "--help"], capture_output=True, text=True, check=True, env=os.environ
    ).stdout
    assert "127.0.0.1:8080" in said
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", *COMMAND[1:], "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert not any(name in loaded for name in ("trio", "quart", "hypercorn", "pydantic"))
