"""Steps that many stories have in common: reading streams, reloading, looking after processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import trio

from swapd.testing.running import Running

#: Seconds that no step of these tests takes on a machine that works, however busy it is.
LONG = 60


async def first_word(stream: trio.SocketStream) -> bytes:
    data = b""
    with trio.fail_after(LONG):
        while b'"content"' not in data:
            data += await stream.receive_some()
    return data


async def rest_of(stream: trio.SocketStream) -> bytes:
    with trio.fail_after(LONG):
        return b"".join([bytes(chunk) async for chunk in stream])


def rewrite(folder: Path, config: str, *, ports_of: str) -> None:
    """Write a new configuration whose models begin at the same port."""
    start = json.loads(ports_of)["startPort"]
    (folder / "config.yaml").write_text(json.dumps(json.loads(config) | {"startPort": start}))


async def reload(running: Running) -> None:
    running.process.send_signal(signal.SIGHUP)
    with trio.fail_after(LONG):
        await running.until_said("configuration reloaded")


async def pid_of(running: Running, model: str) -> int:
    snapshot = await running.snapshot()
    pid = next(entry["pid"] for entry in snapshot["models"] if entry["model"] == model)
    assert isinstance(pid, int)
    return pid


def alive(pids: set[int]) -> set[int]:
    """Return those of ``pids`` that live; a zombie does not."""
    found = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(pid)
    return found


async def pids_of(running: Running, *models: str) -> set[int]:
    """Return the model processes and their children."""
    snapshot = await running.snapshot()
    leaders = {entry["pid"] for entry in snapshot["models"] if entry["model"] in models}
    assert None not in leaders
    groups = await trio.run_process(["ps", "-eo", "pid=,pgid="], capture_stdout=True)
    rows = (line.split() for line in groups.stdout.decode().splitlines())
    return {int(pid) for pid, group in rows if int(group) in leaders}


async def until_dead(pids: set[int]) -> None:
    with trio.fail_after(LONG):
        while alive(pids):  # noqa: ASYNC110  other processes have no event to await
            await trio.sleep(0.02)


def peak_of(pid: int) -> int:
    """Return the most memory that a process ever had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) * 1024
