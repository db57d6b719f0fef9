"""One model's actor, with servers that the test leads by hand: every step is told, in order."""

from __future__ import annotations

import gc

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.ids import Generation
from swapd.policy.facts import Fact, ModelReady, ModelStopped
from swapd.policy.life import Reason, Transition
from swapd.process.actor import ModelActor, Start, Stop
from swapd.process.child import Witness
from swapd.telemetry.logs import ModelLog
from tests.process.puppets import (
    FAILED,
    G1,
    G2,
    G3,
    LOADED,
    LOADING,
    ONE_SWAP,
    READY,
    STARTING,
    STOPPED,
    STOPPING,
    A,
    Stage,
)


@pytest.fixture
async def stage(nursery: trio.Nursery) -> Stage:
    stage = Stage()
    await nursery.start(stage.actor.run)
    return stage


async def test_each_change_is_shown_before_it_is_reported(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.load()
    await stage.tell(Stop(G1, Reason.SWAP))
    await trio.sleep(6)
    assert stage.told == [
        Transition(A, STOPPED, STARTING, Reason.REQUEST, G1),
        Transition(A, STARTING, READY, Reason.REQUEST, G1, pid=41),
        ModelReady(A, G1),
        Transition(A, READY, STOPPING, Reason.SWAP, G1, pid=41),
        Transition(A, STOPPING, STOPPED, Reason.SWAP, G1, pid=41, exit_code=-15),
        ModelStopped(A, G1),
    ]


async def test_a_stop_of_a_later_generation_does_not_touch_this_one(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.load()
    await stage.tell(Stop(G2, Reason.SWAP))
    assert stage.story == [LOADING, *LOADED]


async def test_the_first_stop_is_the_one_that_is_told(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.load()
    await stage.tell(Stop(G1, Reason.SWAP), Stop(G1, Reason.UNLOAD))
    await trio.sleep(6)
    assert stage.story == [LOADING, *LOADED, *ONE_SWAP]


async def test_a_stop_that_comes_too_late_does_not_touch_the_next_life(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await (await stage.load()).end("exited with code 1")
    await stage.start(G2)
    await stage.tell(Stop(G1, Reason.SWAP))
    assert stage.story[-1] == "2: stopped > starting (request)"
    await stage.tell(Stop(G2, Reason.SWAP))
    assert stage.story[-1] == "2: starting > stopping (swap)"


async def test_a_stop_between_two_lives_is_of_no_effect(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await (await stage.load()).end("exited with code 1")
    before = stage.story
    await stage.tell(Stop(G1, Reason.SWAP))
    assert stage.story == before
    await stage.start(G2)
    assert stage.story == [*before, "2: stopped > starting (request)"]


async def test_a_start_behind_a_stop_waits_until_nothing_is_left(
    stage: Stage, autojump_clock: MockClock
) -> None:
    first = await stage.load()
    await stage.tell(Stop(G1, Reason.SWAP), Start(G2, Reason.LOAD))
    assert stage.puppets == [first]
    await trio.sleep(6)
    stage.puppets[1].witness.ready()
    assert stage.story == [
        LOADING,
        *LOADED,
        *ONE_SWAP,
        "2: stopped > starting (load)",
        "2: starting > ready (load)",
        "2: reported ready",
    ]
    assert stage.actor.pid == 42


async def test_readiness_that_comes_after_the_stop_is_not_told(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.start()
    await stage.tell(Stop(G1, Reason.ABORTED))
    puppet.witness.ready()
    assert stage.story == [LOADING, "1: starting > stopping (aborted)"]


@pytest.mark.parametrize("attempt", range(20))
async def test_an_exit_in_the_very_instant_of_a_stop_is_one_or_the_other(
    stage: Stage, autojump_clock: MockClock, attempt: int
) -> None:
    (await stage.load()).over.set()
    await stage.tell(Stop(G1, Reason.SWAP), Start(G2, Reason.REQUEST))
    crash = ["1: ready > stopped (crash)", "1: reported stopped, it was done"]
    assert stage.story[3:-1] in (["1: reported failing", *crash], ONE_SWAP)
    assert stage.story[-1] == "2: stopped > starting (request)"


async def test_what_the_life_before_has_said_is_forgotten(
    stage: Stage, autojump_clock: MockClock
) -> None:
    first = await stage.load()
    first.witness.output(b"out of memory\n")
    await first.end("exited with code 1")
    second = await stage.start(G2)
    assert stage.actor.trouble is None
    await second.end("could not be launched", None)
    assert stage.told[-2:] == [
        Transition(A, STARTING, STOPPED, FAILED, G2, pid=42, detail="could not be launched"),
        ModelStopped(A, G2, "could not be launched"),
    ]


async def test_a_start_amid_a_life_waits_for_its_end_and_can_be_taken_back(
    stage: Stage, autojump_clock: MockClock
) -> None:
    first = await stage.load()
    await stage.tell(Start(G2, Reason.LOAD), Start(G3, Reason.REQUEST), Stop(G2, Reason.ABORTED))
    assert stage.story == [LOADING, *LOADED]
    await first.end("exited with code 0")
    await trio.sleep(6)
    assert stage.story[-6:] == [
        "1: reported stopped, exited with code 0",
        "2: stopped > starting (load)",
        "2: starting > stopping (aborted)",
        "2: stopping > stopped (aborted)",
        "2: reported stopped",
        "3: stopped > starting (request)",
    ]


async def test_a_pid_lives_no_longer_than_its_process(
    stage: Stage, autojump_clock: MockClock
) -> None:
    assert stage.actor.pid is None
    await stage.load()
    assert stage.actor.pid == 41
    await stage.tell(Stop(G1, Reason.SWAP))
    assert stage.actor.pid == 41
    await trio.sleep(6)
    assert stage.actor.pid is None


async def test_a_new_way_to_run_it_is_for_the_next_start(
    stage: Stage, autojump_clock: MockClock
) -> None:
    async def fail(witness: Witness) -> str:
        return "the new way"

    first = await stage.load()
    stage.actor.run_by(fail)
    await wait_all_tasks_blocked()
    assert stage.story == [LOADING, *LOADED]
    await first.end("the old way")
    await stage.tell(Start(G2, Reason.REQUEST))
    assert [fact for fact in stage.told if isinstance(fact, ModelStopped)] == [
        ModelStopped(A, G1, "the old way"),
        ModelStopped(A, G2, "the new way"),
    ]


@pytest.mark.parametrize("is_ready", [False, True])
async def test_a_cancelled_actor_stops_its_server_and_tells_so(
    autojump_clock: MockClock, is_ready: bool
) -> None:
    stage = Stage()
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.actor.run)
        await (stage.load() if is_ready else stage.start())
        nursery.cancel_scope.cancel(reason="the end of swapd")
    old = READY if is_ready else STARTING
    assert stage.told[-3:] == [
        Transition(A, old, STOPPING, Reason.SHUTDOWN, G1, pid=41),
        Transition(A, STOPPING, STOPPED, Reason.SHUTDOWN, G1, pid=41, exit_code=-15),
        ModelStopped(A, G1),
    ]


async def test_even_a_bug_does_not_leave_a_life_without_its_end() -> None:
    async def fail(witness: Witness) -> str:
        witness.ready()
        raise ZeroDivisionError

    stage = Stage()
    stage.actor.run_by(fail)
    stage.actor.tell(Start(G1, Reason.REQUEST))
    with pytest.RaisesGroup(ZeroDivisionError):
        await stage.actor.run()
    assert stage.story[-2:] == ["1: stopping > stopped (shutdown)", "1: reported stopped"]


async def test_a_model_that_nobody_has_said_how_to_run_does_not_start(
    nursery: trio.Nursery,
) -> None:
    told: list[Transition | Fact] = []
    actor = ModelActor(A, report=told.append, show=told.append, log=ModelLog())
    await nursery.start(actor.run)
    actor.tell(Start(G1, Reason.REQUEST))
    await wait_all_tasks_blocked()
    assert told[-1] == ModelStopped(A, G1, "nobody has said how to run it")


async def test_nothing_is_kept_of_lives_that_are_over(
    stage: Stage, autojump_clock: MockClock
) -> None:
    before = _count_starts()  # what earlier tests have left is none of its business
    for number in range(1, 51):
        await (await stage.load(Generation(number))).end("exited with code 0")
    assert _count_starts() <= before + 1


def _count_starts() -> int:
    gc.collect()
    return sum(isinstance(thing, Start) for thing in gc.get_objects())
