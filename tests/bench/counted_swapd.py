"""swapd as its users run it, which writes down how many tasks it has: `soak` starts it so."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import trio

from swapd.cli import main

#: The file that holds the number; its name comes by the environment.
COUNT_IN = "SWAPD_TASKS_IN"

#: Seconds between two notes.
EVERY = 1.0


class Census(trio.abc.Instrument):
    """Counts the tasks that live."""

    def __init__(self, path: Path) -> None:
        """Write the count into ``path``."""
        self._path = path
        self._count = 0
        self._due = 0.0

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        """Count one more."""
        self._count += 1
        self._note()

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        """Count one less."""
        self._count -= 1
        self._note()

    def _note(self) -> None:
        """Write the count down if that is due; who reads it finds it whole."""
        if (now := trio.current_time()) >= self._due:
            self._due = now + EVERY
            beside = self._path.with_suffix(".new")
            beside.write_text(str(self._count))
            beside.replace(self._path)


if __name__ == "__main__":
    trio.run = partial(trio.run, instruments=[Census(Path(os.environ[COUNT_IN]))])  # type: ignore[assignment]
    sys.exit(main())
