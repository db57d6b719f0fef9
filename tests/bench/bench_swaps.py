"""Measures what swaps cost those who are not swapped: `python -m tests.bench.bench_swaps`.

Two tables of milliseconds: how long requests to a model that is ready take, in quiet and while
other models are started and stopped without end; and how soon a request is with its model once
that is ready, counted from the moment when its server listens, and from the probe that found it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from tests.bench import speed_servers
from tests.bench.bench_speed import PATH
from tests.bench.speed_servers import LOAD_CORES, Missing, Server

SECONDS = 8
_SAID = re.compile(rb"listening (\d+) probed (\d+) asked (\d+)")


def load(program: Path, server: Server, connections: int) -> dict[str, float]:
    """Return how requests to the model ``m`` went for a while."""
    cores = ["taskset", "-c", str(min(LOAD_CORES))]
    where = [str(server.port), PATH, str(connections), str(SECONDS)]
    output = subprocess.check_output([*cores, program, "requests", *where])
    told: dict[str, float] = json.loads(output)
    return told


def swap_until(over: threading.Event, port: int) -> None:
    """Ask for two models in turn of which one runs at a time."""
    turn = 0
    while not over.is_set():
        turn += 1
        body: dict[str, Any] = {"model": "xy"[turn % 2], "messages": []}
        speed_servers.ask(port, PATH, json.dumps(body).encode())


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
        with speed_servers.swapd(upstream, folder, others=("x", "y")) as server:
            quiet = load(client, server, 4)
            over = threading.Event()
            swapping = threading.Thread(target=swap_until, args=(over, server.port))
            swapping.start()
            loaded = load(client, server, 4)
            over.set()
            swapping.join()
        said = [tuple(map(int, found)) for found in _SAID.findall(server.log.read_bytes())]
    sys.stdout.write("| requests to a ready model | p50 ms | p99 ms |\n|---|---|---|\n")
    for when, told in (("in quiet", quiet), ("while others are swapped", loaded)):
        p50, p99 = told["p50_us"] / 1000, told["p99_us"] / 1000
        sys.stdout.write(f"| {when} | {p50:.2f} | {p99:.2f} |\n")
    sys.stdout.write(f"\n| {len(said)} starts | p50 ms | most ms |\n|---|---|---|\n")
    for what, at in (("from listening to its request", 0), ("from the probe to its request", 1)):
        took = sorted((stamps[2] - stamps[at]) / 1e6 for stamps in said)
        sys.stdout.write(f"| {what} | {took[len(took) // 2]:.1f} | {took[-1]:.1f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
