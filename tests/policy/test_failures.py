"""What a model that fails, or cannot be stopped, costs itself and others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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
    ModelFailing,
    ModelReady,
    ModelStopped,
    ModelStuck,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason
from swapd.policy.matrix.eviction import MatrixEviction
from swapd.policy.refusals import RETRY_LATE
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.testing.groups import group
from swapd.testing.replay import replay
from tests.policy.matrix.sets import read

A, B, C, D = (ModelId(name) for name in "abcd")
T1, T2, T3, T4, T5, T6 = (Ticket(number) for number in range(1, 7))
G1, G2, G3 = Generation(1), Generation(2), Generation(3)
REQUEST, SWAP, UNLOAD = Reason.REQUEST, Reason.SWAP, Reason.UNLOAD
PAIRS = {
    "g": group("a", "b", swap=False, exclusive=True),
    "h": group("c", "d", swap=False, exclusive=True),
}


ALONE = {"(default)": group("a", "b", "c", "d")}


def scheduler(groups: Mapping[str, Group] = ALONE, rules: Rules = Rules()) -> Scheduler:  # noqa: B008  frozen
    return Scheduler(dict.fromkeys((A, B, C, D), Terms()), GroupEviction(groups), rules)


def refused(message: str, retry_after: float = 1.0) -> Refusal:
    return Refusal(RefusalKind.UNAVAILABLE, message, retry_after)


def failed(model: ModelId, retry_after: float) -> Refusal:
    return refused(f"{model} could not be started: boom", retry_after)


def backing_off(model: ModelId, left: float) -> Refusal:
    words = f"{model} has failed, and it is not started again for another {left} s: boom"
    return refused(words, max(left, 1.0))


def test_whose_model_did_not_get_ready_in_time_is_told_that() -> None:
    late = replace(failed(A, 1.0), kind=RefusalKind.LATE)
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelStopped(A, G1, "boom", timed_out=True), Refuse(T1, late),
        RequestArrived(T2, A), Refuse(T2, backing_off(A, 1.0)),
    )  # fmt: skip


def test_a_model_that_failed_is_not_tried_again_before_its_time() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelStopped(A, G1, "boom"), Refuse(T1, failed(A, 1.0)),
        0.5, RequestArrived(T2, A), Refuse(T2, backing_off(A, 0.5)),
        0.5, RequestArrived(T3, A), StartModel(A, G2, REQUEST),
        ModelStopped(A, G2, "boom"), Refuse(T3, failed(A, 2.0)),
        1.5, RequestArrived(T4, A), Refuse(T4, backing_off(A, 0.5)),
    )  # fmt: skip


def test_nobody_is_evicted_for_a_model_that_backs_off() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelStopped(A, G1, "boom"), Refuse(T1, failed(A, 1.0)),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        RequestFinished(T2),
        RequestArrived(T3, A), Refuse(T3, backing_off(A, 1.0)),
        1.0, RequestArrived(T4, A), StopModel(B, G1, SWAP),
    )  # fmt: skip


def test_its_owner_may_load_a_model_that_backs_off() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelStopped(A, G1, "boom"), Refuse(T1, failed(A, 1.0)),
        LoadRequested(T2, A, Reason.PRELOAD), Refuse(T2, backing_off(A, 1.0)),
        LoadRequested(T3, A, Reason.LOAD), StartModel(A, G2, Reason.LOAD),
        ModelStopped(A, G2, "boom"), Refuse(T3, failed(A, 1.0)),
    )  # fmt: skip


def test_a_new_configuration_of_a_model_is_tried_at_once() -> None:
    terms = dict.fromkeys((A, B), Terms())
    policy = GroupEviction({"(default)": group("a", "b")})
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelStopped(A, G1, "boom"), Refuse(T1, failed(A, 1.0)),
        Reconfigured(terms, policy, changed=frozenset({B}), drain_by=0.0),
        RequestArrived(T2, A), Refuse(T2, backing_off(A, 1.0)),
        Reconfigured(terms, policy, changed=frozenset({A}), drain_by=0.0),
        RequestArrived(T3, A), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def test_who_waits_for_a_model_that_crashes_starts_it_once_more() -> None:
    replay(
        Scheduler({A: Terms(parallel=1)}, GroupEviction({"(default)": group("a")})),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, A), RequestArrived(T3, A),
        ModelFailing(A, G1),
        RequestFinished(T1),
        ModelStopped(A, G1, "boom"), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T2, A, G2),
        ModelStopped(A, G2, "boom"), Refuse(T3, refused("a ended by itself again: boom")),
    )  # fmt: skip


def test_a_minute_of_serving_well_is_forgiving() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        59.0, ModelStopped(A, G1, "boom"),
        RequestArrived(T2, A), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T2, A, G2),
        60.0, ModelStopped(A, G2, "boom"),
        RequestArrived(T3, A), StartModel(A, G3, REQUEST),
        ModelReady(A, G3), Admit(T3, A, G3),
        1.0, ModelStopped(A, G3, "boom"),
        RequestArrived(T4, A), Refuse(T4, backing_off(A, 1.0)),
    )  # fmt: skip


def test_only_a_life_that_served_well_is_forgiving() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        UnloadRequested(T2, (A,)), StopModel(A, G1, UNLOAD),
        ModelStopped(A, G1), Complete(T2),
        100.0, RequestArrived(T3, A), StartModel(A, G2, REQUEST),
        ModelStopped(A, G2, "boom"), Refuse(T3, failed(A, 1.0)),
        100.0, RequestArrived(T4, A), StartModel(A, G3, REQUEST),
        ModelStopped(A, G3, "boom"), Refuse(T4, failed(A, 2.0)),
    )  # fmt: skip


def test_a_model_that_fails_admits_nobody_while_it_is_swept() -> None:
    made = scheduler()
    replay(
        made,
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelFailing(A, G1),
        RequestArrived(T2, A),
        ModelFailing(A, Generation(0)),
        RequestFinished(T1),
        ModelStopped(A, G1, "boom"), StartModel(A, G2, REQUEST),
        ModelFailing(A, G1),
        ModelReady(A, G2), Admit(T2, A, G2),
    )  # fmt: skip
    assert made.state(A) is ModelState.READY


def test_a_start_that_fails_is_told_when_its_process_is_gone() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelFailing(A, G1),
        RequestArrived(T2, B),
        ModelStopped(A, G1, "boom"), Refuse(T1, failed(A, 1.0)), StartModel(B, G1, REQUEST),
    )  # fmt: skip


# -- what a failed swap displaced --------------------------------------------------------


def test_what_a_failed_swap_displaced_comes_back() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)),
        StartModel(A, G2, Reason.RESTORED),
        RequestArrived(T3, A),
        ModelReady(A, G2), Admit(T3, A, G2),
    )  # fmt: skip


def test_all_that_a_failed_swap_displaced_comes_back_together() -> None:
    replay(
        scheduler(PAIRS),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        LoadRequested(T2, B, Reason.LOAD), StartModel(B, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        ModelReady(B, G1), Complete(T2),
        RequestArrived(T3, C), StopModel(A, G1, SWAP), StopModel(B, G1, SWAP),
        ModelStopped(A, G1),
        ModelStopped(B, G1), StartModel(C, G1, REQUEST),
        ModelStopped(C, G1, "boom"), Refuse(T3, failed(C, 1.0)),
        StartModel(A, G2, Reason.RESTORED), StartModel(B, G2, Reason.RESTORED),
    )  # fmt: skip


def test_nothing_comes_back_into_a_place_that_somebody_wants() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        RequestArrived(T3, C),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)), StartModel(C, G1, REQUEST),
    )  # fmt: skip


def test_a_restore_makes_way_for_whoever_asks() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)),
        StartModel(A, G2, Reason.RESTORED),
        RequestArrived(T3, C), StopModel(A, G2, Reason.ABORTED),
        ModelStopped(A, G2), StartModel(C, G1, REQUEST),
        ModelReady(C, G1), Admit(T3, C, G1),
    )  # fmt: skip


def test_a_restore_that_made_way_comes_back_if_that_was_for_nothing_too() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)),
        StartModel(A, G2, Reason.RESTORED),
        1.5, RequestArrived(T3, B), StopModel(A, G2, Reason.ABORTED),
        ModelStopped(A, G2), StartModel(B, G2, REQUEST),
        ModelStopped(B, G2, "boom"), Refuse(T3, failed(B, 2.0)),
        StartModel(A, G3, Reason.RESTORED),
    )  # fmt: skip


def test_nothing_comes_back_that_backs_off() -> None:
    replay(
        scheduler(),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        ModelStopped(A, G1, "boom"),
        RequestArrived(T2, A), StartModel(A, G2, REQUEST),
        ModelReady(A, G2), Admit(T2, A, G2),
        RequestFinished(T2),
        RequestArrived(T3, B), StopModel(A, G2, SWAP),
        ModelStopped(A, G2, "boom"), StartModel(B, G1, REQUEST),
        ModelStopped(B, G1, "boom"), Refuse(T3, failed(B, 1.0)),
        RequestArrived(T4, A), Refuse(T4, backing_off(A, 1.0)),
    )  # fmt: skip


def test_who_gives_up_a_load_leaves_to_the_next_what_it_displaced() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        RequestFinished(T2),
        RequestArrived(T3, C), StopModel(B, G1, Reason.ABORTED),
        ModelStopped(B, G1), StartModel(C, G1, REQUEST),
        ModelStopped(C, G1, "boom"), Refuse(T3, failed(C, 1.0)),
        StartModel(A, G2, Reason.RESTORED),
    )  # fmt: skip


def test_a_swap_that_succeeded_brings_nothing_back_when_its_model_crashes() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
        ModelStopped(B, G1, "boom"),
        RequestFinished(T2),
        RequestArrived(T3, B), StartModel(B, G2, REQUEST),
        ModelStopped(B, G2, "boom"), Refuse(T3, failed(B, 2.0)),
    )  # fmt: skip


def test_what_was_displaced_for_one_who_left_is_no_longer_remembered() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        RequestFinished(T2),
        ModelStopped(A, G1),
        RequestArrived(T3, B), StartModel(B, G1, REQUEST),
        ModelStopped(B, G1, "boom"), Refuse(T3, failed(B, 1.0)),
    )  # fmt: skip


def test_nothing_comes_back_if_its_owner_does_not_want_that() -> None:
    replay(
        scheduler(rules=Rules(restore_on_failure=False)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)),
    )  # fmt: skip


def test_nothing_comes_back_while_swapd_ends() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        ShutdownBegan(),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)),
    )  # fmt: skip


def test_nothing_comes_back_that_its_owner_unloads() -> None:
    kept = group("d", exclusive=False, persistent=True)
    replay(
        scheduler({"g": group("a", "b"), "h": group("c"), "kept": kept}),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        LoadRequested(T2, D, Reason.LOAD), StartModel(D, G1, Reason.LOAD),
        ModelReady(D, G1), Complete(T2),
        RequestArrived(T3, C), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(C, G1, REQUEST),
        UnloadRequested(T4, (A, D)), StopModel(D, G1, UNLOAD),
        ModelStopped(C, G1, "boom"), Refuse(T3, failed(C, 1.0)),
        ModelStopped(D, G1), Complete(T4),
    )  # fmt: skip


def test_nothing_comes_back_that_a_reload_took_out() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        Reconfigured({B: Terms()}, GroupEviction({"(default)": group("b")}), frozenset(), 0.0),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)),
    )  # fmt: skip


def test_what_was_displaced_starts_once_though_somebody_waits_for_it() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(B, G1, REQUEST),
        RequestArrived(T3, A),
        ModelStopped(B, G1, "boom"), Refuse(T2, failed(B, 1.0)), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def matrix(sets: str) -> Scheduler:
    terms = dict.fromkeys((A, B, C, D), Terms())
    return Scheduler(terms, MatrixEviction(read(sets), terms))


def test_nothing_comes_back_into_a_place_that_is_taken() -> None:
    replay(
        matrix("x: c & d"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, C), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(C, G1, REQUEST),
        LoadRequested(T3, D, Reason.LOAD), StartModel(D, G1, Reason.LOAD),
        ModelReady(D, G1), Complete(T3),
        ModelStopped(C, G1, "boom"), Refuse(T2, failed(C, 1.0)),
    )  # fmt: skip


def test_nothing_comes_back_in_the_way_of_one_who_waits_for_another() -> None:
    replay(
        matrix("x: a & d, y: c & d"),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        RequestArrived(T2, D), StartModel(D, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelReady(D, G1), Admit(T2, D, G1),
        RequestFinished(T1),
        RequestArrived(T3, C), StopModel(A, G1, SWAP),
        ModelStopped(A, G1), StartModel(C, G1, REQUEST),
        RequestArrived(T4, B),  # alone: d must go first, and is busy
        ModelStopped(C, G1, "boom"), Refuse(T3, failed(C, 1.0)),
        RequestFinished(T2), StopModel(D, G1, SWAP),
        ModelStopped(D, G1), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_who_waits_for_a_slot_keeps_nobody_from_starting_beside_its_model() -> None:
    groups = {"alone": group("a"), "guests": group("b", exclusive=False)}
    replay(
        Scheduler(dict.fromkeys((A, B), Terms(parallel=1)), GroupEviction(groups)),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, A),
        RequestArrived(T3, B), StartModel(B, G1, REQUEST),
    )  # fmt: skip


# -- what cannot be stopped --------------------------------------------------------------


def test_nobody_waits_for_a_process_that_cannot_be_stopped() -> None:
    why = "it does not end"
    place = refused(f"b needs the place of a, which cannot be stopped: {why}", RETRY_LATE)
    itself = refused(f"a cannot be stopped: {why}", RETRY_LATE)
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        RequestArrived(T2, B), StopModel(A, G1, SWAP),
        RequestArrived(T3, A),
        UnloadRequested(T4, (A, C)), Refuse(T3, refused("a was unloaded")),
        ModelStuck(A, G1, why), Refuse(T2, place), Refuse(T4, itself),
        RequestArrived(T5, B), Refuse(T5, place),
        RequestArrived(T6, A), Refuse(T6, itself),
        ModelStopped(A, G1),
        RequestArrived(T1, B), StartModel(B, G1, REQUEST),
    )  # fmt: skip


def test_who_fits_beside_a_process_that_cannot_be_stopped_is_served() -> None:
    replay(
        scheduler(PAIRS),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        ModelStuck(A, G1, "it does not end"),
        Revoke(T1, refused("a cannot be stopped: it does not end", RETRY_LATE)),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        ModelReady(B, G1), Admit(T2, B, G1),
    )  # fmt: skip


def test_what_was_stopped_beside_a_process_that_cannot_be_comes_back() -> None:
    place = "c needs the place of a, which cannot be stopped: it does not end"
    for restore in (True, False):
        comes_back = [StartModel(B, G2, Reason.RESTORED)] if restore else []
        replay(
            scheduler(PAIRS, Rules(restore_on_failure=restore)),
            LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
            ModelReady(A, G1), Complete(T1),
            LoadRequested(T2, B, Reason.LOAD), StartModel(B, G1, Reason.LOAD),
            ModelReady(B, G1), Complete(T2),
            RequestArrived(T3, C), StopModel(A, G1, SWAP), StopModel(B, G1, SWAP),
            ModelStopped(B, G1),
            ModelStuck(A, G1, "it does not end"), Refuse(T3, refused(place, RETRY_LATE)),
            *comes_back,
        )  # fmt: skip


def test_word_of_being_stuck_after_the_end_is_ignored() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestFinished(T1),
        ModelStopped(A, G1, "boom"),
        ModelStuck(A, G1, "it does not end"),
        RequestArrived(T2, A), StartModel(A, G2, REQUEST),
    )  # fmt: skip


# -- unloading what is idle --------------------------------------------------------------


def test_a_drain_lets_what_is_served_finish_and_refuses_who_waits() -> None:
    gone = refused("a was unloaded")
    replay(
        Scheduler({A: Terms(parallel=1)}, GroupEviction({"(default)": group("a")})),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        RequestArrived(T2, A),
        UnloadRequested(T3, (A,), drain=True), Refuse(T2, gone),
        RequestArrived(T4, A),
        60.0, RequestFinished(T1), StopModel(A, G1, UNLOAD),
        ModelStopped(A, G1), Complete(T3), StartModel(A, G2, REQUEST),
    )  # fmt: skip


def test_a_drain_stops_at_once_what_serves_nobody() -> None:
    gone = refused("b was unloaded")
    replay(
        scheduler(PAIRS),
        LoadRequested(T1, A, Reason.LOAD), StartModel(A, G1, Reason.LOAD),
        ModelReady(A, G1), Complete(T1),
        RequestArrived(T2, B), StartModel(B, G1, REQUEST),
        UnloadRequested(T3, (A, B), drain=True),
        StopModel(A, G1, UNLOAD), Refuse(T2, gone), StopModel(B, G1, UNLOAD),
        ModelStopped(B, G1),
        ModelStopped(A, G1), Complete(T3),
    )  # fmt: skip


def test_what_is_gone_may_start_again_while_others_drain() -> None:
    replay(
        scheduler(PAIRS),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        LoadRequested(T2, B, Reason.LOAD), StartModel(B, G1, Reason.LOAD),
        ModelReady(B, G1), Complete(T2),
        UnloadRequested(T3, (A, B), drain=True), StopModel(B, G1, UNLOAD),
        RequestArrived(T4, B),
        ModelStopped(B, G1), StartModel(B, G2, REQUEST),
        ModelReady(B, G2), Admit(T4, B, G2),
        RequestFinished(T1), StopModel(A, G1, UNLOAD),
        ModelStopped(A, G1), Complete(T3),
    )  # fmt: skip


def test_a_drain_can_be_cut_short_by_an_unload() -> None:
    replay(
        scheduler(),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        UnloadRequested(T2, (A,), drain=True),
        UnloadRequested(T3, (A,)), Revoke(T1, refused("a was unloaded")), StopModel(A, G1, UNLOAD),
        ModelStopped(A, G1), Complete(T2), Complete(T3),
    )  # fmt: skip


def test_a_drain_has_an_end_when_the_model_changes_meanwhile() -> None:
    terms, policy = {A: Terms()}, GroupEviction({"(default)": group("a")})
    over = refused("a has a new configuration, and its time to drain is over")
    replay(
        Scheduler(terms, policy),
        RequestArrived(T1, A), StartModel(A, G1, REQUEST),
        ModelReady(A, G1), Admit(T1, A, G1),
        UnloadRequested(T2, (A,), drain=True),
        Reconfigured(terms, policy, changed=frozenset({A}), drain_by=30.0), WakeAt(30.0),
        30.0, Woke(), Revoke(T1, over), StopModel(A, G1, Reason.RELOAD),
        ModelStopped(A, G1), Complete(T2),
    )  # fmt: skip


# -- who is doomed, and for whom ---------------------------------------------------------


def test_the_queue_tells_who_is_overdue_and_whom_it_dooms() -> None:
    made = scheduler(rules=Rules(max_wait=10.0))
    for when, fact in (
        (0.0, RequestArrived(T1, A)),
        (1.0, ModelReady(A, G1)),
        (2.0, RequestArrived(T2, B)),
        (3.0, RequestArrived(T3, C)),
    ):
        made.handle(fact, now=when)
    assert made.doomed(now=11.9) == {}
    assert made.doomed(now=12.0) == {A: B}
    assert made.doomed(now=99.0) == {A: B}, "the oldest comes first"
    queue = made.queue(now=12.0)
    assert [(place.ticket, place.overdue, place.waits_for) for place in queue] == [
        (T2, True, (A,)),
        (T3, False, (A,)),
    ]


def test_the_queue_waits_for_nobody_but_a_model_that_loads() -> None:
    groups = {"alone": group("a"), "guests": group("b", exclusive=False)}
    made = scheduler({**groups, "rest": group("c", "d")})
    for when, fact in (
        (0.0, RequestArrived(T1, A)),
        (1.0, ModelReady(A, G1)),
        (2.0, RequestArrived(T2, B)),
        (3.0, RequestFinished(T1)),
        (4.0, UnloadRequested(T3, (A,))),
        (5.0, ModelStopped(A, G1)),
        (6.0, RequestArrived(T4, A)),
    ):
        made.handle(fact, now=when)
    waits_for = {place.ticket: place.waits_for for place in made.queue(now=7.0)}
    assert waits_for == {T2: (), T4: (B,)}


def test_the_queue_waits_for_those_whom_a_reload_has_set_apart_from_a_model_that_loads() -> None:
    together = {"g": group("a", "b", swap=False), "rest": group("c", "d")}
    made = scheduler(together)
    made.handle(RequestArrived(T1, A), now=0.0)
    made.handle(RequestArrived(T2, B), now=1.0)
    apart = GroupEviction({"g": group("a", "b"), "rest": group("c", "d")})
    terms = {model: Terms() for model in (A, B, C, D)}
    made.handle(Reconfigured(terms, apart, changed=frozenset(), drain_by=99.0), now=2.0)
    assert [(place.ticket, place.waits_for) for place in made.queue(now=3.0)] == [
        (T1, (B,)),
        (T2, (A,)),
    ]
