"""Follows a swapd for as long as that is wanted: through its restarts, without a gap it hides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import trio

from swapd.cli.board import Board
from swapd.cli.client import Client
from swapd.cli.messages import Message, read, read_snapshot
from swapd.errors import CannotReach, SwapdError

#: Seconds until the first attempt to come back, and the most that they are doubled to.
_SOON, _LATEST = 0.25, 5.0

#: Seconds between two snapshots, and the least between two that transitions ask for.
_GLANCE_SECONDS, _LEAST_SECONDS = 1.0, 0.2


async def follow(
    client: Client,
    board: Board,
    *,
    heard: Callable[[bytes, Message | None], None],
    linked: Callable[[str | None], None],
) -> NoReturn:
    """Keep ``board`` up to date, over one connection after another.

    Args:
      client: The swapd to follow.
      board: Goes on from what it has.
      heard: Called after each message, with None in place of what we do not know.
      linked: Called with None when connected, and with the reason when that is over.

    Raises:
      CannotReach: The first connection fails: most likely swapd is somewhere else.
      Refused: It does not let us in.
    """
    delay = _SOON

    def greet() -> None:
        nonlocal delay
        delay = _SOON
        linked(None)

    def hear(said: bytes) -> None:
        message = read(said)
        if message is not None:
            board.hear(message)
        heard(said, message)

    while True:
        try:
            await client.listen(board.place, hear, greet=greet)
        except CannotReach as error:
            if not board.instance:
                raise
            linked(str(error))
        await trio.sleep(delay)
        delay = min(2 * delay, _LATEST)


class Glances:
    """Asks now and then for what transitions do not tell: what is served, and who waits."""

    def __init__(self, client: Client, board: Board, *, seen: Callable[[], None]) -> None:
        """Have ``seen`` called after each snapshot."""
        self._client = client
        self._board = board
        self._seen = seen
        self._wanted = trio.Event()

    def hurry(self) -> None:
        """Ask soon: something has happened."""
        self._wanted.set()

    async def run(self) -> NoReturn:
        """Ask until cancelled.  Whoever follows tells of what goes wrong."""
        while True:
            with trio.move_on_after(_GLANCE_SECONDS):
                await self._wanted.wait()
            self._wanted = trio.Event()
            try:
                self._board.glance(read_snapshot(await self._client.snapshot()))
            except SwapdError:
                continue
            self._seen()
            await trio.sleep(_LEAST_SECONDS)
