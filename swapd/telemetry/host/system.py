"""Measures processors, memory and network, by psutil."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from swapd.telemetry.host.figures import Interface, System

#: The machine talking to itself.
_LOOPBACK = ("lo", "lo0")


class CpuTimes(Protocol):
    """Seconds that one core has spent, by what for; ``_asdict`` gives them by name."""

    def _asdict(self) -> dict[str, float]: ...


class SystemReader:
    """Measures the machine; what the cores did is since the measurement before."""

    def __init__(self) -> None:
        self._cpu: Sequence[CpuTimes] = ()

    def prime(self) -> None:
        """Begin to watch the cores."""
        import psutil  # here, for it takes a moment, and not every swapd measures

        self._cpu = psutil.cpu_times(percpu=True)

    def read(self) -> System:
        """Measure; may take a moment, so not in the event loop.

        Raises:
          OSError: The system does not say.
        """
        import psutil

        # psutil's own percentages are per thread, and each measurement may be made by another.
        before, self._cpu = self._cpu, psutil.cpu_times(percpu=True)
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return System(
            tuple(busy_percents(before, self._cpu)),
            memory.total,
            memory.used,
            memory.free,
            swap.total,
            swap.used,
            psutil.getloadavg(),
            tuple(
                Interface(name, passed.bytes_recv, passed.bytes_sent)
                for name, passed in sorted((psutil.net_io_counters(pernic=True) or {}).items())
                if name not in _LOOPBACK
            ),
        )


def busy_percents(before: Sequence[CpuTimes], after: Sequence[CpuTimes]) -> Iterator[float]:
    """Yield how busy each core was between the two; 0 for one that was not there before."""
    for index, now in enumerate(after):
        then = before[index] if index < len(before) else now
        (total, idle), (total_then, idle_then) = _spent(now), _spent(then)
        passed = total - total_then
        # Counters of some kernels step back by a tick.
        busy = 1 - (idle - idle_then) / passed if passed > 0 else 0.0
        yield round(100 * min(max(busy, 0.0), 1.0), 2)


def _spent(times: CpuTimes) -> tuple[float, float]:
    """Return all seconds, and the idle ones of them."""
    seconds = times._asdict()
    guests = seconds.get("guest", 0.0) + seconds.get("guest_nice", 0.0)  # in user and nice too
    return sum(seconds.values()) - guests, seconds["idle"] + seconds.get("iowait", 0.0)
