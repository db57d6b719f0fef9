"""Weighs every way to make room for a model.  For people: nothing is chosen by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from swapd.config.matrix import Matrix
from swapd.ids import ModelId
from swapd.policy.eviction import Alternative
from swapd.policy.matrix.expansion import TooManyCombinations, expand
from swapd.policy.matrix.program import Program
from swapd.policy.matrix.solver import Choice, solve


def rule_of(set_name: str) -> str:
    """Return the words for the rule that a set is."""
    return f"set {set_name}"


class Weighing:
    """One question to all sets: what would each of their alternatives cost?"""

    def __init__(
        self,
        matrix: Matrix,
        program: Program,
        target: ModelId,
        running: frozenset[ModelId],
        cost_of: Callable[[frozenset[ModelId]], int],
    ) -> None:
        """Weigh for ``target`` beside ``running``; ``cost_of`` says what an eviction costs."""
        self._matrix = matrix
        self._program = program
        self._target = target
        self._running = running
        self._cost_of = cost_of

    def alternatives(self, chosen: Choice) -> tuple[Alternative, ...]:
        """Return all that have the target, the cheapest first, and ``chosen`` first of such.

        Those of one set that evict the same are one.  Of a set that has too many to be
        written out there is only the best.
        """
        ways = {(way.rule, way.evict): way for way in [self._way(chosen, chosen=True)]}
        for choice in self._choices():
            way = self._way(choice)
            ways.setdefault((way.rule, way.evict), way)
        return tuple(sorted(ways.values(), key=lambda way: way.cost))

    def _choices(self) -> Iterator[Choice]:
        for name in self._matrix.order:
            try:
                for models in expand(self._matrix, name):
                    if self._target in models:
                        yield Choice(name, frozenset(models))
            except TooManyCombinations:
                if best := self._best_of(name):
                    yield best

    def _best_of(self, name: str) -> Choice | None:
        alone: Mapping[str, int] = {name: self._program.sets[name]}
        if not self._program.steps[alone[name]].reach & self._program.models[self._target]:
            return None
        costs = self._matrix.evict_costs
        return solve(replace(self._program, sets=alone), costs, self._target, self._running)

    def _way(self, choice: Choice, *, chosen: bool = False) -> Alternative:
        evict = self._running - choice.members
        models = tuple(sorted(choice.members))
        return Alternative(rule_of(choice.set_name), models, evict, self._cost_of(evict), chosen)
