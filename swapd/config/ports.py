"""Hands out ports to models, upwards from the first."""

from __future__ import annotations

from swapd.config.problems import Problems
from swapd.config.scalars import settled
from swapd.config.tree import KeyPath, Node, Place, Scalar

DEFAULT_START_PORT = 5800
HIGHEST_PORT = 65535


class Ports:
    """The ports that are still free to take."""

    def __init__(self, start_port: Node | None) -> None:
        """Begin at ``start_port``; that it may be no port is said where settings are read."""
        self._next = _first(start_port)

    def take(self, place: Place, path: KeyPath, problems: Problems) -> int:
        """Return the next port for who asks at ``path``; that there is none is a problem."""
        port = self._next
        self._next += 1
        if port > HIGHEST_PORT:
            message = f"${{PORT}} would be {port}, and {HIGHEST_PORT} is the highest port"
            problems.add(place, path, message)
        return min(port, HIGHEST_PORT)


def _first(start_port: Node | None) -> int:
    value = settled(start_port.value) if isinstance(start_port, Scalar) else None
    if isinstance(value, int | float) and 1 <= value <= HIGHEST_PORT:
        return int(value)
    return DEFAULT_START_PORT
