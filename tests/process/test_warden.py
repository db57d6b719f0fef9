"""What is left of models when swapd itself is killed: nothing."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import swapd
from tests.process.watching import (
    is_alive,
    killed_at_last,
    offspring,
    parent_of,
    wait_until_dead,
)

pytestmark = [
    pytest.mark.real_process,
    pytest.mark.skipif(sys.platform != "linux", reason="sees processes through /proc"),
]

#: A model with a child in its group, one that has left it, and one that was left by its parent;
#: none of them heeds a polite signal.
MODEL = """
import os, signal
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
if os.fork() == 0:
    signal.pause()
if os.fork() == 0:
    os.setsid()
    signal.pause()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.pause()
print("up", end="", flush=True)
signal.pause()
"""

#: A small supervisor with two such models; it says when both are up.
SUPERVISOR = """
import os, sys, trio
from swapd.process.guardian import Guardian

async def main():
    guardian = Guardian()
    async with trio.open_nursery() as nursery:
        await nursery.start(guardian.run)
        for _ in range(2):
            argv = [sys.executable, "-I", "-S", "-c", sys.argv[1]]
            process = await guardian.launch(argv, dict(os.environ))
            assert await process.output.receive_some() == b"up"
        print("up", end="", flush=True)

trio.run(main)
"""


@asynccontextmanager
async def supervisor() -> AsyncIterator[trio.Process]:
    """Run a supervisor whose two models are up; kill it at last, if nobody did."""
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(_run_supervisor)
        with killed_at_last(process.pid):
            assert process.stdout is not None
            with trio.fail_after(30):
                assert await process.stdout.receive_some() == b"up"
            with killed_at_last(*offspring(process.pid)):
                yield process


async def _run_supervisor(
    *, task_status: trio.TaskStatus[trio.Process] = trio.TASK_STATUS_IGNORED
) -> None:
    process = await trio.lowlevel.open_process(
        [sys.executable, "-c", SUPERVISOR, MODEL],
        stdout=-1,
        cwd=Path(swapd.__file__).parents[1],
    )
    task_status.started(process)
    assert process.stdout is not None
    async with process.stdout:
        await process.wait()


def family(supervisor: trio.Process) -> list[int]:
    """Return the zygote, the wardens and all that is below them."""
    wardens = [pid for pid in offspring(supervisor.pid) if is_alive(pid)]
    assert len(wardens) == 1 + 2 * (1 + 4), "a zygote, and twice a warden with four processes"
    return wardens


def is_guard(pid: int) -> bool:
    return "warden.py" in Path(f"/proc/{pid}/cmdline").read_text()


def ignored_by(pid: int) -> set[int]:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.partition("SigIgn:")[2].split()[0], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGABRT])
async def test_nothing_outlives_a_killed_supervisor(number: signal.Signals) -> None:
    async with supervisor() as process:
        pids = family(process)
        os.kill(process.pid, number)
        await wait_until_dead(*pids)


async def test_nothing_outlives_a_supervisor_whose_zygote_was_killed_before() -> None:
    async with supervisor() as process:
        pids = family(process)
        [zygote] = [pid for pid in pids if parent_of(pid) == process.pid]
        os.kill(zygote, signal.SIGKILL)
        await wait_until_dead(zygote)
        assert all(is_alive(pid) for pid in pids if pid != zygote)
        process.kill()
        await wait_until_dead(*pids)


async def test_wardens_and_zygote_are_deaf_to_polite_signals() -> None:
    polite = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    async with supervisor() as process:
        guards = [pid for pid in family(process) if is_guard(pid)]
        assert len(guards) == 3
        assert all(polite <= ignored_by(guard) for guard in guards)


async def test_the_leader_of_a_killed_warden_dies_though_swapd_hangs() -> None:
    async with supervisor() as process:
        pids = family(process)
        os.kill(process.pid, signal.SIGSTOP)
        wardens = [pid for pid in pids if is_guard(parent_of(pid)) and is_guard(pid)]
        leaders = [pid for pid in pids if parent_of(pid) in wardens and os.getpgid(pid) == pid]
        for warden in wardens:
            os.kill(warden, signal.SIGKILL)
        assert len(leaders) == 2
        await wait_until_dead(*leaders)


async def test_a_ctrl_c_of_the_terminal_reaches_neither_zygote_nor_wardens_nor_models() -> None:
    async with supervisor() as process:
        sessions = {os.getsid(pid) for pid in family(process)}
        assert os.getsid(process.pid) not in sessions
