"""Finds the alternative that lets most of what runs stay.  Never expands the product.

Rule 1: only models that run, and the target, matter.  Alternatives that hold the same ones of
them are one, the first; one that holds less than another is dropped.  What is left of an
expression is kept in the order in which it is written, and the first of the best wins.

Rule 2: parts of an ``&`` that have no such model in common do not know of each other: the
best of the whole is the best of each.  Only parts that overlap are multiplied, so it takes
long only where many overlap that hold many running models each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

from swapd.ids import ModelId
from swapd.policy.matrix.program import Bits, Join, Program, Step

#: Alternatives by what they hold of the models that matter, each with all that it holds.
_Kept: TypeAlias = dict[Bits, Bits]

#: One alternative: what those of its models weigh that matter, and all its models.
_Best: TypeAlias = tuple[int, Bits]


@dataclass(frozen=True, slots=True)
class Choice:
    """The alternative that was chosen."""

    set_name: str
    #: All its models, also those that do not run.
    members: frozenset[ModelId]


def solve(
    program: Program, costs: Mapping[ModelId, int], target: ModelId, running: Set[ModelId]
) -> Choice | None:
    """Return the alternative with ``target`` that is the cheapest to come to, the first of such.

    Args:
      program: The sets.
      costs: What it costs to stop a model; one that is not here costs 1.
      target: Must be in the alternative.
      running: Whoever of these is not in the alternative must be stopped.

    Returns:
      None if no set has the target.
    """
    if target not in program.models:
        return None
    weights = {program.models[m]: costs.get(m, 1) for m in running if m in program.models}
    wanted = program.models[target]
    weights[wanted] = 1 + sum(weights.values())  # more than all others: it is never left out
    roots = {name: at for name, at in program.sets.items() if program.steps[at].reach & wanted}
    found = _Search(program.steps, weights).best_of(set(roots.values()))
    name = max(roots, key=lambda name: found[roots[name]][0])  # the first of the heaviest
    return Choice(name, program.members(found[roots[name]][1]))


class _Search:
    """One question to all sets: what is the heaviest alternative?  No step is done twice."""

    def __init__(self, steps: tuple[Step, ...], weights: Mapping[Bits, int]) -> None:
        self._steps = steps
        self._weights = weights
        self._relevant = sum(weights)
        self._best: dict[int, _Best] = {}
        self._kept: dict[int, _Kept] = {}
        self._clusters: dict[int, list[list[int]]] = {}

    def best_of(self, roots: Set[int]) -> Mapping[int, _Best]:
        """Return the best alternative of at least all ``roots``."""
        one, every = self._plan(roots)
        for at in sorted(one | every):
            if at in every:
                self._kept[at] = self._alternatives(self._steps[at])
            if at in one:
                self._best[at] = self._choose(at)
        return self._best

    def _plan(self, roots: Set[int]) -> tuple[set[int], set[int]]:
        """Return the steps of which the best alternative is needed, and those of which all are."""
        one, every = set(roots), set[int]()
        for at in range(max(roots), -1, -1):
            step = self._steps[at]
            if at in every:
                every.update(filter(self._matters, step.parts))
            if at in one and step.join is Join.ANY:
                one.update(filter(self._matters, step.parts))
            elif at in one and step.join is Join.ALL:
                self._clusters[at] = self._cluster(step)
                for cluster in self._clusters[at]:
                    (one if len(cluster) == 1 else every).update(cluster)
        return one, every

    def _matters(self, at: int) -> bool:
        return bool(self._steps[at].reach & self._relevant)

    def _cluster(self, step: Step) -> list[list[int]]:
        """Return the parts that matter; those that overlap are together, from the left."""
        clusters: list[tuple[Bits, list[int]]] = []  # the parts by their places
        for place, part in enumerate(step.parts):
            reach = self._steps[part].reach & self._relevant
            apart, together = list[tuple[Bits, list[int]]](), [place] if reach else []
            for cluster in clusters:
                if cluster[0] & reach:
                    reach |= cluster[0]
                    together = cluster[1] + together
                else:
                    apart.append(cluster)
            clusters = [*apart, (reach, together)] if together else apart
        return [[step.parts[place] for place in sorted(places)] for _, places in clusters]

    # -- the best alternative ----------------------------------------------------------

    def _choose(self, at: int) -> _Best:
        step = self._steps[at]
        match step.join:
            case Join.NONE:
                return self._weight(step.reach), step.first
            case Join.ANY:
                return _heaviest(self._best[part] for part in step.parts if self._matters(part))
            case Join.ALL:
                return self._best_together(at)

    def _best_together(self, at: int) -> _Best:
        weight, whole = 0, self._untouched(self._steps[at].parts)
        for cluster in self._clusters[at]:
            best = self._best[cluster[0]] if len(cluster) == 1 else self._best_overlap(cluster)
            weight, whole = weight + best[0], whole | best[1]
        return weight, whole

    def _best_overlap(self, parts: Iterable[int]) -> _Best:
        kept = self._multiply(parts)
        return _heaviest((self._weight(shown), whole) for shown, whole in kept.items())

    def _untouched(self, parts: Iterable[int]) -> Bits:
        """Return what parts that do not matter bring in: each its first alternative."""
        whole = 0
        for part in parts:
            if not self._matters(part):
                whole |= self._steps[part].first
        return whole

    def _weight(self, shown: Bits) -> int:
        return sum(weight for bit, weight in self._weights.items() if bit & shown)

    # -- all alternatives that matter --------------------------------------------------

    def _alternatives(self, step: Step) -> _Kept:
        match step.join:
            case Join.NONE:
                return {step.reach: step.first}
            case Join.ANY:
                return _largest(each for part in step.parts for each in self._of(part).items())
            case Join.ALL:
                return self._multiply(step.parts)

    def _multiply(self, parts: Iterable[int]) -> _Kept:
        kept: _Kept = {0: 0}
        reach = 0
        for part in parts:
            overlap = reach & self._steps[part].reach & self._relevant
            joined = _unions(kept, self._of(part))
            # without overlap none of the unions can be within another
            kept = _largest(joined) if overlap else dict(joined)
            reach |= self._steps[part].reach
        return kept

    def _of(self, at: int) -> _Kept:
        return self._kept[at] if self._matters(at) else {0: self._steps[at].first}


def _unions(left: _Kept, right: _Kept) -> Iterator[tuple[Bits, Bits]]:
    for (shown, whole), (more_shown, more_whole) in product(left.items(), right.items()):
        yield shown | more_shown, whole | more_whole


def _largest(alternatives: Iterable[tuple[Bits, Bits]]) -> _Kept:
    """Return ``alternatives`` without those that show what another shows, and no more."""
    kept: _Kept = {}
    for shown, whole in alternatives:
        if shown not in kept and not any(shown & other == shown for other in kept):
            for less in [other for other in kept if other & shown == other]:
                del kept[less]
            kept[shown] = whole
    return kept


def _heaviest(alternatives: Iterable[_Best]) -> _Best:
    """Return the first of the heaviest."""
    return max(alternatives, key=lambda best: best[0])
