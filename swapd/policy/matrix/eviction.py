"""Evicts by a matrix: whatever a set has beside the target may stay."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from functools import lru_cache

from swapd.config.matrix import Matrix
from swapd.ids import ModelId
from swapd.policy.eviction import NOT_CONFIGURED, Account, Decision
from swapd.policy.matrix.alternatives import Weighing, rule_of
from swapd.policy.matrix.program import compile_matrix
from swapd.policy.matrix.solver import Choice, solve

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
        self._matrix = matrix
        self._program = compile_matrix(matrix)
        self._costs = matrix.evict_costs
        self._models = frozenset(models)
        self._remembered = lru_cache(_REMEMBERED)(self._decide)

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        return self._remembered(target, frozenset(running))

    def account(self, target: ModelId, running: Set[ModelId]) -> Account:
        decision, choice = self.victims(target, running), self._choice(target, running)
        why = {m: self._why(m, target, decision) for m in running if m != target}
        if choice is None or decision.rule == RUNS_ALREADY:
            return Account(why)
        weighing = Weighing(self._matrix, self._program, target, frozenset(running), self._cost_of)
        return Account(why, weighing.alternatives(choice))

    def _decide(self, target: ModelId, running: frozenset[ModelId]) -> Decision:
        stays, rule = self._who_stays(target, running & self._models)
        evict = running - stays - {target}
        return Decision(evict, rule, cost=self._cost_of(evict))

    def _who_stays(
        self, target: ModelId, running: frozenset[ModelId]
    ) -> tuple[frozenset[ModelId], str]:
        choice = self._choice(target, running)
        if target in running and not (choice and running <= choice.members):
            return running, RUNS_ALREADY
        if choice is None:
            return frozenset(), IN_NO_SET
        return choice.members, rule_of(choice.set_name)

    def _choice(self, target: ModelId, running: Set[ModelId]) -> Choice | None:
        return solve(self._program, self._costs, target, running)

    def _cost_of(self, evict: Iterable[ModelId]) -> int:
        return sum(self._costs.get(model, 1) for model in evict)

    def _why(self, model: ModelId, target: ModelId, decision: Decision) -> str:
        if model not in self._models:
            return NOT_CONFIGURED
        if decision.rule == RUNS_ALREADY:
            return f"{target} runs already, and makes no other leave"
        if decision.rule == IN_NO_SET:
            return f"{target} is in no set, and runs alone"
        if model not in decision.evict:
            return f"{decision.rule} has it beside {target}"
        cost = self._costs.get(model, 1)
        if self._matrix.allows({target, model}):
            return f"{decision.rule} leaves it out, which is cheapest; it costs {cost}"
        return f"no set has it beside {target}; it costs {cost}"
