"""Nobody waits without bound: who is overdue dooms whoever is in the way, and is next."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
from trio.testing import MockClock

from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, Complete, Refuse, StartModel, StopModel, WakeAt
from swapd.policy.eviction import GroupEviction
from swapd.policy.facts import (
    LoadRequested,
    ModelReady,
    ModelStopped,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    Woke,
)
from swapd.policy.life import Reason
from swapd.policy.refusals import queue_is_full
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.testing.groups import group
from swapd.testing.replay import replay
from swapd.testing.world import World, open_world

A, B, C, D = (ModelId(name) for name in "abcd")
T1, T2, T3, T4, T5, T6 = (Ticket(number) for number in range(1, 7))
G1, G2 = Generation(1), Generation(2)
REQUEST, SWAP, LOAD = Reason.REQUEST, Reason.SWAP, Reason.LOAD

ALL_SWAP = {"g": group("a", "b", "c")}
PAIR = {"g": group("a", "b")}


def scheduler(
    groups: Mapping[str, Group] = ALL_SWAP, *, max_queue: int = 0, **terms: Terms
) -> Scheduler:
    members = [member for given in groups.values() for member in given.members]
    models = {member: terms.get(member, Terms()) for member in members}
    rules = Rules(max_wait=30.0, max_queue=max_queue)
    return Scheduler(models, GroupEviction(groups), rules)


def test_a_hot_model_admits_no_newcomer_once_another_is_overdue() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), WakeAt(30.0),
        29.0, RequestArrived(T3, A), Admit(T3, A, G1), WakeAt(30.0),
        1.0, Woke(),
        RequestArrived(T4, A), WakeAt(60.0),
        RequestFinished(T1), WakeAt(60.0),
        RequestFinished(T3), StopModel(A, G1, SWAP), WakeAt(60.0),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST), WakeAt(60.0),
        ModelReady(B, G1), Admit(T2, B, G1), WakeAt(60.0),
        RequestFinished(T2), StopModel(B, G1, SWAP), WakeAt(60.0),
        ModelStopped(B, G1), StartModel(A, G2, REQUEST), WakeAt(60.0),
    )  # fmt: skip


def test_of_two_that_must_drain_neither_is_busy_again() -> None:
    """Wide eviction: without a doom both would have to be idle at the same instant."""
    groups = {"pair": group("a", "b", swap=False), "alone": group("c")}
    replay(
        scheduler(groups),
        LoadRequested(T1, A, LOAD), StartModel(A, G1, LOAD), WakeAt(30.0),
        LoadRequested(T2, B, LOAD), StartModel(B, G1, LOAD), WakeAt(30.0),
        ModelReady(A, G1), Complete(T1), WakeAt(30.0),
        ModelReady(B, G1), Complete(T2),
        RequestArrived(T3, A), Admit(T3, A, G1),
        RequestArrived(T4, C), WakeAt(30.0),
        30.0, RequestArrived(T5, B), WakeAt(60.0),
        RequestFinished(T3),
        StopModel(A, G1, SWAP), StopModel(B, G1, SWAP), WakeAt(60.0),
    )  # fmt: skip


def test_a_place_is_kept_for_who_is_overdue() -> None:
    """B waits for the busy A; nobody that B would have to evict may start meanwhile."""
    groups = {"alone": group("b"), "guests": group("a", "c", swap=False, exclusive=False)}
    replay(
        scheduler(groups),
        LoadRequested(T1, A, LOAD), StartModel(A, G1, LOAD), WakeAt(30.0),
        ModelReady(A, G1), Complete(T1),
        RequestArrived(T2, A), Admit(T2, A, G1),
        RequestArrived(T3, B), WakeAt(30.0),
        30.0, Woke(),
        RequestArrived(T4, C), WakeAt(60.0),
        RequestFinished(T2), StopModel(A, G1, SWAP), WakeAt(60.0),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST), WakeAt(60.0),
        ModelReady(B, G1), Admit(T3, B, G1), StartModel(C, G1, REQUEST), WakeAt(60.0),
    )  # fmt: skip


def test_who_is_in_nobodys_way_starts_meanwhile() -> None:
    groups = {
        "pair": group("a", "b", exclusive=False),
        "other": group("c", exclusive=False, persistent=True),
    }
    replay(
        scheduler(groups),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), WakeAt(30.0),
        40.0, RequestArrived(T3, C), StartModel(C, G1, REQUEST), WakeAt(70.0),
    )  # fmt: skip


def test_a_model_that_became_ready_serves_who_waited_before_it_makes_way() -> None:
    replay(
        scheduler(a=Terms(parallel=1)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        RequestArrived(T2, A), WakeAt(30.0),
        RequestArrived(T3, B), WakeAt(30.0),
        40.0, ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T4, A),
        RequestFinished(T1), Admit(T2, A, G1), WakeAt(70.0),
        RequestFinished(T2), StopModel(A, G1, SWAP), WakeAt(70.0),
    )  # fmt: skip


def test_the_older_of_two_overdue_goes_first_and_its_drain_is_not_undone() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), WakeAt(30.0),
        1.0, RequestArrived(T3, C), WakeAt(30.0),
        30.0, Woke(),
        RequestFinished(T1), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestArrived(T4, B), WakeAt(61.0),
        RequestFinished(T2), StopModel(B, G1, SWAP), WakeAt(61.0),
        ModelStopped(B, G1), StartModel(C, G1, REQUEST), WakeAt(61.0),
    )  # fmt: skip


def test_priority_decides_among_those_who_are_not_overdue() -> None:
    replay(
        scheduler(c=Terms(priority=5)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        RequestArrived(T2, B), WakeAt(30.0),
        RequestArrived(T3, C), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1), WakeAt(30.0),
        RequestFinished(T1), StopModel(A, G1, SWAP), WakeAt(30.0),
        ModelStopped(A, G1), StartModel(C, G1, REQUEST), WakeAt(30.0),
    )  # fmt: skip


def test_who_is_overdue_goes_before_any_priority() -> None:
    replay(
        scheduler(c=Terms(priority=5)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), WakeAt(30.0),
        20.0, RequestArrived(T3, C), WakeAt(30.0),
        10.0, RequestFinished(T1), StopModel(A, G1, SWAP), WakeAt(50.0),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST), WakeAt(50.0),
    )  # fmt: skip


def test_a_model_serves_as_many_at_once_as_it_may() -> None:
    replay(
        scheduler(a=Terms(parallel=2)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        RequestArrived(T2, A), WakeAt(30.0),
        RequestArrived(T3, A), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1), Admit(T2, A, G1), WakeAt(30.0),
        RequestFinished(T2), Admit(T3, A, G1),
    )  # fmt: skip


def test_who_waits_for_a_slot_is_served_before_a_younger_one_takes_the_place() -> None:
    replay(
        Scheduler({A: Terms(parallel=1), B: Terms()}, GroupEviction(PAIR), Rules(max_wait=30.0)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, A), WakeAt(30.0),
        1.0, RequestArrived(T3, B), WakeAt(30.0),
        RequestArrived(T4, A), WakeAt(30.0),
        40.0, Woke(),
        RequestFinished(T1), Admit(T2, A, G1),
        RequestFinished(T2), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_of_two_ready_ones_that_a_reload_set_apart_the_older_goes_first() -> None:
    terms, rules = dict.fromkeys((A, B), Terms()), Rules(max_wait=10.0)
    apart = Reconfigured(terms, GroupEviction(PAIR), frozenset(), drain_by=0.0, rules=rules)
    together = GroupEviction({"g": group("a", "b", swap=False)})
    replay(
        Scheduler(terms, together, rules),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(10.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST), WakeAt(10.0),
        ModelReady(B, G1), Admit(T2, B, G1),
        apart,
        RequestArrived(T3, A), WakeAt(10.0),
        RequestArrived(T4, B), WakeAt(10.0),
        15.0, RequestFinished(T1),
        RequestFinished(T2), StopModel(B, G1, SWAP),
        ModelStopped(B, G1), Admit(T3, A, G1),
        RequestFinished(T3), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G2, REQUEST),
    )  # fmt: skip


def test_a_full_queue_refuses_who_would_wait_and_serves_who_would_not() -> None:
    replay(
        scheduler(max_queue=1),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(30.0),
        12.0, ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), WakeAt(42.0),
        RequestArrived(T3, C), Refuse(T3, queue_is_full(0.0)), WakeAt(42.0),
        RequestArrived(T4, A), Admit(T4, A, G1), WakeAt(42.0),
    )  # fmt: skip


def test_a_full_queue_refuses_who_would_wait_beside_a_ready_model_that_has_victims() -> None:
    groups = {"alone": group("a"), "guests": group("b", "c", swap=False, exclusive=False)}
    terms = dict.fromkeys((A, B, C), Terms())
    replay(
        Scheduler(terms, GroupEviction(groups), Rules(max_queue=1)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestArrived(T3, A),  # b must go first, and is busy
        RequestArrived(T4, A), Refuse(T4, queue_is_full(0.0)),
    )  # fmt: skip


def test_a_swap_under_way_goes_on_though_another_becomes_overdue() -> None:
    terms = {A: Terms(), B: Terms(priority=1), C: Terms()}
    replay(
        Scheduler(terms, GroupEviction({"(default)": group("a", "b", "c")}), Rules(max_wait=10)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST), WakeAt(10.0),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, C), WakeAt(10.0),
        RequestArrived(T3, B), WakeAt(10.0),
        5.0, RequestFinished(T1), StopModel(A, G1, SWAP), WakeAt(10.0),
        5.0, Woke(),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T3, B, G1),
    )  # fmt: skip


def test_a_full_queue_says_to_come_back_after_the_loads_that_wait() -> None:
    queue = scheduler(max_queue=1)
    queue.handle(RequestArrived(T1, A), now=0.0)
    queue.handle(ModelReady(A, G1), now=12.0)
    queue.handle(RequestFinished(T1), now=12.0)
    queue.handle(RequestArrived(T2, B), now=12.0)
    queue.handle(ModelStopped(A, G1), now=13.0)
    queue.handle(ModelReady(B, G1), now=20.0)
    queue.handle(RequestArrived(T3, A), now=20.0)
    refused = queue.handle(RequestArrived(T4, A), now=20.0)
    assert refused[0] == Refuse(T4, queue_is_full(12.0))


async def busy(world: World, model: ModelId, until: trio.Event, seconds: float) -> None:
    while not until.is_set():
        await world.use(model, seconds)


@pytest.mark.parametrize("attempt", range(5))
async def test_under_endless_traffic_the_wait_is_bounded(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A, B, rules=Rules(max_wait=30))
    served = trio.Event()
    async with trio.open_nursery() as clients:
        for delay in (0.0, 0.3, 0.6):
            await trio.sleep(delay)
            clients.start_soon(busy, world, A, served, 1.0)
        await trio.sleep(100)
        start = trio.current_time()
        await world.use(B)
        waited = trio.current_time() - start
        served.set()
    # overdue after 30, the longest of A's requests, A's stop, B's load
    assert 30 <= waited <= 30 + 1 + 5 + 30 + 0.001


async def test_without_a_bound_the_hot_model_keeps_its_place(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B, rules=Rules(max_wait=0))
    served = trio.Event()
    async with trio.open_nursery() as clients:
        for delay in (0.0, 0.3, 0.6):
            await trio.sleep(delay)
            clients.start_soon(busy, world, A, served, 1.0)
        await trio.sleep(100)
        with trio.move_on_after(1000) as patience:
            await world.use(B)
        served.set()
    assert patience.cancelled_caught
