"""The simulator: the scheduler's own decisions, with every second accounted for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import Admit, Effect, StartModel, StopModel, WakeAt
from swapd.policy.eviction import GroupEviction
from swapd.policy.facts import (
    Fact,
    ModelReady,
    ModelStopped,
    RequestArrived,
    RequestFinished,
    Woke,
)
from swapd.policy.life import Reason
from swapd.policy.report import Report, Waits
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.policy.simulator import Request, Times, simulate
from swapd.testing.groups import group

A, B, C = (ModelId(name) for name in "abc")
ONE_AT_A_TIME = {"g": group("a", "b", "c")}
SIDE_BY_SIDE = {"g": group("a", "b", "c", swap=False)}


def play(
    *trace: Request,
    groups: Mapping[str, Group] = ONE_AT_A_TIME,
    terms: Terms = Terms(),  # noqa: B008  frozen
    max_wait: float = 0.0,
    max_queue: int = 0,
    preload: Sequence[ModelId] = (),
) -> Report:
    """Simulate models that load for 20 s and stop for 2 s."""
    models = [member for given in groups.values() for member in given.members]
    rules = Rules(max_wait=max_wait, max_queue=max_queue)
    scheduler = Scheduler(dict.fromkeys(models, terms), GroupEviction(groups), rules)
    return simulate(scheduler, dict.fromkeys(models, Times(load=20.0, stop=2.0)), trace, preload)


@pytest.mark.parametrize("max_wait", [0, 10, 30, 120])
def test_six_requests_together_cost_three_starts(max_wait: float) -> None:
    """A: 20 to load, 10 to serve; B and C: 2 to stop the other, 20 to load, 10 to serve."""
    report = play(*(Request(0, model, 10) for model in (A, B, C) * 2), max_wait=max_wait)
    assert report.makespan == 30 + 32 + 32
    assert report.overall.starts == 3
    assert report.overall.evictions == 2
    assert report.overall.loading == 60
    assert report.overall.wait == Waits(mean=52, p95=84, max=84)
    assert report.overall.busy == pytest.approx(30 / 94)
    assert [report.models[model].wait for model in (A, B, C)] == [
        Waits(20, 20, 20),
        Waits(52, 52, 52),
        Waits(84, 84, 84),
    ]
    assert [report.models[model].evictions for model in (A, B, C)] == [1, 1, 0]
    assert [report.models[model].busy for model in (A, B, C)] == [pytest.approx(10 / 94)] * 3


def test_who_is_overdue_is_let_in_to_the_second() -> None:
    """B is overdue at 35, A admits its last at 30 and is idle at 60, gone at 62, B ready at 82."""
    hot = [Request(at, A, 30) for at in range(0, 200, 10)]
    report = play(*hot, Request(5, B, 1), max_wait=30)
    assert report.models[B].wait == Waits(77, 77, 77)
    assert play(*hot, Request(5, B, 1), max_wait=0).models[B].wait == Waits(237, 237, 237)


def test_time_begins_with_the_first_arrival() -> None:
    late = play(Request(1000, A, 10), Request(1005, B, 10))
    assert late == play(Request(0, A, 10), Request(5, B, 10))
    assert late.makespan == 62


def test_a_trace_may_be_in_any_order() -> None:
    trace = [Request(0, A, 3), Request(1, B, 3), Request(40, A, 3)]
    assert play(*reversed(trace)) == play(*trace)


def test_requests_that_overlap_are_busy_time_once() -> None:
    report = play(Request(0, A, 10), Request(25, A, 10), Request(0, B, 5), groups=SIDE_BY_SIDE)
    assert report.makespan == 35
    assert report.models[A].busy == pytest.approx(15 / 35)
    assert report.models[B].busy == pytest.approx(5 / 35)
    assert report.overall.busy == pytest.approx(15 / 35)


def test_loads_side_by_side_are_added_up() -> None:
    report = play(Request(0, A, 1), Request(0, B, 1), groups=SIDE_BY_SIDE)
    assert report.makespan == 21
    assert report.overall.loading == 40


def test_those_beyond_parallel_wait() -> None:
    report = play(*(Request(0, A, 10) for _ in range(3)), terms=Terms(parallel=1))
    assert report.overall.wait == Waits(mean=30, p95=40, max=40)


def test_whoever_is_refused_is_counted_with_the_words() -> None:
    report = play(*(Request(0, A, 1) for _ in range(3)), terms=Terms(concurrency_limit=1))
    assert (report.models[A].served, report.models[A].refused) == (1, 2)
    assert report.refusals == {"a is at its concurrencyLimit": 2}
    full = play(*(Request(0, B, 1) for _ in range(3)), max_queue=2)
    assert (full.overall.served, full.overall.refused) == (2, 1)
    assert full.refusals == {"the queue is full: as many wait as maxQueue allows": 1}


def test_an_idle_model_is_unloaded_by_its_ttl() -> None:
    report = play(Request(0, A, 10), Request(100, A, 10), terms=Terms(ttl=5))
    assert (report.overall.starts, report.overall.idle_unloads) == (2, 1)
    assert report.overall.evictions == 0
    assert report.overall.wait == Waits(20, 20, 20)


def test_what_is_preloaded_loads_from_the_begin() -> None:
    report = play(Request(15, A, 10), preload=[A])
    assert report.overall.wait == Waits(5, 5, 5)
    assert report.makespan == 15
    assert (report.overall.served, report.overall.starts) == (1, 1)


def test_a_load_that_is_not_over_at_the_end_counts_as_far_as_it_came() -> None:
    report = play(Request(5, A, 10), preload=[A, B], groups=SIDE_BY_SIDE)
    assert report.models[B].loading == 20
    short = play(Request(0, A, 1), Request(10, B, 0), preload=[A, B], groups=SIDE_BY_SIDE)
    assert short.models[B].loading == 20
    cut = simulate(
        Scheduler({A: Terms(), B: Terms()}, GroupEviction({"g": group("a", "b", swap=False)})),
        {A: Times(1, 1), B: Times(50, 1)},
        [Request(0, A, 2)],
        preload=[B],
    )
    assert (cut.makespan, cut.models[B].loading) == (3, 3)


def test_a_model_that_nobody_wanted_has_figures_of_nothing() -> None:
    nothing = play(Request(0, A, 10)).models[C]
    assert nothing.wait is None
    assert (nothing.served, nothing.starts, nothing.busy, nothing.loading) == (0, 0, 0, 0)


class GivesUpOnce:
    """Stops the first load after 2 s, and starts the model once more when it is gone."""

    def __init__(self) -> None:
        self.ready: list[Fact] = []

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        match fact:
            case RequestArrived():
                return [StartModel(A, Generation(1), Reason.REQUEST), WakeAt(2.0)]
            case Woke():
                return [StopModel(A, Generation(1), Reason.ABORTED)]
            case ModelStopped():
                return [StartModel(A, Generation(2), Reason.REQUEST)]
            case ModelReady(model, generation):
                self.ready.append(fact)
                return [Admit(Ticket(1), model, generation)]
            case _:
                return []


@pytest.mark.parametrize("stop", [0.5, 4.0])
def test_a_load_that_is_given_up_never_gets_ready(stop: float) -> None:
    """It would have been ready at 3; with 0.5 to stop, the next load has begun by then."""
    scheduler = GivesUpOnce()
    report = simulate(scheduler, {A: Times(load=3.0, stop=stop)}, [Request(0, A, 1)])
    assert scheduler.ready == [ModelReady(A, Generation(2))]
    assert report.makespan == 2 + stop + 3 + 1
    assert (report.overall.starts, report.overall.evictions, report.overall.loading) == (2, 1, 5)


class Forgets:
    """Never answers anybody."""

    def handle(self, fact: Fact, *, now: float) -> list[Effect]:
        return []


def test_a_scheduler_that_forgets_somebody_is_found_out() -> None:
    with pytest.raises(RuntimeError, match="1 requests wait, and nothing is to come"):
        simulate(Forgets(), {A: Times(1, 1)}, [Request(0, A, 1)])


KINDS = {
    "one at a time": ONE_AT_A_TIME,
    "side by side": SIDE_BY_SIDE,
    "one alone": {"alone": group("a"), "rest": group("b", "c", swap=False)},
    "one persistent": {
        "kept": group("a", exclusive=False, persistent=True),
        "rest": group("b", "c"),
    },
}

requests = st.builds(
    Request,
    # Whole seconds, so that much happens at the same instant.
    arrival=st.integers(0, 120).map(float),
    model=st.sampled_from([A, B, C]),
    service=st.integers(0, 40).map(float),
)


@given(
    trace=st.lists(requests, min_size=1, max_size=40),
    kind=st.sampled_from(sorted(KINDS)),
    terms=st.builds(
        Terms,
        ttl=st.sampled_from([0.0, 5.0]),
        concurrency_limit=st.sampled_from([0, 3]),
        parallel=st.sampled_from([0, 1, 2]),
    ),
    max_wait=st.sampled_from([0.0, 10.0, 30.0]),
    max_queue=st.sampled_from([0, 4]),
    preload=st.lists(st.sampled_from([A, B, C]), unique=True),
)
def test_every_request_is_served_or_refused_once(
    trace: list[Request],
    kind: str,
    terms: Terms,
    max_wait: float,
    max_queue: int,
    preload: list[ModelId],
) -> None:
    def once() -> Report:
        return play(
            *trace,
            groups=KINDS[kind],
            terms=terms,
            max_wait=max_wait,
            max_queue=max_queue,
            preload=preload,
        )

    report = once()
    asked = Counter(request.model for request in trace)
    for model, figures in report.models.items():
        assert figures.served + figures.refused == asked[model]
        assert (figures.wait is None) == (figures.served == 0)
        assert 0 <= figures.busy <= 1
        assert figures.evictions + figures.idle_unloads <= figures.starts
        assert figures.loading <= 20 * figures.starts
    assert report.overall.served + report.overall.refused == len(trace)
    assert sum(report.refusals.values()) == report.overall.refused
    if report.overall.wait:
        wait = report.overall.wait
        assert 0 <= wait.mean <= wait.max + 1e-9
        assert 0 <= wait.p95 <= wait.max <= report.makespan
    if not (terms.concurrency_limit or max_queue):
        assert report.overall.refused == 0
    assert once() == report, "the same trace had two reports"


def test_the_last_word_of_a_request_is_told_once() -> None:
    """Each RequestArrived is followed by one RequestFinished, for those who are refused too."""
    heard: list[Fact] = []

    class Listening(Scheduler):
        def handle(self, fact: Fact, *, now: float) -> list[Effect]:
            heard.append(fact)
            return super().handle(fact, now=now)

    scheduler = Listening({A: Terms(concurrency_limit=1)}, GroupEviction({"g": group("a")}))
    simulate(scheduler, {A: Times(1, 1)}, [Request(0, A, 5), Request(0, A, 5), Request(30, A, 5)])
    finished = [fact.ticket for fact in heard if isinstance(fact, RequestFinished)]
    arrived = [fact.ticket for fact in heard if isinstance(fact, RequestArrived)]
    assert sorted(finished) == arrived
