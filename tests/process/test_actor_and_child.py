"""An actor that runs its server over fake processes: what the scheduler hears, and when."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from swapd.ids import Generation, ModelId
from swapd.policy.facts import Fact, ModelFailing, ModelReady, ModelStopped, ModelStuck
from swapd.policy.life import ModelState, Reason, Transition
from swapd.process.actor import ModelActor, Start, Stop
from swapd.process.child import ServerSpec, Stopping, run_server
from swapd.process.health import Liveness
from swapd.telemetry.logs import ModelLog
from tests.process.fake_processes import FakeGuardian, FakeProcess

A = ModelId("a")
G1, G2 = Generation(1), Generation(2)
SPEC = ServerSpec(("llama-server",), {"PATH": "/bin"}, stopping=lambda: Stopping(grace=10))
STUCK = "the process does not end, 5 s after SIGKILL"


@dataclass
class Stage:
    """One actor over fake processes; ``heard`` is what it reports, with the second it came at."""

    nursery: trio.Nursery
    heard: list[tuple[float, Fact]] = field(default_factory=list)
    shown: list[Transition] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._began = trio.current_time()
        self.guardian = FakeGuardian([])
        self.actor = ModelActor(A, report=self._hear, show=self.shown.append, log=ModelLog())

    def _hear(self, fact: Fact) -> None:
        self.heard.append((self.now, fact))

    @property
    def now(self) -> float:
        return trio.current_time() - self._began

    def process(self, **how: object) -> FakeProcess:
        """Return the process of the next life."""
        process = FakeProcess(self.nursery, **how)  # type: ignore[arg-type]
        self.guardian.processes.append(process)
        return process

    async def live(self, until: float = 100, *, stop_at: float | None = None) -> None:
        """Live once, as an actor that is cancelled after ``until`` s; maybe stop before."""
        spec = replace(SPEC, liveness=lambda: Liveness(self._silent, every=8, failures=1))
        run = partial(run_server, spec, self.guardian, probe=None, hurry=trio.Event())
        self.actor.run_by(run)
        with trio.move_on_after(until):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.actor.run)
                self.actor.tell(Start(G1, Reason.REQUEST))
                if stop_at is not None:
                    await trio.sleep(stop_at)
                    self.actor.tell(Stop(G1, Reason.SWAP))
                    self.actor.tell(Start(G2, Reason.REQUEST))

    async def _silent(self) -> str | None:
        await trio.sleep_forever()
        return None

    def ends(self) -> list[Generation]:
        return [fact.generation for _, fact in self.heard if isinstance(fact, ModelStopped)]

    def changes(self) -> list[tuple[str, str]]:
        return [(change.new.value, change.reason.value) for change in self.shown]


@pytest.fixture
def stage(nursery: trio.Nursery) -> Stage:
    assert isinstance(trio.lowlevel.current_clock(), MockClock), "ask for autojump_clock"
    return Stage(nursery)


async def test_a_crash_is_heard_before_the_sweep_and_its_end_after_it(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.process(lives=4, sweep=3, code=1)
    await stage.live()
    assert stage.heard == [
        (0, ModelReady(A, G1)),
        (4, ModelFailing(A, G1)),
        (7, ModelStopped(A, G1, "exited with code 1")),
    ]
    assert stage.changes()[-1] == ("stopped", "crash")


async def test_a_server_that_hangs_is_heard_of_before_it_is_stopped(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.process(after_term=6)
    await stage.live()
    saw = "its health check failed, last answer: no answer within 2 s"
    assert stage.heard[1:] == [
        (10, ModelFailing(A, G1)),
        (16, ModelStopped(A, G1, f"hung and was ended by swapd: {saw}")),
    ]
    assert stage.changes()[-2:] == [("stopping", "hung"), ("stopped", "hung")]


async def test_what_cannot_be_killed_is_heard_of_and_the_next_life_waits_for_its_end(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.process(after_term=None, after_kill=50)
    stage.process(lives=4)
    await stage.live(stop_at=1)
    assert stage.heard[1:] == [
        (1 + 10 + 5, ModelStuck(A, G1, STUCK)),
        (1 + 10 + 50, ModelStopped(A, G1)),
        (61, ModelReady(A, G2)),
        (65, ModelFailing(A, G2)),
        (65, ModelStopped(A, G2, "exited with code 0")),
    ]


async def test_a_crash_that_leaves_what_cannot_be_killed_is_shown_as_stopping(
    stage: Stage, autojump_clock: MockClock
) -> None:
    stage.process(lives=4, sweep=60)
    await stage.live()
    rest = "what it has left behind does not end, 5 s after SIGKILL"
    assert stage.heard[1:] == [
        (4, ModelFailing(A, G1)),
        (9, ModelStuck(A, G1, rest)),
        (64, ModelStopped(A, G1, "exited with code 0")),
    ]
    assert stage.changes()[-2:] == [("stopping", "crash"), ("stopped", "crash")]
    assert stage.shown[-2].detail == f"exited with code 0; {rest}"


@pytest.mark.parametrize("stop_at", [None, 1])
async def test_what_cannot_be_killed_does_not_hold_the_end_of_swapd(
    stage: Stage, autojump_clock: MockClock, stop_at: float | None
) -> None:
    """Whether it is found at the end, or was stuck long before."""
    stage.process(after_term=None, after_kill=None)
    await stage.live(until=50 if stop_at else 4, stop_at=stop_at)
    assert stage.now <= (50 if stop_at else 4 + 10 + 5 + 1)
    assert [fact for _, fact in stage.heard[1:]] == [ModelStuck(A, G1, STUCK), ModelStopped(A, G1)]
    assert stage.shown[-1].detail == STUCK


def checked(stage: Stage) -> list[str]:
    """Return how the first life ended, once it is sure that it ended as a life must."""
    first = [change for change in stage.shown if change.generation == G1]
    assert [change.old for change in first[1:]] == [change.new for change in first[:-1]]
    assert first[-1].new is ModelState.STOPPED
    assert stage.ends().count(G1) == 1
    facts = [type(fact).__name__ for _, fact in stage.heard if fact.generation == G1]  # type: ignore[union-attr]
    assert facts[-1] == "ModelStopped"
    assert facts.count("ModelFailing") <= 1
    return [*facts[1:-1], first[-1].reason.value]


CRASH, HUNG, SWAP = ["ModelFailing", "crash"], ["ModelFailing", "hung"], ["swap"]


@pytest.mark.parametrize("attempt", range(20))
@pytest.mark.parametrize(
    ("how", "ways"),
    [
        ({"lives": 4, "sweep": 3}, [CRASH, SWAP]),
        ({"lives": 2, "sweep": 2}, [CRASH]),
        ({"lives": 4, "after_term": 0, "sweep": 0}, [CRASH, SWAP]),
    ],
)
async def test_an_exit_in_the_very_instant_of_a_stop_is_one_or_the_other(
    stage: Stage,
    autojump_clock: MockClock,
    how: dict[str, object],
    ways: list[list[str]],
    attempt: int,
) -> None:
    stage.process(**how)
    stage.process(lives=1)
    await stage.live(stop_at=4)
    assert checked(stage) in ways
    assert stage.ends() == [G1, G2]


@pytest.mark.parametrize("attempt", range(20))
async def test_a_stop_in_the_very_instant_in_which_it_hangs_is_one_or_the_other(
    stage: Stage, autojump_clock: MockClock, attempt: int
) -> None:
    process = stage.process(after_term=1)
    stage.process(lives=1)
    await stage.live(stop_at=10)
    assert checked(stage) in (HUNG, SWAP)
    assert len(process.signals) == 1
    assert stage.ends() == [G1, G2]


@pytest.mark.parametrize("attempt", range(20))
@pytest.mark.parametrize("until", [4, 9, 11, 16])
@pytest.mark.parametrize(
    "how",
    [
        {"lives": 4, "sweep": 3},
        {"lives": 4, "sweep": 5},
        {"lives": 4, "sweep": 57},
        {"after_term": 1},
        {"after_term": None, "after_kill": 5},
        {"after_term": None, "after_kill": None},
    ],
)
async def test_the_end_of_swapd_in_any_instant_finds_each_life_ended_once(
    stage: Stage, autojump_clock: MockClock, how: dict[str, object], until: float, attempt: int
) -> None:
    stage.process(**how)
    await stage.live(until=until)
    if stage.shown:  # else swapd ended before the order was read
        checked(stage)
    assert stage.now <= until + 10 + 5 + 1
