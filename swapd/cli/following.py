"""Follows a swapd for as long as that is wanted: through its restarts, without a gap it hides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NoReturn

import trio

from swapd.cli.board import Board
from swapd.cli.client import Client
from swapd.cli.messages import Message, read
from swapd.errors import CannotReach

#: Seconds until the first attempt to come back, and the most that they are doubled to.
_SOON, _LATEST = 0.25, 5.0

#: What to ask for to hear of everything that a board knows.
EVERYTHING = "topics=lifecycle,queue,requests"


async def follow(
    client: Client,
    board: Board,
    *,
    topics: str = "",
    heard: Callable[[bytes, Message | None], None],
    linked: Callable[[str | None], None],
) -> NoReturn:
    """Keep ``board`` up to date, over one connection after another.

    Args:
      client: The swapd to follow.
      board: Goes on from what it has.
      topics: What to hear of, as a part of a query; the models' states if empty.
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
            board.hear(message, now())
        heard(said, message)

    while True:
        query = "&".join(filter(None, [board.place, topics]))
        try:
            await client.listen(f"?{query}" if query else "", hear, greet=greet)
        except CannotReach as error:
            if not board.instance:
                raise
            linked(str(error))
        await trio.sleep(delay)
        delay = min(2 * delay, _LATEST)


def now() -> float:
    """Return the time as swapd tells it: in Unix seconds."""
    return time.time()  # noqa: TID251  it comes in JSON
