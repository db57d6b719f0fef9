"""Groups as a test writes them: with the defaults of a configuration file."""

from __future__ import annotations

from swapd.config.schema import Group
from swapd.ids import ModelId


def group(
    *members: str, swap: bool = True, exclusive: bool = True, persistent: bool = False
) -> Group:
    """Return a group of ``members``."""
    return Group(swap, exclusive, persistent, tuple(map(ModelId, members)))
