"""Runs swapd under load for as long as you like, and shows what it keeps: `make soak`.

Two models take turns every few seconds, and one stays. Most requests are short, some stream, some
leave before their end. Whatever swapd keeps of all that, memory, descriptors, tasks, threads,
processes, shows in the table, and must not grow.  Linux.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
import trio

from swapd.testing.running import Running, configuration, fake, run_swapd
from tests.bench.counted_swapd import COUNT_IN

#: Clients that ask at the same time; each keeps its connection.
CLIENTS = 20

#: Minutes that caches and rings may take to fill.
WARM = 5.0

#: What the memory may grow by after that, in MiB.
MAY_GROW = 1.5

#: How many more descriptors, or tasks, there may be at the end than at the beginning: those of the
#: guard of processes, which comes with the first one, and of whatever is measured at that moment.
MAY_STAY = 4


CONFIGURATION = configuration(
    {"alpha": fake("alpha"), "beta": fake("beta"), "stays": fake("stays")},
    groups={
        "turns": {"swap": True, "exclusive": False, "members": ["alpha", "beta"]},
        "always": {"swap": False, "exclusive": False, "members": ["stays"]},
    },
)


@dataclass
class Load:
    """What the clients do, and what became of it."""

    port: int
    rate: float
    swap_every: float
    began: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)
    outcomes: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def put_on(self) -> Iterator[None]:
        """Have all clients ask for the length of the block."""
        clients = [threading.Thread(target=self.ask_on, args=(seed,)) for seed in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            self.over.set()
            for client in clients:
                client.join()

    def ask_on(self, seed: int) -> None:
        """Be one client until it is over."""
        chance = random.Random(seed)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        due = time.monotonic() + chance.random() * CLIENTS / self.rate
        while not self.over.wait(max(0.0, due - time.monotonic())):
            due += CLIENTS / self.rate
            try:
                self.outcomes[self._ask(connection, chance)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[type(error).__name__] += 1
                connection.close()
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, chance: random.Random) -> str:
        (kind,) = chance.choices(["short", "streamed", "left"], [80, 15, 5])
        model = "stays" if chance.random() < 0.3 else self._turn()
        messages = [{"role": "user", "content": "hi"}]
        body = {"model": model, "messages": messages, "stream": kind != "short"}
        headers = {"content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        with connection.getresponse() as response:
            if kind == "left":
                response.read(1)
                connection.close()
            else:
                response.read()
            return f"{kind} {response.status}"

    def _turn(self) -> str:
        turns = int((time.monotonic() - self.began) / self.swap_every)
        return ("alpha", "beta")[turns % 2]


@dataclass(frozen=True, slots=True)
class Kept:
    """What swapd holds at one moment."""

    minute: float
    memory_mib: float
    descriptors: int
    threads: int
    tasks: int
    processes: int

    def __str__(self) -> str:
        return (
            f"{self.minute:7.1f} {self.memory_mib:9.1f} {self.descriptors:12} {self.threads:8}"
            f" {self.tasks:6} {self.processes:10}"
        )


def say(line: str) -> None:
    """Print ``line`` at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def kept(running: Running, tasks: Path, began: float) -> Kept:
    """Look what ``running`` holds now."""
    swapd = psutil.Process(running.process.pid)
    return Kept(
        minute=(time.monotonic() - began) / 60,
        memory_mib=swapd.memory_info().rss / 2**20,
        descriptors=swapd.num_fds(),
        threads=swapd.num_threads(),
        tasks=int(tasks.read_text() or 0),
        processes=len(swapd.children(recursive=True)),
    )


async def soak(minutes: float, rate: float, swap_every: float) -> int:
    """Soak swapd; return 0 if nothing grew and nothing was left."""
    with tempfile.TemporaryDirectory() as name:
        folder, tasks = Path(name), Path(name) / "tasks"
        tasks.write_text("0")
        command = (sys.executable, "-m", "tests.bench.counted_swapd")
        environ = {COUNT_IN: str(tasks)}
        async with run_swapd(folder, CONFIGURATION, command=command, environ=environ) as running:
            fresh = await _left_alone(running, tasks, time.monotonic())
            table, load = await _under_load(running, tasks, minutes, rate, swap_every)
            idle = await _left_alone(running, tasks, load.began)
            swaps = await _transitions(running)
            started = psutil.Process(running.process.pid).children(recursive=True)
            running.process.terminate()
            await running.process.wait()
            left = [process.pid for process in started if process.is_running()]
    say(f"\n{sum(load.outcomes.values())} requests, {swaps} transitions: {dict(load.outcomes)}")
    say(f"left alone at the end: {idle}")
    say(f"before the beginning:  {fresh}")
    faults = (
        _faults(table, load) + _left_over(fresh, idle) + [f"left behind: {pid}" for pid in left]
    )
    say("\n".join(faults) or "nothing grew, nothing is left")
    return 1 if faults else 0


async def _under_load(
    running: Running, tasks: Path, minutes: float, rate: float, swap_every: float
) -> tuple[list[Kept], Load]:
    load = Load(running.port, rate, swap_every)
    table: list[Kept] = []
    say(" minute memory MiB  descriptors  threads  tasks  processes")
    with load.put_on():
        while (time.monotonic() - load.began) / 60 < minutes:
            await trio.sleep(10)
            table.append(kept(running, tasks, load.began))
            if len(table) % 6 == 0:
                say(str(table[-1]))
    return table, load


async def _left_alone(running: Running, tasks: Path, began: float) -> Kept:
    """Return what is held when no model is loaded and no client is there."""
    await running.ask("POST", "/api/models/unload")
    await trio.sleep(5)
    await running.ask("GET", "/health")  # so that the tasks are counted once more
    return kept(running, tasks, began)


async def _transitions(running: Running) -> int:
    seq = (await running.snapshot())["seq"]
    assert isinstance(seq, int)
    return seq


def _faults(table: list[Kept], load: Load) -> list[str]:
    """Say in words what grew, and what went wrong."""
    settled = [look for look in table if look.minute >= min(WARM, table[-1].minute / 2)]
    third = max(1, len(settled) // 3)
    early, late = settled[:third], settled[-third:]
    grown = median(look.memory_mib for look in late) - median(look.memory_mib for look in early)
    say(f"memory, the last third against the first after the warm-up: {grown:+.2f} MiB")
    faults = [f"the memory grew by {grown:.2f} MiB"] if grown > MAY_GROW else []
    for what in ("descriptors", "threads", "tasks"):
        before = max(getattr(look, what) for look in early)
        after = max(getattr(look, what) for look in late)
        if after > before * 1.5:
            faults.append(f"the {what} grew from {before} to {after}")
    bad = {what: count for what, count in load.outcomes.items() if not what.endswith(" 200")}
    if bad:
        faults.append(f"requests failed: {bad}")
    return faults


def _left_over(fresh: Kept, idle: Kept) -> list[str]:
    """Say in words what is there at the end that was not at the beginning."""
    faults = []
    for what in ("descriptors", "tasks"):
        before, after = getattr(fresh, what), getattr(idle, what)
        if after > before + MAY_STAY:
            faults.append(f"{what} are left when all is unloaded: {after}, and there were {before}")
    if idle.processes > 2:  # the guard and what it keeps ready
        faults.append(f"processes are left when all is unloaded: {idle.processes}")
    return faults


def main() -> int:
    """Do as the command line says."""
    parser = argparse.ArgumentParser(prog="soak", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--rate", type=float, default=100, help="requests a second")
    parser.add_argument("--swap-every", type=float, default=10, help="seconds")
    options = parser.parse_args()
    return trio.run(soak, options.minutes, options.rate, options.swap_every)


if __name__ == "__main__":
    sys.exit(main())
