"""One model's actor, with servers that the test leads by hand: every step is told, in order."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from swapd.ids import Generation, ModelId
from swapd.policy.facts import Fact, ModelFailing, ModelReady, ModelStopped, ModelStuck
from swapd.policy.life import ModelState, Reason, Transition
from swapd.process.actor import ModelActor, Start, Stop
from swapd.process.child import Witness
from swapd.telemetry.logs import ModelLog

A = ModelId("a")
G1, G2, G3 = Generation(1), Generation(2), Generation(3)
STOPPED, STARTING = ModelState.STOPPED, ModelState.STARTING
READY, STOPPING = ModelState.READY, ModelState.STOPPING

FAILED, CRASHED = Reason.START_FAILED, Reason.CRASH

LOADING = "1: stopped > starting (request)"
LOADED = ["1: starting > ready (request)", "1: reported ready"]
ONE_SWAP = ["1: ready > stopping (swap)", "1: stopping > stopped (swap)", "1: reported stopped"]


@dataclass
class Puppet:
    """A server that does what the test says; told to stop, it takes 5 s."""

    witness: Witness
    why: str = "it was done"
    reason: Reason | None = Reason.CRASH
    over: trio.Event = field(default_factory=trio.Event)
    #: What is left of it, if it is stuck.
    rest: trio.Event = field(default_factory=trio.Event)

    async def live(self) -> str:
        try:
            await self.over.wait()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
            self.witness.exited(-15)
            raise
        if self.reason is not None:
            self.witness.exited(1)
            self.witness.failing(self.why, self.reason)
        return self.why

    async def end(self, why: str, reason: Reason | None = Reason.CRASH) -> None:
        """End by itself, at once; without a reason it has not even begun."""
        self.why, self.reason = why, reason
        self.over.set()
        await wait_all_tasks_blocked()

    def be_stuck(self) -> None:
        """Live on, but for what is beyond any signal."""
        self.witness.stuck("it does not end", self.rest.wait)


@dataclass
class Stage:
    """An actor, its servers in the order of their lives, and all that it tells."""

    told: list[Transition | Fact] = field(default_factory=list)
    puppets: list[Puppet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.actor = ModelActor(A, report=self.told.append, show=self.told.append, log=ModelLog())
        self.actor.run_by(self.run_server)

    async def run_server(self, witness: Witness) -> str:
        puppet = Puppet(witness)
        self.puppets.append(puppet)
        witness.spawned(40 + len(self.puppets))
        return await puppet.live()

    async def tell(self, *commands: Start | Stop) -> None:
        """Give the commands, and wait until all that can be done is done."""
        for command in commands:
            self.actor.tell(command)
        await wait_all_tasks_blocked()

    async def start(self, generation: Generation = G1) -> Puppet:
        """Begin a life and return its server, which is starting."""
        await self.tell(Start(generation, Reason.REQUEST))
        return self.puppets[-1]

    async def load(self, generation: Generation = G1) -> Puppet:
        """Begin a life and return its server, which is ready."""
        puppet = await self.start(generation)
        puppet.witness.ready()
        return puppet

    @property
    def story(self) -> list[str]:
        """Return all that was told, a line each."""
        return [_line(entry) for entry in self.told]


def _line(entry: Transition | Fact) -> str:
    match entry:
        case Transition(_, old, new, reason, generation):
            return f"{generation}: {old} > {new} ({reason})"
        case ModelReady(_, generation):
            return f"{generation}: reported ready"
        case ModelFailing(_, generation):
            return f"{generation}: reported failing"
        case ModelStuck(_, generation, why):
            return f"{generation}: reported stuck, {why}"
        case ModelStopped(_, generation, None):
            return f"{generation}: reported stopped"
        case ModelStopped(_, generation, error):
            return f"{generation}: reported stopped, {error}"
    raise AssertionError(entry)


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
        ModelStopped(A, G1, why),
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


async def test_readiness_that_comes_after_the_stop_is_not_told(
    stage: Stage, autojump_clock: MockClock
) -> None:
    puppet = await stage.start()
    await stage.tell(Stop(G1, Reason.ABORTED))
    puppet.witness.ready()
    assert stage.story == [LOADING, "1: starting > stopping (aborted)"]


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
    old, why = READY if reason is CRASHED else STARTING, "exited with code 1"
    stopping = Transition(A, old, STOPPING, reason, G1, 41, 1, f"{why}; it does not end")
    assert stage.told[before:] == [stopping, ModelStuck(A, G1, "it does not end")]
    puppet.rest.set()
    await wait_all_tasks_blocked()
    assert stage.told[before + 2 :] == [
        Transition(A, STOPPING, STOPPED, reason, G1, 41, 1, why),
        ModelStopped(A, G1, why),
    ]
    assert (stage.actor.stuck, stage.actor.trouble) == (None, why)


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
