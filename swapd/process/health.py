"""Asks a starting server until it is ready.  Does not know how to ask: the probe is handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

#: Asks once.  None means ready; a text says what was seen instead, such as "status 503".
Probe: TypeAlias = Callable[[], Awaitable[str | None]]

#: The pause between two probes as a share of the time since the start: whatever a load takes,
#: its end is noticed with some 2 % of delay, and a slow one is not pestered.
PAUSE_SHARE = 0.02
SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 0.5

#: Seconds that one probe may take: a server that accepts and says nothing is not ready.
PROBE_PATIENCE = 2.0


async def wait_until_ready(probe: Probe, *, heard: Callable[[str], None]) -> None:
    """Ask at once, then again and again, until the server is ready.

    Has no end of its own; the caller sets the deadline.

    Args:
      probe: Asks the server once.
      heard: Called with each answer that was not "ready", for people.
    """
    began = trio.current_time()
    while (answer := await _ask(probe)) is not None:
        heard(answer)
        await trio.sleep(_pause(trio.current_time() - began))


async def _ask(probe: Probe) -> str | None:
    with trio.move_on_after(PROBE_PATIENCE):
        return await probe()
    return f"no answer within {PROBE_PATIENCE:g} s"


def _pause(elapsed: float) -> float:
    return min(max(elapsed * PAUSE_SHARE, SHORTEST_PAUSE), LONGEST_PAUSE)
