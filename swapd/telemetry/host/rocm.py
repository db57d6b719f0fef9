"""Measures AMD's cards by ``rocm-smi``, where the kernel shows no files of them (as in WSL)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

from swapd.telemetry.host import programs
from swapd.telemetry.host.cards import Accelerator, Described, SourceFailed
from swapd.telemetry.host.drm import AMD, SYS, cards
from swapd.telemetry.host.figures import Gpu

COMMAND = (
    *("rocm-smi", "-i", "-P", "-t", "-f", "-u", "--showmeminfo", "vram", "--showproductname"),
    "--csv",
)

_TEMPERATURES = ("Temperature (Sensor edge) (C)", "Temperature (Sensor junction) (C)")
_WATTS = ("Average Graphics Package Power (W)", "Current Socket Graphics Package Power (W)")
_NAMES = ("Card Series", "Card series", "Device Name")


class Rocm:
    """AMD's cards by AMD's program."""

    name = "AMD (rocm-smi)"

    def __init__(
        self,
        sys: Path = SYS,
        is_there: Callable[[str], bool] = programs.is_there,
        ask: Callable[..., bytes] = programs.output_of,
    ) -> None:
        self._sys = sys
        self._is_there = is_there
        self._ask = ask

    def read(self) -> list[Gpu]:
        """Measure every card, if the kernel does not show them and the program is there.

        Raises:
          SourceFailed: The program does not do what it should.
        """
        if any(card.vendor == AMD for card in cards(self._sys)) or not self._is_there(COMMAND[0]):
            return []
        try:
            text = self._ask(*COMMAND).decode(errors="replace")
        except OSError as error:
            raise SourceFailed(str(error)) from error
        return parsed(text)

    def describe(self) -> list[Described]:
        """Describe every card by what it is called.

        Raises:
          SourceFailed: The program does not do what it should.
        """
        return [
            Described(
                gpu.uuid or f"amd {gpu.id}",
                Accelerator(
                    vendor="AMD",
                    model=gpu.name,
                    memory_kind=None if gpu.memory_total_bytes is None else "dedicated",
                    memory_bytes=gpu.memory_total_bytes,
                ),
            )
            for gpu in self.read()
        ]


def parsed(text: str) -> list[Gpu]:
    """Return the cards of a table whose columns are known by their names."""
    lines = [line for line in text.splitlines() if line.strip()]
    begin = next((n for n, line in enumerate(lines) if line.startswith("device,")), len(lines))
    rows = list(csv.DictReader(lines[begin:]))
    return [_card(number, row) for number, row in enumerate(rows)]


def _card(number: int, row: Mapping[str, str | None]) -> Gpu:
    called = next((row[name] for name in _NAMES if row.get(name)), None)
    return Gpu(
        number,
        called or row.get("device") or "AMD GPU",
        row.get("GUID") or row.get("Unique ID") or "",
        _first(row, *_TEMPERATURES),
        _first(row, "Temperature (Sensor memory) (C)"),
        _first(row, "GPU use (%)"),
        _whole(_first(row, "VRAM Total Used Memory (B)")),
        _whole(_first(row, "VRAM Total Memory (B)")),
        _first(row, "Fan speed (%)"),
        _first(row, *_WATTS),
    )


def _first(row: Mapping[str, str | None], *names: str) -> float | None:
    for name in names:
        try:
            return float(row.get(name) or "")
        except ValueError:  # N/A, or no such column
            continue
    return None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
