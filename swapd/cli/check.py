"""`swapd check`."""

from __future__ import annotations

from pathlib import Path

import click

from swapd.cli.sources import exit_on_error, sources_of, with_sources


@click.command()
@with_sources
def check(config: tuple[Path, ...], config_dir: Path | None, lenient: bool) -> None:
    """Tell every problem of a configuration, or what it would run.

    Problems are on stderr, as file:line:column: path: message; with any the exit code is 1.
    """
    from swapd.config.summary import summary

    sources = sources_of(config, config_dir, lenient=lenient)
    with exit_on_error():
        loaded = sources.load()
        for warning in loaded.warnings:
            click.echo(f"warning: {warning}", err=True)
        click.echo(summary(loaded))
