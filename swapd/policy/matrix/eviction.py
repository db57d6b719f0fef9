"""Evicts by a matrix: whatever a set has beside the target may stay."""

from __future__ import annotations

from collections.abc import Collection, Set
from functools import lru_cache

from swapd.config.matrix import Matrix
from swapd.ids import ModelId
from swapd.policy.eviction import Decision
from swapd.policy.matrix.program import compile_matrix
from swapd.policy.matrix.solver import solve

#: The rule that lets a model serve beside others that no set has beside it.
RUNS_ALREADY = "runs already"

#: The rule for a model that may run beside no other.
IN_NO_SET = "in no set, runs alone"

#: Decisions to remember: the scheduler asks the same for each request that waits.
_REMEMBERED = 256


class MatrixEviction:
    """Evicts what costs the least, so that one set has all that is left and the target.

    A set permits and demands nothing: its other models are not started.  A model that runs
    already evicts nobody, even where no set allows what runs: after a reload that is not its
    fault.  Only what the configuration does not have any more goes for it too.
    """

    def __init__(self, matrix: Matrix, models: Collection[ModelId]) -> None:
        """Decide by ``matrix`` among ``models``, which are all that are configured."""
        self._program = compile_matrix(matrix)
        self._costs = matrix.evict_costs
        self._models = frozenset(models)
        self._remembered = lru_cache(_REMEMBERED)(self._decide)

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        return self._remembered(target, frozenset(running))

    def _decide(self, target: ModelId, running: frozenset[ModelId]) -> Decision:
        stays, rule = self._who_stays(target, running & self._models)
        evict = running - stays - {target}
        return Decision(evict, rule, cost=sum(self._costs.get(model, 1) for model in evict))

    def _who_stays(
        self, target: ModelId, running: frozenset[ModelId]
    ) -> tuple[frozenset[ModelId], str]:
        choice = solve(self._program, self._costs, target, running)
        if target in running and not (choice and running <= choice.members):
            return running, RUNS_ALREADY
        if choice is None:
            return frozenset(), IN_NO_SET
        return choice.members, f"set {choice.set_name}"
