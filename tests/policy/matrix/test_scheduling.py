"""What the scheduler does by a matrix: who waits for whom, and who starts side by side."""

from __future__ import annotations

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, StartModel, StopModel
from swapd.policy.facts import (
    ModelReady,
    ModelStopped,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    Woke,
)
from swapd.policy.life import Reason
from swapd.policy.matrix.eviction import MatrixEviction
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Terms
from swapd.testing.replay import replay
from tests.policy.matrix.sets import read

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")
T1, T2 = Ticket(1), Ticket(2)
G1 = Generation(1)
REQUEST, SWAP = Reason.REQUEST, Reason.SWAP


def scheduler(sets: str) -> Scheduler:
    models = dict.fromkeys((A, B), Terms())
    return Scheduler(models, MatrixEviction(read(sets), models))


def test_models_of_different_sets_swap() -> None:
    replay(
        scheduler("s_a: a, s_b: b"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
    )  # fmt: skip


def test_a_swap_waits_for_its_victim_whatever_else_happens_meanwhile() -> None:
    replay(
        scheduler("s_a: a, s_b: b"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        Woke(),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_models_of_one_set_stay_together() -> None:
    replay(
        scheduler("s_ab: a & b"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
    )  # fmt: skip


def test_models_of_one_set_load_in_parallel() -> None:
    replay(
        scheduler("s_ab: a & b"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        ModelReady(A, G1), Admit(T1, A, G1),
    )  # fmt: skip


def test_a_model_of_another_set_waits_until_the_one_that_loads_has_served() -> None:
    replay(
        scheduler("s_a: a, s_b: b"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
    )  # fmt: skip


def test_a_swap_whose_target_is_stopped_gives_up_its_place() -> None:
    """Found by a history: two claims stood in each other's way for ever."""
    models = dict.fromkeys((A, B, C), Terms())
    policy = MatrixEviction(read("s_ac: a & c, s_ab: a & b"), models)
    changed = Reconfigured(models, policy, frozenset({A, C}), drain_by=0.0)
    replay(
        Scheduler(models, policy),
        RequestArrived(T1, C), StartModel(C, G1, REQUEST),
        changed, StopModel(C, G1, Reason.RELOAD),
        RequestArrived(T2, B),
        ModelStopped(C, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestFinished(T2), StopModel(B, G1, SWAP),
        ModelStopped(B, G1), StartModel(C, Generation(2), REQUEST),
    )  # fmt: skip
