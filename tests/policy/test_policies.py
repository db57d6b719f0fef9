"""Which policy a configuration means."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import pytest

from swapd.config.load import parse
from swapd.config.routing import Router
from swapd.config.schema import Config
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import StartModel
from swapd.policy.eviction import Decision
from swapd.policy.facts import RequestArrived
from swapd.policy.life import Reason
from swapd.policy.policies import POLICIES, policy_of
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Terms
from swapd.testing.replay import replay

A, B, C = (ModelId(name) for name in "abc")


def config(rest: str = "") -> Config:
    models = ", ".join(f"{name}: {{cmd: 'x ${{PORT}}'}}" for name in "abc")
    return parse(f"models: {{{models}}}\n{rest}", "c.yaml", environ={})


@pytest.mark.parametrize(
    ("rest", "evicted", "rule"),
    [
        ("", {A, B}, "group (default)"),
        ("groups: {g: {members: [a, c]}}", {A, B}, "group g"),
        ("matrix: {sets: {s: a & c}}", {B}, "set s"),
        (
            "routing: {router: {use: group, settings: {matrix: {sets: {s: a & c}}}}}",
            {A, B},
            "group (default)",
        ),
        ("routing: {router: {use: matrix, settings: {matrix: {sets: {s: b & c}}}}}", {A}, "set s"),
    ],
)
def test_the_configuration_names_its_policy(rest: str, evicted: set[ModelId], rule: str) -> None:
    found = policy_of(config(rest)).victims(C, {A, B})
    assert found == Decision(frozenset(evicted), rule, cost=len(evicted))


def test_every_word_for_a_router_has_a_policy() -> None:
    assert list(POLICIES) == list(Router)


def test_a_matrix_router_without_a_matrix_is_refused() -> None:
    broken = config("matrix: {sets: {s: a}}")
    with pytest.raises(ValueError, match="there is none"):
        policy_of(replace(broken, routing=replace(broken.routing, matrix=None)))


@pytest.mark.parametrize("rest", ["", "matrix: {sets: {s: a & b}}"])
def test_every_policy_sends_away_what_the_configuration_does_not_have_any_more(rest: str) -> None:
    policy = policy_of(config(rest))
    gone = ModelId("gone")
    assert policy.victims(A, {gone}).evict == {gone}
    assert policy.victims(A, {A, gone}).evict == {gone}


class NobodyGoes:
    """A policy of one's own: all models fit."""

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        return Decision(frozenset(), rule="all fit", cost=0)


def test_the_scheduler_obeys_a_policy_that_it_has_never_seen() -> None:
    replay(
        Scheduler(dict.fromkeys((A, B), Terms()), NobodyGoes()),
        RequestArrived(Ticket(1), A), StartModel(A, Generation(1), Reason.REQUEST),
        RequestArrived(Ticket(2), B), StartModel(B, Generation(1), Reason.REQUEST),
    )  # fmt: skip
