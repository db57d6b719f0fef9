"""Processors, memory and network of the machine that runs the tests."""

from __future__ import annotations

from dataclasses import dataclass

from swapd.telemetry.host.system import SystemReader, busy_percents


@dataclass
class Times:
    user: float
    idle: float
    iowait: float = 0.0
    guest: float = 0.0

    def _asdict(self) -> dict[str, float]:
        return vars(self)


def test_a_core_is_busy_when_it_neither_idles_nor_waits_for_a_disk() -> None:
    before = [Times(10, 100), Times(0, 0), Times(5, 5)]
    after = [Times(13, 101), Times(0, 8, 2), Times(5, 5)]
    assert list(busy_percents(before, after)) == [75.0, 0.0, 0.0]


def test_the_time_of_guests_counts_once() -> None:
    assert list(busy_percents([Times(0, 0)], [Times(5, 5, guest=5)])) == [50.0]


def test_counters_that_step_back_and_cores_that_come_give_no_nonsense() -> None:
    before = [Times(10, 100)]
    after = [Times(12, 99.99), Times(7, 3)]
    assert list(busy_percents(before, after)) == [100.0, 0.0]


def test_this_machine_is_measured() -> None:
    reader = SystemReader()
    reader.prime()
    system = reader.read()
    assert system.cpu_percent
    assert all(0 <= percent <= 100 for percent in system.cpu_percent)
    assert 0 < system.memory_used_bytes < system.memory_total_bytes
    assert not {"lo", "lo0"} & {interface.name for interface in system.interfaces}
