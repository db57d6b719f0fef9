"""How long a model that failed must wait before it may be started again.  Reads no clock.

The first crash of a model that ran well costs nothing: who waits for it starts it anew.  A
start that fails, and every further crash, doubles the time that must pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

#: Seconds after the first failed start, and the most that any failure costs.
SHORTEST, LONGEST = 1.0, 60.0

#: More of them only overflow: after six the delay is at its longest.
MOST_DOUBLINGS = 6

#: By how much of itself a delay is longer or shorter, so that models do not fail in step.
SPREAD = 0.2

#: Seconds of being ready after which all that went wrong before is forgotten.
STABLE = 60.0

#: Returns a number from 0 to 1, such as ``random.random``.
Chance: TypeAlias = Callable[[], float]


def no_chance() -> float:
    """Spread nothing: every delay is exactly what the rule says."""
    return 0.5


class Failures:
    """What went wrong with one model since it last ran well."""

    __slots__ = ("_count", "_until", "error")

    def __init__(self) -> None:
        self.error = ""
        self._count = 0
        self._until = 0.0

    def left(self, now: float) -> float:
        """Return for how many seconds it may not be started yet; 0 if it may."""
        return max(0.0, self._until - now)

    def start_failed(self, error: str, now: float, chance: Chance) -> None:
        """Note that a start failed."""
        self._note(error, now, doublings=self._count, chance=chance)

    def crashed(self, error: str, now: float, chance: Chance) -> None:
        """Note that it ended by itself after it had been ready."""
        self._note(error, now, doublings=self._count - 1, chance=chance)

    def _note(self, error: str, now: float, *, doublings: int, chance: Chance) -> None:
        self.error = error
        self._count += 1
        if doublings >= 0:
            delay = min(SHORTEST * 2.0 ** min(doublings, MOST_DOUBLINGS), LONGEST)
            self._until = now + delay * (1 - SPREAD + 2 * SPREAD * chance())

    def forget(self) -> None:
        """Let it be started at once, as if nothing had ever gone wrong."""
        self._count, self._until, self.error = 0, 0.0, ""
