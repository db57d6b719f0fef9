"""Says to those who may speak when it is their time: one task for all of them.

To give each stream a task with a clock of its own would cost a tenth of what a short answer costs,
and hardly any stream ever waits.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

import trio

#: Seconds between two looks at who is due.
TICK = 0.1


class Speaker(Protocol):
    """Who wants to be prompted."""

    #: When, on the clock.
    due: float

    def prompt(self, now: float) -> None:
        """Speak, at clock time ``now``; never blocks."""


class Prompter:
    """Knows all who may have to speak."""

    def __init__(self) -> None:
        self._speakers: dict[Speaker, None] = {}  # oldest first
        self._any = trio.Event()

    def add(self, speaker: Speaker) -> None:
        """Prompt ``speaker`` whenever it is due."""
        self._speakers[speaker] = None
        self._any.set()

    def discard(self, speaker: Speaker) -> None:
        """Prompt ``speaker`` no more."""
        self._speakers.pop(speaker, None)

    async def run(self) -> NoReturn:
        """Prompt whoever is due, until cancelled."""
        while True:
            await self._any.wait()
            await trio.sleep(TICK)
            now = trio.current_time()
            soon = now + TICK / 2
            for speaker in [speaker for speaker in self._speakers if speaker.due <= soon]:
                speaker.prompt(now)
            if not self._speakers:
                self._any = trio.Event()
