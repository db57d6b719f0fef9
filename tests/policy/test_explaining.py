"""What a decision is in words."""

from __future__ import annotations

from collections.abc import Set

import pytest

from swapd.ids import ModelId
from swapd.policy.eviction import NOT_CONFIGURED, Decision, EvictionPolicy, GroupEviction
from swapd.policy.explaining import Explanation, choices, explain, grounds, listed, plain, verdict
from swapd.policy.matrix.eviction import MatrixEviction
from swapd.testing.groups import group
from tests.policy.matrix.sets import MODELS, ids, read

GROUPS = GroupEviction(
    {
        "chat": group("a", "b", "c"),
        "small": group("d", "e", swap=False),
        "guests": group("f", exclusive=False),
        "forever": group("g", swap=False, exclusive=False, persistent=True),
    }
)
SETS = MatrixEviction(read("s: t & (a | b), u: t & z", costs="z: 5"), ids(" ".join(MODELS)))


def explained(policy: EvictionPolicy, model: str, running: str) -> Explanation:
    return explain(policy, ModelId(model), ids(running))


@pytest.mark.parametrize(
    ("policy", "model", "running", "sentence"),
    [
        (GROUPS, "a", "b d g", "a would evict b and d (group chat, cost 2)"),
        (GROUPS, "f", "a g", "f would run beside a and g: nothing is evicted (group guests)"),
        (GROUPS, "a", "", "a would run alone: nothing else runs, nothing is evicted (group chat)"),
        (GROUPS, "a", "a", "a runs already: nothing is evicted"),
        (GROUPS, "a", "a b",
         "a runs already; before it serves, b must go (group chat, cost 1)"),
        (SETS, "t", "a b z", "t would evict a and b (set u, cost 2)"),
        (SETS, "t", "a b", "t would evict b (set s, cost 1)"),
        (SETS, "q", "a", "q would evict a (in no set, runs alone, cost 1)"),
        (SETS, "z", "a z", "z runs already: nothing is evicted"),
    ],
)  # fmt: skip
def test_the_verdict_says_who_goes_by_which_rule_at_which_cost(
    policy: EvictionPolicy, model: str, running: str, sentence: str
) -> None:
    assert verdict(explained(policy, model, running)) == sentence


@pytest.mark.parametrize(
    ("model", "running", "goes", "why"),
    [
        ("a", "b", "goes", "group chat swaps: one member at a time"),
        ("a", "d", "goes", "group chat is exclusive: it stops other groups, here small"),
        ("a", "g", "stays", "group forever is persistent: other groups cannot stop it"),
        ("d", "e", "stays", "group small does not swap: its members run together"),
        ("f", "a", "stays", "group guests is not exclusive: it leaves other groups alone"),
        ("a", "gone", "goes", NOT_CONFIGURED),
    ],
)
def test_groups_give_a_reason_for_each_model_that_runs(
    model: str, running: str, goes: str, why: str
) -> None:
    assert grounds(explained(GROUPS, model, running)) == [(running, goes, why)]


def test_who_goes_is_told_before_who_stays_and_the_model_itself_is_not() -> None:
    told = grounds(explained(GROUPS, "b", "b a g c"))
    assert [(name, goes) for name, goes, _ in told] == [
        ("a", "goes"),
        ("c", "goes"),
        ("g", "stays"),
    ]


def test_alternatives_are_told_up_to_a_number_and_the_one_that_is_taken_is_marked() -> None:
    answer = explained(SETS, "t", "a b")
    assert choices(answer, 2) == [
        ("* set s", "a & t", "evicts b", "cost 1"),
        ("  set s", "b & t", "evicts a", "cost 1"),
    ]
    assert choices(answer, 9)[2:] == [("  set u", "t & z", "evicts a and b", "cost 2")]
    assert choices(explained(SETS, "t", ""), 1) == [("* set s", "a & t", "evicts nobody", "cost 0")]


def test_everything_is_there_for_programs() -> None:
    assert plain(explained(SETS, "t", "b a")) == {
        "model": "t",
        "running": ["a", "b"],
        "evict": ["b"],
        "stay": ["a"],
        "rule": "set s",
        "cost": 1,
        "verdict": "t would evict b (set s, cost 1)",
        "why": {
            "a": "set s has it beside t",
            "b": "set s leaves it out, which is cheapest; it costs 1",
        },
        "alternatives": [
            {"rule": "set s", "models": ["a", "t"], "evict": ["b"], "cost": 1, "chosen": True},
            {"rule": "set s", "models": ["b", "t"], "evict": ["a"], "cost": 1, "chosen": False},
            {"rule": "set u", "models": ["t", "z"], "evict": ["a", "b"], "cost": 2,
             "chosen": False},
        ],
    }  # fmt: skip


class NobodyGoes:
    """A policy that has no words for what it does."""

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        return Decision(frozenset(), rule="all fit", cost=0)


def test_a_policy_without_grounds_is_explained_by_its_decision() -> None:
    answer = explained(NobodyGoes(), "a", "b")
    assert verdict(answer) == "a would run beside b: nothing is evicted (all fit)"
    assert grounds(answer) == [("b", "stays", "")]
    assert choices(answer, 9) == []


def test_names_are_listed_as_a_sentence_has_them() -> None:
    assert [listed(names) for names in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == [
        "",
        "a",
        "a and b",
        "a, b and c",
    ]
