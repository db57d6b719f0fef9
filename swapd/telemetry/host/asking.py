"""Asks what may hang, such as a driver, in a thread of its own; nothing waits for it.

Rule 1: an answer that does not come in time is given up, and its thread left to itself.
Rule 2: while one hangs no other is asked of the same, so threads never pile up.
Rule 3: what changes is told once: that it fails or hangs, and that it works again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

import trio

_log = logging.getLogger("swapd")

_Answer = TypeVar("_Answer")


class Asked(Generic[_Answer]):
    """One thing that is asked again and again."""

    def __init__(self, what: str, ask: Callable[[], _Answer], patience: float) -> None:
        """Ask by ``ask``, which may block; wait ``patience`` seconds for each answer.

        Args:
          what: What is asked, for the log.
          ask: Returns the answer; called in a thread.
          patience: Seconds that an answer may take.
        """
        self._what = what
        self._ask = ask
        self._patience = patience
        self._one_thread = trio.CapacityLimiter(1)
        self._trouble: str | None = None

    async def ask(self) -> _Answer | None:
        """Return the answer; None if there is none in time, or asking failed."""
        answer, trouble = None, f"does not answer within {self._patience:g} s"
        with trio.move_on_after(self._patience):
            try:
                answer = await trio.to_thread.run_sync(
                    self._ask, abandon_on_cancel=True, limiter=self._one_thread
                )
            except Exception as error:  # noqa: BLE001  whatever a driver does, swapd goes on
                trouble = str(error).rstrip(".") or type(error).__name__
            else:
                trouble = ""
        self._note(trouble)
        return answer

    def _note(self, trouble: str) -> None:
        if trouble and self._trouble is None:
            _log.warning("%s: %s; its figures are missing until it works", self._what, trouble)
        elif not trouble and self._trouble is not None:
            _log.info("%s works again", self._what)
        self._trouble = trouble or None
