"""The scheduler's whole contract, without a clock, a task or a process."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import (
    Admit,
    Complete,
    Refusal,
    RefusalKind,
    Refuse,
    Revoke,
    StartModel,
    StopModel,
    WakeAt,
)
from swapd.policy.eviction import GroupEviction
from swapd.policy.facts import (
    LoadRequested,
    ModelReady,
    ModelStopped,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Terms
from swapd.testing.groups import group
from swapd.testing.replay import replay

A, B, C, D = (ModelId(name) for name in "abcd")
T1, T2, T3, T4, T5, T6 = (Ticket(number) for number in range(1, 7))
G1, G2 = Generation(1), Generation(2)
REQUEST, SWAP = Reason.REQUEST, Reason.SWAP


def one_at_a_time(*, ttl: float = 0.0, limit: int = 0) -> Scheduler:
    groups = {"(default)": group("a", "b", "c")}
    return Scheduler(dict.fromkeys((A, B, C), Terms(ttl, limit)), GroupEviction(groups))


def grouped(**groups: Group) -> Scheduler:
    members = [ModelId(m) for group in groups.values() for m in group.members]
    return Scheduler(dict.fromkeys(members, Terms()), GroupEviction(groups))


def side_by_side(*members: str) -> Group:
    return group(*members, swap=False, exclusive=False)


def refused(message: str) -> Refusal:
    return Refusal(RefusalKind.UNAVAILABLE, message, retry_after=1.0)


@pytest.fixture
def scheduler() -> Scheduler:
    return one_at_a_time()


def test_a_request_starts_its_model_and_is_served_when_it_is_ready(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
    )  # fmt: skip


def test_a_ready_model_serves_at_once(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, A), Admit(T2, A, G1),
    )  # fmt: skip


def test_requests_for_a_loading_model_join_its_load(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, A),
        RequestArrived(T3, A),
        ModelReady(A, G1), Admit(T1, A, G1), Admit(T2, A, G1), Admit(T3, A, G1),
    )  # fmt: skip


def test_a_swap_waits_for_the_busy_model(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, A), Admit(T2, A, G1),
        RequestArrived(T3, B),
        RequestFinished(T1),
        RequestFinished(T2), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T3, B, G1),
    )  # fmt: skip


def test_six_requests_for_three_models_cost_three_starts(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B),
        RequestArrived(T3, C),
        RequestArrived(T4, A),
        RequestArrived(T5, B),
        RequestArrived(T6, C),
        ModelReady(A, G1), Admit(T1, A, G1), Admit(T4, A, G1),
        RequestFinished(T1),
        RequestFinished(T4), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1), Admit(T5, B, G1),
        RequestFinished(T5),
        RequestFinished(T2), StopModel(B, G1, SWAP),
        ModelStopped(B, G1), StartModel(C, G1, REQUEST),
        ModelReady(C, G1), Admit(T3, C, G1), Admit(T6, C, G1),
    )  # fmt: skip


def test_a_failed_start_refuses_every_waiter_with_its_error(scheduler: Scheduler) -> None:
    because = refused("a could not be started: exited with code 1")
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, A),
        RequestArrived(T3, B),
        ModelStopped(A, G1, "exited with code 1"),
        Refuse(T1, because), Refuse(T2, because), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_a_crash_while_ready_starts_the_model_again_only_for_who_asks(
    scheduler: Scheduler,
) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelStopped(A, G1, "exited with code 1"),
        RequestFinished(T1),
        RequestArrived(T2, A), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T2, A, G2),
    )  # fmt: skip


def test_a_request_of_a_dead_generation_does_not_keep_the_next_one_busy(
    scheduler: Scheduler,
) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelStopped(A, G1, "exited with code 1"),
        LoadRequested(T2, A, Reason.LOAD), StartModel(A, G2, Reason.LOAD),
        ModelReady(A, G2), Complete(T2),
        RequestArrived(T3, B), StopModel(A, G2, SWAP),
        RequestFinished(T1),
    )  # fmt: skip


def test_a_request_during_a_stop_starts_the_model_again(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B),
        RequestFinished(T1), StopModel(A, G1, SWAP),
        RequestArrived(T3, A),
        RequestFinished(T2),
        ModelStopped(A, G1), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T3, A, G2),
    )  # fmt: skip


@pytest.mark.parametrize("late", [ModelReady(A, G1), ModelStopped(A, G1, "exited with code 1")])
def test_word_of_an_earlier_generation_is_ignored(
    scheduler: Scheduler, late: ModelReady | ModelStopped
) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelStopped(A, G1, "boom"), Refuse(T1, refused("a could not be started: boom")),
        2.0, RequestArrived(T2, A), StartModel(A, G2, REQUEST),
        late,
        ModelReady(A, G2), Admit(T2, A, G2),
    )  # fmt: skip


def test_a_ready_that_crosses_a_stop_is_ignored(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, Reason.ABORTED),
        ModelReady(A, G1),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_a_load_that_nobody_wants_any_more_makes_way(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B),
        RequestFinished(T1), StopModel(A, G1, Reason.ABORTED),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_a_load_that_nobody_wants_any_more_finishes_if_its_place_is_not_wanted(
    scheduler: Scheduler,
) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestFinished(T1),
        ModelReady(A, G1),
        RequestArrived(T2, A), Admit(T2, A, G1),
    )  # fmt: skip


def test_one_of_two_waiters_leaving_keeps_the_load(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, A),
        RequestArrived(T3, B),
        RequestFinished(T1),
        ModelReady(A, G1), Admit(T2, A, G1),
    )  # fmt: skip


def test_a_queued_request_that_leaves_is_never_started(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B),
        RequestFinished(T2),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
    )  # fmt: skip


def test_a_swap_whose_request_leaves_during_the_stop_starts_nothing(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        RequestFinished(T2),
        ModelStopped(A, G1),
    )  # fmt: skip


def test_nobody_takes_the_place_that_a_swap_is_making(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        RequestArrived(T3, C),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_models_that_may_run_together_load_in_parallel() -> None:
    replay(
        grouped(g=side_by_side("a", "b")),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        ModelReady(A, G1), Admit(T1, A, G1),
    )  # fmt: skip


def test_swaps_that_do_not_touch_run_in_parallel() -> None:
    pair = {"swap": True, "exclusive": False}
    replay(
        grouped(g=group("a", "b", **pair), h=group("c", "d", **pair)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, C), StartModel(C, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelReady(C, G1), Admit(T2, C, G1),
        RequestFinished(T1),
        RequestFinished(T2),
        RequestArrived(T3, B), StopModel(A, G1, SWAP),
        RequestArrived(T4, D), StopModel(C, G1, SWAP),
        ModelStopped(C, G1), StartModel(D, G1, REQUEST),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_all_victims_must_be_idle_before_one_is_stopped() -> None:
    both = side_by_side("a", "b")
    replay(
        grouped(g=both, h=group("c")),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestArrived(T3, C),
        RequestFinished(T1),
        RequestArrived(T4, A), Admit(T4, A, G1),
        RequestFinished(T2),
        RequestFinished(T4), StopModel(A, G1, SWAP), StopModel(B, G1, SWAP),
        ModelStopped(B, G1),
        ModelStopped(A, G1), StartModel(C, G1, REQUEST),
    )  # fmt: skip


def test_a_ready_model_with_victims_serves_when_they_are_gone() -> None:
    """Loaded beside each other in the order that the one-way rule allows."""
    replay(
        grouped(alone=group("a"), guest=side_by_side("b")),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestArrived(T3, A),
        RequestFinished(T2), StopModel(B, G1, SWAP),
        RequestArrived(T4, B),
        ModelStopped(B, G1), Admit(T3, A, G1), StartModel(B, G2, REQUEST),
    )  # fmt: skip


def test_an_unload_stops_at_once_and_says_so_to_all_who_are_concerned(
    scheduler: Scheduler,
) -> None:
    because = refused("a was unloaded")
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B),
        UnloadRequested(T3, (A,)), Revoke(T1, because), StopModel(A, G1, Reason.UNLOAD),
        RequestFinished(T1),
        ModelStopped(A, G1), Complete(T3), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_an_unload_of_a_loading_model_refuses_its_waiters(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        UnloadRequested(T2, (A,)),
        Refuse(T1, refused("a was unloaded")), StopModel(A, G1, Reason.UNLOAD),
        ModelStopped(A, G1), Complete(T2),
    )  # fmt: skip


def test_an_unload_of_a_stopped_model_is_done_at_once(scheduler: Scheduler) -> None:
    replay(scheduler, UnloadRequested(T1, (A, B)), Complete(T1))


def test_an_unload_ends_a_swap_for_its_target(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        UnloadRequested(T3, (B,)), Refuse(T2, refused("b was unloaded")), Complete(T3),
        ModelStopped(A, G1),
    )  # fmt: skip


def test_nothing_of_an_unload_runs_again_before_it_has_answered() -> None:
    replay(
        grouped(g=side_by_side("a", "b")),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        LoadRequested(T2, B, Reason.LOAD), StartModel(B, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        ModelReady(B, G1), Complete(T2),
        UnloadRequested(T3, (A, B)),
        StopModel(A, G1, Reason.UNLOAD), StopModel(B, G1, Reason.UNLOAD),
        ModelStopped(A, G1),
        RequestArrived(T4, A),
        ModelStopped(B, G1), Complete(T3), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def test_an_unload_waits_for_a_stop_that_is_already_under_way(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        UnloadRequested(T3, (A,)),
        ModelStopped(A, G1), Complete(T3), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_a_load_is_complete_when_its_model_is_ready(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        LoadRequested(T1, A, Reason.PRELOAD), StartModel(A, G1, Reason.PRELOAD),
        LoadRequested(T2, A, Reason.LOAD),
        ModelReady(A, G1), Complete(T1), Complete(T2),
        LoadRequested(T3, A, Reason.LOAD), Complete(T3),
    )  # fmt: skip


def test_preloads_that_exclude_each_other_load_in_turn(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        LoadRequested(T1, A, Reason.PRELOAD), StartModel(A, G1, Reason.PRELOAD),
        LoadRequested(T2, B, Reason.PRELOAD),
        ModelReady(A, G1), Complete(T1), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, Reason.PRELOAD),
    )  # fmt: skip


def test_a_failed_load_is_refused_with_its_error(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelStopped(A, G1, "boom"), Refuse(T1, refused("a could not be started: boom")),
    )  # fmt: skip


def test_an_idle_model_is_unloaded_after_its_ttl() -> None:
    replay(
        one_at_a_time(ttl=60.0),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        100.0, RequestFinished(T1), WakeAt(160.0),
        59.0, Woke(), WakeAt(160.0),
        1.0, Woke(), StopModel(A, G1, Reason.TTL),
        ModelStopped(A, G1),
    )  # fmt: skip


def test_the_ttl_of_a_model_that_nobody_used_counts_from_ready() -> None:
    replay(
        one_at_a_time(ttl=60.0),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        30.0, ModelReady(A, G1), Complete(T1), WakeAt(90.0),
        60.0, Woke(), StopModel(A, G1, Reason.TTL),
    )  # fmt: skip


def test_a_model_in_use_has_no_ttl() -> None:
    replay(
        one_at_a_time(ttl=60.0),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        1000.0, Woke(),
        RequestArrived(T2, A), Admit(T2, A, G1),
        RequestFinished(T1),
        1000.0, RequestFinished(T2), WakeAt(2060.0),
    )  # fmt: skip


def test_a_model_takes_no_more_requests_than_its_limit() -> None:
    full = Refusal(RefusalKind.FULL, "a is at its concurrencyLimit", retry_after=1.0)
    replay(
        one_at_a_time(limit=2),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, A),
        RequestArrived(T3, A), Refuse(T3, full),
        RequestFinished(T3),
        ModelReady(A, G1), Admit(T1, A, G1), Admit(T2, A, G1),
        RequestArrived(T4, A), Refuse(T4, full),
        RequestFinished(T1),
        RequestArrived(T5, A), Admit(T5, A, G1),
    )  # fmt: skip


def test_shutdown_turns_away_whoever_needs_a_start_and_serves_the_rest(
    scheduler: Scheduler,
) -> None:
    ending = refused("swapd is shutting down")
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B),
        ShutdownBegan(), Refuse(T2, ending),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T3, A), Admit(T3, A, G1),
        RequestArrived(T4, B), Refuse(T4, ending),
        RequestFinished(T1),
        RequestFinished(T3),
    )  # fmt: skip


def test_a_load_does_not_count_against_the_limit() -> None:
    replay(
        one_at_a_time(limit=1),
        LoadRequested(T1, A, Reason.PRELOAD), StartModel(A, G1, Reason.PRELOAD),
        RequestArrived(T2, A),
        ModelReady(A, G1), Complete(T1), Admit(T2, A, G1),
    )  # fmt: skip


def test_a_request_of_a_dead_generation_does_not_count_against_the_limit() -> None:
    replay(
        one_at_a_time(limit=1),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelStopped(A, G1, "boom"),
        RequestArrived(T2, A), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def test_an_unload_after_a_crash_is_not_blamed_for_it(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelStopped(A, G1, "boom"),
        UnloadRequested(T2, (A,)), Complete(T2),
    )  # fmt: skip


def test_who_would_be_evicted_by_a_swap_waits_until_its_clients_are_served() -> None:
    replay(
        grouped(guests=side_by_side("a", "c"), alone=group("b")),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        RequestArrived(T3, C),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1), StartModel(C, G1, REQUEST),
    )  # fmt: skip


def test_a_swap_is_not_overtaken_by_who_would_evict_its_target() -> None:
    replay(
        grouped(pair=group("c", "d", exclusive=False), alone=group("b")),
        LoadRequested(T1, D, Reason.LOAD), StartModel(D, G1, Reason.LOAD),
        ModelReady(D, G1), Complete(T1),
        RequestArrived(T2, C), StopModel(D, G1, SWAP),
        RequestArrived(T3, B),
        ModelStopped(D, G1), StartModel(C, G1, REQUEST),
    )  # fmt: skip


def test_a_start_bears_the_reason_of_who_waits_longest(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        LoadRequested(T2, B, Reason.PRELOAD),
        RequestArrived(T3, B),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, Reason.PRELOAD),
    )  # fmt: skip


def test_the_earliest_of_several_ttls_wakes() -> None:
    both = GroupEviction({"g": side_by_side("a", "b")})
    replay(
        Scheduler({A: Terms(ttl=10.0), B: Terms(ttl=20.0)}, both),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        LoadRequested(T2, B, Reason.LOAD), StartModel(B, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1), WakeAt(10.0),
        ModelReady(B, G1), Complete(T2), WakeAt(10.0),
    )  # fmt: skip


def test_a_model_that_is_waited_for_has_no_ttl() -> None:
    policy = GroupEviction({"alone": group("a"), "guest": side_by_side("b")})
    replay(
        Scheduler({A: Terms(ttl=60.0), B: Terms()}, policy),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1), WakeAt(60.0),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST), WakeAt(60.0),
        ModelReady(B, G1), Admit(T2, B, G1), WakeAt(60.0),
        RequestArrived(T3, A),
        100.0, Woke(),
    )  # fmt: skip


def test_a_request_of_a_dead_generation_does_not_prolong_the_ttl_of_the_next() -> None:
    replay(
        one_at_a_time(ttl=60.0),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelStopped(A, G1, "boom"),
        LoadRequested(T2, A, Reason.LOAD), StartModel(A, G2, Reason.LOAD),
        ModelReady(A, G2), Complete(T2), WakeAt(60.0),
        30.0, RequestFinished(T1), WakeAt(60.0),
    )  # fmt: skip


def test_a_crash_of_a_ready_model_refuses_nobody_who_waits_for_its_place() -> None:
    replay(
        grouped(alone=group("a"), guest=side_by_side("b")),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestArrived(T3, A),
        ModelStopped(A, G1, "boom"),
        RequestFinished(T2), StopModel(B, G1, SWAP),
        ModelStopped(B, G1), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def test_a_load_of_a_ready_model_is_complete_though_it_has_victims() -> None:
    replay(
        grouped(alone=group("a"), guest=side_by_side("b")),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        LoadRequested(T3, A, Reason.LOAD), Complete(T3),
    )  # fmt: skip


def reconfigured(
    *models: ModelId, changed: Sequence[ModelId] = (), ttl: float = 0.0, drain_by: float = 300.0
) -> Reconfigured:
    groups = {"(default)": group(*models)}
    terms = dict.fromkeys(models, Terms(ttl))
    return Reconfigured(terms, GroupEviction(groups), frozenset(changed), drain_by)


def test_a_reload_leaves_alone_what_did_not_change(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        reconfigured(A, B, C, D, changed=[B]),
        RequestArrived(T2, A), Admit(T2, A, G1),
        RequestFinished(T1),
        RequestArrived(T3, D),
        RequestFinished(T2), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(D, G1, REQUEST),
    )  # fmt: skip


def test_a_changed_model_that_idles_is_stopped_at_once(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        reconfigured(A, B, changed=[A]), StopModel(A, G1, Reason.RELOAD),
        ModelStopped(A, G1),
    )  # fmt: skip


def test_a_changed_model_finishes_what_it_serves_and_admits_nobody_meanwhile(
    scheduler: Scheduler,
) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        reconfigured(A, B, changed=[A]), WakeAt(300.0),
        RequestArrived(T2, A), WakeAt(300.0),
        RequestFinished(T1), StopModel(A, G1, Reason.RELOAD),
        ModelStopped(A, G1), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T2, A, G2),
    )  # fmt: skip


def test_a_changed_model_that_loads_is_loaded_anew_for_who_waits(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        reconfigured(A, B, changed=[A]), StopModel(A, G1, Reason.RELOAD),
        ModelStopped(A, G1), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T1, A, G2),
    )  # fmt: skip


def test_what_still_streams_when_the_drain_is_over_is_cut(scheduler: Scheduler) -> None:
    over = refused("a has a new configuration, and its time to drain is over")
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        reconfigured(A, B, changed=[A], drain_by=60.0), WakeAt(60.0),
        59.0, Woke(), WakeAt(60.0),
        1.0, Woke(), Revoke(T1, over), StopModel(A, G1, Reason.RELOAD),
        RequestFinished(T1),
        ModelStopped(A, G1),
    )  # fmt: skip


def test_a_model_that_is_taken_out_drains_and_its_waiters_are_told(scheduler: Scheduler) -> None:
    gone = refused("b was taken out of the configuration")
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, B),
        reconfigured(A, C), Refuse(T2, gone),
        RequestArrived(T3, B), Refuse(T3, gone),
        RequestFinished(T1),
    )  # fmt: skip


def test_nobody_takes_the_place_of_a_model_that_is_taken_out_before_it_is_gone(
    scheduler: Scheduler,
) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        reconfigured(B), WakeAt(300.0),
        RequestArrived(T2, B), WakeAt(300.0),
        RequestFinished(T1), StopModel(A, G1, Reason.RELOAD),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_what_runs_beside_a_model_that_is_taken_out_serves_on() -> None:
    both = Reconfigured({B: Terms()}, GroupEviction({"g": group("b")}), frozenset(), drain_by=300.0)
    replay(
        grouped(g=side_by_side("a", "b")),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelReady(B, G1), Admit(T2, B, G1),
        both, WakeAt(300.0),
        RequestArrived(T3, B), Admit(T3, B, G1), WakeAt(300.0),
    )  # fmt: skip


def test_another_reload_does_not_put_off_the_end_of_a_drain(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        reconfigured(A, B, changed=[A], drain_by=60.0), WakeAt(60.0),
        30.0, reconfigured(A, B, changed=[A], drain_by=90.0), WakeAt(60.0),
    )  # fmt: skip


def test_a_model_that_comes_back_goes_on_counting_its_lives(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        reconfigured(B), StopModel(A, G1, Reason.RELOAD),
        ModelStopped(A, G1),
        reconfigured(A, B),
        RequestArrived(T2, A), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def test_a_new_ttl_holds_for_what_runs(scheduler: Scheduler) -> None:
    replay(
        scheduler,
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        10.0, reconfigured(A, ttl=60.0), WakeAt(60.0),
        50.0, Woke(), StopModel(A, G1, Reason.TTL),
    )  # fmt: skip


def test_the_counts_say_who_is_served_and_who_waits(scheduler: Scheduler) -> None:
    facts: Sequence[RequestArrived | ModelReady] = (
        RequestArrived(T1, A), ModelReady(A, G1), RequestArrived(T2, B), RequestArrived(T3, B),
    )  # fmt: skip
    for when, fact in enumerate(facts):
        scheduler.handle(fact, now=when)
    assert (scheduler.in_flight(A), scheduler.waiting(A)) == (1, 0)
    assert (scheduler.in_flight(B), scheduler.waiting(B)) == (0, 2)
    assert [(place.ticket, place.want.since) for place in scheduler.queue(now=3)] == [
        (T2, 2),
        (T3, 3),
    ]
    assert (scheduler.state(A), scheduler.state(B)) == (ModelState.READY, ModelState.STOPPED)
