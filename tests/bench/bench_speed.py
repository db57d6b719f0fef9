"""Measures what it costs that swapd stands in between: `make bench`.

One run holds against each other, in turn and over equal upstreams: nobody in between, nginx
(where it is installed, or named by NGINX) and swapd with its defaults; on request also swapd
with its plain transport.  The measure is processor time per request and per event, of the
server alone: wall times of a busy machine say little.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.bench import speed_servers, speed_table
from tests.bench.speed_servers import LOAD_CORES, Missing, Server

PATH = "/v1/chat/completions"


@dataclass(frozen=True)
class Case:
    """One kind of load."""

    name: str
    connections: int
    #: Of a stream; 0 if short requests are made.
    events: int = 0
    #: Events per second of each stream; 0 is as fast as it goes.
    rate: int = 0
    seconds: float = 3.0

    def shorter(self) -> Case:
        """Return the same for people in a hurry."""
        return Case(self.name, self.connections, self.events // 3, self.rate, self.seconds / 3)

    def arguments(self, port: int) -> list[str]:
        """Return what the load generator is told."""
        where = [str(port), PATH, str(self.connections)]
        if not self.events:
            return ["requests", *where, str(self.seconds)]
        return ["streams", *where, str(self.events), str(self.rate), "30"]


CASES = (
    Case("JSON, 1 connection", 1),
    Case("JSON, 16 connections", 16),
    Case("JSON, 64 connections", 64),
    Case("SSE, 64 x 30/s", 64, 120, 30),
    Case("SSE, 64 x 100/s", 64, 400, 100),
    Case("SSE, 256 x 30/s", 256, 120, 30),
    Case("SSE, 1000 x 5/s", 1000, 30, 5),
    Case("SSE, 1 at full speed", 1, 200_000, 0),
)


@dataclass
class Sample:
    """What one run of one case on one server gave."""

    #: Microseconds of the server's processor time per request or event.
    cpu_us: float
    #: Memory of the server per connection, beyond what it had before, at its most.
    kib_each: float
    #: What the load generator says.
    load: dict[str, float]


@dataclass
class Results:
    """All that was measured, by case and server."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    idle_kib: dict[str, tuple[int, int]] = field(default_factory=dict)
    started_in: dict[str, list[float]] = field(default_factory=dict)

    def median(self, case: str, server: str) -> Sample | None:
        """Return the run whose processor time is the median one."""
        found = self.samples.get(case, {}).get(server, [])
        return sorted(found, key=lambda sample: sample.cpu_us)[len(found) // 2] if found else None


def measure(case: Case, server: Server, load: Path) -> Sample:
    """Run one case once."""
    at_first, before = server.resident_kib(), server.cpu_ns()
    command = ["taskset", "-c", str(min(LOAD_CORES)), str(load), *case.arguments(server.port)]
    most = at_first
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    finished = threading.Event()

    def watch_memory() -> None:
        nonlocal most
        while not finished.wait(0.2):
            most = max(most, server.resident_kib())

    watcher = threading.Thread(target=watch_memory)
    watcher.start()
    output, _ = process.communicate()
    finished.set()
    watcher.join()
    told: dict[str, float] = json.loads(output)
    spent = server.cpu_ns() - before
    done = told.get("events") or told.get("requests") or 1
    return Sample(spent / 1000 / done, (most - at_first) / case.connections, told)


def run(cases: Sequence[Case], servers: Sequence[Server], load: Path, results: Results) -> None:
    """Run every case once on every server."""
    for server in servers[1:]:
        results.idle_kib[server.name] = (server.resident_kib(), server.children_kib())
    for case in cases:
        for server in servers:
            sample = measure(case, server, load)
            by_server = results.samples.setdefault(case.name, {})
            by_server.setdefault(server.name, []).append(sample)
        _say(speed_table.line_of(case.name, results))


@contextmanager
def serving(upstream: Path, folder: Path, *, plain: bool) -> Iterator[list[Server]]:
    """Run all servers, the upstream by itself first.

    They are begun anew for each run: where the parts of a program come to lie in memory, which is
    another place each time, makes one process up to a tenth dearer than another.
    """
    with ExitStack() as stack:
        direct = stack.enter_context(speed_servers.upstream(upstream))
        servers = [direct]
        if program := os.environ.get("NGINX") or shutil.which("nginx"):
            servers.append(stack.enter_context(speed_servers.nginx(direct.port, folder, program)))
        servers.append(stack.enter_context(speed_servers.swapd(upstream, folder)))
        if plain:
            slow = speed_servers.swapd(upstream, folder, "plain", is_fast=False)
            servers.append(stack.enter_context(slow))
        yield servers


def start_times(runs: int, upstream: Path, folder: Path) -> Iterator[tuple[str, float]]:
    """Yield how long each start took, of swapd and of an app that does nothing."""
    for _ in range(runs):
        with speed_servers.bare() as server:
            yield "bare", server.started_in
        with speed_servers.swapd(upstream, folder) as server:
            yield "swapd", server.started_in


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    """Measure, print a table, and write what was measured where ``--json`` says."""
    options = _options()
    cases = [case for case in CASES if options.only in case.name]
    if options.quick:
        cases = [case.shorter() for case in cases]
    runs = 1 if options.quick else options.runs
    results = Results()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            load = speed_servers.compiled("load", folder)
            upstream = speed_servers.compiled("upstream", folder)
        except Missing as missing:
            _say(f"cannot measure: there is no {missing}")
            return 2
        if not (os.environ.get("NGINX") or shutil.which("nginx")):
            _say("nginx is not installed: there will be no ratios")
        for which, seconds in start_times(runs, upstream, folder):
            results.started_in.setdefault(which, []).append(seconds)
        for _ in range(runs):
            with serving(upstream, folder, plain=options.plain) as servers:
                run(cases, servers, load, results)
    sys.stdout.write(speed_table.table(results) + "\n")
    if options.json:
        Path(options.json).write_text(json.dumps(asdict(results), indent=1) + "\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what it costs to go through swapd.")
    parser.add_argument("--quick", action="store_true", help="one short run of each case")
    parser.add_argument("--runs", type=int, default=3, help="of each case (default 3)")
    parser.add_argument("--only", default="", help="cases whose names contain this")
    parser.add_argument("--plain", action="store_true", help="also the plain transport")
    parser.add_argument("--json", help="where to write all samples")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
