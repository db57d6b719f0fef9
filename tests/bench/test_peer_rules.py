"""The rules that ours are held against are those of llama-swap."""

from __future__ import annotations

import random

import pytest

from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, Effect, StartModel, StopModel
from swapd.policy.eviction import GroupEviction
from swapd.policy.facts import (
    Fact,
    ModelReady,
    ModelStopped,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
)
from swapd.policy.life import Reason
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.policy.simulator import Request, Times, simulate
from swapd.testing.groups import group
from tests.bench.peer_rules import PeerRules

A, B, C, X = (ModelId(name) for name in "abcx")
T1, T2, T3, T4 = (Ticket(number) for number in range(1, 5))
G1 = Generation(1)


def play(groups: dict[str, Group], *script: Fact | Effect) -> None:
    """Feed the facts; each must be answered by just the effects written after it."""
    models = [member for given in groups.values() for member in given.members]
    rules = PeerRules(models, GroupEviction(groups))
    got: list[Effect] = []
    for step in script:
        if isinstance(step, Fact):
            assert got == []
            got = rules.handle(step, now=0.0)
        else:
            assert got.pop(0) == step
    assert got == []


def start(model: ModelId) -> StartModel:
    return StartModel(model, G1, Reason.REQUEST)


def stop(model: ModelId) -> StopModel:
    return StopModel(model, G1, Reason.SWAP)


def test_whoever_is_loaded_serves_whoever_else_waits() -> None:
    play(
        {"g": group("a", "b")},
        *(RequestArrived(T1, A), start(A), ModelReady(A, G1), Admit(T1, A, G1)),
        RequestArrived(T2, B),
        *(RequestArrived(T3, A), Admit(T3, A, G1)),
        RequestFinished(T1),
        *(RequestFinished(T3), stop(A), ModelStopped(A, G1), start(B)),
        *(ModelReady(B, G1), Admit(T2, B, G1)),
    )


def test_a_swap_stops_all_its_victims_and_then_starts() -> None:
    play(
        {"x": group("x"), "rest": group("a", "b", swap=False, exclusive=False)},
        *(RequestArrived(T1, A), start(A), ModelReady(A, G1), Admit(T1, A, G1)),
        *(RequestArrived(T2, B), start(B), ModelReady(B, G1), Admit(T2, B, G1)),
        RequestArrived(T3, X),
        RequestFinished(T1),
        *(RequestArrived(T4, A), Admit(T4, A, G1)),  # nothing holds one idle while another drains
        RequestFinished(T2),
        *(RequestFinished(T4), stop(A), stop(B)),
        ModelStopped(B, G1),
        *(ModelStopped(A, G1), start(X), ModelReady(X, G1), Admit(T3, X, G1)),
    )


def test_two_swaps_that_stop_the_same_model_wait_for_each_other() -> None:
    play(
        {"x": group("x"), "rest": group("a", "b", swap=False)},
        *(RequestArrived(T1, X), start(X), ModelReady(X, G1), Admit(T1, X, G1)),
        RequestArrived(T2, A),
        RequestArrived(T3, B),
        *(RequestFinished(T1), stop(X), ModelStopped(X, G1), start(A)),
        *(ModelReady(A, G1), Admit(T2, A, G1), start(B)),
        *(ModelReady(B, G1), Admit(T3, B, G1)),
    )


def test_requests_for_a_model_that_loads_join_its_load() -> None:
    play(
        {"g": group("a", "b", "c")},
        *(RequestArrived(T1, A), start(A)),
        *(RequestArrived(T2, B), RequestArrived(T3, C), RequestArrived(T4, A)),
        *(ModelReady(A, G1), Admit(T1, A, G1), Admit(T4, A, G1)),
        RequestFinished(T1),
        *(RequestFinished(T4), stop(A), ModelStopped(A, G1), start(B)),
    )


def test_a_model_that_is_ready_beside_a_victim_serves_when_that_is_gone() -> None:
    play(
        {"x": group("x"), "guest": group("a", exclusive=False)},
        *(RequestArrived(T1, X), start(X), ModelReady(X, G1), Admit(T1, X, G1)),
        *(RequestArrived(T2, A), start(A), ModelReady(A, G1), Admit(T2, A, G1)),
        RequestFinished(T1),
        *(RequestArrived(T3, X), RequestFinished(T2), stop(A)),
        *(ModelStopped(A, G1), Admit(T3, X, G1)),
    )


def test_whoever_is_being_stopped_for_another_waits_for_that_swap() -> None:
    play(
        {"x": group("x"), "guest": group("a", exclusive=False)},
        *(RequestArrived(T1, A), start(A), ModelReady(A, G1), Admit(T1, A, G1)),
        *(RequestFinished(T1), RequestArrived(T2, X), stop(A)),
        *(RequestArrived(T3, A), ModelStopped(A, G1), start(X)),
        *(ModelReady(X, G1), Admit(T2, X, G1), StartModel(A, Generation(2), Reason.REQUEST)),
    )


def test_what_no_simulation_says_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="do not know"):
        PeerRules([A], GroupEviction({"g": group("a")})).handle(ShutdownBegan(), now=0.0)


@pytest.mark.parametrize("seed", range(20))
def test_ours_without_a_bound_does_the_same_for_models_that_swap(seed: int) -> None:
    rng = random.Random(seed)
    groups = {"g": group("a", "b", exclusive=False), "h": group("c", "d", "e", exclusive=False)}
    models = [ModelId(name) for name in "abcde"]
    trace = [
        Request(rng.uniform(0, 300), rng.choice(models), rng.uniform(0.5, 9)) for _ in range(150)
    ]
    policy, times = GroupEviction(groups), dict.fromkeys(models, Times(load=5.1, stop=1.3))
    ours = Scheduler(dict.fromkeys(models, Terms()), policy, Rules(max_wait=0))
    assert simulate(ours, times, trace) == simulate(PeerRules(models, policy), times, trace)
