"""What this machine is: told once, for it does not change.  Unknown is None."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import trio

from swapd.telemetry.host.asking import Asked
from swapd.telemetry.host.cards import Accelerator, Described, Source, merged
from swapd.telemetry.host.machine import Facts, facts
from swapd.telemetry.host.sources import all_sources

_log = logging.getLogger("swapd")

#: Seconds that finding out may take.
PATIENCE = 8.0


@dataclass(frozen=True, slots=True)
class Hardware:
    """This machine as it was found."""

    captured_at: datetime
    facts: Facts
    accelerators: tuple[Accelerator, ...]


class Detector:
    """Finds out when it is first asked, and remembers."""

    def __init__(
        self, sources: Sequence[Source] | None = None, find: Callable[[], Facts] = facts
    ) -> None:
        """Ask ``sources`` of GPUs, by default all that there are, and ``find`` of the rest."""
        sources = all_sources() if sources is None else sources
        self._facts = Asked("what this machine is", find, PATIENCE)
        self._cards = [
            Asked(f"what {source.name} is", source.describe, PATIENCE) for source in sources
        ]
        self._found: Hardware | None = None
        self._one_at_a_time = trio.Lock()

    async def detect(self) -> Hardware | None:
        """Return what is known, in bounded time; None if it is not even known how much memory.

        What hung or failed is asked again the next time.
        """
        async with self._one_at_a_time:
            if self._found is not None:
                return self._found
            found, is_whole = await self._find()
            if is_whole:
                self._found = found
            return found

    async def _find(self) -> tuple[Hardware | None, bool]:
        known: Facts | None = None
        cards: dict[int, list[Described] | None] = {}

        async def ask_facts() -> None:
            nonlocal known
            known = await self._facts.ask()

        async def ask_cards(place: int) -> None:
            cards[place] = await self._cards[place].ask()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_facts)
            for place in range(len(self._cards)):
                nursery.start_soon(ask_cards, place)
        if known is None or not known.memory_bytes:
            return None, False
        described = (card for place in sorted(cards) for card in cards[place] or ())
        now = datetime.now(UTC)
        return Hardware(now, known, tuple(merged(described))), None not in cards.values()
