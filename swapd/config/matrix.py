"""Which models may run together, as sets.  Says what is possible; chooses nothing.

An expression stands for alternatives, each of which is a set of models: a leaf for one of
one model, ``|`` for those of its parts, ``&`` for each union of one of each part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

from swapd.ids import ModelId


@dataclass(frozen=True, slots=True)
class Leaf:
    """One model."""

    model: ModelId


@dataclass(frozen=True, slots=True)
class Ref:
    """The alternatives of another set."""

    name: str


@dataclass(frozen=True, slots=True)
class And:
    """All parts together."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the parts, the first one first."""

    parts: tuple[Expression, ...]


Expression: TypeAlias = Leaf | Ref | And | Or


def references(expression: Expression) -> Iterator[str]:
    """Yield the names of the sets that ``expression`` refers to, from the left."""
    match expression:
        case Ref(name):
            yield name
        case And(parts) | Or(parts):
            for part in parts:
                yield from references(part)


@dataclass(frozen=True, slots=True)
class ModelSet:
    """One set, by its name."""

    name: str
    #: As it is written, for people.
    text: str
    expression: Expression


@dataclass(frozen=True, slots=True)
class Matrix:
    """All sets, which refer only to each other and never in a circle."""

    #: In the order of the file; a set may refer to a later one.
    sets: Mapping[str, ModelSet]
    #: The order in which the sets count: that of the file, but each after those it refers to.
    order: tuple[str, ...]
    #: What it costs to stop a model; one that is not here costs 1.
    evict_costs: Mapping[ModelId, int]

    def allows(self, models: Collection[ModelId]) -> bool:
        """Say whether there is one alternative that holds all of ``models``."""
        wanted = frozenset(models)
        known: dict[str, _Found] = {}
        for name in self.order:
            known[name] = _within(self.sets[name].expression, wanted, known)
        return not wanted or any(wanted in found for found in known.values())


#: What the alternatives hold of the models that are wanted; none is within another.
_Found: TypeAlias = tuple[frozenset[ModelId], ...]


def _within(
    expression: Expression, wanted: frozenset[ModelId], known: Mapping[str, _Found]
) -> _Found:
    match expression:
        case Leaf(model):
            return (frozenset({model}) & wanted,)
        case Ref(name):
            return known[name]
        case Or(parts):
            found = (_within(part, wanted, known) for part in parts)
            return _largest(one for some in found for one in some)
        case And(parts):
            found = (_within(part, wanted, known) for part in parts)
            return reduce(lambda all_, some: _largest(a | b for a in all_ for b in some), found)


def _largest(found: Iterable[frozenset[ModelId]]) -> _Found:
    """Return ``found`` without what lies within another."""
    kept: list[frozenset[ModelId]] = []
    for one in found:
        if not any(one <= other for other in kept):
            kept = [other for other in kept if not other <= one]
            kept.append(one)
    return tuple(kept)
