"""Measures what swaps cost those who are not swapped: `python -m tests.bench.bench_swaps`.

Tables of milliseconds: how long requests to a model that is ready take, in quiet and while other
models are started and stopped without end; and how soon a request is with its model once that is
ready, counted from the moment when its server listens, and from the probe that found it.

All of it twice: as swapd is run, on whatever core is free; and with one core for swapd and for
whatever it launches, until that has gone elsewhere by itself.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench import speed_servers
from tests.bench.bench_speed import PATH
from tests.bench.speed_servers import ALL_CORES, LOAD_CORES, SERVER_CORES, Missing, Server

RUNS, SECONDS = 3, 5
_SAID = re.compile(rb"listening (\d+) probed (\d+) asked (\d+)")

#: What the load generator says.
Load = dict[str, float]


def load(program: Path, server: Server, connections: int) -> Load:
    """Return how requests to the model ``m`` went for a while."""
    cores = ["taskset", "-c", str(min(LOAD_CORES))]
    where = [str(server.port), PATH, str(connections), str(SECONDS)]
    output = subprocess.check_output([*cores, program, "requests", *where])
    told: Load = json.loads(output)
    return told


def swap_until(over: threading.Event, port: int) -> None:
    """Ask for two models in turn of which one runs at a time."""
    turn = 0
    while not over.is_set():
        turn += 1
        body: dict[str, Any] = {"model": "xy"[turn % 2], "messages": []}
        speed_servers.ask(port, PATH, json.dumps(body).encode())


def measure(client: Path, server: Server) -> Iterator[tuple[Load, Load]]:
    """Yield how requests went in quiet, and then beside swaps; once for each run."""
    for _ in range(RUNS):
        quiet = load(client, server, 4)
        over = threading.Event()
        swapping = threading.Thread(target=swap_until, args=(over, server.port))
        swapping.start()
        beside = load(client, server, 4)
        over.set()
        swapping.join()
        yield quiet, beside


def requests_table(where: str, runs: Sequence[tuple[Load, Load]]) -> Iterator[str]:
    """Yield the lines of one table, of the run whose ratio is the median one."""
    quiet, beside = sorted(runs, key=_ratio)[len(runs) // 2]
    yield f"| requests to a ready model, {where} | p50 ms | p99 ms |\n|---|---|---|\n"
    for when, told in (("in quiet", quiet), ("while others are swapped", beside)):
        yield f"| {when} | {told['p50_us'] / 1000:.2f} | {told['p99_us'] / 1000:.2f} |\n"
    ratios = ", ".join(f"{_ratio(run):.1f}" for run in runs)
    yield f"\np99 beside swaps against p99 in quiet, each run: {ratios}\n\n"


def _ratio(run: tuple[Load, Load]) -> float:
    quiet, beside = run
    return beside["p99_us"] / quiet["p99_us"]


def starts_table(log: bytes) -> Iterator[str]:
    """Yield the lines of what the models that were started have said."""
    said = [tuple(map(int, found)) for found in _SAID.findall(log)]
    yield f"| {len(said)} starts | p50 ms | most ms |\n|---|---|---|\n"
    for what, at in (("from listening to its request", 0), ("from the probe to its request", 1)):
        took = sorted((stamps[2] - stamps[at]) / 1e6 for stamps in said)
        yield f"| {what} | {took[len(took) // 2]:.1f} | {took[-1]:.1f} |\n"
    yield "\n"


def main() -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            client = speed_servers.compiled("load", folder)
            upstream = speed_servers.compiled("upstream", folder)
        except Missing as missing:
            sys.stderr.write(f"cannot measure: there is no {missing}\n")
            return 2
        for where, cores in (("on all cores", ALL_CORES), ("all of swapd on one", SERVER_CORES)):
            others = ("x", "y")
            with speed_servers.swapd(upstream, folder, others=others, cores=cores) as server:
                runs = [*measure(client, server)]
            sys.stdout.writelines(requests_table(where, runs))
            sys.stdout.writelines(starts_table(server.log.read_bytes()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
