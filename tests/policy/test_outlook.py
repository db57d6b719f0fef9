"""What a request would come to, asked without sending one."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, StartModel, StopModel, WakeAt
from swapd.policy.eviction import GroupEviction
from swapd.policy.facts import (
    Fact,
    LoadRequested,
    ModelReady,
    ModelStopped,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason
from swapd.policy.outlook import Outcome, outlook, told
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.testing.groups import group
from swapd.testing.replay import replay

A, B, C, D = (ModelId(name) for name in "abcd")
T1, T2, T3, T4 = (Ticket(number) for number in range(1, 5))
G1 = Generation(1)
WAKE = WakeAt(30.0)

ALL_SWAP = {"g": group("a", "b", "c")}


def scheduler(groups: Mapping[str, Group] = ALL_SWAP, **terms: Terms) -> Scheduler:
    members = [member for given in groups.values() for member in given.members]
    models = {member: terms.get(member, Terms()) for member in members}
    return Scheduler(models, GroupEviction(groups), Rules(max_wait=30.0, max_queue=3))


def after(*facts: Fact, groups: Mapping[str, Group] = ALL_SWAP, **terms: Terms) -> Scheduler:
    """Return a scheduler to which all of ``facts`` have happened at 0."""
    known = scheduler(groups, **terms)
    for fact in facts:
        known.handle(fact, now=0.0)
    return known


#: ``a`` is ready and serves one request.
A_SERVES = (RequestArrived(T1, A), ModelReady(A, G1))

#: ``a`` is ready and idle.
A_IDLES = (*A_SERVES, RequestFinished(T1))


@pytest.mark.parametrize(
    ("known", "outcome", "words"),
    [
        pytest.param(
            after(), Outcome.STARTS,
            "b is stopped. A request would start it at once, and nothing is evicted.",
            id="nothing runs",
        ),
        pytest.param(
            after(*A_IDLES), Outcome.STARTS,
            "b is stopped. b would evict a (group g, cost 1), at once.",
            id="the victim is idle",
        ),
        pytest.param(
            after(*A_SERVES), Outcome.WAITS,
            "b is stopped. b would evict a (group g, cost 1). A request would wait: "
            "a serves 1 request.",
            id="the victim is busy",
        ),
        pytest.param(
            after(RequestArrived(T1, A), RequestArrived(T2, A)), Outcome.WAITS,
            "b is stopped. b would evict a (group g, cost 1). A request would wait: "
            "a is starting for 2 requests.",
            id="the victim is starting",
        ),
        pytest.param(
            after(RequestArrived(T1, A), RequestFinished(T1)), Outcome.STARTS,
            "b is stopped. b would evict a (group g, cost 1), at once.",
            id="the victim is starting for nobody any more",
        ),
        pytest.param(
            after(*A_SERVES, RequestArrived(T2, C)), Outcome.WAITS,
            "b is stopped. b would evict a (group g, cost 1). A request would wait: "
            "a serves 1 request; c comes first.",
            id="another was first",
        ),
        pytest.param(
            after(RequestArrived(T1, B)), Outcome.JOINS,
            "b is starting. A request would be served when it is ready.",
            id="it starts for another",
        ),
        pytest.param(
            after(RequestArrived(T1, B), ModelReady(B, G1)), Outcome.SERVED,
            "b is ready. A request would be served at once.",
            id="it is ready",
        ),
        pytest.param(
            after(RequestArrived(T1, B), ModelReady(B, G1), b=Terms(parallel=1)), Outcome.WAITS,
            "b is ready. A request would wait: b serves 1 request, and admits no more now.",
            id="it is full",
        ),
        pytest.param(
            after(
                RequestArrived(T1, B), ModelReady(B, G1), b=Terms(concurrency_limit=1)
            ), Outcome.REFUSED,
            "b is ready. A request would be refused: b is at its concurrencyLimit.",
            id="it is at its limit",
        ),
        pytest.param(
            after(*A_SERVES, UnloadRequested(T4, (B,)), ShutdownBegan()), Outcome.REFUSED,
            "b is stopped. A request would be refused: swapd is shutting down.",
            id="swapd is ending",
        ),
        pytest.param(
            after(LoadRequested(T1, B, Reason.LOAD), UnloadRequested(T2, (B,))), Outcome.WAITS,
            "b is stopping. A request would wait: "
            "b is stopping, and must be gone before it can start again.",
            id="it is being unloaded",
        ),
        pytest.param(
            after(*A_IDLES, RequestArrived(T2, C)), Outcome.WAITS,
            "b is stopped. b would evict a and c (group g, cost 2). A request would wait: "
            "a is stopping; c is next: room is being made for it.",
            id="room is being made for another",
        ),
    ],
)  # fmt: skip
def test_what_would_become_of_a_request_is_told(
    known: Scheduler, outcome: Outcome, words: str
) -> None:
    expected = outlook(known, B, 0.0)
    assert (expected.outcome, told(expected)) == (outcome, words)


def test_who_must_make_way_admits_nobody() -> None:
    known = after(*A_SERVES, RequestArrived(T2, B))
    known.handle(Woke(), now=30.0)
    expected = outlook(known, A, 30.0)
    assert expected.waits_for == {B: "is overdue: a makes way for it, and admits nobody else"}
    assert expected.ahead == ()
    assert outlook(known, A, 29.0).outcome is Outcome.SERVED


def test_a_model_that_failed_is_refused_until_its_time_is_over() -> None:
    known = after(RequestArrived(T1, A), ModelStopped(A, G1, "exited with code 3"))
    refused = outlook(known, A, 0.5)
    assert refused.outcome is Outcome.REFUSED
    assert "exited with code 3" in (refused.refusal or "")
    assert outlook(known, A, 2.0).outcome is Outcome.STARTS


def test_who_would_be_stopped_at_once_is_named() -> None:
    idle = after(*A_IDLES)
    assert outlook(idle, B, 0.0).stops == (A,)
    assert outlook(after(*A_SERVES), B, 0.0).stops == ()


def test_only_those_come_first_who_are_in_the_way() -> None:
    apart = {"g": group("a", "b", exclusive=False), "h": group("c", "d", exclusive=False)}
    c_serves = RequestArrived(T2, C), ModelReady(C, G1)
    known = after(*A_SERVES, *c_serves, RequestArrived(T3, D), groups=apart)
    expected = outlook(known, B, 0.0)
    assert (expected.waits_for, expected.ahead) == ({A: "serves 1 request"}, ())
    assert outlook(known, D, 0.0).ahead == ()


def test_what_time_alone_does_is_not_done_for_the_request() -> None:
    apart = {"g": group("a", "b", exclusive=False), "h": group("c", exclusive=False)}
    c_idles = RequestArrived(T2, C), ModelReady(C, G1), RequestFinished(T2)
    known = after(*A_SERVES, *c_idles, groups=apart, c=Terms(ttl=10.0))
    expected = outlook(known, B, 20.0)  # c has idled for too long
    assert (expected.outcome, expected.stops) == (Outcome.WAITS, ())


def test_a_full_queue_refuses() -> None:
    known = after(*A_SERVES, *(RequestArrived(ticket, B) for ticket in (T2, T3, T4)))
    assert outlook(known, B, 0.0).refusal == "the queue is full: as many wait as maxQueue allows"


def test_asking_changes_nothing() -> None:
    known = scheduler()
    replay(known, RequestArrived(T1, A), StartModel(A, G1, Reason.REQUEST), WAKE)
    assert [outlook(known, model, 0.0).outcome for model in (A, B)] == ["joins", "waits"]
    replay(known, ModelReady(A, G1), Admit(T1, A, G1))
    assert [outlook(known, model, 0.0).outcome for model in (A, B)] == ["served", "waits"]
    assert (known.queue(0.0), known.in_flight(A), known.state(B)) == ([], 1, ModelState.STOPPED)
    replay(known, RequestFinished(T1))
    assert outlook(known, B, 0.0).stops == (A,)
    why = "for b by group g, cost 1, after 0.0 s"
    replay(known, RequestArrived(T2, B), StopModel(A, G1, Reason.SWAP, why), WAKE)


def test_the_policy_of_a_copy_is_the_same_one() -> None:
    policy = GroupEviction(ALL_SWAP)
    known = Scheduler(dict.fromkeys((A, B, C), Terms()), policy)
    assert known.copy().explain(A) == known.explain(A)
