"""Shows on one line how far a load or an unload is.  On a terminal alone, and never in its way."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NoReturn

import trio

from swapd.cli.board import Board
from swapd.cli.cells import progress
from swapd.cli.client import Client
from swapd.cli.following import EVERYTHING, follow, now
from swapd.errors import SwapdError

#: Seconds that are too short to be shown.
_PATIENCE_SECONDS = 0.3

#: Seconds between two lines.
_EVERY_SECONDS = 0.5


@asynccontextmanager
async def shown(client: Client, name: str | None) -> AsyncIterator[None]:
    """Show how the model called ``name`` is, or all if None, for the length of the block."""
    if not sys.stderr.isatty():
        yield
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_show, client, name)
        yield
        nursery.cancel_scope.cancel(reason="it is done")


async def _show(client: Client, name: str | None) -> None:
    board = Board()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_draw, board, name and await client.id_of(name))
            nothing = lambda *_: None  # noqa: E731
            await follow(client, board, topics=EVERYTHING, heard=nothing, linked=nothing)
    except* SwapdError:
        pass  # whatever it is, it hurts only what is shown


async def _draw(board: Board, model: str | None) -> NoReturn:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    await trio.sleep(_PATIENCE_SECONDS)
    console = Console(stderr=True, highlight=False, emoji=False)
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while True:
            line = progress(board, model, now())
            live.update(Text(line, no_wrap=True, overflow="ellipsis"), refresh=True)
            await trio.sleep(_EVERY_SECONDS)
