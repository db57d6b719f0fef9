"""NVIDIA's cards, by a library that a test makes up."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from swapd.telemetry.host.cards import Accelerator, Described, SourceFailed
from swapd.telemetry.host.figures import Gpu
from swapd.telemetry.host.nvidia import Nvidia, architecture, load_nvml

GIB = 1024**3


class NvmlError(Exception):
    pass


class LibraryNotFound(NvmlError):
    pass


class DriverNotLoaded(NvmlError):
    pass


def refused(*_: object) -> Any:
    raise NvmlError("Not Supported")


def nvml(cards: int = 1, /, **others: object) -> ModuleType:
    """Return a library that knows so many cards; ``others`` are its functions that differ."""
    module = ModuleType("pynvml")
    module.__dict__.update(
        NVMLError=NvmlError,
        NVMLError_LibraryNotFound=LibraryNotFound,
        NVMLError_DriverNotLoaded=DriverNotLoaded,
        NVML_TEMPERATURE_GPU=0,
        NVML_FI_DEV_MEMORY_TEMP=82,
        nvmlMemory_v2=33554472,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlSystemGetDriverVersion=lambda: "580.95.05",
        nvmlDeviceGetCount=lambda: cards,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda card: f"NVIDIA GeForce RTX 409{card}",
        nvmlDeviceGetUUID=lambda card: f"GPU-{card}",
        nvmlDeviceGetPciInfo=lambda card: SimpleNamespace(domain=0, bus=1 + card, device=0),
        nvmlDeviceGetTemperature=lambda card, sensor: 41 + card,
        nvmlDeviceGetUtilizationRates=lambda card: SimpleNamespace(gpu=97, memory=3),
        nvmlDeviceGetMemoryInfo=lambda card, version=None: SimpleNamespace(
            total=24 * GIB, used=(6 if version else 7) * GIB
        ),
        nvmlDeviceGetMaxMigDeviceCount=lambda card: 0,
        nvmlDeviceGetMigDeviceHandleByIndex=refused,
        nvmlDeviceGetFanSpeed=lambda card: 30,
        nvmlDeviceGetPowerUsage=lambda card: 320_500,
        nvmlDeviceGetEnforcedPowerLimit=lambda card: 450_000,
        nvmlDeviceGetCudaComputeCapability=lambda card: (8, 9),
        nvmlDeviceGetFieldValues=lambda card, fields: [
            SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=0))
        ],
    )
    module.__dict__.update(others)
    return module


def test_every_figure_of_every_card_is_read() -> None:
    assert Nvidia(lambda: nvml(2)).read() == [
        Gpu(0, "NVIDIA GeForce RTX 4090", "GPU-0", 41, None, 97, 6 * GIB, 24 * GIB, 30, 320.5),
        Gpu(1, "NVIDIA GeForce RTX 4091", "GPU-1", 42, None, 97, 6 * GIB, 24 * GIB, 30, 320.5),
    ]


def test_the_temperature_of_memory_is_read_where_there_is_a_sensor() -> None:
    hot = [SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=88))]
    (gpu,) = Nvidia(lambda: nvml(nvmlDeviceGetFieldValues=lambda *_: hot)).read()
    assert gpu.memory_celsius == 88


@pytest.mark.parametrize(
    ("function", "figure"),
    [
        ("nvmlDeviceGetTemperature", "celsius"),
        ("nvmlDeviceGetUtilizationRates", "busy_percent"),
        ("nvmlDeviceGetMemoryInfo", "memory_used_bytes"),
        ("nvmlDeviceGetFanSpeed", "fan_percent"),
        ("nvmlDeviceGetPowerUsage", "watts"),
        ("nvmlDeviceGetFieldValues", "memory_celsius"),
    ],
)
def test_what_a_card_does_not_say_is_unknown_and_the_rest_is_known(
    function: str, figure: str
) -> None:
    (gpu,) = Nvidia(lambda: nvml(1, **{function: refused})).read()
    assert getattr(gpu, figure) is None
    assert gpu.uuid == "GPU-0"


def test_an_old_driver_is_asked_for_memory_in_the_old_way() -> None:
    def memory(card: int, version: int | None = None) -> object:
        if version:
            raise NvmlError("Argument Version Mismatch")
        return SimpleNamespace(total=8 * GIB, used=GIB)

    (gpu,) = Nvidia(lambda: nvml(nvmlDeviceGetMemoryInfo=memory)).read()
    assert (gpu.memory_used_bytes, gpu.memory_total_bytes) == (GIB, 8 * GIB)


@pytest.mark.parametrize("error", [LibraryNotFound, DriverNotLoaded])
def test_without_a_driver_there_are_no_cards_and_that_is_no_failure(error: type[Exception]) -> None:
    def init() -> None:
        raise error

    source = Nvidia(lambda: nvml(nvmlInit=init))
    assert (source.read(), source.describe()) == ([], [])


def test_without_the_library_nothing_is_imported() -> None:
    source = Nvidia(lambda: None)
    assert (source.read(), source.describe()) == ([], [])


def test_a_driver_that_fails_is_begun_with_anew() -> None:
    begun = list[int]()
    count: list[Callable[[], int]] = [lambda: 1, lambda: refused(), lambda: 1]
    module = nvml(nvmlInit=lambda: begun.append(1), nvmlDeviceGetCount=lambda: count.pop(0)())
    source = Nvidia(lambda: module)
    assert len(source.read()) == 1
    with pytest.raises(SourceFailed, match="Not Supported"):
        source.read()
    assert len(source.read()) == 1
    assert len(begun) == 2


def test_a_driver_that_goes_away_is_a_failure_once() -> None:
    count: list[Callable[[], int]] = [lambda: 1, lambda: raising(DriverNotLoaded())]
    source = Nvidia(lambda: nvml(nvmlDeviceGetCount=lambda: count.pop(0)()))
    source.read()
    with pytest.raises(SourceFailed, match="gone"):
        source.read()


def raising(error: Exception) -> Any:
    raise error


def test_a_card_that_is_lost_does_not_hide_the_others() -> None:
    def handle(index: int) -> int:
        return raising(NvmlError("GPU is lost")) if index == 0 else index

    source = Nvidia(lambda: nvml(2, nvmlDeviceGetHandleByIndex=handle))
    assert [(gpu.id, gpu.uuid) for gpu in source.read()] == [(1, "GPU-1")]
    assert [described.identity for described in source.describe()] == ["0000:02:00.0"]


def test_if_all_cards_are_lost_that_is_told() -> None:
    with pytest.raises(SourceFailed, match="Not Supported"):
        Nvidia(lambda: nvml(nvmlDeviceGetHandleByIndex=refused)).read()


def test_what_never_changes_is_described() -> None:
    (one,) = Nvidia(lambda: nvml()).describe()
    card = Accelerator(
        *("NVIDIA", "NVIDIA GeForce RTX 4090", "Ada Lovelace", "dedicated", 24 * GIB),
        *("nvidia", "580.95.05", 450.0),
    )
    assert one == Described("0000:01:00.0", card)


def test_of_a_card_in_slices_the_memory_of_those_that_may_be_seen_counts() -> None:
    def memory(device: object, version: int | None = None) -> SimpleNamespace:
        if device in {"slice 0", "slice 2"}:
            return SimpleNamespace(total=10 * GIB, used=3 * GIB)
        raise NvmlError("Insufficient Permissions")

    def part(card: int, number: int) -> str:
        if number == 3:
            raise NvmlError("Not Found")
        return f"slice {number}"

    sliced = nvml(
        nvmlDeviceGetMemoryInfo=memory,
        nvmlDeviceGetUtilizationRates=refused,
        nvmlDeviceGetMaxMigDeviceCount=lambda card: 4,
        nvmlDeviceGetMigDeviceHandleByIndex=part,
    )
    (gpu,) = Nvidia(lambda: sliced).read()
    assert (gpu.busy_percent, gpu.memory_used_bytes, gpu.memory_total_bytes) == (
        *(None, 6 * GIB),
        20 * GIB,
    )
    (described,) = Nvidia(lambda: sliced).describe()
    assert (described.card.memory_kind, described.card.memory_bytes) == ("dedicated", 20 * GIB)


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        *(((6, 1), "Pascal"), ((7, 5), "Turing"), ((8, 6), "Ampere"), ((12, 1), "Blackwell")),
        *(((8, 9), "Ada Lovelace"), ((7, 0), "Volta"), ((9, 0), "Hopper"), ((7, 9), None)),
    ],
)
def test_architectures_have_the_names_that_nvidia_gives(
    capability: tuple[int, int], name: str | None
) -> None:
    assert architecture(*capability) == name


def test_the_real_library_has_all_that_is_used() -> None:
    pynvml = importlib.import_module("pynvml")

    for name in vars(nvml()):
        assert name.startswith("__") or hasattr(pynvml, name), name


def test_a_machine_without_a_driver_is_seen_to_have_none() -> None:
    found = load_nvml()
    assert found is None or found.__name__ == "pynvml"
