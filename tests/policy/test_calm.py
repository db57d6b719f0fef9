"""What the scheduler decides without a walk over all models, and when it may not.

That it comes to the same is held by ``test_histories``, in any history.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import pytest

from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, Effect, Refuse, StopModel, WakeAt
from swapd.policy.eviction import Decision, GroupEviction
from swapd.policy.facts import (
    Fact,
    ModelReady,
    ModelStuck,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    UnloadRequested,
)
from swapd.policy.life import Reason
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.testing.groups import group
from swapd.testing.replay import replay

A, B, C = map(ModelId, "abc")
T1, T2, T3, T4, T5 = (Ticket(number) for number in range(1, 6))
G1 = Generation(1)


ALONE = {"(default)": group("a", "b")}


class Questions(GroupEviction):
    """Lets one model run at a time by default, and counts how often it is asked."""

    def __init__(self, groups: Mapping[str, Group] = ALONE) -> None:
        super().__init__(groups)
        self.asked = 0

    def victims(self, target: ModelId, running: Set[ModelId]) -> Decision:
        self.asked += 1
        return super().victims(target, running)


def told(scheduler: Scheduler, *facts: Fact, now: float = 0.0) -> list[Effect]:
    """Return what all ``facts`` come to."""
    return [effect for fact in facts for effect in scheduler.handle(fact, now=now)]


def with_a_ready(
    policy: Questions,
    terms: Terms = Terms(),  # noqa: B008  frozen
    rules: Rules = Rules(),  # noqa: B008  frozen
) -> Scheduler:
    scheduler = Scheduler(dict.fromkeys((A, B), terms), policy, rules)
    told(scheduler, RequestArrived(T1, A), ModelReady(A, G1), RequestFinished(T1))
    return scheduler


def two_ready(terms: Terms = Terms()) -> Scheduler:  # noqa: B008  frozen
    together = GroupEviction({"g": group("a", "b", swap=False)})
    scheduler = Scheduler(dict.fromkeys((A, B), terms), together)
    told(scheduler, RequestArrived(T1, A), ModelReady(A, G1), RequestFinished(T1))
    told(scheduler, RequestArrived(T2, B), ModelReady(B, G1), RequestFinished(T2))
    return scheduler


def test_a_request_for_a_ready_model_asks_nobody_for_its_place_again() -> None:
    policy = Questions()
    scheduler = with_a_ready(policy)
    told(scheduler, RequestArrived(T2, A), RequestFinished(T2))
    before = policy.asked
    assert told(scheduler, RequestArrived(T3, A)) == [Admit(T3, A, G1)]
    assert told(scheduler, RequestFinished(T3)) == []
    assert policy.asked == before


def test_while_another_starts_a_request_for_a_ready_model_asks_nobody_either() -> None:
    policy = Questions({"g": group("a", "b", swap=False)})
    scheduler = with_a_ready(policy)
    told(scheduler, RequestArrived(T2, B), RequestArrived(T3, A))
    before = policy.asked
    assert told(scheduler, RequestArrived(T4, A)) == [Admit(T4, A, G1)]
    assert told(scheduler, RequestFinished(T3)) == []
    assert policy.asked == before


def test_who_is_overdue_ends_the_calm() -> None:
    scheduler = with_a_ready(Questions(), rules=Rules(max_wait=5.0))
    told(scheduler, RequestArrived(T2, A), RequestArrived(T3, B))
    overdue = WakeAt(5.0)
    assert told(scheduler, RequestArrived(T4, A), now=4.0) == [Admit(T4, A, G1), overdue]
    assert told(scheduler, RequestFinished(T4), now=4.0) == [overdue]
    assert told(scheduler, RequestArrived(T5, A), now=5.0) == [WakeAt(10.0)]  # of T5


def test_the_end_of_a_request_gives_its_slot_to_who_waits_for_it() -> None:
    scheduler = with_a_ready(Questions(), Terms(parallel=2))
    told(scheduler, RequestArrived(T2, A), RequestArrived(T3, A), RequestArrived(T4, A))
    assert told(scheduler, RequestFinished(T2)) == [Admit(T4, A, G1)]


def test_the_end_of_a_request_is_when_its_model_begins_to_idle() -> None:
    scheduler = with_a_ready(Questions(), Terms(ttl=10.0))
    told(scheduler, RequestArrived(T2, A), now=2.0)
    assert told(scheduler, RequestFinished(T2), now=5.0) == [WakeAt(15.0)]


def test_a_request_keeps_swapd_awake_for_another_model_that_idles() -> None:
    scheduler = two_ready(Terms(ttl=10.0))
    assert told(scheduler, RequestArrived(T3, A), now=3.0) == [Admit(T3, A, G1), WakeAt(10.0)]
    assert told(scheduler, RequestFinished(T3), now=4.0) == [WakeAt(10.0)]


def test_a_request_that_comes_before_the_clock_finds_who_has_idled_for_too_long() -> None:
    scheduler = two_ready(Terms(ttl=10.0))
    stops = StopModel(B, G1, Reason.TTL)
    assert told(scheduler, RequestArrived(T3, A), now=10.0) == [Admit(T3, A, G1), stops]


def test_a_request_keeps_swapd_awake_for_models_that_a_reload_set_against_each_other() -> None:
    models = dict.fromkeys((A, B, C), Terms(ttl=10.0))
    scheduler = Scheduler(models, GroupEviction({"g": group("a", "b", "c", swap=False)}))
    for ticket, model in ((T1, A), (T2, B), (T3, C)):
        told(scheduler, RequestArrived(ticket, model), ModelReady(model, G1))
        told(scheduler, RequestFinished(ticket))
    apart = {"g": group("a", "b"), "h": group("c", exclusive=False)}
    told(scheduler, Reconfigured(models, GroupEviction(apart), frozenset(), drain_by=0.0))
    assert told(scheduler, RequestArrived(T4, C), now=3.0) == [Admit(T4, C, G1), WakeAt(10.0)]
    stops = [StopModel(model, G1, Reason.TTL) for model in (A, B)]
    assert told(scheduler, RequestFinished(T4), now=10.0) == [*stops, WakeAt(20.0)]


@pytest.mark.parametrize("terms", [Terms(concurrency_limit=1), Terms(parallel=1)])
def test_limits_hold_for_a_ready_model_with_nobody_waiting(terms: Terms) -> None:
    scheduler = with_a_ready(Questions(), terms)
    assert told(scheduler, RequestArrived(T2, A)) == [Admit(T2, A, G1)]
    second = told(scheduler, RequestArrived(T3, A))
    assert not any(isinstance(effect, Admit) for effect in second)
    assert any(isinstance(effect, Refuse) for effect in second) is bool(terms.concurrency_limit)


def test_somebody_else_who_waits_ends_the_calm() -> None:
    replay(
        with_a_ready(Questions()),
        RequestArrived(T2, A),
        Admit(T2, A, G1),
        RequestArrived(T3, B),  # must wait for T2
        RequestFinished(T2),
        StopModel(A, G1, Reason.SWAP),
        RequestArrived(T4, A),
    )


def test_who_waits_no_more_while_others_are_served_is_forgotten() -> None:
    scheduler = with_a_ready(Questions())
    told(scheduler, RequestArrived(T2, A), RequestArrived(T3, B), RequestArrived(T4, A))
    told(scheduler, RequestFinished(T3), RequestFinished(T2))
    assert scheduler.waiting(B) == 0
    assert told(scheduler, RequestFinished(T4)) == []  # nobody wants its place


def test_who_is_about_to_leave_ends_it() -> None:
    scheduler = with_a_ready(Questions())
    told(scheduler, RequestArrived(T2, A), UnloadRequested(T4, (A,), drain=True))
    assert told(scheduler, RequestArrived(T3, A)) == []
    assert told(scheduler, RequestFinished(T2)) == [StopModel(A, G1, Reason.UNLOAD)]


def test_what_is_in_the_way_for_ever_ends_it() -> None:
    scheduler = two_ready()
    told(scheduler, UnloadRequested(T3, (B,)), ModelStuck(B, G1, "it does not end"))
    without_b = GroupEviction({"g": group("a", swap=False)})
    told(scheduler, Reconfigured({A: Terms()}, without_b, frozenset(), drain_by=0.0))
    (answer,) = told(scheduler, RequestArrived(T4, A))
    assert isinstance(answer, Refuse)
