"""What an actor tells of a server that ends by itself, hangs, or cannot be ended."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.policy.facts import ModelFailing, ModelStopped, ModelStuck
from swapd.policy.life import Reason, Transition
from swapd.process.actor import Start, Stop
from tests.process.puppets import (
    CRASHED,
    FAILED,
    G1,
    G2,
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


async def test_a_crash_is_told_with_its_exit_code_and_the_last_words(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.load()
    puppet.witness.output(b"out of memory\n")
    await puppet.end("exited with code 1")
    error = "exited with code 1; its last words:\nout of memory"
    assert stage.told[-3:] == [
        ModelFailing(A, G1),
        Transition(A, READY, STOPPED, Reason.CRASH, G1, pid=41, exit_code=1, detail=error),
        ModelStopped(A, G1, error),
    ]
    assert stage.actor.trouble == error


async def test_an_exit_while_starting_is_a_failed_start(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.start()
    why = "exited with code 1 before it was ready"
    await puppet.end(why, FAILED)
    assert stage.told[1:] == [
        ModelFailing(A, G1),
        Transition(A, STARTING, STOPPED, FAILED, G1, 41, exit_code=1, detail=why),
        ModelStopped(A, G1, why),
    ]


async def test_a_start_that_is_given_up_is_stopping_until_it_is_gone(
    stage: Stage, autojump_clock: MockClock
) -> None:
    why = "not ready within 60 s"
    puppet = await stage.start()
    puppet.witness.failing(why, FAILED)
    assert stage.actor.trouble == why
    puppet.witness.exited(-9)
    await puppet.end(why, None)
    assert stage.told[1:] == [
        Transition(A, STARTING, STOPPING, FAILED, G1, pid=41, detail=why),
        ModelFailing(A, G1),
        Transition(A, STOPPING, STOPPED, FAILED, G1, pid=41, exit_code=-9, detail=why),
        ModelStopped(A, G1, why, timed_out=True),
    ]


async def test_a_server_that_hangs_is_stopping_until_it_is_gone_and_says_what_it_said_last(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.load()
    puppet.witness.output(b"waiting for the GPU\n")
    puppet.witness.failing("hung", Reason.HUNG)
    puppet.witness.exited(-9)
    await puppet.end("hung", None)
    error = "hung; its last words:\nwaiting for the GPU"
    assert stage.told[3:] == [
        Transition(A, READY, STOPPING, Reason.HUNG, G1, pid=41, detail="hung"),
        ModelFailing(A, G1),
        Transition(A, STOPPING, STOPPED, Reason.HUNG, G1, pid=41, exit_code=-9, detail=error),
        ModelStopped(A, G1, error),
    ]


@pytest.mark.parametrize("end", ["a stop", "the end of swapd"])
async def test_what_is_being_stopped_already_is_not_told_to_stop_again(
    autojump_clock: MockClock, end: str
) -> None:
    stage = Stage()
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.actor.run)
        puppet = await stage.start()
        puppet.witness.failing("not ready within 60 s", FAILED)
        if end == "a stop":
            await stage.tell(Stop(G1, Reason.ABORTED))
            await trio.sleep(6)
        nursery.cancel_scope.cancel(reason="the end of swapd")
    assert stage.story == [
        LOADING,
        "1: starting > stopping (start_failed)",
        "1: reported failing",
        "1: stopping > stopped (start_failed)",
        "1: reported stopped, not ready within 60 s",
    ]


async def test_a_stop_while_a_crash_is_swept_does_not_hide_the_crash(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.load()
    puppet.witness.exited(1)
    puppet.witness.failing("exited with code 1", CRASHED)
    await stage.tell(Stop(G1, Reason.UNLOAD))
    await trio.sleep(6)
    assert stage.story == [
        LOADING,
        *LOADED,
        "1: reported failing",
        "1: ready > stopped (crash)",
        "1: reported stopped, exited with code 1",
    ]


async def test_what_fails_is_told_once_and_never_of_what_was_told_to_stop(
    stage: Stage, autojump_clock: MockClock
) -> None:
    first = await stage.load()
    await stage.tell(Stop(G1, Reason.SWAP))
    first.witness.failing("exited with code 0", CRASHED)
    await trio.sleep(6)
    assert stage.story == [LOADING, *LOADED, *ONE_SWAP]
    second = await stage.load(G2)
    second.witness.exited(1)
    second.witness.failing("exited with code 1", CRASHED)
    second.witness.failing("hung", Reason.HUNG)
    await second.end("exited with code 1", None)
    assert stage.story[-3:] == [
        "2: reported failing",
        "2: ready > stopped (crash)",
        "2: reported stopped, exited with code 1",
    ]


async def test_what_does_not_end_after_a_stop_keeps_its_model_stopping_until_it_does(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.load()
    await stage.tell(Stop(G1, Reason.SWAP), Start(G2, Reason.REQUEST))
    assert (stage.actor.stuck, stage.actor.trouble) == (None, None)
    puppet.be_stuck()
    await trio.sleep(3600)
    assert stage.story == [LOADING, *LOADED, ONE_SWAP[0], "1: reported stuck, it does not end"]
    assert (stage.actor.stuck, stage.actor.trouble) == ("it does not end", "it does not end")
    assert stage.actor.pid == 41
    puppet.rest.set()
    await wait_all_tasks_blocked()
    assert stage.story[-3:] == [*ONE_SWAP[1:], "2: stopped > starting (request)"]
    assert (stage.actor.stuck, stage.actor.trouble) == (None, None)


@pytest.mark.parametrize("reason", [CRASHED, FAILED])
async def test_a_dead_server_of_which_something_does_not_end_is_not_shown_as_alive(
    stage: Stage, autojump_clock: MockClock, reason: Reason
) -> None:
    puppet = await (stage.load() if reason is CRASHED else stage.start())
    puppet.witness.exited(1)
    puppet.witness.failing("exited with code 1", reason)
    before = len(stage.told)
    puppet.be_stuck()
    await puppet.end("exited with code 1", None)
    await stage.tell(Stop(G1, Reason.UNLOAD))
    stuck = "it does not end"
    assert [stage.actor.stuck, stage.actor.trouble] == [stuck, f"exited with code 1; {stuck}"]
    old, why = READY if reason is CRASHED else STARTING, "exited with code 1"
    stopping = Transition(A, old, STOPPING, reason, G1, 41, 1, f"{why}; it does not end")
    assert stage.told[before:] == [stopping, ModelStuck(A, G1, "it does not end")]
    puppet.rest.set()
    await wait_all_tasks_blocked()
    assert stage.told[before + 2 :] == [
        Transition(A, STOPPING, STOPPED, reason, G1, 41, 1, why),
        ModelStopped(A, G1, why),
    ]
    assert [stage.actor.stuck, stage.actor.trouble] == [None, why]


async def test_a_server_that_hangs_may_be_stuck_as_well(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.load()
    puppet.witness.failing("hung", Reason.HUNG)
    puppet.be_stuck()
    await puppet.end("hung", None)
    assert stage.story[3:] == [
        "1: ready > stopping (hung)",
        "1: reported failing",
        "1: reported stuck, it does not end",
    ]


@pytest.mark.parametrize("order", [None, Stop(G1, Reason.SWAP)])
async def test_what_is_stuck_does_not_hold_the_end_of_swapd_and_is_told_then(
    autojump_clock: MockClock, order: Stop | None
) -> None:
    stage = Stage()
    async with trio.open_nursery() as nursery:
        await nursery.start(stage.actor.run)
        puppet = await stage.load()
        if order is not None:
            await stage.tell(order)
            puppet.be_stuck()
            await trio.sleep(60)
        else:
            puppet.witness.exited(1)
            puppet.witness.failing("exited with code 1", CRASHED)
            puppet.be_stuck()
            await puppet.end("exited with code 1", None)
        began = trio.current_time()
        nursery.cancel_scope.cancel(reason="the end of swapd")
    assert trio.current_time() == began
    reason, why = (Reason.SWAP, None) if order else (CRASHED, "exited with code 1")
    last = stage.told[-2]
    assert isinstance(last, Transition)
    assert (last.old, last.new, last.reason) == (STOPPING, STOPPED, reason)
    assert last.detail == f"it does not end{f'; {why}' if why else ''}"
    assert stage.told[-1] == ModelStopped(A, G1, why)
