"""`swapd logs`."""

from __future__ import annotations

import json
import sys
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from swapd.cli.asking import as_json, run, with_server
from swapd.cli.terminal import ForTerminal
from swapd.telemetry.line_splitter import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Callable

    from swapd.cli.client import Client


@click.command()
@click.argument("name", metavar="[MODEL|proxy|upstream]", default="")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until swapd ends.")
@with_server
@as_json
def logs(name: str, follow: bool, url: str, api_key: str | None, as_json: bool) -> None:
    """Show what MODEL has printed last, or swapd (proxy), or all models (upstream), or all of them.

    A terminal gets the colours of what a model's server has printed, and pictures of its other
    control characters. A file or a pipe gets it as it was written.
    """
    path = f"/logs/stream/{quote(name)}{'' if follow else '?no-follow'}"

    async def show(client: Client) -> None:
        from swapd.cli.reader import while_somebody_reads

        printer: _JsonLines | _OnTerminal | _AsItIs
        if as_json:
            printer = _JsonLines(name or "everything")
        else:
            printer = _OnTerminal() if sys.stdout.isatty() else _AsItIs()
        await while_somebody_reads(partial(client.read, path, printer.take))
        printer.finish()

    run(show, url, api_key)


class _AsItIs:
    """Prints what comes, to the byte."""

    def take(self, data: bytes) -> None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def finish(self) -> None:
        """There is nothing left."""


class _OnTerminal(_AsItIs):
    """Prints what of it a terminal should get."""

    def __init__(self) -> None:
        self._shown = ForTerminal()

    def take(self, data: bytes) -> None:
        super().take(self._shown.take(data).encode())

    def finish(self) -> None:
        super().take(self._shown.take(b"", is_last=True).encode())


#: The longest that is waited with for the end of its line: progress bars have none.
_LINE_CHARS = 64 * 1024


class _JsonLines:
    """Prints what comes as one JSON object per line; an endless line in several."""

    def __init__(self, name: str, echo: Callable[[str], None] = click.echo) -> None:
        self._name = name
        self._echo = echo
        self._splitter = LineSplitter(_LINE_CHARS)

    def take(self, data: bytes) -> None:
        """Print the lines that ``data`` ends."""
        self._print(self._splitter.take(data))

    def finish(self) -> None:
        """Print a last line that nothing has ended."""
        self._print(self._splitter.finish())

    def _print(self, lines: list[str]) -> None:
        for line in lines:
            self._echo(json.dumps({"log": self._name, "line": line.removesuffix("\r")}))
