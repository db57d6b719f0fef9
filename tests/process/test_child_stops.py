"""How a server is stopped, with fake processes on a virtual clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from swapd.process.child import Stopping, run_server
from swapd.process.guarded import LaunchFailed
from tests.process.fake_processes import (
    KILL,
    SPEC,
    TERM,
    WITH_COMMAND,
    FakeGuardian,
    Stage,
    answering,
)


@pytest.fixture
def stage(nursery: trio.Nursery) -> Stage:
    assert isinstance(trio.lowlevel.current_clock(), MockClock), "ask for autojump_clock"
    return Stage(nursery)


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
