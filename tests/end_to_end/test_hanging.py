"""A server that hangs: who asks it is told so, and who waits for it gets a new one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Answer, Running, configuration, fake, run_swapd
from tests.end_to_end.steps import LONG, alive, first_word, pid_of, reload, rest_of, rewrite

pytestmark = pytest.mark.real_process

SLOW = {"delay": 600}
ENDLESS = {"chunks": 100_000, "interval": 0.05}
HUNG = "its process hung and was ended by swapd: 2 health checks in a row failed"


def hanging(**more: object) -> str:
    model = {"cmd": fake("alpha"), "unloadTimeout": 1, **more}
    return configuration({"alpha": model})


async def ask(running: Running, answers: list[Answer], **members: object) -> None:
    answers.append(await running.chat("alpha", **members))


async def test_a_server_that_hangs_is_ended_and_started_anew(tmp_path: Path) -> None:
    """Nobody had asked for it to be watched when it was started."""
    config = hanging()
    answers: list[Answer] = []
    async with (
        run_swapd(tmp_path, config) as running,
        running.open_chat("alpha", fake=ENDLESS) as stream,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(lambda: ask(running, answers, fake=SLOW))
        await first_word(stream)
        await running.until_upstream("alpha", "in_flight", 2)
        pid = await pid_of(running, "alpha")
        os.kill(pid, signal.SIGSTOP)
        rewrite(tmp_path, hanging(liveness={"every": 0.2, "failures": 2}), ports_of=config)
        await reload(running)
        with trio.fail_after(LONG):
            await running.until_said("alpha: ready -> stopping (hung)")
        late = await running.chat("alpha")
        assert (late.status, alive({pid})) == (200, set())
        rest = await rest_of(stream)
        assert HUNG.encode() in rest
        assert not rest.endswith(b"0\r\n\r\n")
    assert answers[0].status == 502
    assert HUNG in answers[0].error
    assert "no answer within 2 s" in answers[0].error


async def test_a_server_that_is_only_busy_is_left_alone(tmp_path: Path) -> None:
    config = hanging(liveness={"every": 0.02, "failures": 1})
    async with run_swapd(tmp_path, config) as running:
        answer = await running.chat("alpha", fake={"delay": 1})
        assert answer.status == 200
        assert int(str((await running.upstream_log("alpha"))["probes"])) > 3
        assert await running.states() == {"alpha": "ready"}


async def test_who_is_watched_is_asked_in_the_newest_way(tmp_path: Path) -> None:
    config = hanging(liveness={"every": 0.05, "failures": 2})
    async with run_swapd(tmp_path, config) as running:
        await running.chat("alpha")
        new = hanging(liveness={"every": 0.05, "failures": 2}, checkEndpoint="/nowhere")
        rewrite(tmp_path, new, ports_of=config)
        await reload(running)
        with trio.fail_after(LONG):
            hung = await running.until_said("alpha: ready -> stopping (hung)")
        assert hung.endswith("2 health checks in a row failed, last answer: status 404")
