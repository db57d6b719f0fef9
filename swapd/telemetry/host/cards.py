"""Whatever GPUs there are: the words of those who know one kind, and all kinds together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Protocol

from swapd.telemetry.host.figures import Gpu


class SourceFailed(Exception):
    """There are cards of this kind, and they cannot be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """What never changes about one GPU; None is unknown.

    Attributes:
      memory_kind: ``dedicated``, ``unified`` or ``shared_system``.
      architecture: The generation of its processors, as its vendor calls it.
    """

    vendor: str | None = None
    model: str | None = None
    architecture: str | None = None
    memory_kind: str | None = None
    memory_bytes: int | None = None
    driver_name: str | None = None
    driver_version: str | None = None
    power_limit_watts: float | None = None

    def completed_by(self, other: Accelerator) -> Accelerator:
        """Return the same with what ``other`` knows besides."""
        unknown = [field.name for field in fields(self) if getattr(self, field.name) is None]
        return replace(self, **{name: getattr(other, name) for name in unknown})


@dataclass(frozen=True, slots=True)
class Described:
    """A card and by what others know it too: its PCI address, or else what is its own."""

    identity: str
    card: Accelerator


class Source(Protocol):
    """Those who know one kind of card.  All methods may take long."""

    @property
    def name(self) -> str:
        """For people."""

    def read(self) -> list[Gpu]:
        """Measure every card; none if there is none of this kind, or SourceFailed.

        Its ``id`` tells it from others of its kind, whichever of them can be measured.
        """

    def describe(self) -> list[Described]:
        """Describe every card; none if there is none of this kind, or SourceFailed."""


class Numbers:
    """Gives each card of all kinds a number, which it keeps: one that is gone leaves a gap.

    Charts and metrics tell cards apart by it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], int] = {}

    @property
    def count(self) -> int:
        """How many cards there have been."""
        return len(self._known)

    def numbered(self, found: Mapping[int, Iterable[Gpu]]) -> tuple[Gpu, ...]:
        """Return the cards of all kinds, each kind by its place, in the order of their numbers."""
        cards = [
            replace(card, id=self._known.setdefault((place, card.id), self.count))
            for place in sorted(found)
            for card in found[place]
        ]
        return tuple(sorted(cards, key=lambda card: card.id))


def merged(described: Iterable[Described]) -> list[Accelerator]:
    """Return each card once, in the order of identities; who knew it first is right."""
    known: dict[str, Accelerator] = {}
    for one in described:
        before = known.get(one.identity)
        known[one.identity] = before.completed_by(one.card) if before else one.card
    return [known[identity] for identity in sorted(known)]
