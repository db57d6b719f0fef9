"""`swapd explain`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swapd.cli.sources import exit_on_error, sources_of, with_sources

if TYPE_CHECKING:
    from swapd.policy.explaining import Explanation

#: More alternatives than this are shown by ``--json`` alone.
_MOST = 12


@click.command()
@click.argument("model")
@click.option(
    "--running",
    multiple=True,
    metavar="A,B",
    help="Models that run already, with commas; may be given several times.",
)
@with_sources
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, for programs.")
def explain(
    model: str,
    running: tuple[str, ...],
    config: tuple[Path, ...],
    config_dir: Path | None,
    lenient: bool,
    as_json: bool,
) -> None:
    """Tell whom a request for MODEL would evict, by which rule, at which cost.

    Names are those that clients use: IDs or aliases.
    """
    sources = sources_of(config, config_dir, lenient=lenient)
    with exit_on_error():
        from swapd.policy.explaining import explain as explained
        from swapd.policy.explaining import plain
        from swapd.policy.naming import names_of
        from swapd.policy.policies import policy_of

        loaded = sources.load()
        names = names_of(loaded)
        beside = {names.resolve(name) for name in _listed(running)}
        answer = explained(policy_of(loaded), names.resolve(model), beside)
        click.echo(json.dumps(plain(answer), indent=2) if as_json else _text(answer))


def _listed(running: tuple[str, ...]) -> Iterator[str]:
    for some in running:
        yield from filter(None, map(str.strip, some.split(",")))


def _text(answer: Explanation) -> str:
    from swapd.cli.columns import columns
    from swapd.policy.explaining import choices, grounds, verdict

    lines = [f"{verdict(answer)}."]
    if why := grounds(answer):
        lines += ["", *columns(why, indent="  ")]
    if weighed := choices(answer, _MOST):
        lines += ["", f"What has {answer.model}, cheapest first (* is taken):"]
        lines += columns(weighed, indent="  ")
        more = len(answer.account.alternatives) - len(weighed)
        lines += [f"    and {more} more, see --json"] if more else []
    return "\n".join(lines)
