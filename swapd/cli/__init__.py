"""The command line.  What only one command needs is imported in that command."""

from __future__ import annotations

import click

from swapd.cli.check import check
from swapd.cli.explain import explain
from swapd.cli.load import load
from swapd.cli.logs import logs
from swapd.cli.ps import ps
from swapd.cli.schema import schema
from swapd.cli.serve import serve
from swapd.cli.simulate import simulate
from swapd.cli.unload import unload
from swapd.cli.watch import watch


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="swapd")
def main() -> None:
    """Run AI model servers and hot-swap them behind one address.

    Exit codes: 0 done, 1 it cannot be done (the reason is on stderr), 2 wrong usage.
    """


for command in (serve, check, schema, explain, simulate, ps, load, unload, watch, logs):
    main.add_command(command)
