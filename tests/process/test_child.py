"""The rules of a server's life, with fake processes on a virtual clock."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from swapd.process.child import ServerSpec
from swapd.process.guarded import LaunchFailed
from swapd.process.health import Liveness, Probe
from tests.process.fake_processes import (
    KILL,
    SPEC,
    TERM,
    Stage,
    answering,
    silent,
)


@pytest.fixture
def stage(nursery: trio.Nursery) -> Stage:
    assert isinstance(trio.lowlevel.current_clock(), MockClock), "ask for autojump_clock"
    return Stage(nursery)


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
    limit = "not ready within 120 s (healthCheckTimeout)"
    assert why == f"{limit}: last answer of the health check: status 503"
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
    assert why == "not ready within 120 s (healthCheckTimeout): it could not even be launched"


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
