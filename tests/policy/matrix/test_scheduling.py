"""What the scheduler does by a matrix: who waits for whom, and who starts side by side."""

from __future__ import annotations

from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, StartModel, StopModel
from swapd.policy.facts import ModelReady, ModelStopped, RequestArrived, RequestFinished, Woke
from swapd.policy.life import Reason
from swapd.policy.matrix.eviction import MatrixEviction
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Terms
from swapd.testing.replay import replay
from tests.policy.matrix.sets import read

A, B = ModelId("a"), ModelId("b")
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
