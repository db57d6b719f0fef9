"""Bounds what reading an answer costs beside passing it on.

Rule 1: each byte that is received earns a step of some quarter of a microsecond.  Reading spends
    steps, and gives up when there are none left: whatever a server sends, nobody waits long for it.
    What a server says that means no harm costs a small part of what it earns.
"""

from __future__ import annotations

#: What every answer may spend before it has earned anything.
FREE_STEPS = 64 * 1024


class TooDense(Exception):
    """Reading on would cost more than it is worth."""


class Effort:
    """The steps that are left for one answer."""

    def __init__(self, steps: int = FREE_STEPS) -> None:
        """Begin with ``steps``."""
        self.left = steps

    def spend(self, steps: int) -> None:
        """Take ``steps`` away.

        Raises:
          TooDense: There are not so many.
        """
        self.left -= steps
        if self.left < 0:
            raise TooDense
