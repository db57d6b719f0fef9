"""Measures the machine again and again, as long as the configuration wants it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NoReturn, Protocol

import trio

from swapd.config.observing import Performance
from swapd.telemetry.host.asking import Asked
from swapd.telemetry.host.cards import Numbers, Source
from swapd.telemetry.host.figures import Gpu, Sample, System
from swapd.telemetry.host.history import History
from swapd.telemetry.host.sources import all_sources
from swapd.telemetry.host.system import SystemReader

_log = logging.getLogger("swapd")

#: Seconds that one kind of figures may take; less than the shortest time between measurements.
PATIENCE = 4.0

#: Seconds after the start at which the cores are watched from: nothing is to slow down a start.
HEAD_START = 1.0


class Meter(Protocol):
    """Measures the machine once."""

    async def prime(self) -> None:
        """Begin to watch; what is measured next is since then."""

    async def measure(self) -> tuple[System | None, tuple[Gpu, ...]]:
        """Measure, in bounded time; what cannot be measured is missing."""


class Machine:
    """The machine that this runs on."""

    def __init__(self, sources: Sequence[Source] | None = None) -> None:
        """Ask ``sources`` of GPUs, by default all that there are."""
        reader = SystemReader()
        self._prime = Asked("measuring this machine", reader.prime, PATIENCE)
        self._system = Asked("measuring this machine", reader.read, PATIENCE)
        sources = all_sources() if sources is None else sources
        self._cards = [Asked(source.name, source.read, PATIENCE) for source in sources]
        self._numbers = Numbers()
        self._told: int | None = None

    async def prime(self) -> None:
        """Begin to watch the cores."""
        await self._prime.ask()

    async def measure(self) -> tuple[System | None, tuple[Gpu, ...]]:
        """Measure everything at once."""
        system: System | None = None
        found: dict[int, Sequence[Gpu]] = {}

        async def measure_system() -> None:
            nonlocal system
            system = await self._system.ask()

        async def measure_cards(place: int) -> None:
            found[place] = await self._cards[place].ask() or ()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(measure_system)
            for place in range(len(self._cards)):
                nursery.start_soon(measure_cards, place)
        gpus = self._numbers.numbered(found)
        self._tell(gpus)
        return system, gpus

    def _tell(self, gpus: Sequence[Gpu]) -> None:
        """Tell which GPUs are measured, at first, and when others come."""
        if self._told != self._numbers.count:
            self._told = self._numbers.count
            names = ", ".join(gpu.name for gpu in gpus)
            _log.info("GPUs that are measured: %s", names or "none was found")


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Monitor:
    """The machine's last hour."""

    def __init__(
        self,
        performance: Performance,
        meter: Meter | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Measure by ``meter`` as ``performance`` says, once it runs."""
        self._performance = performance
        self._meter = meter
        self._clock = clock
        self._changed = trio.Event()
        self.history = History(performance.every)

    @property
    def is_enabled(self) -> bool:
        """Whether the configuration wants the machine measured."""
        return not self._performance.disabled

    def reconfigure(self, performance: Performance) -> None:
        """Measure as ``performance`` says from now on."""
        if performance == self._performance:
            return
        self._performance = performance
        if performance.disabled:
            self.history.clear()
        self.history.measured_every(performance.every)
        self._changed.set()
        self._changed = trio.Event()

    async def run(self) -> NoReturn:
        """Measure until cancelled."""
        while True:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end, nursery.cancel_scope, self._changed.wait)
                if self.is_enabled:
                    nursery.start_soon(self._measure)

    async def _end(self, scope: trio.CancelScope, wait: Callable[[], Awaitable[None]]) -> None:
        await wait()
        scope.cancel(reason="the configuration has changed")

    async def _measure(self) -> None:
        meter = self._meter = self._meter or Machine()
        await trio.sleep(HEAD_START)
        await meter.prime()
        next_at = trio.current_time()
        while True:
            next_at += self._performance.every
            if next_at <= trio.current_time():  # it was slow: what was due meanwhile is left out
                next_at = trio.current_time() + self._performance.every
            await trio.sleep_until(next_at)
            system, gpus = await meter.measure()
            if system is not None or gpus:
                self.history.add(Sample(self._clock(), system, gpus))
