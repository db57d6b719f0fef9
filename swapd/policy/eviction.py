"""Which running models must make room for another.  Asked often, so it must not log."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol

from swapd.config.schema import Group
from swapd.ids import ModelId


@dataclass(frozen=True, slots=True)
class Decision:
    """What running ``target`` costs: whom it evicts, and which rule says so."""

    evict: frozenset[ModelId]
    rule: str
    cost: int


class EvictionPolicy(Protocol):
    """A pure question: the same target beside the same models gets the same answer."""

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        """Decide which of ``running`` must be gone before ``target`` may serve.

        Args:
          target: The model that is asked for; it may be in ``running`` itself.
          running: Every model that holds its place: starting, ready or stopping.
        """
        ...


class GroupEviction:
    """Evicts by groups: members that swap, and groups that want the place alone.

    The rule is one-way on purpose.  Only the group of the *requested* model decides
    whether others must go (``swap`` for its own members, ``exclusive`` for the rest), and
    only the group of a *running* model protects it (``persistent``).  So what may run side
    by side can depend on the order of loading: configurations rely on that.
    """

    def __init__(self, groups: Mapping[str, Group]) -> None:
        self._groups = groups
        self._home = {member: name for name, group in groups.items() for member in group.members}

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        home = self._home[target]
        evict = frozenset(m for m in running if m != target and self._must_go(m, home))
        return Decision(evict, rule=f"group {home}", cost=len(evict))

    def _must_go(self, running: ModelId, home: str) -> bool:
        theirs = self._home.get(running)
        if theirs is None:  # taken out of the configuration: nobody can say whom it fits beside
            return True
        if theirs == home:
            return self._groups[home].swap
        return self._groups[home].exclusive and not self._groups[theirs].persistent
