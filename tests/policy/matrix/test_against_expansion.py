"""The solver and plain reckoning agree, on matrices that nobody thought of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from swapd.config.matrix import And, Expression, Leaf, Matrix, Or, Ref
from swapd.ids import ModelId
from swapd.policy.matrix.eviction import IN_NO_SET, MatrixEviction
from swapd.policy.matrix.expansion import TooManyCombinations, expand
from swapd.policy.matrix.program import compile_matrix
from swapd.policy.matrix.solver import Choice, solve
from tests.policy.matrix.sets import built

MODELS = [ModelId(name) for name in "abcdef"]
OUTSIDE = ModelId("outside")
TARGET = ModelId("a")


def expressions(earlier: list[str]) -> st.SearchStrategy[Expression]:
    leaves: list[Expression] = [Leaf(model) for model in MODELS]
    refs: list[Expression] = [Ref(name) for name in earlier]
    names = st.sampled_from(leaves + refs)

    def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        parts = st.lists(inner, min_size=2, max_size=4).map(tuple)
        return st.one_of(parts.map(And), parts.map(Or))

    return st.recursive(names, joined, max_leaves=9)


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    sets: dict[str, Expression] = {}
    for n in range(draw(st.integers(1, 4))):
        sets[f"s{n}"] = draw(expressions([*sets]))
    costs = draw(st.dictionaries(st.sampled_from(MODELS), st.integers(1, 3)))
    return built(sets, costs)


RUNNING = st.frozensets(st.sampled_from([*MODELS, OUTSIDE]))


def cost(matrix: Matrix, evicted: Iterable[ModelId]) -> int:
    return sum(matrix.evict_costs.get(model, 1) for model in evicted)


@settings(max_examples=300)
@given(matrices(), RUNNING)
def test_no_alternative_is_cheaper_and_no_earlier_set_as_cheap(
    matrix: Matrix, running: frozenset[ModelId]
) -> None:
    running -= {TARGET}
    try:
        expanded = {name: [*map(frozenset, expand(matrix, name))] for name in matrix.order}
    except TooManyCombinations:
        assume(False)
    cheapest = {
        name: min(cost(matrix, running - one) for one in alternatives if TARGET in one)
        for name, alternatives in expanded.items()
        if any(TARGET in one for one in alternatives)
    }
    decision = MatrixEviction(matrix, MODELS).victims(TARGET, running)
    if not cheapest:
        assert (decision.evict, decision.rule) == (running, IN_NO_SET)
        return
    first = min(cheapest, key=lambda name: cheapest[name])
    assert (decision.rule, decision.cost) == (f"set {first}", cheapest[first])
    assert decision.evict in [running - one for one in expanded[first] if TARGET in one]
    choice = solve(compile_matrix(matrix), matrix.evict_costs, TARGET, running)
    assert choice is not None
    assert choice.members in expanded[first]


@settings(max_examples=300)
@given(matrices(), RUNNING)
def test_of_equal_alternatives_the_first_is_taken(
    matrix: Matrix, running: frozenset[ModelId]
) -> None:
    running -= {TARGET}
    found = solve(compile_matrix(matrix), matrix.evict_costs, TARGET, running)
    assert found == by_the_letter(matrix, running)


# -- the rule as it is told, with nothing left out -------------------------------------

#: What is held of the models that matter, with all that is held; the first first.
Pruned = list[tuple[frozenset[ModelId], frozenset[ModelId]]]


def by_the_letter(matrix: Matrix, running: frozenset[ModelId]) -> Choice | None:
    known: dict[str, Pruned] = {}
    best: tuple[int, Choice] | None = None
    for name in matrix.order:
        known[name] = alternatives(matrix.sets[name].expression, running | {TARGET}, known)
        for shown, whole in known[name]:
            price = cost(matrix, running - whole)
            if TARGET in shown and (best is None or price < best[0]):
                best = price, Choice(name, whole)
    return best and best[1]


def alternatives(
    expression: Expression, relevant: frozenset[ModelId], known: Mapping[str, Pruned]
) -> Pruned:
    match expression:
        case Leaf(model):
            return [(frozenset({model}) & relevant, frozenset({model}))]
        case Ref(name):
            return known[name]
        case Or(parts):
            return pruned(one for part in parts for one in alternatives(part, relevant, known))
        case And(parts):
            whole = alternatives(parts[0], relevant, known)
            for part in parts[1:]:
                more = alternatives(part, relevant, known)
                whole = pruned((a | c, b | d) for a, b in whole for c, d in more)
            return whole


def pruned(candidates: Iterable[tuple[frozenset[ModelId], frozenset[ModelId]]]) -> Pruned:
    kept: Pruned = []
    for candidate in candidates:
        if not any(candidate[0] <= other for other, _ in kept):
            kept = [one for one in kept if not one[0] < candidate[0]]
            kept.append(candidate)
    return kept
