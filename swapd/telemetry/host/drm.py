"""The GPUs that Linux knows, by the files that it shows of them in ``/sys``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swapd.telemetry.host.cards import Accelerator, Described
from swapd.telemetry.host.figures import Gpu

SYS = Path("/sys")

AMD = 0x1002

#: Of display chips of servers and of virtual machines nothing is told: nobody computes on them.
_VENDORS = {0x10DE: "NVIDIA", AMD: "AMD", 0x1022: "AMD", 0x8086: "Intel", 0x106B: "Apple"}

#: What AMD calls its cards: ``device, revision, name`` in each line.
AMD_NAMES = (Path("/usr/share/libdrm/amdgpu.ids"), Path("/opt/amdgpu/share/libdrm/amdgpu.ids"))

_CARD = re.compile(r"card\d+")


@dataclass(frozen=True, slots=True)
class Card:
    """One GPU: ``path`` is the folder of its device."""

    path: Path
    address: str
    vendor: int
    device: int
    revision: int

    def text(self, file: str) -> str | None:
        """Return what is in ``file``; None if there is none, or nothing in it."""
        try:
            return (self.path / file).read_text(errors="replace").strip() or None
        except OSError:  # not there, or the card sleeps
            return None

    def number(self, file: str) -> int | None:
        """Return the number in ``file``; None if there is none."""
        try:
            return int(self.text(file) or "", base=0)
        except ValueError:
            return None

    def sensor(self, *files: str) -> int | None:
        """Return the number in the first of ``files`` of its sensors that has one."""
        for folder in sorted(self.path.glob("hwmon/hwmon*")):
            for file in files:
                if (found := self.number(f"hwmon/{folder.name}/{file}")) is not None:
                    return found
        return None

    @property
    def is_asleep(self) -> bool:
        """Whether it is switched off for want of work; most questions would wake it."""
        return self.text("power/runtime_status") == "suspended"

    def temperature(self, *labels: str) -> float | None:
        """Return degrees Celsius by the first of ``labels`` that one of its sensors has."""
        found: dict[str, float] = {}
        for path in sorted(self.path.glob("hwmon/hwmon*/temp*_input")):
            place = f"hwmon/{path.parent.name}/{path.name}"
            label = self.text(place.replace("_input", "_label")) or "edge"
            if (thousandths := self.number(place)) is not None:
                found.setdefault(label, thousandths / 1000)
        return next((found[label] for label in labels if label in found), None)


def cards(sys: Path = SYS) -> Iterator[Card]:
    """Yield every GPU that Linux has a driver for."""
    found = (path for path in sys.glob("class/drm/card*") if _CARD.fullmatch(path.name))
    for path in sorted(found, key=lambda path: int(path.name.removeprefix("card"))):
        card = Card(path / "device", (path / "device").resolve().name, 0, 0, 0)
        vendor, device = card.number("vendor"), card.number("device")
        if vendor in _VENDORS and device is not None:
            yield Card(card.path, card.address, vendor, device, card.number("revision") or 0)


class Amd:
    """AMD's cards, by the files of the driver ``amdgpu``."""

    name = "AMD (amdgpu)"

    def __init__(self, sys: Path = SYS, names: tuple[Path, ...] = AMD_NAMES) -> None:
        self._sys = sys
        self._names = names
        self._known: dict[str, str] = {}

    def read(self) -> list[Gpu]:
        """Measure every card of which the driver says how busy it is, or what memory it has.

        One that sleeps is left to sleep, and out.
        """
        all_of_them = enumerate(self._cards())
        found = (self._read(number, card) for number, card in all_of_them if not card.is_asleep)
        return [gpu for gpu in found if (gpu.busy_percent, gpu.memory_total_bytes) != (None, None)]

    def describe(self) -> list[Described]:
        """Describe none: what Linux shows of all cards says it."""
        return []

    def _cards(self) -> Iterator[Card]:
        return (card for card in cards(self._sys) if card.vendor == AMD)

    def _read(self, number: int, card: Card) -> Gpu:
        if card.address not in self._known:
            self._known[card.address] = model_of(card, self._names) or "AMD GPU"
        microwatts, pwm = card.sensor("power1_average", "power1_input"), card.sensor("pwm1")
        return Gpu(
            number,
            self._known[card.address],
            card.text("unique_id") or "",
            card.temperature("edge", "junction"),
            card.temperature("mem"),
            card.number("gpu_busy_percent"),
            card.number("mem_info_vram_used"),
            card.number("mem_info_vram_total"),
            None if pwm is None else round(100 * pwm / 255, 1),
            None if microwatts is None else microwatts / 1_000_000,
        )


def model_of(card: Card, names: tuple[Path, ...] = AMD_NAMES) -> str | None:
    """Return what the vendor calls ``card``, as far as this machine knows."""
    if product := card.text("product_name"):
        return product
    for path in names if card.vendor == AMD else ():
        try:
            lines = path.read_text(errors="replace").splitlines()
        except OSError:
            continue
        for line in lines:
            numbers, _, name = line.rpartition(",\t")
            if numbers.upper() == f"{card.device:04X},\t{card.revision:02X}":
                return name.strip()
    return f"AMD GPU {card.device:04x}" if card.vendor == AMD else None


class Drm:
    """All GPUs that Linux knows, whoever made them; it only describes them."""

    name = "Linux (DRM)"

    def __init__(self, sys: Path = SYS, names: tuple[Path, ...] = AMD_NAMES) -> None:
        self._sys = sys
        self._names = names

    def read(self) -> list[Gpu]:
        """Measure nothing."""
        return []

    def describe(self) -> list[Described]:
        """Describe every card."""
        architectures = dict(_architectures(self._sys))
        return [
            Described(card.address, self._describe(card, architectures.get(card.address)))
            for card in cards(self._sys)
        ]

    def _describe(self, card: Card, architecture: str | None) -> Accelerator:
        memory, limit = card.number("mem_info_vram_total"), card.sensor("power1_cap")
        driver = card.path / "driver"
        name = driver.resolve().name if driver.exists() else None
        return Accelerator(
            vendor=_VENDORS[card.vendor],
            model=model_of(card, self._names),
            architecture=architecture,
            memory_kind=None if memory is None else "dedicated",
            memory_bytes=memory,
            driver_name=name,
            driver_version=card.text("driver/module/version"),
            power_limit_watts=None if limit is None else limit / 1_000_000,
        )


def _architectures(sys: Path) -> Iterator[tuple[str, str]]:
    """Yield the architecture of AMD's cards that compute, by PCI address."""
    for path in sys.glob("class/kfd/kfd/topology/nodes/*/properties"):
        try:
            pairs = (line.split() for line in path.read_text().splitlines())
            says = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
        except (OSError, ValueError):
            continue
        if version := says.get("gfx_target_version"):
            major, minor, step = version // 10000, version // 100 % 100, version % 100
            place = says.get("location_id", 0)
            bus, slot, function = place >> 8, place >> 3 & 0x1F, place & 7
            address = f"{says.get('domain', 0):04x}:{bus:02x}:{slot:02x}.{function}"
            yield address, f"gfx{major}{minor:x}{step:x}"
