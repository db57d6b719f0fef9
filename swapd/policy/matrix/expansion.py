"""Writes a set out, alternative by alternative: for people and tests.  Nothing is chosen by it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import TypeAlias

from swapd.config.matrix import And, Expression, Leaf, Matrix, Or, Ref, references
from swapd.ids import ModelId

#: More alternatives than this are of no use to anybody who reads them.
MOST = 1000

#: In the order in which they are written; none is there twice.
_Alternatives: TypeAlias = tuple[frozenset[ModelId], ...]


class TooManyCombinations(ValueError):
    """A set has more alternatives than can be written out."""


def expand(matrix: Matrix, name: str) -> list[tuple[ModelId, ...]]:
    """Return the alternatives of a set, the first first, each with its models sorted.

    Raises:
      TooManyCombinations: There are more than ``MOST``, or of a part of it.
    """
    known: dict[str, _Alternatives] = {}
    try:
        for needed in _beneath(matrix, name):
            known[needed] = _expanded(matrix.sets[needed].expression, known)
    except TooManyCombinations as too_many:
        raise TooManyCombinations(f'set "{name}" has {too_many}') from None
    return [tuple(sorted(alternative)) for alternative in known[name]]


def _beneath(matrix: Matrix, name: str) -> list[str]:
    """Return ``name`` and the sets that it is made of, each after those it refers to."""
    needed = {name}
    for other in reversed(matrix.order):
        if other in needed:
            needed.update(references(matrix.sets[other].expression))
    return [other for other in matrix.order if other in needed]


def _expanded(expression: Expression, known: Mapping[str, _Alternatives]) -> _Alternatives:
    match expression:
        case Leaf(model):
            return (frozenset({model}),)
        case Ref(name):
            return known[name]
        case Or(parts):
            return _distinct(one for part in parts for one in _expanded(part, known))
        case And(parts):
            return _together(_expanded(part, known) for part in parts)


def _together(parts: Iterable[_Alternatives]) -> _Alternatives:
    joined: _Alternatives = (frozenset(),)
    for part in parts:
        joined = _distinct(left | right for left, right in product(joined, part))
    return joined


def _distinct(alternatives: Iterator[frozenset[ModelId]]) -> _Alternatives:
    found: dict[frozenset[ModelId], None] = {}
    for alternative in alternatives:
        found[alternative] = None
        if len(found) > MOST:
            raise TooManyCombinations(f"more than {MOST} combinations")
    return tuple(found)
