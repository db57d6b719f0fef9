"""Keeps a screen up to date, on a change and once a second for what only grows older."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from typing import NoReturn

import trio
from rich.console import Console, RenderableType
from rich.live import Live

from swapd.cli.board import Board
from swapd.cli.client import Client
from swapd.cli.following import EVERYTHING, follow, now
from swapd.cli.messages import Message, read_snapshot
from swapd.cli.view import Link, screen

#: Transitions from before that are shown.
_PAST = 50

#: Seconds after which the ages are wrong.
_STALE_SECONDS = 1.0

#: Seconds in which nobody could see more than one change.
_LEAST_SECONDS = 0.05


async def draw(client: Client) -> NoReturn:
    """Draw what ``client`` tells over the whole terminal, until cancelled.

    Raises:
      CannotReach: There is no swapd.
      Refused: It does not let us in.
    """
    drawn = _Screen(client)

    def heard(_: bytes, __: Message | None) -> None:
        drawn.change()

    drawn.board.begin(read_snapshot(await client.snapshot()), now(), past=_PAST)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drawn.run)
        await follow(client, drawn.board, topics=EVERYTHING, heard=heard, linked=drawn.link)


class _Screen:
    """What is drawn, and when."""

    def __init__(self, client: Client) -> None:
        self.board = Board()
        self._link = Link(client.address.text)
        self._changed = trio.Event()

    def change(self) -> None:
        """Draw soon: there is something new."""
        self._changed.set()

    def link(self, trouble: str | None) -> None:
        """Show whether we are connected."""
        self._link = Link(self._link.url, trouble)
        self.change()

    async def run(self) -> NoReturn:
        """Draw until cancelled, from the first word of swapd on; then restore the terminal."""
        await self._changed.wait()
        console = Console(highlight=False, emoji=False)
        with (
            Live(console=console, screen=True, auto_refresh=False) as live,
            trio.open_signal_receiver(signal.SIGWINCH) as resized,
        ):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._note, resized)
                while True:
                    self._changed = trio.Event()
                    live.update(self._picture(console), refresh=True)
                    await trio.sleep(_LEAST_SECONDS)
                    with trio.move_on_after(_STALE_SECONDS - _LEAST_SECONDS):
                        await self._changed.wait()

    async def _note(self, resized: AsyncIterator[int]) -> None:
        async for _ in resized:
            self.change()

    def _picture(self, console: Console) -> RenderableType:
        size = console.size
        return screen(self.board, self._link, now=now(), width=size.width, height=size.height)
