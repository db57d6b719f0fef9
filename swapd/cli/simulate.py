"""`swapd simulate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swapd.cli.sources import exit_on_error, sources_of, with_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swapd.config.schema import Config
    from swapd.ids import ModelId
    from swapd.policy.naming import Names
    from swapd.policy.report import Figures, Report
    from swapd.policy.simulator import Times


def _seconds(text: str) -> float:
    from swapd.policy.trace import seconds_of

    seconds = seconds_of(text)
    if seconds is None:
        raise click.BadParameter(f"{text!r} is no number of seconds.")
    return seconds


def _seconds_of_model(text: str) -> tuple[str, float]:
    model, separator, seconds = text.rpartition("=")
    if not separator:
        raise click.BadParameter(f"{text!r} is not MODEL=SECONDS.")
    return model, _seconds(seconds)


@click.command()
@with_sources
@click.option(
    "--trace",
    required=True,
    metavar="FILE",
    help="The requests: JSON Lines or CSV with arrival, model and service; - is stdin.",
)
@click.option(
    "--load",
    type=_seconds_of_model,
    multiple=True,
    metavar="MODEL=SECONDS",
    help="How long a model loads; may be given several times.",
)
@click.option(
    "--stop",
    type=_seconds_of_model,
    multiple=True,
    metavar="MODEL=SECONDS",
    help="How long a model takes to stop; may be given several times.",
)
@click.option(
    "--default-load",
    type=_seconds,
    default=10.0,
    metavar="SECONDS",
    help="How long all other models load.",
)
@click.option(
    "--default-stop",
    type=_seconds,
    default=1.0,
    metavar="SECONDS",
    help="How long all other models take to stop.",
)
@click.option(
    "--max-wait",
    type=_seconds,
    metavar="SECONDS",
    show_default="as the configuration says",
    help="Instead of the configuration's maxWait; 0 is never overdue.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def simulate(
    config: tuple[Path, ...],
    config_dir: Path | None,
    lenient: bool,
    trace: str,
    load: tuple[tuple[str, float], ...],
    stop: tuple[tuple[str, float], ...],
    default_load: float,
    default_stop: float,
    max_wait: float | None,
    as_json: bool,
) -> None:
    """Tell how long requests would wait, without starting anything.

    Plays a trace of requests to swapd's own scheduler in virtual time: hours in seconds.
    Each request comes at `arrival` and takes `service` seconds once it is served.

    As CSV a trace begins with the line arrival,model,service, and goes on with such as
    0,qwen,12.5. As JSON Lines: {"arrival": 0, "model": "qwen", "service": 12.5}. Other fields are
    passed over.
    """
    from swapd.policy.naming import names_of
    from swapd.policy.policies import policy_of
    from swapd.policy.scheduler import Scheduler
    from swapd.policy.simulator import Times
    from swapd.policy.simulator import simulate as play
    from swapd.policy.terms import rules_of, terms_of
    from swapd.policy.trace import read_trace

    sources = sources_of(config, config_dir, lenient=lenient)
    with exit_on_error():
        loaded = sources.load()
        names = names_of(loaded)
        loads = _by_model("--load", load, names)
        stops = _by_model("--stop", stop, names)
        times = {
            model: Times(loads.get(model, default_load), stops.get(model, default_stop))
            for model in loaded.models
        }
        requests = read_trace(*_text_of(trace), names)
        rules = rules_of(loaded)
        if max_wait is not None:
            rules = replace(rules, max_wait=max_wait)
        for warning in (*loaded.warnings, *_too_slow(loaded, times)):
            click.echo(f"warning: {warning}", err=True)
        scheduler = Scheduler(terms_of(loaded), policy_of(loaded), rules)
        report = play(scheduler, times, requests, loaded.preload)
    click.echo(_as_json(report) if as_json else _for_people(report, times, rules.max_wait))


def _by_model(
    option: str, given: Sequence[tuple[str, float]], names: Names
) -> dict[ModelId, float]:
    """Return what ``option`` says of each model it names."""
    from swapd.errors import UnknownModel

    try:
        return {names.resolve(name): seconds for name, seconds in given}
    except UnknownModel as error:
        raise click.BadParameter(str(error), param_hint=option) from error


def _text_of(trace: str) -> tuple[str, str]:
    """Return the text of a trace, and what to call it."""
    from swapd.errors import InvalidTrace

    try:
        content = sys.stdin.buffer.read() if trace == "-" else Path(trace).read_bytes()
        return content.decode("utf-8-sig"), "stdin" if trace == "-" else trace
    except OSError as error:
        raise InvalidTrace([f"{trace}: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise InvalidTrace([f"{trace}: byte {error.start} is not UTF-8 text"]) from error


def _too_slow(config: Config, times: Mapping[ModelId, Times]) -> Iterator[str]:
    """Yield a warning for each model that swapd would not give so much time."""
    for model in config.models.values():
        given = times[model.id]
        if given.load > model.start_timeout:
            yield (
                f"{model.id} loads for {given.load:g} s, but swapd gives up on a start after"
                f" {model.start_timeout} s (healthCheckTimeout)"
            )
        if given.stop > model.unload_timeout:
            yield (
                f"{model.id} stops for {given.stop:g} s, but swapd kills it after"
                f" {model.unload_timeout} s (unloadTimeout)"
            )


def _as_json(report: Report) -> str:
    return json.dumps(_rounded(asdict(report)), indent=2)


def _rounded(value: object) -> object:
    """Return ``value`` with its seconds to the microsecond: what is beyond is noise."""
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return round(value, 6) if isinstance(value, float) else value


_COLUMNS = (
    *("model", "load", "stop", "served", "refused", "mean wait", "p95", "max"),
    *("busy", "starts", "evicted", "unloaded", "loading"),
)

#: What is not shown where it never happened.
_RARE = ("refused", "evicted", "unloaded")


def _for_people(report: Report, times: Mapping[ModelId, Times], max_wait: float) -> str:
    from swapd.cli.columns import columns

    rows = [
        [model, f"{times[model].load:g}", f"{times[model].stop:g}", *_cells(figures)]
        for model, figures in report.models.items()
        if figures.served or figures.refused or figures.starts
    ]
    requests = report.overall.served + report.overall.refused
    table = [list(_COLUMNS), *rows, ["all", "", "", *_cells(report.overall)]]
    lines = [
        *columns(_without_rare(table), numbers=True),
        "",
        *(f"refused: {count} x {words}" for words, count in report.refusals.items()),
        f"{requests} requests, the last was over after {report.makespan:.1f} s;"
        f" maxWait {max_wait:g}; all times in seconds",
    ]
    return "\n".join(lines)


def _without_rare(rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return ``rows`` without the columns of what never happened."""
    columns = zip(*rows, strict=True)
    shown = [column for column in columns if not (column[0] in _RARE and column[-1] == "0")]
    return list(zip(*shown, strict=True))


def _cells(figures: Figures) -> list[str]:
    wait = figures.wait
    waits = [f"{seconds:.1f}" for seconds in (wait.mean, wait.p95, wait.max)] if wait else ["-"] * 3
    return [
        *(str(figures.served), str(figures.refused), *waits, f"{figures.busy:.0%}"),
        *(str(figures.starts), str(figures.evictions), str(figures.idle_unloads)),
        f"{figures.loading:.1f}",
    ]
