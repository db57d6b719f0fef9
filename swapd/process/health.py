"""Asks a server whether it is ready, and later whether it hangs.

Does not know how to ask: the probe is handed in.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Liveness:
    """How a ready server is watched."""

    #: Asks the server; None means that nobody does.
    probe: Probe | None = None
    #: Seconds from one answer to the next question; 0 means that it is not watched.
    every: float = 0.0
    #: How many failures in a row mean that it hangs.
    failures: int = 3
    #: Set when something else holds from now on.
    outdated: trio.Event = field(default_factory=trio.Event)


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


async def wait_until_hung(liveness: Callable[[], Liveness]) -> str:
    """Ask a ready server again and again, until it hangs; return what was seen of that.

    Has no end of its own.

    Args:
      liveness: Tells what holds at this moment.  What is off, or on again, begins anew.
    """
    asked, failures, answer = trio.current_time(), 0, None
    while True:
        now = liveness()
        if now.probe is None or not now.every:
            await now.outdated.wait()
            asked, failures = trio.current_time(), 0
            continue
        if failures >= now.failures:
            return _failures(failures, answer)
        with trio.move_on_at(asked + now.every):
            await now.outdated.wait()
            continue
        answer = await _ask(now.probe)
        asked, failures = trio.current_time(), 0 if answer is None else failures + 1


def _failures(count: int, answer: str | None) -> str:
    checks = "its health check" if count == 1 else f"{count} health checks in a row"
    return f"{checks} failed, last answer: {answer}"


async def _ask(probe: Probe) -> str | None:
    with trio.move_on_after(PROBE_PATIENCE):
        return await probe()
    return f"no answer within {PROBE_PATIENCE:g} s"


def _pause(elapsed: float) -> float:
    return min(max(elapsed * PAUSE_SHARE, SHORTEST_PAUSE), LONGEST_PAUSE)
