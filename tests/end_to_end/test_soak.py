"""Two hundred random orders, accidents and requests at once: nothing leaks, nobody is lied to."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio

from swapd.testing.running import Running, run_swapd
from tests.end_to_end.soaking import Soak, soaked
from tests.end_to_end.steps import LONG, alive
from tests.process.watching import offspring

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(sys.platform != "linux", reason="sees processes through /proc"),
]

CLIENTS, EACH = 8, 25


def descriptors(running: Running) -> int:
    return len(os.listdir(f"/proc/{running.process.pid}/fd"))


async def at_rest(running: Running) -> None:
    """Have everything unloaded, and wait until swapd has nothing more to do."""
    assert (await running.ask("GET", "/unload")).status == 200
    while len(offspring(running.process.pid)) > 1:  # noqa: ASYNC110  the zygote stays
        await trio.sleep(0.02)
    snapshot = await running.snapshot()
    assert snapshot["queue"] == []
    for model in snapshot["models"]:
        assert (model["state"], model["pid"]) == ("stopped", None)
        assert (model["in_flight"], model["waiting"]) == (0, 0)


@asynccontextmanager
async def telling(running: Running) -> AsyncIterator[None]:
    """Say at a failure what swapd has said before it."""
    try:
        yield
    except BaseException as failure:
        failure.add_note("\n".join(running.lines[-200:]))
        raise


async def act_again_and_again(soak: Soak, chance: random.Random) -> None:
    for _ in range(EACH):
        await soak.act(chance)


# A failure names the seed: it is the parameter.
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_nothing_leaks_and_nobody_is_lied_to(tmp_path: Path, seed: int) -> None:
    config = soaked(0)
    async with run_swapd(tmp_path, config) as running, telling(running):
        soak = Soak(running, tmp_path, config)
        for model in ("alpha", "beta", "gamma", "delta"):
            assert (await running.chat(model)).status == 200
        with trio.fail_after(LONG):
            await at_rest(running)
        before = descriptors(running)
        async with trio.open_nursery() as listening:
            await listening.start(soak.witness.listen, running)
            async with trio.open_nursery() as clients:
                for client in range(CLIENTS):
                    chance = random.Random(f"{seed}/{client}")
                    clients.start_soon(partial(act_again_and_again, soak, chance))
            with trio.fail_after(LONG):
                await at_rest(running)
            listening.cancel_scope.cancel(reason="all is heard")
        with trio.fail_after(LONG):
            while descriptors(running) > before:  # noqa: ASYNC110  in another process
                await trio.sleep(0.02)
        assert not alive(soak.witness.pids)
        running.process.send_signal(signal.SIGTERM)
        with trio.fail_after(LONG):
            assert await running.process.wait() == 0
        assert [line for line in running.lines if "Traceback" in line or " ERROR " in line] == []
