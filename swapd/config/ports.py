"""Hands out ports to models: the one that a model had before, or the next that is free."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.config.problems import Problems
from swapd.config.scalars import settled
from swapd.config.tree import KeyPath, Node, Place, Scalar
from swapd.ids import ModelId

DEFAULT_START_PORT = 5800
HIGHEST_PORT = 65535


class Ports:
    """The ports that are still free to take."""

    def __init__(self, kept: Mapping[ModelId, int]) -> None:
        """Give the models of ``kept`` the ports they have, which no other gets."""
        self._kept = kept
        self._next = DEFAULT_START_PORT
        #: Who was given which port.
        self.given: dict[ModelId, int] = {}

    def begin_at(self, start_port: Node | None) -> None:
        """Count up from ``start_port``; that it may be no port is said elsewhere."""
        self._next = _first(start_port)

    def take(self, model: ModelId, place: Place, path: KeyPath, problems: Problems) -> int:
        """Return the port of ``model``, which stands at ``path``; to have none is a problem."""
        port = self._kept.get(model) or self._count_up()
        self.given[model] = port
        if port > HIGHEST_PORT:
            message = f"${{PORT}} would be {port}, and {HIGHEST_PORT} is the highest port"
            problems.add(place, path, message)
        return min(port, HIGHEST_PORT)

    def _count_up(self) -> int:
        while self._next in self._kept.values():
            self._next += 1
        self._next += 1
        return self._next - 1


def _first(start_port: Node | None) -> int:
    value = settled(start_port.value) if isinstance(start_port, Scalar) else None
    if isinstance(value, int | float) and 1 <= value <= HIGHEST_PORT:
        return int(value)
    return DEFAULT_START_PORT
