"""The GPU of a Mac, by what ioreg and system_profiler print."""

from __future__ import annotations

import json
import plistlib

import pytest

from swapd.telemetry.host.apple import Apple, described, figures
from swapd.telemetry.host.cards import SourceFailed
from swapd.telemetry.host.figures import Gpu

ENTRIES = [
    {
        "IOClass": "AGXAcceleratorG14X",
        "model": "Apple M2 Max",
        "PerformanceStatistics": {
            "Device Utilization %": 37,
            "In use system memory": 4_294_967_296,
        },
    },
    {"IOClass": "without statistics"},
]

DISPLAYS = {
    "SPDisplaysDataType": [
        {"_name": "kHW_AppleM2Max", "sppci_model": "Apple M2 Max", "sppci_cores": "38"}
        | {"spdisplays_vendor": "sppci_vendor_Apple"}
    ]
}


def test_what_the_gpu_does_is_read_and_the_rest_is_unknown() -> None:
    assert figures(plistlib.dumps(ENTRIES), 1000) == [
        Gpu(0, "Apple M2 Max", busy_percent=37, memory_used_bytes=2**32, memory_total_bytes=1000)
    ]


def test_a_mac_without_a_gpu_has_none() -> None:
    assert figures(b"", 1000) == []


def test_its_memory_is_the_machines() -> None:
    (one,) = described(json.dumps(DISPLAYS).encode())
    assert (one.card.vendor, one.card.model) == ("Apple", "Apple M2 Max")
    assert (one.card.memory_kind, (one.card.memory_bytes or 0) > 0) == ("unified", True)


def test_other_systems_are_not_asked() -> None:
    source = Apple("linux")
    assert (source.read(), source.describe()) == ([], [])


@pytest.mark.parametrize("said", [b"<plist>", b"\xff", b"bplist00"])
def test_what_cannot_be_read_is_told_of(said: bytes) -> None:
    source = Apple("darwin", lambda *_: said)
    with pytest.raises(SourceFailed, match="ioreg"):
        source.read()
    with pytest.raises(SourceFailed, match="system_profiler"):
        source.describe()
