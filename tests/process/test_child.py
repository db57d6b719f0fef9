"""The rules of a server's life, with fake processes on a virtual clock."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
import trio
from trio.testing import MockClock

from swapd.process.child import ServerSpec, Stopping, run_server
from swapd.process.guarded import LaunchFailed
from swapd.process.health import Liveness, Probe
from tests.process.fake_processes import FakeGuardian, FakeProcess
from tests.process.watching import Diary

TERM, KILL = signal.SIGTERM, signal.SIGKILL

SPEC = ServerSpec(("llama-server",), {"PATH": "/bin"})
WITH_COMMAND = replace(SPEC, stopping=lambda: Stopping(argv=("docker", "stop", "--pid=${PID}")))


@dataclass
class Stage:
    """One life on the stage: what it needs, and what came of it."""

    nursery: trio.Nursery
    diary: Diary = field(default_factory=Diary)
    hurry: trio.Event = field(default_factory=trio.Event)

    def process(self, **how: object) -> FakeProcess:
        return FakeProcess(self.nursery, **how)  # type: ignore[arg-type]

    async def live(
        self,
        *processes: FakeProcess | LaunchFailed,
        spec: ServerSpec = SPEC,
        probe: Probe | None = None,
        delay: float = 0,
    ) -> str:
        guardian = FakeGuardian(list(processes), delay)
        return await run_server(spec, guardian, self.diary, probe=probe, hurry=self.hurry)

    async def stop_at(
        self, when: float, *processes: FakeProcess | LaunchFailed, spec: ServerSpec = SPEC
    ) -> None:
        with trio.move_on_after(when) as order:
            await self.live(*processes, spec=spec)
        assert order.cancelled_caught

    def later(self, when: float, what: Callable[[], None]) -> None:
        async def wait() -> None:
            await trio.sleep(when)
            what()

        self.nursery.start_soon(wait)


@pytest.fixture
def stage(nursery: trio.Nursery) -> Stage:
    assert isinstance(trio.lowlevel.current_clock(), MockClock), "ask for autojump_clock"
    return Stage(nursery)


def answering(answer: str | None) -> Probe:
    async def probe() -> str | None:
        await trio.lowlevel.checkpoint()
        return answer

    return probe


async def silent() -> str | None:
    await trio.sleep_forever()
    return None


# -- its own end ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (0, "exited with code 0"),
        (3, "exited with code 3"),
        (-9, "was killed by signal 9 (SIGKILL)"),
        (-40, "was killed by signal 40"),
    ],
)
async def test_the_reason_is_the_exit_code(
    stage: Stage, autojump_clock: MockClock, code: int, why: str
) -> None:
    assert await stage.live(stage.process(lives=5, code=code)) == why
    assert stage.diary.story == ["spawned 7", "ready", f"exited {code}", f"failing (crash): {why}"]


async def test_an_exit_during_the_start_is_noticed_while_a_probe_hangs(
    stage: Stage, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    why = await stage.live(stage.process(lives=0.5, code=3), probe=silent)
    assert why == "exited with code 3 before it was ready"
    assert trio.current_time() - began == pytest.approx(0.5)
    assert stage.diary.story == ["spawned 7", "exited 3", f"failing (start_failed): {why}"]


async def test_a_guard_that_died_is_the_reason(stage: Stage, autojump_clock: MockClock) -> None:
    why = await stage.live(stage.process(lives=1, code=-9, lost=True))
    assert why == "was killed, for its guard died"


async def test_last_words_are_read_before_the_end(stage: Stage, autojump_clock: MockClock) -> None:
    await stage.live(stage.process(lives=1, says=b"out of memory\n", pipe_open=0.5))
    assert stage.diary.words == b"out of memory\n"


async def test_a_pipe_that_stays_open_is_not_waited_for_long(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(lives=1, pipe_open=2)
    began = trio.current_time()
    await stage.live(process)
    assert trio.current_time() == began + 2


async def test_the_exit_is_told_before_the_sweep_and_the_end_comes_after_it(
    stage: Stage, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    await stage.live(stage.process(lives=1, sweep=3))
    assert stage.diary.events[-2:] == [
        (began + 1, "exited 0"),
        (began + 1, "failing (crash): exited with code 0"),
    ]
    assert trio.current_time() == began + 4


async def test_a_command_that_cannot_start_is_a_reason(
    stage: Stage, autojump_clock: MockClock
) -> None:
    why = await stage.live(LaunchFailed("'x' was not found on PATH"))
    assert why == "'x' was not found on PATH"
    assert stage.diary.story == []


# -- a start that fails --------------------------------------------------------------------


async def test_a_start_that_takes_too_long_is_stopped_and_says_what_was_seen(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=2)
    began = trio.current_time()
    why = await stage.live(process, probe=answering("status 503"))
    assert why == "not ready within 120 s: last answer of the health check: status 503"
    assert stage.diary.events[1:] == [
        (began + 120, f"failing (start_failed): {why}"),
        (began + 122, "exited -15"),
    ]


async def test_the_time_to_start_includes_the_launch(
    stage: Stage, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    await stage.live(stage.process(), probe=answering("status 503"), delay=100)
    assert trio.current_time() - began == pytest.approx(120)


async def test_a_launch_that_hangs_is_given_up(stage: Stage, autojump_clock: MockClock) -> None:
    why = await stage.live(delay=1000)
    assert why == "not ready within 120 s: it could not even be launched"


async def test_a_stop_during_the_stop_of_a_failed_start_sends_no_second_sigterm(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=4)
    with trio.move_on_after(122):
        await stage.live(process, probe=answering("status 503"))
    assert [number for _, number in process.signals] == [TERM]
    assert stage.diary.story[-1] == "exited -15"


async def test_a_stop_during_the_start_stops_at_once(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=1)
    with trio.move_on_after(5):
        await stage.live(process, probe=silent)
    assert process.gone.is_set()
    assert stage.diary.story == ["spawned 7", "exited -15"]


# -- a ready server that hangs ----------------------------------------------------------------


def watched(probe: Probe, every: float = 30) -> ServerSpec:
    return replace(SPEC, liveness=lambda: Liveness(probe, every, failures=3))


async def test_a_server_that_hangs_is_stopped_and_says_what_was_seen(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=None)
    began = trio.current_time()
    why = await stage.live(process, spec=watched(silent))
    checks = "3 health checks in a row failed, last answer: no answer within 2 s"
    assert why == f"hung and was ended by swapd: {checks}"
    hung = began + 3 * (30 + 2)
    assert stage.diary.events[1:] == [
        (began, "ready"),
        (hung, f"failing (hung): {why}"),
        (hung + 10, "exited -9"),
    ]
    assert process.signals == [(hung, TERM), (hung + 10, KILL)]


async def test_a_server_that_answers_lives_on(stage: Stage, autojump_clock: MockClock) -> None:
    why = await stage.live(stage.process(lives=3600), spec=watched(answering(None)))
    assert why == "exited with code 0"


async def test_an_exit_while_a_probe_hangs_is_a_crash(
    stage: Stage, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    why = await stage.live(stage.process(lives=95, code=1), spec=watched(silent))
    assert why == "exited with code 1"
    assert trio.current_time() == began + 95
    assert stage.diary.story[-1] == f"failing (crash): {why}"


async def test_a_stop_while_a_probe_hangs_is_a_stop(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=1)
    began = trio.current_time()
    await stage.stop_at(95, process, spec=watched(silent))
    assert process.signals == [(began + 95, TERM)]
    assert stage.diary.story == ["spawned 7", "ready", "exited -15"]


@pytest.mark.parametrize("attempt", range(20))
async def test_an_exit_in_the_instant_in_which_it_is_found_to_hang_is_one_or_the_other(
    stage: Stage, autojump_clock: MockClock, attempt: int
) -> None:
    why = await stage.live(stage.process(lives=96, code=1), spec=watched(silent))
    reason = "crash" if why == "exited with code 1" else "hung"
    failures = [what for what in stage.diary.story if what.startswith("failing")]
    assert failures == [f"failing ({reason}): {why}"]
    assert stage.diary.story.count("exited 1") == 1


@pytest.mark.parametrize("attempt", range(20))
async def test_a_stop_in_the_instant_in_which_it_is_found_to_hang_sends_one_sigterm(
    stage: Stage, autojump_clock: MockClock, attempt: int
) -> None:
    process = stage.process(after_term=1)
    with trio.move_on_after(96):
        await stage.live(process, spec=watched(silent))
    assert [number for _, number in process.signals] == [TERM]
    assert stage.diary.story[-1] == "exited -15"


async def test_a_server_is_watched_from_the_moment_on_that_somebody_wants_that(
    stage: Stage, autojump_clock: MockClock
) -> None:
    """A reload says so, while it runs."""
    terms = [Liveness()]

    def watch() -> None:
        before, terms[0] = terms[0], Liveness(silent, every=5, failures=1)
        before.outdated.set()

    stage.later(1000, watch)
    began = trio.current_time()
    await stage.live(stage.process(), spec=replace(SPEC, liveness=lambda: terms[0]))
    assert stage.diary.events[-2][0] == began + 1000 + 5 + 2


# -- a stop --------------------------------------------------------------------------------


async def test_a_process_that_obeys_gets_one_sigterm_and_its_time(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=9)
    began = trio.current_time()
    await stage.stop_at(1, process)
    assert process.signals == [(began + 1, TERM)]
    assert trio.current_time() == began + 10


async def test_a_deaf_process_is_killed_when_its_grace_is_over(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=None)
    began = trio.current_time()
    await stage.stop_at(1, process)
    assert process.signals == [(began + 1, TERM), (began + 11, KILL)]
    assert stage.diary.story[-1] == "exited -9"


@pytest.mark.parametrize("when", [0.5, 3])
async def test_a_hurry_ends_the_grace(stage: Stage, autojump_clock: MockClock, when: float) -> None:
    """Whether it came before the stop or during it."""
    process = stage.process(after_term=None)
    began = trio.current_time()
    stage.later(when, stage.hurry.set)
    await stage.stop_at(1, process)
    assert [number for _, number in process.signals] == [TERM, KILL]
    assert process.signals[-1][0] == began + max(when, 1)


async def test_no_grace_means_kill_at_once(stage: Stage, autojump_clock: MockClock) -> None:
    process = stage.process(after_term=None)
    await stage.stop_at(1, process, spec=replace(SPEC, stopping=lambda: Stopping(grace=0)))
    assert process.signals[-1] == (trio.current_time(), KILL)


async def test_a_stop_ends_even_if_nothing_can_kill_the_process(
    stage: Stage, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    await stage.stop_at(1, stage.process(after_term=None, after_kill=None))
    stuck_at, what = stage.diary.events[-1]
    assert what == "stuck: the process does not end, 5 s after SIGKILL"
    assert stuck_at == began + 1 + 10 + 5
    assert trio.current_time() - stuck_at <= 1


async def test_a_stop_ends_even_if_nothing_can_sweep_the_group(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.stop_at(1, stage.process(sweep=None))
    assert stage.diary.story[-1] == (
        "stuck: what it has left behind does not end, 5 s after SIGKILL"
    )


async def test_nothing_waits_for_an_unkillable_rest_but_who_wants_to(
    stage: Stage, autojump_clock: MockClock
) -> None:
    began = trio.current_time()
    assert await stage.live(stage.process(lives=1, sweep=60)) == "exited with code 0"
    assert trio.current_time() - began <= 1 + 5 + 1
    assert sum(what.startswith("stuck") for what in stage.diary.story) == 1
    assert stage.diary.rest is not None
    await stage.diary.rest()
    assert trio.current_time() == began + 61


async def test_the_exit_of_what_was_stuck_is_told_by_who_waits_for_it(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=None, after_kill=3600)
    await stage.stop_at(1, process)
    assert stage.diary.story[-1].startswith("stuck: the process")
    assert stage.diary.rest is not None
    await stage.diary.rest()
    assert process.gone.is_set()
    assert stage.diary.story[-1] == "exited -9"


async def test_words_spoken_during_a_stop_are_heard(
    stage: Stage, autojump_clock: MockClock
) -> None:
    await stage.stop_at(1, stage.process(after_term=2, says=b"saving\n"))
    assert stage.diary.words == b"saving\n"


@pytest.mark.parametrize("attempt", range(20))
async def test_an_exit_at_the_moment_of_the_stop_is_told_once(
    stage: Stage, autojump_clock: MockClock, attempt: int
) -> None:
    with trio.move_on_after(1):
        await stage.live(stage.process(lives=1), probe=answering("status 503"))
    assert sum(what.startswith("exited") for what in stage.diary.story) == 1


# -- a stop by command ---------------------------------------------------------------------


async def test_a_stop_command_that_works_spares_the_sigterm(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=None)
    stage.later(4, lambda: process.dies_after(0, 0))
    guardian = FakeGuardian([process, stage.process(pid=8, lives=2, says=b"stopping\n")])
    with trio.move_on_after(1):
        await run_server(WITH_COMMAND, guardian, stage.diary, probe=None, hurry=stage.hurry)
    assert guardian.launched[1] == ("docker", "stop", "--pid=7")
    assert process.signals == []
    assert stage.diary.words == b"stopping\n"
    assert stage.diary.story[-1] == "exited 0"


async def test_a_stop_command_that_fails_is_followed_by_sigterm_at_once(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=1)
    began = trio.current_time()
    await stage.stop_at(1, process, stage.process(lives=2, code=1), spec=WITH_COMMAND)
    assert process.signals == [(began + 3, TERM)]
    assert stage.diary.words == b"swapd: cmdStop exited with code 1; sending SIGTERM instead\n"


async def test_a_stop_command_that_cannot_start_is_followed_by_sigterm_at_once(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process = stage.process(after_term=1)
    began = trio.current_time()
    failure = LaunchFailed("'docker' was not found on PATH")
    await stage.stop_at(1, process, failure, spec=WITH_COMMAND)
    assert process.signals == [(began + 1, TERM)]
    assert b"'docker' was not found on PATH" in stage.diary.words


async def test_a_stop_command_that_hangs_is_killed_with_the_process_at_the_end_of_the_grace(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process, command = stage.process(after_term=None), stage.process(pid=8)
    began = trio.current_time()
    await stage.stop_at(1, process, command, spec=WITH_COMMAND)
    assert command.signals == [(began + 11, KILL)]
    assert process.signals == [(began + 11, KILL)]


async def test_a_slow_stop_command_is_awaited_though_the_process_has_ended(
    stage: Stage, autojump_clock: MockClock
) -> None:
    """Or it would run on into the next life of the model, and stop that."""
    process, command = stage.process(lives=2), stage.process(pid=8, lives=5)
    began = trio.current_time()
    await stage.stop_at(1, process, command, spec=WITH_COMMAND)
    assert stage.diary.events[-1] == (began + 2, "exited 0")
    assert command.gone.is_set()


async def test_an_unkillable_stop_command_holds_nobody_for_ever(
    stage: Stage, autojump_clock: MockClock
) -> None:
    process, command = stage.process(), stage.process(pid=8, after_kill=None)
    began = trio.current_time()
    await stage.stop_at(1, process, command, spec=WITH_COMMAND)
    assert process.gone.is_set()
    assert trio.current_time() == began + 1 + 10 + 5
