"""The supervisor and its actors on a virtual clock: minutes pass, nothing sleeps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.errors import ModelTooSlow, ModelUnavailable, TooManyRequests, TryLater, UpstreamFailed
from swapd.ids import Generation, ModelId
from swapd.leases import End, Gate
from swapd.policy.effects import Refusal, RefusalKind
from swapd.policy.eviction import GroupEviction
from swapd.policy.life import Reason
from swapd.policy.refusals import RETRY_SOON
from swapd.policy.seats import Rules, Terms
from swapd.testing.groups import group
from swapd.testing.world import FakeServer, World, create_world, open_world, reasons

A, B, C = ModelId("a"), ModelId("b"), ModelId("c")


async def test_a_swap_takes_one_load_one_drain_and_one_stop(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B)
    start = trio.current_time()
    async with trio.open_nursery() as clients:
        clients.start_soon(world.use, A, 10)
        await wait_all_tasks_blocked()
        clients.start_soon(world.use, B, 10)
    assert trio.current_time() - start == pytest.approx(30 + 10 + 5 + 30 + 10)


async def test_six_requests_for_three_models_cost_three_starts(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B, C)
    served: list[ModelId] = []

    async def use(model: ModelId) -> None:
        async with world.lease(model):
            served.append(model)
            await trio.sleep(1)

    async with trio.open_nursery() as clients:
        for model in (A, B, C, A, B, C):
            clients.start_soon(use, model)
            await wait_all_tasks_blocked()
    assert world.starts() == [A, B, C]
    assert served == [A, A, B, B, C, C]


async def test_models_that_may_run_together_load_in_parallel(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    both = {"g": group("a", "b", swap=False)}
    world = await open_world(nursery, A, B, groups=both)
    start = trio.current_time()
    async with trio.open_nursery() as clients:
        clients.start_soon(world.use, A)
        clients.start_soon(world.use, B)
    assert trio.current_time() - start == pytest.approx(30)


async def test_one_load_and_one_unload_are_told_step_by_step(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    await world.use(A)
    await world.supervisor.unload([A])
    assert reasons(world.history) == [
        ("starting", "request"),
        ("ready", "request"),
        ("stopping", "unload"),
        ("stopped", "unload"),
    ]
    assert {change.generation for _, change in world.history} == {1}
    assert [change.pid for _, change in world.history] == [None, 42, 42, 42]


async def test_a_client_that_leaves_while_waiting_leaves_no_trace(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B)
    with trio.move_on_after(1):
        await world.use(A)
    await world.use(B)
    assert reasons(entry for entry in world.history if entry[1].model == A) == [
        ("starting", "request"),
        ("stopping", "aborted"),
        ("stopped", "aborted"),
    ]
    assert world.supervisor.queue() == []


@pytest.mark.parametrize("attempt", range(20))
async def test_leaving_at_the_very_moment_of_admission(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A, B)
    with trio.move_on_after(30):  # the model is ready at 30 s too
        await world.use(A, 1000)
    await world.use(B)
    assert world.supervisor.view(A).in_flight == 0


async def leave(what: Callable[[], Awaitable[None]], *, after: float, steps: int) -> None:
    """Await ``what``, but leave at second ``after``, so many steps of Trio's loop into it."""
    async with trio.open_nursery() as client:

        async def go() -> None:
            await trio.sleep(after)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            client.cancel_scope.cancel(reason="the client has left")

        client.start_soon(go)
        with suppress(ModelUnavailable):
            await what()
        client.cancel_scope.cancel(reason="it was answered")


@pytest.mark.parametrize("attempt", range(20))
@pytest.mark.parametrize("how", ["use", "load"])
async def test_leaving_at_the_very_moment_of_a_failed_start(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int, how: str
) -> None:
    world = await open_world(nursery, A, B)
    world.servers[A].load = 999
    act = {"use": lambda: world.use(A), "load": lambda: world.supervisor.load(A)}[how]
    await leave(act, after=60 + 5, steps=attempt % 5)
    await world.use(B)
    assert world.supervisor.queue() == []


@pytest.mark.parametrize("attempt", range(20))
@pytest.mark.parametrize(("how", "when"), [("use", 10), ("load", 10), ("use", 40)])
async def test_leaving_at_the_very_moment_of_an_unload(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int, how: str, when: float
) -> None:
    world = await open_world(nursery, A, B)

    async def unload() -> None:
        await trio.sleep(when)
        await world.supervisor.unload([A])

    act = {"use": lambda: world.use(A, 1000), "load": lambda: world.supervisor.load(A)}[how]
    async with trio.open_nursery() as both:
        both.start_soon(unload)
        await leave(act, after=when, steps=attempt % 5)
    await world.use(B)
    assert (world.supervisor.queue(), world.supervisor.view(A).in_flight) == ([], 0)


@pytest.mark.parametrize("attempt", range(20))
async def test_leaving_an_order_at_the_very_moment_it_is_done(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A, B)
    await leave(lambda: world.supervisor.load(A), after=30, steps=attempt % 5)
    await leave(lambda: world.supervisor.unload([A]), after=5, steps=attempt % 5)
    await trio.sleep(1)
    assert world.states(A) == ["starting", "ready", "stopping", "stopped"]
    await world.use(B)


@pytest.mark.parametrize("attempt", range(20))
async def test_an_unload_at_the_very_moment_of_ready(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A)

    async def unload() -> None:
        await trio.sleep(30)
        await world.supervisor.unload([A])
        assert world.states(A)[-1] == "stopped"

    async with trio.open_nursery() as both:
        both.start_soon(unload)
        with pytest.raises(ModelUnavailable, match="a was unloaded"):
            await world.use(A, 1000)


@pytest.mark.parametrize("attempt", range(20))
async def test_an_exit_at_the_very_moment_of_an_unload(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 10
    await world.use(A)
    await trio.sleep(10)
    await world.supervisor.unload([A])
    assert world.states(A)[-1] == "stopped"
    world.servers[A].exit_after = 1000
    await world.use(A)


async def test_a_start_that_takes_too_long_is_refused_and_the_process_stopped(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].load = 999
    with pytest.raises(ModelUnavailable, match="not ready within 60 s"):
        await world.use(A)
    assert reasons(world.history)[1:] == [("stopping", "start_failed"), ("stopped", "start_failed")]


async def test_a_failed_start_says_the_last_words(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].load = 999
    world.servers[A].says = b"loading\ncannot open model.gguf\n"
    with pytest.raises(ModelUnavailable) as refused:
        await world.use(A)
    assert refused.value.retry_after == RETRY_SOON
    assert str(refused.value).endswith("its last words:\nloading\ncannot open model.gguf")
    assert world.supervisor.view(A).error == (
        "not ready within 60 s; its last words:\nloading\ncannot open model.gguf"
    )


async def test_a_crash_is_a_fact_not_an_error(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 1
    await world.use(A, 20)
    assert reasons(world.history)[-1] == ("stopped", "crash")
    await world.use(A)


async def test_whoever_is_served_can_learn_what_the_process_died_of(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 5
    world.servers[A].says = b"out of memory\n"
    async with world.lease(A) as lease:
        assert await lease.cause_of_death(patience=4) is None
        assert await lease.cause_of_death(patience=3) == "exited with code 1"
        words = "exited with code 1; its last words:\nout of memory"
        assert await lease.cause_of_death(patience=10) == words


async def test_each_life_has_a_cause_of_death_of_its_own(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.servers[A].exit_after = 10
    world.servers[A].says = b"first\n"
    async with world.lease(A) as first:
        await first.end.came.wait()
        world.servers[A].says = b"second\n"
        async with world.lease(A) as second:
            assert (first.generation, second.generation) == (1, 2)
            assert await second.cause_of_death(patience=3) is None
            cause = await second.cause_of_death(patience=100)
            assert cause == "exited with code 1; its last words:\nsecond"
        cause = await first.cause_of_death(patience=0)
        assert cause == "exited with code 1; its last words:\nfirst"


async def test_an_unload_cuts_who_is_served_and_says_why(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)

    async def unload() -> None:
        await trio.sleep(40)
        await world.supervisor.unload([A])

    start = trio.current_time()
    async with trio.open_nursery() as both:
        both.start_soon(unload)
        with pytest.raises(ModelUnavailable, match="a was unloaded"):
            await world.use(A, 1000)
        assert trio.current_time() - start == pytest.approx(40)  # not after the stop


async def test_the_unload_is_the_cause_whatever_it_broke(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)

    async def break_when_cut() -> None:
        async with world.lease(A):
            try:
                await trio.sleep_forever()
            finally:
                raise UpstreamFailed("the connection broke")

    async with trio.open_nursery() as clients:

        async def expect_the_cause() -> None:
            with pytest.raises(ModelUnavailable, match="a was unloaded"):
                await break_when_cut()

        clients.start_soon(expect_the_cause)
        await trio.sleep(31)
        await world.supervisor.unload([A])


async def test_a_block_that_is_done_is_not_failed_by_an_unload_that_comes_while_it_ends(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    async with world.lease(A):
        nursery.start_soon(world.supervisor.unload, [A])
        with trio.CancelScope(shield=True):  # as the last send of an answer is
            await wait_all_tasks_blocked()
    await trio.sleep(6)
    assert world.states(A)[-1] == "stopped"


async def test_an_unload_between_admission_and_the_block_is_an_unload(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    errors: list[str] = []

    async def ask() -> None:
        try:
            await world.use(A, 1000)
        except ModelUnavailable as error:
            errors.append(str(error))

    async with trio.open_nursery() as clients:
        clients.start_soon(ask)
        await trio.sleep(30)  # it is admitted in this very second
        await world.supervisor.unload([A])
    assert errors == ["a was unloaded"]
    assert trio.current_time() < 100


async def test_an_unload_of_several_stops_them_at_once(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B, groups={"g": group("a", "b", swap=False)})
    world.servers[A].stop = 50
    await world.supervisor.load(A)
    await world.supervisor.load(B)
    start = trio.current_time()
    await world.supervisor.unload([A, B])
    assert trio.current_time() - start == pytest.approx(50)


async def test_a_load_is_done_when_the_model_is_ready(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    start = trio.current_time()
    await world.supervisor.load(A)
    assert trio.current_time() - start == pytest.approx(30)
    assert reasons(world.history) == [("starting", "load"), ("ready", "load")]


async def test_a_load_that_nobody_waits_for_goes_on(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    world.supervisor.begin_load(A, Reason.PRELOAD)
    await trio.sleep(31)
    assert reasons(world.history) == [("starting", "preload"), ("ready", "preload")]


async def test_an_idle_model_is_unloaded_on_time(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, terms=Terms(ttl=600))
    await world.use(A, 10)
    await trio.sleep(1000)
    (came, last) = world.history[-1]
    assert (last.new.value, last.reason) == ("stopped", Reason.TTL)
    assert came - world.history[0][0] == pytest.approx(30 + 10 + 600 + 5)


async def test_a_model_at_its_limit_refuses(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, terms=Terms(concurrency_limit=1))
    nursery.start_soon(world.use, A, 100)
    await wait_all_tasks_blocked()
    with pytest.raises(TooManyRequests) as refused:
        await world.use(A)
    assert refused.value.retry_after == RETRY_SOON


async def test_cancelling_the_supervisor_stops_every_model_and_tells_so(
    autojump_clock: MockClock,
) -> None:
    async with trio.open_nursery() as nursery:
        world = await open_world(nursery, A, B, groups={"g": group("a", "b", swap=False)})
        await world.use(A)
        world.supervisor.begin_load(B)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel(reason="shutdown")
    assert world.states(A) == ["starting", "ready", "stopping", "stopped"]
    assert world.states(B) == ["starting", "stopping", "stopped"]
    assert {change.reason for _, change in world.history[-4:]} == {Reason.SHUTDOWN}


def reconfigure(world: World, *models: ModelId, changed: tuple[ModelId, ...] = ()) -> None:
    world.supervisor.reconfigure(
        dict.fromkeys(models, Terms()),
        GroupEviction({"(default)": group(*models)}),
        Rules(),
        {model: world.servers.get(model, FakeServer()) for model in models},
        changed=changed,
        drain=100,
    )


async def test_a_reload_brings_new_models_and_touches_no_other(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    await world.use(A)
    reconfigure(world, A, B)
    await world.use(A)
    assert world.starts() == [A]
    await world.use(B)
    assert world.starts() == [A, B]


async def test_a_changed_model_is_run_in_the_new_way_once_it_has_drained(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    start = trio.current_time()
    async with trio.open_nursery() as clients:
        clients.start_soon(world.use, A, 50)
        await trio.sleep(40)
        world.servers = {A: FakeServer(load=7)}
        reconfigure(world, A, changed=(A,))
        await world.use(A)
    assert trio.current_time() - start == pytest.approx(30 + 50 + 5 + 7)
    assert reasons(world.history)[2:4] == [("stopping", "reload"), ("stopped", "reload")]


async def test_a_stream_that_outlasts_the_drain_is_cut(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    async with trio.open_nursery() as clients:

        async def stream() -> None:
            with pytest.raises(ModelUnavailable, match="new configuration"):
                await world.use(A, 1000)

        clients.start_soon(stream)
        await trio.sleep(40)
        reconfigure(world, A, changed=(A,))
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(100)


async def test_what_needs_a_start_is_refused_when_swapd_ends(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B)
    await world.use(A)
    world.supervisor.begin_shutdown()
    await world.use(A)
    with pytest.raises(ModelUnavailable, match="shutting down"):
        await world.use(B)


async def test_the_view_and_the_queue_tell_who_waits_for_what(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B)
    for model in (A, B, A):
        nursery.start_soon(world.use, model, 100)
        await wait_all_tasks_blocked()
    await trio.sleep(10)
    queue = world.supervisor.queue()
    assert [(place.position, place.model) for place in queue] == [(1, A), (2, A), (3, B)]
    assert [place.waited for place in queue] == pytest.approx([10, 10, 10])
    assert [place.waits_for for place in queue] == [(), (), (A,)]
    await trio.sleep(30)
    view = world.supervisor.view(A)
    assert (view.in_flight, view.waiting, view.pid) == (2, 0, 42)
    assert world.supervisor.view(B).waiting == 1


async def test_nothing_is_kept_of_those_who_are_gone(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B, terms=Terms(concurrency_limit=1))
    world.servers[B].load = 999

    async def be_cut() -> None:
        with pytest.raises(ModelUnavailable):
            await world.use(A, 1000)

    for _ in range(3):
        await world.supervisor.load(A)
        await world.use(A)
        with trio.move_on_after(20):
            await world.use(B)
        for refused in (world.use, world.supervisor.load):
            with pytest.raises(ModelUnavailable):
                await refused(B)
        async with trio.open_nursery() as clients:
            clients.start_soon(be_cut)
            await trio.sleep(100)
            with pytest.raises(TooManyRequests):
                await world.use(A)
            with trio.move_on_after(1):
                await world.supervisor.unload([A])
            await world.supervisor.unload([A])
    # Nobody can ask for a ticket that is over, so nothing but memory tells of a gate that stays.
    assert world.supervisor._gates == {}


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (RefusalKind.UNAVAILABLE, ModelUnavailable),
        (RefusalKind.LATE, ModelTooSlow),
        (RefusalKind.FULL, TooManyRequests),
    ],
)
async def test_a_gate_that_is_shut_already_refuses_at_once(
    autojump_clock: MockClock, kind: RefusalKind, error: type[TryLater]
) -> None:
    gate = Gate()
    gate.open(Generation(1), End())
    gate.shut(Refusal(kind, "not now", retry_after=7.5))
    with trio.fail_after(1):
        with pytest.raises(error, match="not now") as refused:
            await gate.wait()
    assert refused.value.retry_after == 7.5
    assert trio.current_time() == 0


# -- what is answered where it is told -----------------------------------------------------


async def test_a_request_to_a_ready_model_passes_without_a_switch_of_tasks(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    await world.use(A)
    others = []

    async def run() -> None:
        others.append(1)

    nursery.start_soon(run)
    async with world.lease(A):
        assert world.supervisor.view(A).in_flight == 1
    assert world.supervisor.view(A).in_flight == 0
    assert others == []


async def test_a_request_does_not_overtake_what_was_told_before(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B)
    await world.use(A)
    await wait_all_tasks_blocked()
    world.supervisor.begin_load(B)
    await world.use(A)
    assert world.starts() == [A, B, A]


async def test_a_cancelled_request_to_a_ready_model_is_not_served_and_leaves_no_trace(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    await world.use(A)
    with trio.CancelScope() as scope:
        scope.cancel(reason="its client has left")
        async with world.lease(A):
            pytest.fail("it was served")
    assert scope.cancelled_caught
    assert world.supervisor.view(A).in_flight == 0
    assert world.supervisor._gates == {}


async def test_a_request_before_the_supervisor_runs_waits_for_it(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = create_world(A)
    async with trio.open_nursery() as clients:
        clients.start_soon(world.use, A)
        await wait_all_tasks_blocked()
        assert world.starts() == []
        await nursery.start(world.supervisor.run, world.servers)
    assert world.states(A) == ["starting", "ready"]


async def test_a_bug_in_an_answer_ends_the_supervisor_wherever_it_was_met(
    autojump_clock: MockClock,
) -> None:
    world = create_world(A)
    unknown = ModelId("unknown")
    with pytest.RaisesGroup(KeyError, flatten_subgroups=True, allow_unwrapped=True):
        async with trio.open_nursery() as nursery:
            await nursery.start(world.supervisor.run, world.servers)
            await wait_all_tasks_blocked()
            with trio.fail_after(1):
                await world.use(unknown)


async def test_facts_that_come_from_many_at_once_are_all_answered(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B, terms=Terms(ttl=60))

    async def ask(number: int) -> None:
        await trio.sleep(number % 7)
        with trio.move_on_after(40 if number % 3 else 5):
            await world.use((A, B)[number % 2], number % 4)

    async with trio.open_nursery() as clients:
        for number in range(60):
            clients.start_soon(ask, number)
    assert world.supervisor.queue() == []
    await trio.sleep(200)
    assert [world.states(model)[-1] for model in (A, B)] == ["stopped", "stopped"]


# -- what fails --------------------------------------------------------------------------


@pytest.mark.parametrize("attempt", range(20))
async def test_who_asks_at_the_very_moment_of_a_failed_start_is_told_or_starts_it_anew(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A, B)
    world.servers[A].load = 999
    errors: list[str] = []

    async def ask(when: float) -> None:
        await trio.sleep(when)
        with pytest.raises(ModelUnavailable) as raised:
            await world.use(A)
        errors.append(str(raised.value))

    async with trio.open_nursery() as clients:
        for when in (0, 65, 65, 65.5):  # given up after 60 s, gone after 5 more
            clients.start_soon(ask, when)
    assert len(world.starts()) == 1
    assert len([error for error in errors if "could not be started" in error]) >= 1
    assert "not started again for another 0.5 s" in errors[-1]
    assert world.supervisor.queue() == []
    assert world.supervisor.view(A).backoff == pytest.approx(0.5)


@pytest.mark.parametrize("attempt", range(20))
async def test_what_was_displaced_is_back_though_somebody_asks_for_it_at_that_very_moment(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A, B)
    world.servers[B].load = 999
    await world.use(A)
    failed_at = trio.current_time() + 5 + 60 + 5

    async def ask_again() -> None:
        await trio.sleep_until(failed_at)
        await world.use(A)

    async with trio.open_nursery() as clients:
        clients.start_soon(ask_again)
        with pytest.raises(ModelUnavailable):
            await world.use(B)
    assert world.starts() == [A, B, A]
    assert trio.current_time() == pytest.approx(failed_at + 30)


async def test_what_was_displaced_comes_back_by_itself(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A, B)
    world.servers[B].load = 999
    await world.use(A)
    with pytest.raises(ModelUnavailable):
        await world.use(B)
    await trio.sleep(31)
    assert reasons(world.history)[-2:] == [("starting", "restored"), ("ready", "restored")]


@pytest.mark.parametrize("attempt", range(20))
async def test_a_drain_ends_at_the_very_moment_its_last_request_does(
    nursery: trio.Nursery, autojump_clock: MockClock, attempt: int
) -> None:
    world = await open_world(nursery, A, B)
    ended: dict[float, float] = {}

    async def ask(when: float, seconds: float) -> None:
        await trio.sleep(when)
        with suppress(ModelUnavailable):
            await world.use(A, seconds)
        ended[when] = trio.current_time() - start

    start = trio.current_time()
    async with trio.open_nursery() as clients:
        clients.start_soon(ask, 0, 20)  # served from 30 to 50
        clients.start_soon(ask, 40, 10)  # comes just before the drain begins, or just after
        clients.start_soon(ask, 50, 0)  # comes when it is over
        await trio.sleep(40)
        await world.supervisor.unload([A], drain=True)
        assert trio.current_time() - start == pytest.approx(55)
    assert ended[0] == pytest.approx(50), "nobody was cut"
    served = {40.0: (50, 95), 50.0: (50, 85)}
    assert all(round(ended[when]) in instants for when, instants in served.items())


async def test_a_model_that_is_to_be_drained_is_ready_and_not_open(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    seen: list[tuple[str, bool]] = []

    def look() -> None:
        seen.append((world.states(A)[-1], world.supervisor.view(A).is_open))

    async with trio.open_nursery() as clients:
        assert not world.supervisor.view(A).is_open
        await world.supervisor.load(A)
        look()
        clients.start_soon(world.use, A, 10)
        await wait_all_tasks_blocked()
        clients.start_soon(partial(world.supervisor.unload, [A], drain=True))
        await wait_all_tasks_blocked()
        look()
    look()
    assert seen == [("ready", True), ("ready", False), ("stopped", False)]


@pytest.mark.parametrize("when", [0, 10, 30, 45, 50, 55, 60])
@pytest.mark.parametrize("steps", range(6))
@pytest.mark.parametrize("how", ["use", "load", "unload", "drain"])
async def test_leaving_at_any_moment_leaves_nothing_behind(
    nursery: trio.Nursery, autojump_clock: MockClock, when: float, steps: int, how: str
) -> None:
    world = await open_world(nursery, A, B)
    acts: Mapping[str, Callable[[], Awaitable[None]]] = {
        "use": lambda: world.use(B, 10),
        "load": lambda: world.supervisor.load(B),
        "unload": lambda: world.supervisor.unload([A]),
        "drain": lambda: world.supervisor.unload([A], drain=True),
    }
    async with trio.open_nursery() as clients:

        async def hold_the_place() -> None:
            with suppress(ModelUnavailable):
                await world.use(A, 10)

        clients.start_soon(hold_the_place)
        await wait_all_tasks_blocked()
        await leave(acts[how], after=when, steps=steps)
    for model in (A, B):
        await world.use(model)
    await wait_all_tasks_blocked()
    assert [world.supervisor.view(model).in_flight for model in (A, B)] == [0, 0]
    assert world.supervisor.queue() == []


async def test_everybody_who_watches_learns_that_something_has_changed(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    world = await open_world(nursery, A)
    seen: list[int] = []

    async def watch() -> None:
        await world.supervisor.changed.wait()
        seen.append(len(world.supervisor.queue()))

    async with trio.open_nursery() as watchers:
        watchers.start_soon(watch)
        watchers.start_soon(watch)
        await wait_all_tasks_blocked()
        nursery.start_soon(world.use, A)
    assert seen == [1, 1]
