"""The command line.  What only one command needs is imported in that command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swapd.errors import SwapdError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from swapd.config.schema import Config

DEFAULT_LISTEN = "127.0.0.1:8080"


@click.group(context_settings={"show_default": True, "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="swapd")
def main() -> None:
    """Run AI model servers and hot-swap them behind one address.

    Exit codes: 0 stopped, 1 cannot start (the reason is on stderr), 2 wrong usage.
    """


@main.command()
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE",
    help="The configuration, in YAML.",
)
@click.option(
    "--listen",
    default=DEFAULT_LISTEN,
    metavar="HOST:PORT",
    help="Where to listen; :PORT is every interface.",
)
def serve(config_path: Path, listen: str) -> None:
    """Serve the models of a configuration until SIGINT or SIGTERM.

    The first signal lets running requests finish, the second cuts them, the third kills
    the models.
    """
    import trio

    from swapd.config.load import load
    from swapd.web.listener import bind

    _log_to_stderr()
    problem: SwapdError | None = None
    try:
        config = load([config_path])
        for warning in config.warnings:
            click.echo(f"warning: {warning}", err=True)
        trio.run(_serve, config, bind(listen))
    except* SwapdError as group:
        problem = next(_leaves(group))
    if problem is not None:
        click.echo(str(problem), err=True)
        sys.exit(1)


async def _serve(config: Config, listener: socket.socket) -> None:
    import trio

    from swapd.app import run
    from swapd.web.listener import is_loopback, url_of

    url, exposed = url_of(listener), not is_loopback(listener)
    async with trio.open_nursery() as nursery:
        await nursery.start(run, config, listener)
        click.echo(f"swapd listens on {url}, models: {', '.join(config.models) or 'none'}")
        if exposed and not config.api_keys:
            click.echo(
                "warning: every host that reaches this machine can use swapd: set apiKeys,"
                f" or use --listen {DEFAULT_LISTEN}",
                err=True,
            )


def _log_to_stderr() -> None:
    import logging

    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s"
    )


def _leaves(group: BaseExceptionGroup[SwapdError]) -> Iterator[SwapdError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
