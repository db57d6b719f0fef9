"""Every way to make room, weighed: what people read beside a decision."""

from __future__ import annotations

from hypothesis import given, settings

from swapd.config.matrix import Matrix
from swapd.ids import ModelId
from swapd.policy.eviction import NOT_CONFIGURED, Account
from swapd.policy.matrix.eviction import MatrixEviction
from tests.policy.matrix.sets import MODELS, built, groups, ids, read, target_and
from tests.policy.matrix.test_against_expansion import MODELS as FEW
from tests.policy.matrix.test_against_expansion import RUNNING, TARGET, matrices

DOCS = "standard: (g|q|m) & v, with_rerank: (g|q) & v & e, creative: (g|q) & sd, full: L"


def account(sets: str, running: str, target: str, costs: str = "") -> Account:
    policy = MatrixEviction(read(sets, costs=costs), ids(" ".join(MODELS)))
    return policy.account(ModelId(target), ids(running))


def told(found: Account) -> list[tuple[str, str, str, int, bool]]:
    return [
        (way.rule, " ".join(way.models), " ".join(sorted(way.evict)), way.cost, way.chosen)
        for way in found.alternatives
    ]


def test_each_alternative_is_told_with_what_it_would_cost_the_cheapest_first() -> None:
    assert told(account(DOCS, "g v", "q", costs="v: 50")) == [
        ("set standard", "q v", "g", 1, True),
        ("set with_rerank", "e q v", "g", 1, False),
        ("set creative", "q sd", "g v", 51, False),
    ]


def test_the_one_that_is_taken_comes_first_of_equal_ones() -> None:
    found = told(account("early: t & z, s: t & (a | b), late: t", "a b", "t"))
    assert found[0] == ("set s", "a t", "b", 1, True)
    assert [way[0] for way in found] == ["set s", "set s", "set early", "set late"]


def test_alternatives_of_one_set_that_evict_the_same_are_one() -> None:
    assert told(account("s: t & (a | b | c)", "z", "t")) == [("set s", "a t", "z", 1, True)]


def test_a_set_that_is_too_large_to_write_out_tells_its_best_alternative() -> None:
    sets = {"other": target_and(*groups(1, 2)), "large": target_and(*groups(6, 10))}
    inside = ids(" ".join(f"model-{n}-9" for n in range(6)))
    policy = MatrixEviction(built(sets), {*inside, *ids("target outside")})
    large, *others = policy.account(ModelId("target"), inside | ids("outside")).alternatives
    assert (large.rule, large.evict, large.chosen) == ("set large", ids("outside"), True)
    assert set(inside) < set(large.models)
    assert [way.rule for way in others] == ["set other"]


def test_a_large_set_without_the_model_is_no_alternative() -> None:
    sets = {"small": groups(1, 2)[0], "large": target_and(*groups(6, 10)[1:])}
    policy = MatrixEviction(built(sets), ids("model-0-0 target"))
    found = policy.account(ModelId("model-0-1"), frozenset())
    assert [way.rule for way in found.alternatives] == ["set small"]


def test_each_model_that_runs_has_its_reason() -> None:
    assert account(DOCS, "g v e", "m", costs="v: 50").why == {
        "g": "no set has it beside m; it costs 1",
        "v": "set standard has it beside m",
        "e": "no set has it beside m; it costs 1",
    }
    assert account("s: t & (a | b)", "a b", "t", costs="b: 2").why == {
        "a": "set s leaves it out, which is cheapest; it costs 1",
        "b": "set s has it beside t",
    }
    assert account("s: a", "a", "z").why == {"a": "z is in no set, and runs alone"}
    assert account("s: a", "a z gone", "z").why == {
        "a": "z runs already, and makes no other leave",
        "gone": NOT_CONFIGURED,
    }


def test_there_is_nothing_to_choose_from_for_what_is_in_no_set_or_runs_anyway() -> None:
    assert account("s: a", "a", "z").alternatives == ()
    assert account("s: a | b", "a b", "a").alternatives == ()
    assert told(account("s: a & b", "a b", "a")) == [("set s", "a b", "", 0, True)]


@settings(max_examples=200)
@given(matrices(), RUNNING)
def test_the_decision_is_the_first_alternative_and_no_other_is_cheaper(
    matrix: Matrix, running: frozenset[ModelId]
) -> None:
    policy = MatrixEviction(matrix, FEW)
    decision = policy.victims(TARGET, running)
    ways = policy.account(TARGET, running).alternatives
    if not ways:
        assert not decision.rule.startswith("set ")
        return
    assert [way.chosen for way in ways] == [True] + [False] * (len(ways) - 1)
    assert (ways[0].rule, ways[0].evict, ways[0].cost) == (
        decision.rule,
        decision.evict,
        decision.cost,
    )
    assert min(way.cost for way in ways) == decision.cost
    assert all(TARGET in way.models and not way.evict & {*way.models} for way in ways)
