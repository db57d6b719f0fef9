"""Measures the GPU of a Mac by what every user may ask: ``ioreg`` and ``system_profiler``.

Temperature, fan and power are for root alone, so they stay unknown.
"""

from __future__ import annotations

import json
import plistlib
import sys
from collections.abc import Callable
from typing import Any
from xml.parsers.expat import ExpatError

from swapd.telemetry.host import programs
from swapd.telemetry.host.cards import Accelerator, Described, SourceFailed
from swapd.telemetry.host.figures import Gpu

_IOREG = ("ioreg", "-r", "-d", "1", "-w", "0", "-c", "IOAccelerator", "-a")
_PROFILER = ("system_profiler", "-json", "SPDisplaysDataType")


class Apple:
    """The GPUs of a Mac."""

    name = "Apple (ioreg)"

    def __init__(
        self, platform: str = sys.platform, ask: Callable[..., bytes] = programs.output_of
    ) -> None:
        self._is_mac = platform == "darwin"
        self._ask = ask

    def read(self) -> list[Gpu]:
        """Measure every GPU; none on other systems.

        Raises:
          SourceFailed: The system does not say.
        """
        if not self._is_mac:
            return []
        try:
            return figures(self._ask(*_IOREG), _memory_bytes())
        except (OSError, ValueError, ExpatError, plistlib.InvalidFileException) as error:
            raise SourceFailed(f"ioreg: {error}") from error

    def describe(self) -> list[Described]:
        """Describe every GPU; none on other systems.

        Raises:
          SourceFailed: The system does not say.
        """
        if not self._is_mac:
            return []
        try:
            return described(self._ask(*_PROFILER))
        except (OSError, ValueError) as error:
            raise SourceFailed(f"system_profiler: {error}") from error


def _memory_bytes() -> int:
    import psutil

    return int(psutil.virtual_memory().total)


def figures(text: bytes, memory_bytes: int) -> list[Gpu]:
    """Return the GPUs in ioreg's property list; they share ``memory_bytes`` with the processors."""
    entries: Any = plistlib.loads(text) if text.strip() else []
    found = [entry for entry in entries if isinstance(entry.get("PerformanceStatistics"), dict)]
    return [
        Gpu(
            number,
            str(entry.get("model") or "Apple GPU"),
            busy_percent=_number(entry["PerformanceStatistics"].get("Device Utilization %")),
            memory_used_bytes=_number(entry["PerformanceStatistics"].get("In use system memory")),
            memory_total_bytes=memory_bytes,
        )
        for number, entry in enumerate(found)
    ]


def described(text: bytes) -> list[Described]:
    """Return the GPUs in system_profiler's JSON."""
    entries: Any = json.loads(text).get("SPDisplaysDataType", [])
    return [
        Described(f"display {number}", _accelerator(entry)) for number, entry in enumerate(entries)
    ]


def _accelerator(entry: Any) -> Accelerator:
    model = str(entry.get("sppci_model") or entry.get("_name") or "") or None
    is_apple = "apple" in str(entry.get("spdisplays_vendor", "")).lower()
    return Accelerator(
        vendor="Apple" if is_apple else None,
        model=model,
        architecture=model if is_apple else None,
        memory_kind="unified" if is_apple else None,
        memory_bytes=_memory_bytes() if is_apple else None,
        driver_name=None,
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
