"""What was measured of the machine at one moment.  Unknown is None, and a figure too little."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Interface:
    """Bytes that one network interface has passed since the machine started."""

    name: str
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True)
class System:
    """Processors, memory and network; ``cpu_percent`` is one figure per core."""

    cpu_percent: tuple[float, ...]
    memory_total_bytes: int
    memory_used_bytes: int
    memory_free_bytes: int
    swap_total_bytes: int
    swap_used_bytes: int
    #: Over 1, 5 and 15 minutes.
    load: tuple[float, float, float]
    interfaces: tuple[Interface, ...]


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU, as far as its driver says; ``id`` counts those of this machine."""

    id: int
    name: str
    uuid: str = ""
    celsius: float | None = None
    memory_celsius: float | None = None
    busy_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    fan_percent: float | None = None
    watts: float | None = None

    @property
    def memory_percent(self) -> float | None:
        """How much of its memory is taken."""
        if self.memory_used_bytes is None or not self.memory_total_bytes:
            return None
        return 100 * self.memory_used_bytes / self.memory_total_bytes


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement; what could not be measured in time is missing from it."""

    time: datetime
    system: System | None
    gpus: tuple[Gpu, ...]
