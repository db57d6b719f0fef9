"""Which running models must make room for another.  Asked often, so it must not log."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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


@dataclass(frozen=True, slots=True)
class Alternative:
    """One way to make room for a model, out of several that a policy weighs."""

    rule: str
    #: Who may be loaded together, so that this way is open; the target is one of them.
    models: tuple[ModelId, ...]
    evict: frozenset[ModelId]
    cost: int
    #: Whether it is the way that is taken.
    chosen: bool


@dataclass(frozen=True, slots=True)
class Account:
    """What a policy has to say for a decision, to people."""

    #: Why each model that runs goes or stays.
    why: Mapping[ModelId, str]
    #: The cheapest first.
    alternatives: tuple[Alternative, ...] = ()


@runtime_checkable
class Accountable(Protocol):
    """A policy that can say for people why it decides as it does.  One need not be."""

    def account(self, target: ModelId, running: Set[ModelId]) -> Account:
        """Give the grounds of ``victims(target, running)``.  It may take its time."""
        ...


#: Said of what a reload took out while it ran: nobody can say whom it fits beside.
NOT_CONFIGURED = "the configuration does not have it any more"


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

    def account(self, target: ModelId, running: Set[ModelId]) -> Account:
        home = self._home[target]
        return Account({m: self._why(m, home) for m in running if m != target})

    def _must_go(self, running: ModelId, home: str) -> bool:
        theirs = self._home.get(running)
        if theirs is None:  # nobody can say whom it fits beside
            return True
        if theirs == home:
            return self._groups[home].swap
        return self._groups[home].exclusive and not self._groups[theirs].persistent

    def _why(self, running: ModelId, home: str) -> str:
        theirs = self._home.get(running)
        if theirs is None:
            return NOT_CONFIGURED
        if theirs == home:
            if self._groups[home].swap:
                return f"group {home} swaps: one member at a time"
            return f"group {home} does not swap: its members run together"
        if not self._groups[home].exclusive:
            return f"group {home} is not exclusive: it leaves other groups alone"
        if self._groups[theirs].persistent:
            return f"group {theirs} is persistent: other groups cannot stop it"
        return f"group {home} is exclusive: it stops other groups, here {theirs}"
