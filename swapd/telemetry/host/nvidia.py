"""Measures NVIDIA's cards, by NVIDIA's own library (NVML)."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

from swapd.telemetry.host.cards import Accelerator, Described, SourceFailed
from swapd.telemetry.host.figures import Gpu

_Value = TypeVar("_Value")

#: Names of architectures by compute capability; the minor one only where it tells two apart.
_ARCHITECTURES = {
    (2, None): "Fermi",
    (3, None): "Kepler",
    (5, None): "Maxwell",
    (6, None): "Pascal",
    (7, 0): "Volta",
    (7, 2): "Volta",
    (7, 5): "Turing",
    (8, 9): "Ada Lovelace",
    (8, None): "Ampere",
    (9, None): "Hopper",
    (10, None): "Blackwell",
    (11, None): "Blackwell",
    (12, None): "Blackwell",
}


class _Memory(NamedTuple):
    """In bytes."""

    used: int
    total: int


def load_nvml() -> ModuleType | None:
    """Return NVIDIA's library, or None where no driver has brought one."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    # Only now: the module is as large as all of swapd.
    return importlib.import_module("pynvml")


class Nvidia:
    """NVIDIA's cards; all methods may take long, so none is for the event loop."""

    name = "NVIDIA (NVML)"

    def __init__(self, load: Callable[[], ModuleType | None] = load_nvml) -> None:
        """Ask the module that ``load`` returns, when there is something to ask."""
        self._load = load
        self._nvml: ModuleType | None = None
        self._names: dict[int, tuple[str, str]] = {}

    def read(self) -> list[Gpu]:
        """Measure every card; none if there is no driver.

        Raises:
          SourceFailed: There is one, and it does not work; it is begun with anew the next time.
        """
        with self._begun() as nvml:
            if nvml is None:
                return []
            return _each(nvml, lambda index: self._read(nvml, index))

    def describe(self) -> list[Described]:
        """Describe every card; none if there is no driver.

        Raises:
          SourceFailed: There is one, and it does not work.
        """
        with self._begun() as nvml:
            if nvml is None:
                return []
            driver = ("nvidia", nvml.nvmlSystemGetDriverVersion())
            return _each(nvml, lambda index: _describe(nvml, index, driver))

    @contextmanager
    def _begun(self) -> Iterator[ModuleType | None]:
        nvml = self._nvml or self._load()
        if nvml is None:
            yield None
            return
        try:
            if self._nvml is None:
                nvml.nvmlInit()
                self._nvml = nvml
            yield nvml
        except (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded):
            if self._nvml is not None:
                self._end(nvml)
                raise SourceFailed("NVIDIA's driver is gone") from None
            yield None
        except nvml.NVMLError as error:
            self._end(nvml)
            raise SourceFailed(str(error)) from error

    def _end(self, nvml: ModuleType) -> None:
        self._nvml, self._names = None, {}
        _asked(nvml, nvml.nvmlShutdown)

    def _read(self, nvml: ModuleType, index: int) -> Gpu:
        card = nvml.nvmlDeviceGetHandleByIndex(index)
        if index not in self._names:
            uuid = _asked(nvml, lambda: nvml.nvmlDeviceGetUUID(card)) or ""
            self._names[index] = (nvml.nvmlDeviceGetName(card), uuid)
        name, uuid = self._names[index]
        rates = _asked(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(card))
        memory = _memory(nvml, card)
        milliwatts = _asked(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(card))
        return Gpu(
            index,
            name,
            uuid,
            _asked(nvml, lambda: nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)),
            _memory_celsius(nvml, card),
            None if rates is None else rates.gpu,
            None if memory is None else memory.used,
            None if memory is None else memory.total,
            _asked(nvml, lambda: nvml.nvmlDeviceGetFanSpeed(card)),
            None if milliwatts is None else milliwatts / 1000,
        )


def _each(nvml: ModuleType, tell: Callable[[int], _Value]) -> list[_Value]:
    """Return what ``tell`` tells of every card by its index; raises if none can be asked."""
    found, lost = list[_Value](), None
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            found.append(tell(index))
        except nvml.NVMLError as error:  # fallen off the bus: the others still work
            lost = error
    if lost is not None and not found:
        raise lost
    return found


def _asked(nvml: ModuleType, question: Callable[[], _Value]) -> _Value | None:
    """Return the answer, or None where this card or driver has none."""
    try:
        return question()
    except nvml.NVMLError:
        return None


def _memory(nvml: ModuleType, card: Any) -> _Memory | None:
    """Return the memory of ``card``, or of those of its slices (MIG) that we may see.

    Of a sliced card the whole is told to administrators only.
    """
    if (whole := _memory_of(nvml, card)) is not None:
        return whole
    count = _asked(nvml, lambda: nvml.nvmlDeviceGetMaxMigDeviceCount(card)) or 0
    parts = [part for number in range(count) if (part := _memory_of_slice(nvml, card, number))]
    if not parts:
        return None
    return _Memory(sum(part.used for part in parts), sum(part.total for part in parts))


def _memory_of_slice(nvml: ModuleType, card: Any, number: int) -> _Memory | None:
    part = _asked(nvml, lambda: nvml.nvmlDeviceGetMigDeviceHandleByIndex(card, number))
    return None if part is None else _memory_of(nvml, part)


def _memory_of(nvml: ModuleType, card: Any) -> _Memory | None:
    # The second version leaves out of `used` what the driver keeps for itself, as nvidia-smi does.
    found = _asked(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(card, nvml.nvmlMemory_v2)) or _asked(
        nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(card)
    )
    return None if found is None else _Memory(found.used, found.total)


def _memory_celsius(nvml: ModuleType, card: Any) -> float | None:
    values = _asked(
        nvml, lambda: nvml.nvmlDeviceGetFieldValues(card, [nvml.NVML_FI_DEV_MEMORY_TEMP])
    )
    if not values or values[0].nvmlReturn != 0:
        return None
    return float(values[0].value.uiVal) or None  # cards without such a sensor say 0


def _describe(nvml: ModuleType, index: int, driver: tuple[str, str]) -> Described:
    card = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = _memory(nvml, card)
    limit = _asked(nvml, lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(card))
    capability = _asked(nvml, lambda: nvml.nvmlDeviceGetCudaComputeCapability(card))
    pci = _asked(nvml, lambda: nvml.nvmlDeviceGetPciInfo(card))
    uuid = _asked(nvml, lambda: nvml.nvmlDeviceGetUUID(card))
    identity = _pci_address(pci) if pci is not None else uuid or f"nvidia {index}"
    return Described(
        identity,
        Accelerator(
            vendor="NVIDIA",
            model=nvml.nvmlDeviceGetName(card),
            architecture=None if capability is None else architecture(*capability),
            memory_kind=None if memory is None else "dedicated",
            memory_bytes=None if memory is None else memory.total,
            driver_name=driver[0],
            driver_version=driver[1],
            power_limit_watts=None if limit is None else limit / 1000,
        ),
    )


def architecture(major: int, minor: int) -> str | None:
    """Return the name that NVIDIA gives to all cards of a compute capability."""
    return _ARCHITECTURES.get((major, minor)) or _ARCHITECTURES.get((major, None))


def _pci_address(pci: Any) -> str:
    return f"{pci.domain:04x}:{pci.bus:02x}:{pci.device:02x}.0"
