"""Groups: who must go, and which rule says so."""

from __future__ import annotations

import pytest

from swapd.config.schema import Group
from swapd.ids import ModelId
from swapd.policy.eviction import Decision, GroupEviction
from swapd.testing.groups import group

A, B, C = (ModelId(name) for name in "abc")

ALONE = group("a")
GUEST = group("b", exclusive=False)
KEPT = group("b", exclusive=False, persistent=True)
SWAPPING = group("a", "b")
TOGETHER = group("a", "b", swap=False)


@pytest.mark.parametrize(
    ("groups", "running", "target", "evicted"),
    [
        pytest.param({"g": SWAPPING}, {A}, B, {A}, id="members swap"),
        pytest.param({"g": TOGETHER}, {A}, B, set(), id="members stay together"),
        pytest.param({"g": SWAPPING}, {A}, A, set(), id="nobody evicts itself"),
        pytest.param({"g": ALONE, "h": GUEST}, {B}, A, {B}, id="an exclusive target evicts"),
        pytest.param({"g": ALONE, "h": GUEST}, {A}, B, set(), id="a guest evicts nobody"),
        pytest.param({"g": ALONE, "h": KEPT}, {B}, A, set(), id="a persistent one stays"),
        pytest.param(
            {"g": group("a", "b", persistent=True)},
            {A}, B, {A},
            id="persistence does not protect from its own group",
        ),
        pytest.param(
            {"g": TOGETHER, "h": group("c")}, {A, B}, C, {A, B}, id="two at once"
        ),
    ],
)  # fmt: skip
def test_groups(
    groups: dict[str, Group], running: set[ModelId], target: ModelId, evicted: set[ModelId]
) -> None:
    assert GroupEviction(groups).victims(target, running).evict == evicted


def test_the_decision_names_its_rule_and_its_cost() -> None:
    policy = GroupEviction({"big": group("a", "b", "c")})
    assert policy.victims(A, {B, C}) == Decision(frozenset({B, C}), rule="group big", cost=2)
