"""How the commands that ask a swapd end."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

_ECHO = """
import sys
import click
import trio
from swapd.cli.asking import run

async def say(client):
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, click.echo, "what there is to show")
    sys.stdout.isatty()

run(say, "http://127.0.0.1:1", None)
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk to fill")
def test_a_full_disk_is_told_in_a_line() -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", _ECHO], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert ended.returncode == 1
    assert b"cannot write what there is to show: no space left on device" in ended.stderr.lower()
    assert ended.stderr.count(b"\n") == 1


def test_whoever_wants_to_see_nothing_sees_no_failure_either() -> None:
    closed = f"{shlex.join([sys.executable, '-c', _ECHO])} >&-"
    ended = subprocess.run(closed, shell=True, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")
