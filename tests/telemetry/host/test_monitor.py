"""The machine's last hour, on a virtual clock."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from swapd.config.observing import Performance
from swapd.telemetry.host.cards import Described, SourceFailed
from swapd.telemetry.host.figures import Gpu, System
from swapd.telemetry.host.history import History
from swapd.telemetry.host.monitor import HEAD_START, Machine, Monitor

SYSTEM = System((1.0,), 2, 1, 1, 0, 0, (0.0, 0.0, 0.0), ())
CARD = Gpu(0, "card")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class FakeMeter:
    """Measures in no time, or in ``takes`` seconds."""

    def __init__(self) -> None:
        self.primed = 0
        self.takes = 0.0
        self.found: tuple[System | None, tuple[Gpu, ...]] = (SYSTEM, (CARD,))

    async def prime(self) -> None:
        self.primed += 1

    async def measure(self) -> tuple[System | None, tuple[Gpu, ...]]:
        await trio.sleep(self.takes)
        return self.found


def now() -> datetime:
    return BEGAN + timedelta(seconds=trio.current_time())


@asynccontextmanager
async def monitoring(meter: FakeMeter, **settings: object) -> AsyncIterator[Monitor]:
    monitor = Monitor(Performance.model_validate(settings), meter, now)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(monitor.run)
        yield monitor
        nursery.cancel_scope.cancel(reason="measured enough")


def seconds(monitor: Monitor) -> list[float]:
    """Return the seconds between measurements."""
    times = [sample.time for sample in monitor.history.after(None)]
    return [(later - sooner).total_seconds() for sooner, later in pairwise(times)]


async def test_the_machine_is_measured_again_and_again(autojump_clock: MockClock) -> None:
    meter = FakeMeter()
    async with monitoring(meter, every="10s") as monitor:
        await trio.sleep(HEAD_START + 10 - 0.1)
        assert monitor.history.latest is None
        await trio.sleep(30.2)
    assert (meter.primed, seconds(monitor)) == (1, [10, 10, 10])


async def test_an_hour_is_kept(autojump_clock: MockClock) -> None:
    async with monitoring(FakeMeter(), every="60s") as monitor:
        await trio.sleep(3 * 3600)
    assert len(monitor.history.after(None)) == 60


async def test_nothing_is_measured_while_it_is_disabled(autojump_clock: MockClock) -> None:
    meter = FakeMeter()
    async with monitoring(meter, disabled=True) as monitor:
        await trio.sleep(100)
    assert (meter.primed, monitor.history.latest, monitor.is_enabled) == (0, None, False)


async def test_a_reload_switches_it_on_and_off(autojump_clock: MockClock) -> None:
    async with monitoring(FakeMeter(), disabled=True) as monitor:
        await trio.sleep(100)
        monitor.reconfigure(Performance())
        await trio.sleep(30)
        assert seconds(monitor) == [5, 5, 5, 5]
        monitor.reconfigure(Performance(disabled=True))
        await trio.sleep(100)
        assert monitor.history.latest is None
        monitor.reconfigure(Performance())
        await trio.sleep(13)
        assert seconds(monitor) == [5]


async def test_a_reload_changes_the_interval_and_keeps_what_there_is(
    autojump_clock: MockClock,
) -> None:
    async with monitoring(FakeMeter()) as monitor:
        await trio.sleep(HEAD_START + 10.5)
        monitor.reconfigure(Performance.model_validate({"every": "20s"}))
        await trio.sleep(50)
    assert seconds(monitor) == [5, 21.5, 20]


async def test_a_reload_that_changes_nothing_does_not_disturb_it(
    autojump_clock: MockClock,
) -> None:
    meter = FakeMeter()
    async with monitoring(meter) as monitor:
        await trio.sleep(8)
        monitor.reconfigure(Performance())
        await trio.sleep(9)
    assert (meter.primed, seconds(monitor)) == (1, [5, 5])


async def test_a_slow_measurement_does_not_pile_up_others(autojump_clock: MockClock) -> None:
    meter = FakeMeter()
    meter.takes = 12
    async with monitoring(meter) as monitor:
        await trio.sleep(60)
    assert set(seconds(monitor)) == {17}


async def test_what_was_due_meanwhile_is_not_made_up_for(autojump_clock: MockClock) -> None:
    meter = FakeMeter()
    meter.takes = 60
    async with monitoring(meter) as monitor:
        await trio.sleep(HEAD_START + 5 + 1)
        meter.takes = 0
        await trio.sleep(80)
    assert seconds(monitor) == [5, 5, 5, 5]


async def test_an_hour_is_kept_of_the_new_interval_too(autojump_clock: MockClock) -> None:
    async with monitoring(FakeMeter(), every="60s") as monitor:
        await trio.sleep(7200)
        monitor.reconfigure(Performance())
        await trio.sleep(7200)
    assert len(monitor.history.after(None)) == 720


async def test_what_could_not_be_measured_at_all_is_no_sample(autojump_clock: MockClock) -> None:
    meter = FakeMeter()
    meter.found = (None, ())
    async with monitoring(meter) as monitor:
        await trio.sleep(60)
    assert monitor.history.latest is None


async def test_only_what_is_later_is_asked_for(autojump_clock: MockClock) -> None:
    async with monitoring(FakeMeter()) as monitor:
        await trio.sleep(20)
    first, second, third = monitor.history.after(None)
    assert monitor.history.after(first.time) == (second, third)
    assert monitor.history.after(third.time) == ()


def test_a_history_keeps_an_hour_whatever_the_interval() -> None:
    assert [History(every)._samples.maxlen for every in (5, 7, 3600, 9000)] == [720, 514, 1, 1]


class Cards:
    """GPUs of one kind."""

    def __init__(self, name: str, read: Callable[[], list[Gpu]]) -> None:
        self.name = name
        self.read = read

    def describe(self) -> list[Described]:
        return []


def failing() -> list[Gpu]:
    raise SourceFailed("GPU is lost")


async def test_cards_of_all_kinds_are_counted_through_and_a_kind_that_fails_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    kinds = [
        Cards("one", lambda: [Gpu(0, "a"), Gpu(1, "b")]),
        Cards("two", failing),
        Cards("three", lambda: [Gpu(0, "c")]),
    ]
    machine = Machine(kinds)
    await machine.prime()
    system, gpus = await machine.measure()
    await machine.measure()
    assert system is not None
    assert [(gpu.id, gpu.name) for gpu in gpus] == [(0, "a"), (1, "b"), (2, "c")]
    assert [record.getMessage() for record in caplog.records] == [
        "two: GPU is lost; its figures are missing until it works",
        "GPUs that are measured: a, b, c",
    ]


async def test_a_card_keeps_its_number_while_others_sleep_and_wake(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    amd = [[Gpu(1, "b")], [Gpu(0, "a"), Gpu(1, "b")], [Gpu(0, "a")], [Gpu(1, "b")]]
    machine = Machine([Cards("amd", lambda: amd.pop(0)), Cards("nv", lambda: [Gpu(0, "c")])])
    seen = [[(gpu.id, gpu.name) for gpu in (await machine.measure())[1]] for _ in range(4)]
    assert seen == [
        [(0, "b"), (1, "c")],
        [(0, "b"), (1, "c"), (2, "a")],
        [(1, "c"), (2, "a")],
        [(0, "b"), (1, "c")],
    ]
    assert [record.getMessage() for record in caplog.records] == [
        "GPUs that are measured: b, c",
        "GPUs that are measured: b, c, a",
    ]


async def test_gpus_that_come_later_are_told_and_that_they_go_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    found = [[], [Gpu(0, "a")], [], [Gpu(0, "a")], [Gpu(0, "a"), Gpu(1, "b")]]
    machine = Machine([Cards("one", lambda: found.pop(0))])
    for _ in range(5):
        await machine.measure()
    assert [record.getMessage() for record in caplog.records] == [
        "GPUs that are measured: none was found",
        "GPUs that are measured: a",
        "GPUs that are measured: a, b",
    ]


async def test_that_there_is_no_gpu_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    machine = Machine([])
    await machine.measure()
    await machine.measure()
    assert [record.getMessage() for record in caplog.records] == [
        "GPUs that are measured: none was found"
    ]
