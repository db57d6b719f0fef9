"""Shows measurements as a table in Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.bench.bench_speed import Results, Sample

_HEAD = (
    "| load | server | CPU us each | x nginx | p50 ms | p99 ms | first event p50 / max ms"
    " | latest once all open ms | done | KiB each |\n|---|---|---|---|---|---|---|---|---|---|"
)


def table(results: Results) -> str:
    """Return all that was measured, as medians."""
    return "\n".join([_HEAD, *_rows(results), "", *_of_processes(results)])


def line_of(case: str, results: Results) -> str:
    """Return one line that says how a case went."""
    parts = [
        f"{server} {sample.cpu_us:.0f} us"
        for server in results.samples[case]
        if (sample := results.median(case, server)) and server != "direct"
    ]
    return f"{case}: {', '.join(parts)}"


def _rows(results: Results) -> Iterator[str]:
    for case, by_server in results.samples.items():
        nginx = results.median(case, "nginx")
        for server in by_server:
            sample = results.median(case, server)
            assert sample is not None
            yield f"| {case} | {server} | {' | '.join(_cells(sample, nginx))} |"


def _cells(sample: Sample, nginx: Sample | None) -> Iterator[str]:
    load = sample.load
    is_stream = "events" in load
    yield f"{sample.cpu_us:.1f}" if sample.cpu_us else ""
    yield f"{sample.cpu_us / nginx.cpu_us:.1f}" if nginx and sample.cpu_us else ""
    yield f"{load['p50_us'] / 1000:.2f}"
    yield f"{load['p99_us'] / 1000:.2f}"
    yield f"{load['first_p50_ms']:.1f} / {load['first_max_ms']:.1f}" if is_stream else ""
    yield f"{load['latest_once_open_us'] / 1000:.1f}" if is_stream else ""
    if is_stream:
        yield f"{load['complete']:.0f} streams"
    else:
        yield f"{load['requests'] / load['seconds']:.0f}/s"
    yield f"{sample.kib_each:.1f}" if sample.cpu_us else ""


def _of_processes(results: Results) -> Iterator[str]:
    for server, (own, children) in results.idle_kib.items():
        yield f"{server}: {own / 1024:.1f} MiB idle, {children / 1024:.1f} MiB in its children"
    for server, seconds in results.started_in.items():
        yield f"{server}: {median(seconds):.2f} s from start to its first answer"
